"""Where HDF5 keeps texts: the library never finishes reading some damaged heaps of them, so they are checked first.

HDF5 File Format Specification, III.E: https://docs.hdfgroup.org/hdf5/v1_14/_f_m_t3.html#GlobalHeap
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

SCANNED = 2**20
"""Bytes at the beginning of a file that are looked at."""
_SIGNATURE = b"GCOL\x01\0\0\0"
_HEADER = 16
"""Bytes of the header of a heap, and of that of each object in it."""


def check_heaps(path: Path) -> None:
    """Check that the objects of each heap lead from one to the next; of a file that has not changed, once.

    Raises:
        ValueError: they do not.
    """
    stat = path.stat()
    _check(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=10_000)
def _check(path: Path, _size_of_file: int, _changed: int) -> None:
    with path.open("rb") as file:
        content = file.read(SCANNED)
    at = content.find(_SIGNATURE)
    while at >= 0:
        end = at + _size(content, at)
        place = at + _HEADER
        while place + _HEADER <= min(end, len(content)):
            number, size = int.from_bytes(content[place : place + 2], "little"), _size(content, place)
            step = _HEADER + -(-size // 8) * 8 if number else size
            if not 0 < step <= end - place:
                raise ValueError("a heap of texts is damaged")
            place += step
        at = content.find(_SIGNATURE, at + _HEADER)


def _size(content: bytes, header: int) -> int:
    return int.from_bytes(content[header + 8 : header + _HEADER], "little")
