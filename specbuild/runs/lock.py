"""The lock of a run folder: one process at a time writes there, and others can tell whether that process is alive.

The lock is `flock` on the file `run.lock`, which the system releases when the process ends, however it ends. The file
names the process; the time of its last change is the heartbeat, at most `BEAT` seconds old while the process lives.
On a file system without locks, the process and the heartbeat decide.
"""

import errno
import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from specbuild.document import RunError
from specbuild.runs.clock import now
from specbuild.runs.processes import CAN_ASK, host, lives

if sys.platform != "win32":
    import fcntl

LOCK = "run.lock"
"""The name of the file."""
BEAT = 10.0
"""Seconds between heartbeats."""
SILENT = 60.0
"""Seconds without a heartbeat after which a process on another machine counts as gone, where there are no locks."""

_SETTLING = 0.3
"""Seconds after which a process finds another's name in the file if both wrote theirs at once."""
_NAMING = 0.05
"""Seconds after which a process that has taken the lock has written its name."""
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}

_ours: set[Path] = set()
"""The lock files that this process holds."""


class Process(BaseModel):
    """A process that writes to a run folder, as recorded in run.json and run.lock."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pid: int = Field(ge=1, le=2**31, description="Its number.")
    host: str = Field(max_length=255, description="The name of the machine.")
    since: str = Field(max_length=40, description="When it began to write the folder, in UTC.")

    @classmethod
    def this(cls) -> "Process":
        """Return the current process, starting now."""
        return cls(pid=os.getpid(), host=host(), since=now())

    @property
    def is_this(self) -> bool:
        """Whether it is the current process."""
        return self.pid == os.getpid() and self.host == host()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class RunLock:
    """The lock of a run folder, held from here to the end of the block, with its heartbeat.

    Args:
        folder: the run folder.
        patience: seconds for which a lock that is taken is tried again.

    Raises:
        RunError: another process holds it.
        OSError: there is no such folder, or it cannot be written.
    """

    def __init__(self, folder: Path, patience: float = 0.5) -> None:
        # Asking who holds a lock takes it for a moment, so a lock that is taken may be free the next time.
        self._path = folder / LOCK
        self._descriptor = _acquired(self._path, patience)
        _ours.add(self._path.resolve())
        self._over = threading.Event()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.release()

    def moved(self, folder: Path) -> None:
        """Follow the folder to its new place."""
        _ours.discard(self._path.resolve())
        self._path = folder / LOCK
        _ours.add(self._path.resolve())

    def release(self) -> None:
        """Remove the file and give the lock back."""
        self._over.set()
        _ours.discard(self._path.resolve())
        with suppress(OSError):
            if _is_at(self._descriptor, self._path):
                self._path.unlink()
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            with suppress(OSError):
                os.utime(self._path)


def writer(folder: Path) -> Process | None:
    """Return the process that writes a run folder now; None where there is none, also if one ended unexpectedly."""
    path = folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        locked = _lock(descriptor, exclusive=False)
        process = None if locked else _named(descriptor)
        if locked is False and process is None:  # it has just taken the lock, and is about to write its name
            time.sleep(_NAMING)
            process = _named(descriptor)
        return process if locked is False or _lives(process, path, descriptor) else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _acquired(path: Path, patience: float) -> int:
    """Return the descriptor of the locked file, which names this process."""
    deadline = time.monotonic() + patience
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            locked = _lock(descriptor, exclusive=True)
            # The previous holder may have removed the file meanwhile; a lock on a removed file protects nothing.
            if locked is not False and _is_at(descriptor, path):
                if locked is None:
                    _claim(descriptor, path)
                else:
                    _name(descriptor)
                return descriptor
            if time.monotonic() > deadline:
                raise _taken(path, _named(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(0.02)


def _claim(descriptor: int, path: Path) -> None:
    """Take the file where there are no locks: of two that do so at once, the later one has it."""
    process = _named(descriptor)
    if _lives(process, path, descriptor):
        raise _taken(path, process, f"; if it is gone, remove {path}")
    ours = _name(descriptor)
    time.sleep(_SETTLING)
    if (named := _named(descriptor)) != ours:
        raise _taken(path, named)


def _lives(process: Process | None, path: Path, descriptor: int) -> bool:
    """Return whether the process that a lock file names is alive, as far as can be told without locks."""
    if process is None:
        return False
    if process.is_this:
        return path.resolve() in _ours
    if process.host != Process.this().host or not CAN_ASK:
        return time.time() - os.fstat(descriptor).st_mtime < SILENT  # also if the clock was set back
    return lives(process.pid)


def _taken(path: Path, process: Process | None, otherwise: str = "") -> RunError:
    who = f"{process}, since {process.since}" if process is not None else "another process"
    return RunError(
        f"the run folder {path.parent} is in use by {who}",
        help=f"wait until it has ended, or end it; two processes would overwrite each other's checkpoints{otherwise}",
    )


def _lock(descriptor: int, *, exclusive: bool) -> bool | None:
    """Return whether the file is locked now; None where the file system has no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        if error.errno in _WITHOUT_LOCKS:
            return None
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether the open file is still the one at `path`."""
    try:
        here, there = os.fstat(descriptor), path.stat()
    except FileNotFoundError:
        return False
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _name(descriptor: int) -> Process:
    process = Process.this()
    text = process.model_dump_json().encode() + b"\n"
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text)
    return process


def _named(descriptor: int) -> Process | None:
    """Return the process that the file names; None where it names none, as for a moment at its beginning."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        value: Any = json.loads(os.read(descriptor, 4096))
        return Process.model_validate(value)
    except (ValueError, ValidationError, RecursionError):
        return None
