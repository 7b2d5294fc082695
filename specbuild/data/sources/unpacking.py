"""Files that are read from an unpacked copy: those of `.gz`, and compressed arrays of `.npz`.

A copy is made once, in a cache folder, under a name that changes when the file does.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import IO, cast

from specbuild.catalog.sources import PACKED
from specbuild.data.sources.errors import DamagedFileError, FileError
from specbuild.data.sources.limits import in_units

_BLOCK = 2**20


def unpacked(path: Path) -> Path:
    """Return the file itself, or the unpacked copy of a `.gz`, which has the same name without this suffix.

    Raises:
        SourceError: it is damaged, or unpacks to more than the disk holds.
    """
    if path.suffix.lower() != PACKED or not path.is_file():
        return path
    folder = cache_folder() / _digest(path)
    folder.mkdir(exist_ok=True)
    target = folder / path.stem
    if not target.exists():
        try:
            with gzip.open(path) as packed:
                write(cast(IO[bytes], packed), target, path.name)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DamagedFileError(f"{path.name} is cut short or not packed with gzip", error) from error
    return target


def unpacked_part(path: Path, part: str, size: int, packed: IO[bytes]) -> Path:
    """Return a part of an archive, of `size` bytes, as a file of its own.

    Raises:
        SourceError: it takes more than the disk holds.
    """
    folder = cache_folder()
    target = folder / f"{_digest(path, part)}.npy"
    if not target.exists() or target.stat().st_size != size:
        free = shutil.disk_usage(folder).free
        if size > free:
            raise _too_large(path.name, size, free)
        write(packed, target, path.name)
    return target


def write(packed: IO[bytes], target: Path, name: str) -> None:
    """Write an unpacked file, which appears under its name once it is whole."""
    handle, partial = tempfile.mkstemp(dir=target.parent, suffix=".partial")
    written = 0
    try:
        with os.fdopen(handle, "wb") as copy:
            while block := packed.read(_BLOCK):
                free = shutil.disk_usage(target.parent).free
                if len(block) > free:
                    raise _too_large(name, written + len(block), free, at_least="at least ")
                copy.write(block)
                written += len(block)
        Path(partial).replace(target)
    finally:
        Path(partial).unlink(missing_ok=True)


def cache_folder() -> Path:
    """Return where unpacked files are kept: `$SPECBUILD_CACHE`, or `specbuild` in the user's cache folder."""
    configured = os.environ.get("SPECBUILD_CACHE")
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "specbuild"
    folder = Path(configured) if configured else default
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _digest(path: Path, *more: str) -> str:
    stat = path.stat()
    parts = (path.resolve(), stat.st_size, stat.st_mtime_ns, *more)
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]


def _too_large(name: str, size: int, free: int, at_least: str = "") -> FileError:
    return FileError(
        f"{name} unpacks to {at_least}{in_units(size)}, and {in_units(free)} are free on the disk",
        reason=f"it is unpacked in {cache_folder()}",
        help="set SPECBUILD_CACHE to a folder with more free space",
    )
