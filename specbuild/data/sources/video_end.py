"""Detect truncated video files by the length stored in the container.

FFmpeg plays a file that was cut off up to where it ends, without an error.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_SEGMENT = 0x18538067
"""The element of Matroska and WebM that holds everything but the header."""


def missing_end(path: Path) -> str:
    """Return what shows that the end of a file is missing; empty where it is there, or its format does not say."""
    with path.open("rb") as file:
        check = _CHECKS.get(file.read(4))
    return check(path) if check is not None else ""


def _riff(path: Path) -> str:
    """AVI: `RIFF`, then the bytes that follow, little-endian. A file larger than 4 GiB has several such parts."""
    with path.open("rb") as file:
        promised = 8 + int.from_bytes(file.read(8)[4:], "little")
    return _compared(promised, path)


def _matroska(path: Path) -> str:
    """EBML: elements of an id, a size and a content; the second one is the segment. A size of all ones is unknown."""
    with path.open("rb") as file:
        head = file.read(4096)
    at = 4
    size, at = _number(head, at)
    at += size
    if int.from_bytes(head[at : at + 4]) != _SEGMENT:
        return ""
    size, start = _number(head, at + 4)
    unknown = size == 2 ** (7 * (start - at - 4)) - 1
    return "" if unknown else _compared(start + size, path)


def _gif(path: Path) -> str:
    """GIF ends with a semicolon; some writers add zeros."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        tail = file.read().rstrip(b"\0")
    return "" if tail.endswith(b";") else "the mark of its end is missing"


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return an EBML size at a byte, and the byte after it: as many leading zero bits as bytes follow."""
    first = data[at] if at < len(data) else 0x80
    length = 9 - first.bit_length()
    value = int.from_bytes(data[at : at + length]) & (2 ** (7 * length) - 1)
    return value, at + length


def _compared(promised: int, path: Path) -> str:
    there = path.stat().st_size
    return f"its header promises {promised} bytes, {there} are there" if promised > there else ""


_CHECKS: dict[bytes, Callable[[Path], str]] = {b"RIFF": _riff, b"\x1aE\xdf\xa3": _matroska, b"GIF8": _gif}
"""By the first four bytes of a file."""
