"""What a chunk of a Zarr array may unpack to. The libraries that unpack it believe its header, and one of them crashes.

Headers: RFC 1952 (gzip), RFC 8878 (Zstandard), https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from specbuild.data.sources.limits import in_units


@dataclass(frozen=True, slots=True)
class Packed:
    """How the chunks of an array are packed: the bytes of each once it is unpacked, and by which codec."""

    size: int
    codec: str

    @classmethod
    def of(cls, metadata: bytes) -> Packed | None:
        """Return what the metadata of an array, of format 2 or 3, says; None where several codecs follow each other."""
        with suppress(AttributeError, IndexError, KeyError, TypeError, ValueError):
            array = json.loads(metadata)
            if "compressor" in array:
                if array.get("filters"):
                    return None
                return cls(_size(array["chunks"], np.dtype(array["dtype"])), array["compressor"]["id"])
            if len(array["codecs"]) == 2 and array["codecs"][0]["name"] == "bytes":
                shape = array["chunk_grid"]["configuration"]["chunk_shape"]
                return cls(_size(shape, np.dtype(array["data_type"])), array["codecs"][1]["name"])
        return None

    def check(self, key: str, chunk: bytes) -> None:
        """Check that a chunk unpacks to no more than it should, as far as its header says.

        Raises:
            ValueError: it says more, or is not as long as it says.
        """
        if self.codec == "blosc" and int.from_bytes(chunk[12:16], "little") != len(chunk):
            raise ValueError(f"{key} is cut short or damaged")
        size = _HEADERS[self.codec](chunk) if self.codec in _HEADERS else 0
        if size > self.size:
            raise ValueError(f"{key} unpacks to {in_units(size)}, its chunk has {in_units(self.size)}")


def _size(shape: list[int], dtype: np.dtype[Any]) -> int:
    return prod(map(int, shape)) * dtype.itemsize


def _blosc(chunk: bytes) -> int:
    return int.from_bytes(chunk[4:8], "little")


def _gzip(chunk: bytes) -> int:
    return int.from_bytes(chunk[-4:], "little")


def _zstd(chunk: bytes) -> int:
    descriptor = chunk[4] if len(chunk) > 4 else 0
    flag, single = descriptor >> 6, descriptor >> 5 & 1
    start = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    length = (single, 2, 4, 8)[flag]
    return int.from_bytes(chunk[start : start + length], "little") + (256 if flag == 1 else 0)


_HEADERS = {"blosc": _blosc, "gzip": _gzip, "zstd": _zstd}
"""How each codec says to how many bytes a chunk unpacks."""
