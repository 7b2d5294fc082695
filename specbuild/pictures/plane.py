"""The plane that a picture shows: which way is north and east, and the coordinates along its edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from specbuild.data.sources.base import Coordinate, FrameMetadata
from specbuild.data.sources.cf import is_latitude, is_longitude

Doubles = npt.NDArray[np.float64]

_METRES = ("m", "km", "metre", "metres", "meter", "meters", "kilometre", "kilometres", "kilometer", "kilometers")
_ROTATED = ("grid_latitude", "grid_longitude")


@dataclass(frozen=True, slots=True)
class Edge:
    """The coordinate along one edge of a picture, in the order of the pixels, all rising or all falling."""

    values: Doubles
    units: str
    """In words; of degrees of latitude and longitude, `N` and `E`."""

    @classmethod
    def of(cls, axis: Coordinate | None, length: int) -> Edge | None:
        """Return the edge of an axis; None where its coordinates are no places on a map."""
        if axis is None or axis.values is None or axis.values.shape != (length,) or axis.values.dtype.kind not in "iuf":
            return None
        values = axis.values.astype(np.float64)
        steps = np.diff(values)
        if length < 2 or not (np.isfinite(values).all() and ((steps > 0).all() or (steps < 0).all())):
            return None
        if is_latitude(axis):
            return cls(values, "N")
        if is_longitude(axis):
            return cls(values, "E")
        standard = str(axis.attributes.get("standard_name", ""))
        if axis.units.lower() in _METRES or standard in _ROTATED or standard.startswith("projection_"):
            far = axis.units.lower() in _METRES and "k" not in axis.units and np.abs(values).max() >= 10_000
            return cls(values / 1000, "km") if far else cls(values, axis.units)
        return None

    @property
    def rises(self) -> bool:
        return bool(self.values[-1] > self.values[0])

    @property
    def span(self) -> float:
        """From the outer end of the first pixel to that of the last."""
        return float(abs(self.values[-1] - self.values[0]) * len(self.values) / (len(self.values) - 1))

    def ticks(self, most: int, inside: float = 0.0) -> tuple[list[float], list[str]]:
        """Return places along the edge, in pixels, and what is written there.

        Args:
            most: how many parts they divide the edge into, at most.
            inside: the part of the edge at each end that is left free, for what is written at the next picture.
        """
        ordered, last = self.values if self.rises else self.values[::-1], len(self.values) - 1
        steps = [1, 2, 3, 5, 6, 9, 10] if self.units in ("N", "E") else [1, 2, 2.5, 5, 10]
        ticks = MaxNLocator(most, steps=steps).tick_values(ordered[0], ordered[-1])
        values = [float(value) for value in ticks if ordered[0] <= value <= ordered[-1]]
        places = np.interp(values, ordered, np.arange(last + 1))
        if not self.rises:
            places = last - places
        kept = [number for number, place in enumerate(places) if inside * last <= place <= (1 - inside) * last]
        return [float(places[number]) for number in kept], [self._written(values[number]) for number in kept]

    def named(self, at: int) -> str:
        """Return the coordinate of a pixel with its units."""
        value = float(f"{self.values[at]:.4g}")
        return self._written(value) + ("" if self.units in ("N", "E", "") else f" {self.units}")

    def _written(self, value: float) -> str:
        if self.units == "N":
            return f"{abs(value):g}°{'N' if value > 0 else 'S' if value < 0 else ''}"
        if self.units == "E":
            value = (value + 180) % 360 - 180
            return f"{abs(value):g}°{'E' if 0 < value < 180 else 'W' if -180 < value < 0 else ''}"
        return f"{value:g}"


@dataclass(frozen=True, slots=True)
class Plane:
    """The two edges of a picture, where both are known; without them the first row is on top."""

    y: Edge
    x: Edge

    @classmethod
    def of(cls, metadata: FrameMetadata, height: int, width: int) -> Plane | None:
        """Return the plane of frames with height and width; None where they have no coordinates of a map."""
        y, x = (Edge.of(metadata.coordinates.get(letter), length) for letter, length in (("H", height), ("W", width)))
        return None if y is None or x is None else cls(y, x)

    @property
    def aspect(self) -> float:
        """Height over width on the map, of a part of the globe at its middle latitude."""
        part = self.y.units == "N" and self.x.units == "E" and self.y.span <= 90
        middle = np.radians((self.y.values[0] + self.y.values[-1]) / 2)
        return self.y.span / (self.x.span * (float(np.cos(middle)) if part else 1.0))

    def place(self, row: int, column: int) -> str:
        """Return where a pixel lies: `51.5°N, 0.12°W`, or `x 12 km, y 40 km`."""
        y, x = (edge.named(at) for edge, at in ((self.y, row), (self.x, column)))
        return f"{y}, {x}" if self.y.units == "N" else f"x {x}, y {y}"

    @property
    def words(self) -> str:
        """What the numbers along the edges are; empty where they say it themselves."""
        named = sorted({edge.units for edge in (self.x, self.y)} - {"N", "E", ""})
        return f"x and y in {' and '.join(named)}" if named else ""
