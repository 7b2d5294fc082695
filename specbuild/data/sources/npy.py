"""`.npy`: one array."""

from __future__ import annotations

from pathlib import Path

from specbuild.data.sources.arrays import MappedArray, read_header
from specbuild.data.sources.base import SourceError, Stored


class NpyFile:
    """The one array of a file, under the name ""."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> tuple[str, ...]:
        return ()

    def array(self, name: str) -> Stored:
        if name:
            raise SourceError("key", f"{self._path.name} holds one array, which has no name", help="leave out the key")
        try:
            with self._path.open("rb") as file:
                header = read_header(file)
        except ValueError as error:
            raise SourceError("path", f"{self._path.name} is no NumPy array", reason=str(error)) from error
        available = self._path.stat().st_size - header.size
        if not header.dtype.hasobject and available < header.data_size:
            raise SourceError(
                "path",
                f"{self._path.name} is cut short",
                reason=f"its header promises {header.data_size} bytes of numbers, {available} are there",
            )
        return Stored(MappedArray(self._path, header.size, header.shape, header.dtype, header.fortran))
