"""Fingerprints of data: whether files are still those that a run began with, told without reading all of large ones."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from specbuild.runs.files import sha256

WHOLE = 256 * 2**20
"""Data of up to so many bytes is read whole."""
BLOCKS, BLOCK = 64, 2**20
"""Of more, so many blocks of so many bytes are read."""


def fingerprint(path: Path, files: Sequence[Path]) -> dict[str, Any]:
    """What `run.json` records of data, which must be the same for a run to continue.

    `sha256` is that of the one file. Of several, or of a folder, `sha256` covers the names, the sizes and every byte of
    all files in the order of their names. Data of more than `WHOLE` bytes has `sampled_sha256` instead: of the names,
    the sizes, the times of the last change, and `BLOCKS` blocks evenly spread over the bytes of all files, the first
    and the last among them.

    Args:
        path: what the spec names.
        files: the files and folders that this means; folders count with everything in them.
    """
    found = sorted(_files(files), key=lambda one: one.name)
    total = sum(one.size for one in found)
    entry: dict[str, Any] = {"path": str(path.resolve())}
    single = [path] == list(files) and path.is_file()
    if not single:
        entry["files"] = len(found)
    entry["bytes"] = total
    if total > WHOLE:
        return entry | {"sampled_sha256": _sampled(found, total)}
    return entry | {"sha256": sha256(path) if single else _whole(found)}


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """How two fingerprints differ, in words; empty where they do not. Where the data lies is left aside."""
    for unit in ("files", "bytes"):
        then, here = before.get(unit, 1), now.get(unit, 1)
        if then != here:
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
    """Every file that exists; those of folders by their path within."""
    single = len(paths) == 1 and paths[0].is_dir()
    base = paths[0] if single else os.path.commonpath([path.parent for path in paths]) if paths else ""
    for path in paths:
        inside = (Path(folder) / name for folder, _, names in os.walk(path) for name in names)
        for one in inside if path.is_dir() else (path,):
            with suppress(FileNotFoundError):
                stat = one.stat()
                yield _File(one, one.relative_to(base).as_posix(), stat.st_size, stat.st_mtime_ns)


def _whole(files: Sequence[_File]) -> str:
    digest = hashlib.sha256()
    for one in files:
        digest.update(f"{one.name}\0{one.size}\0{sha256(one.path)}\n".encode())
    return digest.hexdigest()


def _sampled(files: Sequence[_File], total: int) -> str:
    digest = hashlib.sha256()
    for one in files:
        digest.update(f"{one.name}\0{one.size}\0{one.changed}\n".encode())
    ends = list(accumulate(one.size for one in files))
    for number in range(BLOCKS):
        start = number * (total - BLOCK) // (BLOCKS - 1)
        for block in _bytes(files, ends, start, BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _bytes(files: Sequence[_File], ends: Sequence[int], start: int, count: int) -> Iterator[bytes]:
    """So many bytes of all files end to end, from `start` on."""
    number = bisect_right(ends, start)
    while count and number < len(files):
        begin = ends[number] - files[number].size
        with files[number].path.open("rb") as file:
            file.seek(start - begin)
            block = file.read(count)
        if not block:
            return
        yield block
        start, count = start + len(block), count - len(block)
        number = bisect_right(ends, start)
