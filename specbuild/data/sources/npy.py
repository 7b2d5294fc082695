"""`.npy`: one array, read from disk piece by piece; and NumPy's array format at any position in a file.

`numpy.load(mmap_mode="r")` is not enough: it keeps every page that was read in resident memory, cannot map an array
within an archive, and does not say how many bytes of a cut-off file are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import ENOMEM
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from specbuild.data.sources.base import StoredArray
from specbuild.data.sources.errors import FileError, SourceError, reason_of
from specbuild.data.sources.lazy_arrays import Index, LazyArray
from specbuild.document import RunError


class NpyFile:
    """The one array of a file, under the name ""."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> tuple[str, ...]:
        return ()

    def array(self, name: str) -> StoredArray:
        if name:
            raise SourceError("key", f"{self._path.name} holds one array, which has no name", help="leave out the key")
        try:
            with self._path.open("rb") as file:
                header = read_header(file)
        except ValueError as error:
            raise FileError(f"{self._path.name} is not a NumPy array", reason=reason_of(error)) from error
        available = self._path.stat().st_size - header.size
        if not header.dtype.hasobject and available < header.data_size:
            raise FileError(
                f"{self._path.name} is cut short",
                reason=f"its header promises {header.data_size} bytes of numbers, {available} are there",
            )
        return StoredArray(mapped(self._path, 0, header))


def mapped(path: Path, start: int, header: Header) -> LazyArray:
    """Return the array in a file, uncompressed, whose header begins at byte `start`.

    Each read maps the file and copies what is wanted, so the pages it touched are released at once: resident memory
    stays that of a single read however large the file, and threads share nothing.
    """
    order: Any = "F" if header.fortran else "C"

    def read(index: Index) -> npt.NDArray[Any]:
        try:
            numbers = np.memmap(path, header.dtype, "r", start + header.size, header.shape, order)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == ENOMEM:
                raise MemoryError from error
            raise RunError(f"{path} can no longer be read: {error}", "put the file back as it was") from error
        return np.array(numbers[index])

    return LazyArray(header.shape, header.dtype, read)


@dataclass(frozen=True, slots=True)
class Header:
    """The header of an array: what it says of the numbers, and its own length in bytes."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    size: int

    @property
    def data_size(self) -> int:
        """Bytes that the numbers take."""
        return self.dtype.itemsize * prod(self.shape)


def read_header(file: IO[bytes]) -> Header:
    """Read the header of the array at the file's position.

    Raises:
        ValueError: the bytes are not an array in NumPy's format.
    """
    before = file.tell()
    version = np.lib.format.read_magic(file)
    reader = _READERS.get(version)
    if reader is None:
        raise ValueError(f"version {version[0]}.{version[1]} of NumPy's format is not known")
    start, count = file.tell(), _COUNTS[version]
    length = int.from_bytes(file.read(count), "little")
    if length > _LONGEST:
        raise ValueError(f"its header promises to be {length} bytes long")
    file.seek(start)
    try:
        shape, fortran, dtype = reader(file)
    except (MemoryError, RecursionError, SyntaxError, TokenError, TypeError) as error:
        raise ValueError("its header is damaged") from error
    if not all(length >= 0 for length in shape):
        raise ValueError(f"its header promises the shape {shape}")
    return Header(tuple(int(length) for length in shape), fortran, dtype, file.tell() - before)


_LONGEST = 10_000
"""Bytes of the longest header that NumPy reads."""
_COUNTS = {(1, 0): 2, (2, 0): 4}
"""Bytes of the length of the header."""
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
