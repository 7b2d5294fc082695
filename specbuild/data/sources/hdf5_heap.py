"""Where HDF5 keeps texts: the library reads some damaged heaps of them without end, so they are looked at first.

HDF5 File Format Specification, III.E: https://docs.hdfgroup.org/hdf5/v1_14/_f_m_t3.html#GlobalHeap
"""

from __future__ import annotations

from pathlib import Path

SCANNED = 2**22
"""Bytes at the beginning of a file that are looked at."""
_SIGNATURE = b"GCOL\x01\0\0\0"
_HEADER = 16
"""Bytes of the header of a heap, and of that of each object in it."""


def check_heaps(path: Path) -> None:
    """Check that the objects of each heap lead from one to the next.

    Raises:
        ValueError: they do not.
    """
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
