"""One image file as an array of numbers: gray or RGB, 8 or 16 bits, or the floats of a TIFF.

Pillow decodes, except for color of 16 bits, which it would cut to 8 and FFmpeg reads whole.
"""

from __future__ import annotations

import gzip
import logging
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile

from specbuild.catalog.sources import PACKED
from specbuild.data.arrays import Array
from specbuild.data.sources.errors import reason_of
from specbuild.data.sources.missing import of_known

Pixels = npt.NDArray[Any]
"""(H, W) of gray, or (H, W, 3) of RGB."""

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
"""Pillow warns of attributes that it cannot read, and nothing here depends on them."""
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
"""Whether the pixels of an image fit into memory is checked here."""

logging.getLogger("PIL").setLevel(logging.CRITICAL)
"""What Pillow logs of a fault it raises as well."""

_LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in gray (ITU-R BT.601)."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What an image is, before its pixels are decoded."""

    height: int
    width: int
    channels: int
    """1 for gray, 3 for color; transparency does not count."""
    dtype: np.dtype[Any]
    deep: bool = False
    """16-bit color, which Pillow would reduce to 8 bits."""
    pages: int = 1

    @property
    def bytes(self) -> int:
        """What its pixels take in memory, those of one page."""
        return self.height * self.width * self.channels * self.dtype.itemsize

    def words(self) -> str:
        """`64 × 64 gray, uint8`, for messages."""
        return f"{self.height} × {self.width} {'gray' if self.channels == 1 else 'color'}, {self.dtype}"


def read_header(path: Path) -> ImageHeader:
    """Read the size and type of an image; its pixels are not decoded.

    Raises:
        ValueError: it is not an image that can be read.
    """
    with _opened(path) as image:
        width, height = image.size
        dtype, channels = _MODES.get(image.mode, ("uint8", 3))
        if image.format == "PPM" and image.mode == "I":
            dtype = "uint16"
        deep = channels == 3 and any(";16" in str(tile[-1]) for tile in image.tile)
        pages = int(getattr(image, "n_frames", 1))
    return ImageHeader(height, width, channels, np.dtype("uint16" if deep else dtype), deep, pages)


def read_pixels(path: Path, header: ImageHeader, page: int = 0) -> Pixels:
    """Decode an image: (H, W) where its header says gray, else (H, W, 3).

    Palettes become RGB, black and white become 0 and 255, and transparency is dropped.

    Raises:
        ValueError: they cannot be decoded.
    """
    if header.deep:
        return _deep_colour(path)
    with _opened(path) as image:
        if page:
            image.seek(page)
        greatest = _greatest(image)
        if image.mode in _MODES and len(image.getbands()) == header.channels and image.mode != "1":
            return _unscaled(np.asarray(image), greatest).astype(header.dtype, copy=False)
        return np.asarray(image.convert("L" if header.channels == 1 else "RGB"))


def _greatest(image: ImageFile) -> int | None:
    """Return the greatest value that a PGM or PPM declares, where Pillow scales it to the whole range of its mode."""
    if image.format != "PPM" or not image.tile or not isinstance(image.tile[0][-1], tuple):
        return None
    return int(image.tile[0][-1][-1])


def _unscaled(pixels: Pixels, greatest: int | None) -> Pixels:
    """Return the values as they are stored, of which Pillow made round(value / greatest · 255 or 65535)."""
    most = 255 if pixels.dtype == np.uint8 else 65535
    if greatest is None or greatest >= most:
        return pixels
    return np.rint(pixels.astype(np.float64) * (greatest / most))


def to_color(pixels: Pixels, channels: int) -> Pixels:
    """Convert gray to RGB of equal channels, or RGB to the gray of its luma, rounded to the type of the pixels."""
    if channels == 3:
        return pixels if pixels.ndim == 3 else np.repeat(pixels[..., np.newaxis], 3, axis=-1)
    if pixels.ndim == 2:
        return pixels
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).convert("L"))
    return _as_type(pixels.astype(np.float64) @ _LUMA, pixels.dtype)


def resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize to (height, width), averaging over what falls into each pixel where it shrinks (antialiasing).

    The filter is a triangle, stretched by the factor of the reduction (Pillow's BILINEAR). Of floats, missing values
    (NaN) have no weight, and a pixel is missing where more than half of its weight would be on them.
    """
    if pixels.shape[:2] == size:
        return pixels
    if pixels.dtype == np.uint8:
        scaled = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(scaled)
    planes = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32)
    resized = [of_known(partial(_scaled, size), planes[..., number]) for number in range(planes.shape[-1])]
    return _as_type(np.stack(resized, axis=-1).reshape(*size, *pixels.shape[2:]), pixels.dtype)


def _scaled(size: tuple[int, int], plane: Array) -> Array:
    return np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR))


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """Open an image; what is raised inside over a damaged file becomes ValueError."""
    try:
        with _bytes(path) as file, Image.open(file) as image:
            yield image
    except _UNREADABLE as error:
        raise ValueError(_reason(error)) from error


def _bytes(path: Path) -> IO[bytes]:
    """Open a file, or what is packed in a `.gz`."""
    return cast(IO[bytes], gzip.open(path)) if path.suffix.lower() == PACKED else path.open("rb")


def opened(path: Path) -> Any:
    """Open a video or an image with FFmpeg; its texts, which nothing depends on, may be in any encoding."""
    import av

    return av.open(str(path), metadata_errors="replace")


def _as_type(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> Pixels:
    return np.rint(values).astype(dtype) if dtype.kind in "iu" else values.astype(dtype)


def _deep_colour(path: Path) -> Pixels:
    import av

    try:
        with _bytes(path) as packed, av.open(packed, metadata_errors="replace") as file:
            frame = next(file.decode(video=0))
            return np.asarray(frame.to_ndarray(format="rgb48le"))
    except (av.FFmpegError, StopIteration, IndexError, ValueError) as error:
        raise ValueError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    return reason_of(error) or type(error).__name__


_MODES: dict[str, tuple[str, int]] = {
    "1": ("uint8", 1),
    "L": ("uint8", 1),
    "LA": ("uint8", 1),
    "I;16": ("uint16", 1),
    "I;16L": ("uint16", 1),
    "I;16B": ("uint16", 1),
    "I": ("int32", 1),
    "F": ("float32", 1),
    "RGB": ("uint8", 3),
}
"""Pillow's modes with their type and channels; every other mode is read as RGB of 8 bits."""
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, OverflowError),
    *(zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning),
)
"""What Pillow raises over a damaged file; faults of PNG are SyntaxErrors."""
