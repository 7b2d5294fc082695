"""Arrays of NumPy's file format, read from the disk piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from specbuild.document import RunError


@dataclass(frozen=True, slots=True)
class MappedArray:
    """An array in a file, uncompressed from byte `start` on.

    Each read maps the file anew and copies what was asked for, so the pages it touched are given back at once:
    resident memory stays that of one read however large the file, and reads from several threads do not meet.
    """

    path: Path
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool

    def __getitem__(self, index: tuple[int | slice, ...], /) -> npt.NDArray[Any]:
        order: Any = "F" if self.fortran else "C"
        try:
            mapped = np.memmap(self.path, self.dtype, "r", self.start, self.shape, order)
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path} can no longer be read: {error}", "put the file back as it was") from error
        return np.array(mapped[index])


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the numbers of an array, and its own length in bytes."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    size: int

    @property
    def data_size(self) -> int:
        """Bytes that the numbers take."""
        size = self.dtype.itemsize
        for length in self.shape:
            size *= length
        return size


def read_header(file: IO[bytes]) -> Header:
    """The header of the array at the file's position.

    Raises:
        ValueError: the bytes are no array of NumPy's format.
    """
    before = file.tell()
    version = np.lib.format.read_magic(file)
    reader = _READERS.get(version)
    if reader is None:
        raise ValueError(f"version {version[0]}.{version[1]} of NumPy's format is not known")
    shape, fortran, dtype = reader(file)
    return Header(tuple(shape), fortran, dtype, file.tell() - before)


_READERS: dict[tuple[int, int], Callable[[IO[bytes]], Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
