"""Pictures of digits from a file: NumPy's formats, and the IDX files in which MNIST comes."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from specbuild.catalog.shapes import show
from specbuild.data.generators.base import Brightness
from specbuild.data.sources.errors import SourceError, reason_of
from specbuild.data.sources.limits import check_regular, in_units
from specbuild.data.sources.npy import NpyFile
from specbuild.data.sources.npz import NpzFile

MOST = 2**30
"""Bytes that the pictures may take: they are held in memory."""
_IDX_BYTES = 0x08


def read_digits(path: Path, key: str | None, size: int) -> Brightness:
    """Read pictures (n, height, width) of brightness from 0 to 255; floats are taken as shares of 255.

    Raises:
        SourceError: the file holds no such pictures, or ones that do not fit into frames of `size`.
    """
    suffix = path.suffix.lower()
    check_regular(path, path.name)
    pictures = _array(path, key, suffix) if suffix in (".npy", ".npz") else _idx(path)
    if pictures.ndim != 3 or not pictures.size:
        raise SourceError("images", f"{path.name} has the shape {show(pictures.shape)}, not pictures, height, width")
    if max(pictures.shape[1:]) > size:
        height, width = pictures.shape[1:]
        raise SourceError("images", f"digits of {height} × {width} do not fit into frames of {size}")
    if pictures.dtype == np.uint8:
        return pictures
    if pictures.dtype.kind == "f" and np.isfinite(pictures).all() and pictures.min() >= 0 and pictures.max() <= 1:
        return np.rint(pictures * 255).astype(np.uint8)
    raise SourceError(
        "images",
        f"{path.name} holds {pictures.dtype}, not brightness",
        help="save whole numbers from 0 to 255 as uint8",
    )


def _array(path: Path, key: str | None, suffix: str) -> npt.NDArray[Any]:
    container = NpyFile(path) if suffix == ".npy" else NpzFile(path)
    names = container.names()
    if names and key not in names and (key is not None or len(names) > 1):
        raise SourceError("images_key", f"{path.name} holds {', '.join(names)}", help="say which with images_key")
    array = container.array(key or (names[0] if names else "")).array
    if array.dtype.hasobject or array.dtype.itemsize * prod(array.shape) > MOST:
        raise SourceError("images", f"{path.name} holds no pictures of digits, or more than fit into memory")
    return array[(slice(None),) * len(array.shape)] if array.shape else np.zeros(())


def _idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read IDX: two zeros, the type, the number of axes, each length in four bytes (big-endian), and the numbers.

    http://yann.lecun.com/exdb/mnist/
    """
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as file:
            start = file.read(4)
            if start[:3] != bytes((0, 0, _IDX_BYTES)) or len(start) < 4:
                raise SourceError(
                    "images",
                    f"{path.name} is not an IDX file of bytes",
                    help="give an .npy, .npz or images-idx3-ubyte file; the last may be compressed (.gz)",
                )
            lengths = file.read(4 * start[3])
            shape = tuple(int.from_bytes(lengths[at : at + 4]) for at in range(0, 4 * start[3], 4))
            size = prod(shape)
            if size > MOST:
                raise SourceError("images", f"{path.name} holds {in_units(size)}, at most {in_units(MOST)} are read")
            content = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError("images", f"{path.name} is cut short or damaged", reason=reason_of(error)) from error
    if len(content) != size:
        there = len(content) if len(content) < size else "more"
        raise SourceError(
            "images", f"{path.name} is cut short", reason=f"its header declares {size} bytes, the file has {there}"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)
