"""Detect truncated video files by the length stored in the container.

FFmpeg plays a file that was cut off up to where it ends, without an error.
"""

from __future__ import annotations

from pathlib import Path

_SEGMENT = 0x18538067
"""The element of Matroska and WebM that holds everything but the header."""
_ENDS = 4096
"""Bytes that are read at each end of a file."""


def missing_end(path: Path) -> str:
    """Return what shows that the end of a file is missing; empty where it is there, or its format does not say."""
    with path.open("rb") as file:
        head, length = file.read(_ENDS), file.seek(0, 2)
        file.seek(max(0, length - _ENDS))
        tail = file.read()
    if head.startswith(b"GIF8"):  # ends with a semicolon; some writers add zeros
        return "" if tail.rstrip(b"\0").endswith(b";") else "the mark of its end is missing"
    promised = 0
    if head.startswith(b"RIFF"):  # AVI; a file larger than 4 GiB has several such parts
        promised = 8 + int.from_bytes(head[4:8], "little")
    elif head.startswith(b"\x1aE\xdf\xa3"):
        promised = _matroska(head)
    return f"its header promises {promised} bytes, {length} are there" if promised > length else ""


def _matroska(head: bytes) -> int:
    """EBML: elements of an id, a size and a content; the second one is the segment. A size of all ones is unknown."""
    size, at = _number(head, 4)
    at += size
    if int.from_bytes(head[at : at + 4]) != _SEGMENT:
        return 0
    size, start = _number(head, at + 4)
    unknown = size == 2 ** (7 * (start - at - 4)) - 1
    return 0 if unknown else start + size


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return an EBML size at a byte, and the byte after it: as many leading zero bits as bytes follow."""
    first = data[at] if at < len(data) else 0x80
    length = 9 - first.bit_length()
    value = int.from_bytes(data[at : at + length]) & (2 ** (7 * length) - 1)
    return value, at + length
