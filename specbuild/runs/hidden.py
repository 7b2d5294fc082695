"""Folders of runs and studies while they are filled: under hidden names, locked, and renamed when complete."""

from __future__ import annotations

import errno
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from specbuild.document import RunError
from specbuild.runs.lock import LOCK, RunLock


@contextmanager
def new_folder(out: Path, base: str, fill: Callable[[Path], None]) -> Iterator[Path]:
    """Make a folder, and hold its lock within the block.

    It is filled under a hidden name and then renamed, so it appears with everything that `fill` writes, or not at all.

    Args:
        out: where to make it.
        base: its name, to which a number is added if it is taken.
        fill: writes its files into the folder that it is given.

    Yields:
        The path of the folder.

    Raises:
        RunError: it cannot be made.
    """
    try:
        hidden, lock = _hidden_folder(out, base)
    except OSError as error:
        raise _unmakeable(out, error) from error
    with lock:
        try:
            fill(hidden)
            path = _publish(hidden, out / base)
        except BaseException as error:
            shutil.rmtree(hidden, ignore_errors=True)
            if isinstance(error, OSError):
                raise _unmakeable(out, error) from error
            raise
        lock.moved(path)
        yield path


def _hidden_folder(out: Path, base: str) -> tuple[Path, RunLock]:
    """Make an empty folder that no pattern for runs finds, and lock it; remove those that dead processes left."""
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(".*.new"):
        _remove_abandoned(left)
    while True:
        hidden = out / f".{base}.{secrets.token_hex(4)}.new"
        hidden.mkdir()
        try:
            return hidden, RunLock(hidden)
        except FileNotFoundError:  # without a lock it looked abandoned to another process, which removed it
            continue
        except OSError:
            shutil.rmtree(hidden, ignore_errors=True)
            raise


def _remove_abandoned(hidden: Path) -> None:
    """Remove a folder whose process ended before the folder got its name."""
    with suppress(OSError, RunError):
        if not (hidden / LOCK).exists():
            hidden.rmdir()
            return
        with RunLock(hidden, patience=0) as lock:
            # Renamed first: nobody who waits for the lock finds it in a folder that is half removed.
            removed = hidden.rename(hidden.with_name(f".{secrets.token_hex(4)}.new"))
            lock.moved(removed)
            shutil.rmtree(removed)


def _publish(hidden: Path, path: Path) -> Path:
    """Give a folder its name, with a number where the name is taken, and return its new path."""
    for number in range(1, 1000):
        free = path if number == 1 else path.with_name(f"{path.name}-{number}")
        if free.exists():
            continue
        try:
            return hidden.rename(free)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EACCES) or not free.exists():
                raise
    raise RunError(f"{path.parent} already holds 999 runs called {path.name}")


def _unmakeable(out: Path, error: OSError) -> RunError:
    """Return the error of a folder that the system refuses to make."""
    return RunError(f"cannot make a run folder in {out}: {error.strerror}", help="choose another place with --out")
