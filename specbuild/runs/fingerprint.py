"""Fingerprints of data: detect changes since a run began, without reading large files completely."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from stat import S_ISREG
from typing import Any

from specbuild.runs.files import sha256

WHOLE = 256 * 2**20
"""Bytes up to which data is read as a whole."""
BLOCKS, BLOCK = 64, 2**20
"""The number and the bytes of the blocks that are read of larger data."""


def fingerprint(path: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Return what `run.json` records of data, which must be the same for a run to continue.

    `sha256` is that of the one file. Of several, or of a folder, `sha256` covers the names, the sizes and every byte of
    all files in the order of their names. Data of more than `WHOLE` bytes has `sampled_sha256` instead: of the names,
    the sizes, the times of the last change, and `BLOCKS` blocks evenly spread over the bytes of all files, the first
    and the last among them.

    Args:
        path: what the spec names.
        files: the files and folders that this means; folders count with everything in them.
    """
    parts = sorted(_files(files), key=lambda file: file.name)
    total = sum(file.size for file in parts)
    entry: dict[str, Any] = {"path": str(path.resolve())}
    single = [path] == list(files) and path.is_file()
    if not single:
        entry["files"] = len(parts)
    entry["bytes"] = total
    if total > WHOLE:
        return entry | {"sampled_sha256": _sampled(parts, total)}
    return entry | {"sha256": sha256(path) if single else _whole(parts)}


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Return how two fingerprints differ, in words; empty where they do not. The path of the data does not count."""
    for unit in ("files", "bytes"):
        then, here = before.get(unit, 1), now.get(unit, 1)
        if None not in (then, here) and then != here:  # of a store at a URL the bytes may not be known
            return f"then it had {then:,} {unit}, now {here:,}"
    if before.get("sha256") != now.get("sha256"):
        return "its checksum differs from the one in run.json"
    if before.get("sampled_sha256") != now.get("sampled_sha256"):
        return "a name, a time of change or a block of its files differs from what run.json records"
    return ""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    size: int
    changed: int


def _files(paths: Sequence[Path]) -> Iterator[_File]:
    """Every regular file that exists; those of folders by their path within."""
    single = len(paths) == 1 and paths[0].is_dir()
    base = paths[0] if single else os.path.commonpath([path.parent for path in paths]) if paths else ""
    for path in paths:
        inside = (Path(folder) / name for folder, _, names in os.walk(path) for name in names)
        for file in inside if path.is_dir() else (path,):
            with suppress(FileNotFoundError):
                stat = file.stat()
                if S_ISREG(stat.st_mode):
                    yield _File(file, file.relative_to(base).as_posix(), stat.st_size, stat.st_mtime_ns)


def _whole(files: Sequence[_File]) -> str:
    return _digest(f"{file.name}\0{file.size}\0{sha256(file.path)}\n".encode() for file in files)


def _sampled(files: Sequence[_File], total: int) -> str:
    facts = (f"{file.name}\0{file.size}\0{file.changed}\n".encode() for file in files)
    starts = (number * (total - BLOCK) // (BLOCKS - 1) for number in range(BLOCKS))
    return _digest(chain(facts, *(_bytes(files, start, BLOCK) for start in starts)))


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _bytes(files: Sequence[_File], start: int, count: int) -> Iterator[bytes]:
    """`count` bytes of all files end to end, from `start` on."""
    for file in files:
        if count and 0 <= start < file.size:
            with file.path.open("rb") as opened:
                opened.seek(start)
                block = opened.read(count)
            yield block
            start, count = start + len(block), count - len(block)
        start -= file.size
