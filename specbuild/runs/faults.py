"""System faults while a run is written: a full disk, a folder that is gone or cannot be written to."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from specbuild.document import RunError

FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file would exceed the size limit",
}
"""Why no more can be written."""
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def reason(error: OSError) -> str:
    """Return why the system refuses, without the name of a file."""
    return FULL.get(error.errno or 0) or error.strerror or str(error)


class UnsavedError(RunError):
    """A result that could not be saved; it is `result`."""

    def __init__(self, message: str, help: str, result: Any) -> None:
        super().__init__(message, help)
        self.result = result


@contextmanager
def keeping(result: Any, folder: Path) -> Iterator[None]:
    """Keep the scores that the block fails to save in a run folder.

    Raises:
        UnsavedError: in place of an error of the system, which is its cause.
    """
    try:
        yield
    except OSError as error:
        room = "make room" if error.errno in FULL else "make the folder writable"
        help = f"{room}, or copy it to a place where you may write, and evaluate the copy"
        raise UnsavedError(f"the scores cannot be saved in {folder}: {reason(error)}", help, result) from error


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn an error of the system in writing a run folder into one that says what to do.

    Errors that are not about the folder pass as they are.

    Raises:
        RunError: the disk is full, or the folder is gone or cannot be written.
    """
    try:
        yield
    except OSError as error:
        path, resume = str(error.filename or folder), f"specbuild train --resume {folder}"
        if error.errno in FULL:
            raise RunError(
                f"cannot write {path}: {FULL[error.errno]}",
                help=f"what was saved before is kept; make room, then resume with: {resume}",
            ) from error
        if not folder.is_dir():
            raise RunError(
                f"the run folder {folder} is gone: it was removed or renamed during training",
                help="nothing more could be saved; if it was renamed, resume with: specbuild train --resume NEW-NAME",
            ) from error
        if error.errno in _FORBIDDEN and Path(path).resolve().is_relative_to(folder.resolve()):
            raise RunError(
                f"cannot write {path}: {error.strerror}",
                help=f"what was saved before is kept; make the folder writable, then resume with: {resume}",
            ) from error
        raise
