"""System faults while a run is written: a full disk, a folder that is gone or cannot be written to."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from specbuild.document import RunError

FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file would exceed the size limit",
}
"""Why no more can be written."""
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


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
