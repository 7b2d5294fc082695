"""Files that are replaced as a whole, so that an interrupted run leaves either the old or the new one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from specbuild.runs.processes import host, lives

_UNFINISHED = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)(\.\w+)?")
"""The name of a file that `replacing` yields, with its machine and the number of its process."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`, with the same suffix, whose file takes its place at the end of the block.

    An exception in the block leaves `path` as it was and removes the new file. The folder must exist: to make it would
    bring back a run folder that was removed while the run went on.
    """
    new = path.with_name(f".{path.stem}.{_machine()}-{os.getpid()}{path.suffix}")
    try:
        yield new
        _sync(new)
        new.replace(path)
        _sync(path.parent)
    except OSError as error:
        if error.filename is None:  # as of a write to a disk that is full
            error.filename = str(path)
        raise
    finally:
        new.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the files in a folder, and in the folders in it, that processes left when they ended while writing.

    Those of other machines stay: whether their processes live cannot be told.
    """
    for path in folder.rglob(".*"):
        match = _UNFINISHED.fullmatch(path.name)
        if match and match[1] == _machine() and path.is_file() and not lives(int(match[2])):
            path.unlink(missing_ok=True)


def _machine() -> str:
    """Return a short name of this machine, which may share the folder with others."""
    return f"{zlib.crc32(host().encode()):08x}"


def write_text(path: Path, text: str) -> None:
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def copy(source: Path, target: Path) -> None:
    with replacing(target) as new:
        shutil.copyfile(source, new)


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
