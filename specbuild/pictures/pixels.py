"""Frames as small PNGs, one pixel of the picture for one of the frame, and the color bar beside them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
from matplotlib.colors import Colormap, Normalize, to_rgb
from matplotlib.ticker import MaxNLocator
from PIL import Image

from specbuild.pictures.colours import MISSING_GREY, colormap_of, colormap_of_differences, norm_of
from specbuild.pictures.plane import Plane
from specbuild.pictures.scene import ColourScale, Planes

_SHADES = 255
"""Colors of a scale in the palette of a picture; the last entry is that of missing values."""
_BAR = 256
"""Pixels along a color bar."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What is written at an edge, and where: the share of the edge from the left or the top."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Pixels:
    """Draws frames in the colors of one scale."""

    norm: Normalize
    colormap: Colormap
    low: float
    high: float

    @classmethod
    def of(cls, scale: ColourScale) -> Pixels:
        """Return what draws values in the colors of a scale."""
        return cls(norm_of(scale), colormap_of(scale), scale.low, scale.high)

    @classmethod
    def of_differences(cls, most: float) -> Pixels:
        """Return what draws differences from −`most` to `most`."""
        return cls(Normalize(-most, most), colormap_of_differences(), -most, most)

    def png(self, frame: Planes, plane: Plane | None = None) -> str:
        """Return a frame (H, W) as the URI of a PNG with its bytes inside, of a map north up and east to the right."""
        if plane is not None and plane.y.rises:
            frame = frame[::-1]
        if plane is not None and not plane.x.rises:
            frame = frame[:, ::-1]
        known = np.isfinite(frame)
        share = np.clip(np.asarray(self.norm(np.where(known, frame, self.low))), 0, 1)
        shades = np.where(known, np.rint(share * (_SHADES - 1)), _SHADES).astype(np.uint8)
        return self._encoded(shades)

    def bar(self) -> str:
        """Return the colors of the scale from left to right, as the URI of a PNG."""
        return self._encoded(np.linspace(0, _SHADES - 1, _BAR).round().astype(np.uint8)[np.newaxis])

    def ticks(self, most: int = 4) -> list[Tick]:
        """Return values along the bar, at most so many parts of it."""
        values = [v for v in MaxNLocator(most).tick_values(self.low, self.high) if self.low <= v <= self.high]
        return [Tick(float(self.norm(value)), f"{value:g}") for value in values]

    def _encoded(self, shades: npt.NDArray[np.uint8]) -> str:
        image = Image.fromarray(shades)
        colours = [*self.colormap(np.linspace(0, 1, _SHADES))[:, :3], to_rgb(MISSING_GREY)]
        image.putpalette([round(255 * float(part)) for colour in colours for part in colour])
        stream = BytesIO()
        image.save(stream, "PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def shrunk(frames: Planes, factor: int) -> Planes:
    """Return frames (T, H, W) in boxes of `factor` × `factor` pixels: the mean of the values that are known."""
    if factor == 1:
        return frames
    count, height, width = frames.shape
    rows, columns = -(-height // factor), -(-width // factor)
    padded = np.full((count, rows * factor, columns * factor), np.nan, np.float32)
    padded[:, :height, :width] = frames
    boxes = padded.reshape(count, rows, factor, columns, factor)
    known = np.isfinite(boxes).sum(axis=(2, 4))
    means = np.nansum(boxes, axis=(2, 4)) / np.maximum(known, 1)
    return np.where(known, means, np.nan).astype(np.float32)


def edge_ticks(plane: Plane, height: int, width: int, most: int = 3) -> tuple[list[Tick], list[Tick]]:
    """Return the coordinates along the lower and the left edge of a map that is drawn as `Pixels.png` draws it."""
    places, texts = plane.x.ticks(most)
    x = [(at if plane.x.rises else width - 1 - at, text) for at, text in zip(places, texts, strict=True)]
    places, texts = plane.y.ticks(most)
    y = [(height - 1 - at if plane.y.rises else at, text) for at, text in zip(places, texts, strict=True)]
    return [Tick((at + 0.5) / width, text) for at, text in x], [Tick((at + 0.5) / height, text) for at, text in y]
