"""Where a pixel is, and how high the sun stands there, as an input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.feeds.base import Feed, FeedContext
from specbuild.data.feeds.cycles import no_times, phases_of
from specbuild.data.sources import FrameSource
from specbuild.data.sources.base import Region
from specbuild.data.sources.cf import is_latitude, is_longitude
from specbuild.data.time.times import Times
from specbuild.language import Spec
from specbuild.language.sections.feeds import CoordinatesFeed

Degrees = npt.NDArray[np.float64]

SUN = ("year", "day")
"""The cycles that the solar elevation depends on."""


def open_coordinates(spec: Spec, name: str, feed: CoordinatesFeed, record: FrameSource) -> PixelCoordinates:
    """Return the coordinates of an input.

    Raises:
        SpecError: the record has no latitudes along H, no longitudes along W, or no times where the sun needs them.
    """
    needed = {
        "latitude": ("H", is_latitude),
        "longitude": ("W", is_longitude),
    }
    sun = "solar_elevation" in feed.coordinates
    found: dict[str, Degrees] = {}
    for coordinate, (letter, is_such) in needed.items():
        if coordinate not in feed.coordinates and not sun:
            continue
        axis = record.metadata.coordinates.get(letter)
        if record.metadata.space != ("H", "W") or axis is None or axis.values is None or not is_such(axis):
            raise spec.error(
                ("data", "inputs", name, "coordinates"),
                f"{record.name} has no {coordinate} along {letter}",
                help=f"give a file whose dimension {letter} has a coordinate in degrees, such as lat or lon",
                code="no-coordinates",
            )
        found[coordinate] = np.asarray(axis.values, np.float64)
    if sun and record.times(0) is None:
        raise no_times(spec, name, "coordinates", record)
    return PixelCoordinates(name, feed, found.get("latitude"), found.get("longitude"))


@dataclass(frozen=True)
class PixelCoordinates(Feed[CoordinatesFeed]):
    """For each pixel the latitude / 90°, sin λ and cos λ of the longitude λ, and the sine of the solar elevation."""

    latitudes: Degrees | None
    """Latitudes of the rows, (H,)."""
    longitudes: Degrees | None
    """Longitudes of the columns, (W,)."""

    def read(self, context: FeedContext) -> Floats:
        times = None
        if self.section.frames is not None:
            times = context.times(self.section.frames)
            if times is None:
                raise self.unknown(
                    "the solar elevation, which depends on the times of the frames", "give past frames with times"
                )
        phases = None if times is None else phases_of(SUN, times)
        return self.of_phases(phases, context.region)

    def of_phases(self, phases: Degrees | None, region: Region) -> Floats:
        """Return what the model reads where the frames are at given phases of `SUN`, (frames, 2); None: of no times."""
        rows = None if self.latitudes is None else self.latitudes[region[0]][:, np.newaxis]
        columns = None if self.longitudes is None else self.longitudes[region[1]][np.newaxis]
        space = tuple(part.stop - part.start for part in region)
        shape = space if phases is None else (len(phases), *space)
        parts: list[Degrees] = []
        for name in self.section.coordinates:
            if name == "latitude":
                assert rows is not None
                parts.append(rows / 90)
            elif name == "longitude":
                assert columns is not None
                parts += [np.sin(np.radians(columns)), np.cos(np.radians(columns))]
            else:
                assert rows is not None
                assert columns is not None
                assert phases is not None
                parts.append(_solar_elevation_sine(phases, rows, columns))
        values = np.stack([np.broadcast_to(part, shape) for part in parts], axis=-1).astype(np.float32)
        return values if self.layout.time or phases is None else values[0]


def solar_elevation_sine(times: Times, latitudes: Degrees, longitudes: Degrees) -> Degrees:
    """Return the sine of the geometric solar elevation: 1 where the sun is in the zenith, below 0 at night.

    With Spencer's series for the declination and the equation of time (Spencer 1971, Search 2, 172), which are within
    0.04° and 0.6 minutes; refraction is left out.

    Args:
        times: in UTC, (T,).
        latitudes: in degrees north, (H, 1).
        longitudes: in degrees east, (1, W).

    Returns:
        (T, H, W).
    """
    return _solar_elevation_sine(phases_of(SUN, times), latitudes, longitudes)


def _solar_elevation_sine(phases: Degrees, latitudes: Degrees, longitudes: Degrees) -> Degrees:
    """Return the same at phases of `SUN`, (T, 2)."""
    angle, day = 2 * np.pi * phases[..., 0], phases[..., 1]
    declination = (
        0.006918
        - 0.399912 * np.cos(angle)
        + 0.070257 * np.sin(angle)
        - 0.006758 * np.cos(2 * angle)
        + 0.000907 * np.sin(2 * angle)
        - 0.002697 * np.cos(3 * angle)
        + 0.00148 * np.sin(3 * angle)
    )
    minutes = 229.18 * (
        0.000075
        + 0.001868 * np.cos(angle)
        - 0.032077 * np.sin(angle)
        - 0.014615 * np.cos(2 * angle)
        - 0.040849 * np.sin(2 * angle)
    )
    hour_angle = 2 * np.pi * (day + minutes / 1440 - 0.5)[:, np.newaxis, np.newaxis] + np.radians(longitudes)
    declination, phi = declination[:, np.newaxis, np.newaxis], np.radians(latitudes)
    sine: Degrees = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    return sine
