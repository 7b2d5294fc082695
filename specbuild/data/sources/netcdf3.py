"""How long a NetCDF 3 file must be. The netCDF library reads zeros where the end is missing, so this is checked first.

The NetCDF Classic Format Specification: https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of a number by its type in the file: byte, char, short, int, float, double, then those of the 64-bit format."""
_PADDING = 3
"""Bytes at the end that some writers leave out."""


def check_length(path: Path) -> None:
    """Check that the file is as long as its header promises; files of other formats pass.

    Raises:
        ValueError: saying what is missing.
    """
    with path.open("rb") as file:
        magic = file.read(4)
        if magic[:3] != b"CDF" or magic[3:] not in (b"\x01", b"\x02", b"\x05"):
            return
        promised = _Header(file, version=magic[3]).end()
    missing = promised - path.stat().st_size
    if missing > _PADDING:
        raise ValueError(f"{missing:,} bytes are missing that its header promises")


class _Header:
    """Reads a header field by field, in the order of the file."""

    def __init__(self, file: IO[bytes], version: int) -> None:
        self._file = file
        self._count = 8 if version == 5 else 4
        self._offset = 4 if version == 1 else 8

    def end(self) -> int:
        """Return the byte after the last number of the last variable."""
        records = self._number(self._count)
        streaming = records == 256**self._count - 1
        lengths = [self._dimension() for _ in range(self._list())]
        self._skip_attributes()
        variables = [self._variable(lengths) for _ in range(self._list())]
        fixed = [begin + size for begin, size, recorded in variables if not recorded]
        if streaming or not records:
            return max(fixed, default=0)
        sizes = [size for _, size, recorded in variables if recorded]
        each = sum(_padded(size) for size in sizes) if len(sizes) > 1 else sum(sizes)
        last = [begin + (records - 1) * each + size for begin, size, recorded in variables if recorded]
        return max([*fixed, *last], default=0)

    def _variable(self, lengths: list[int]) -> tuple[int, int, bool]:
        """Return where a variable begins, its bytes (of one record where it has any), and whether it has records."""
        self._name()
        axes = [self._number(self._count) for _ in range(self._number(self._count))]
        self._skip_attributes()
        size = _SIZES.get(self._number(4), 0)
        self._number(self._count)
        begin = self._number(self._offset)
        if not all(axis < len(lengths) for axis in axes):
            raise ValueError("a variable has a dimension that is not there")
        recorded = bool(axes) and lengths[axes[0]] == 0
        for axis in axes[1:] if recorded else axes:
            size *= lengths[axis]
        return begin, size, recorded

    def _dimension(self) -> int:
        self._name()
        return self._number(self._count)

    def _skip_attributes(self) -> None:
        for _ in range(self._list()):
            self._name()
            size = _SIZES.get(self._number(4), 0)
            self._skip(_padded(size * self._number(self._count)))

    def _list(self) -> int:
        """Return how many items the list here has."""
        self._number(4)
        return self._number(self._count)

    def _name(self) -> None:
        self._skip(_padded(self._number(self._count)))

    def _skip(self, count: int) -> None:
        self._file.seek(count, 1)

    def _number(self, count: int) -> int:
        number = self._file.read(count)
        if len(number) < count:
            raise ValueError("its header ends too soon")
        return int.from_bytes(number, "big")


def _padded(size: int) -> int:
    """Return a number of bytes rounded up to a multiple of four."""
    return -(-size // 4) * 4
