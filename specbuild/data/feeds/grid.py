"""From the grid of one source to that of the record: equal grids, or interpolation along each spatial axis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from specbuild.catalog.shapes import show
from specbuild.data.arrays import Floats
from specbuild.data.sources.base import Coordinate, FrameSource, Region
from specbuild.data.sources.cf import is_longitude
from specbuild.data.sources.places import same_places
from specbuild.language import Spec


@dataclass(frozen=True)
class Along:
    """Where one axis lies on another: between the indices `lower` and `upper`, at the fraction `share`; NaN outside."""

    lower: npt.NDArray[np.int64]
    upper: npt.NDArray[np.int64]
    share: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """Frames of a source on the grid of the record. Without axes the two grids are the same.

    Interpolation is bilinear, or takes the nearest value. Where more than half of what a value is interpolated from is
    missing, or the place lies more than half a step outside of the source's grid, it is missing.
    """

    axes: tuple[Along, ...] = ()

    def read(self, source: FrameSource, event: int, frames: range, region: Region) -> Floats:
        """Return frames in a region of the record, (frames, *region, C), in physical units."""
        if not self.axes:
            return source.read(event, frames, region)
        parts = [_part(axis, wanted) for axis, wanted in zip(self.axes, region, strict=True)]
        values = source.read(event, frames, tuple(places for places, _ in parts))
        known = np.isfinite(values).astype(np.float32)
        values = np.where(known > 0, values, np.float32(0))
        for number, (_, along) in enumerate(parts, start=1):
            values, known = _moved(values, along, number), _moved(known, along, number)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(known >= 0.5, values / known, np.float32(np.nan)).astype(np.float32)

    @property
    def outside(self) -> float:
        """The share of the record's pixels that lie outside of the source's grid."""
        inside = 1.0
        for axis in self.axes:
            inside *= 1 - float(np.isnan(axis.share).mean())
        return 1 - inside


@dataclass(frozen=True)
class PlacedFrames(FrameSource):
    """The frames of a source on the grid of the record, as an input reads them; any value may be missing.

    Statistics are those of these frames: pixels beyond the record, which the input never reads, do not count.
    """

    whole: FrameSource = field(kw_only=True)
    grid: Grid = field(kw_only=True)
    placed_space: tuple[int, ...] = field(kw_only=True)
    """The size of the record's frames."""

    @property
    def space(self) -> tuple[int, ...]:
        return self.placed_space

    @property
    def may_miss(self) -> bool:
        return True

    def _read(self, event: int, frames: range, region: Region | None) -> Floats:
        return self.grid.read(self.whole, event, frames, region or tuple(slice(0, size) for size in self.space))


def placed(source: FrameSource, grid: Grid, space: tuple[int, ...]) -> PlacedFrames:
    """Return the frames of a source on the grid of a record, whose frames have the size `space`."""
    return PlacedFrames(
        source.array,
        source.metadata,
        unusable=source.unusable,
        infinite=source.infinite,
        whole=source,
        grid=grid,
        placed_space=space,
    )


def _part(axis: Along, wanted: slice) -> tuple[slice, Along]:
    """Return the places of the source that a part of an axis needs, and where the part lies on them."""
    lower, upper, share = axis.lower[wanted], axis.upper[wanted], axis.share[wanted]
    first = int(min(lower.min(), upper.min()))
    last = int(max(lower.max(), upper.max()))
    return slice(first, last + 1), Along(lower - first, upper - first, share)


def _moved(values: Floats, along: Along, axis: int) -> Floats:
    share = np.nan_to_num(along.share).reshape(-1, *(1,) * (values.ndim - axis - 1)).astype(np.float32)
    moved = values.take(along.lower, axis) * (1 - share) + values.take(along.upper, axis) * share
    outside = np.isnan(along.share).reshape(share.shape)
    return np.where(outside, np.float32(0), moved)


def open_grid(
    seen: Spec, source: FrameSource, record: FrameSource, regrid: Literal["nearest", "linear"] | None
) -> Grid:
    """Return how frames of a source come onto the grid of the record.

    Args:
        seen: the spec whose data section is the source.
        regrid: how to interpolate; None: the two grids must be the same, as far as the coordinates of both are known.

    Raises:
        SpecError: they are not, or cannot be interpolated.
    """
    ours, theirs = source.metadata, record.metadata
    if ours.space != theirs.space:
        axes = [" ".join(metadata.space) or "none" for metadata in (ours, theirs)]
        message = f"{source.name} has the spatial axes {axes[0]}, {record.name} has {axes[1]}"
        help = "an input that is read from files has those of data.source"
        raise seen.error(("data", "source", "layout"), message, help=help, code="data-shape")
    if regrid is None:
        _check_same(seen, source, record)
        return Grid()
    axes_of = []
    for letter in ours.space:
        pair = []
        for metadata, name in ((ours, source.name), (theirs, record.name)):
            axis = metadata.coordinates.get(letter)
            if axis is None or axis.values is None or axis.values.dtype.kind not in "iuf":
                message = f"regrid needs the coordinates of both grids, and {name} has none along {letter}"
                raise seen.error(("data", "regrid"), message, help="read both on one grid", code="data-shape")
            pair.append(axis)
        try:
            axes_of.append(_along(*pair, nearest=regrid == "nearest"))
        except ValueError as error:
            raise seen.error(
                ("data", "regrid"), f"{pair[0].name} of {source.name} {error}", code="data-shape"
            ) from error
    grid = Grid(tuple(axes_of))
    if grid.outside == 1:
        places = "; ".join(f"{_range(ours.coordinates[x])} and {_range(theirs.coordinates[x])}" for x in ours.space)
        message = f"no pixel of {record.name} lies on the grid of {source.name}"
        raise seen.error(("data", "source"), message, reason=places, help="read another region", code="data-shape")
    return grid


def _range(axis: Coordinate) -> str:
    assert axis.values is not None
    return f"{axis.name} from {axis.values.min():g} to {axis.values.max():g}"


def _along(axis: Coordinate, target: Coordinate, *, nearest: bool) -> Along:
    """Return where the places of a target axis lie on another.

    Raises:
        ValueError: the other neither rises nor falls throughout.
    """
    assert axis.values is not None
    assert target.values is not None
    values, places = axis.values.astype(np.float64), target.values.astype(np.float64)
    numbers = np.arange(len(values))
    if is_longitude(axis):
        middle = (places.min() + places.max()) / 2
        values = middle + (values - middle + 180) % 360 - 180
        order = np.argsort(values)
        values, numbers = values[order], numbers[order]
        if len(values) > 1 and 360 - (values[-1] - values[0]) < 1.5 * np.median(np.diff(values)):  # around the globe
            values = np.concatenate([[values[-1] - 360], values, [values[0] + 360]])
            numbers = np.concatenate([numbers[-1:], numbers, numbers[:1]])
    elif len(values) > 1 and values[0] > values[-1]:
        values, numbers = values[::-1], numbers[::-1]
    steps = np.diff(values)
    if not (steps > 0).all():
        raise ValueError("is not monotonic, so nothing can be interpolated between its values")
    if not len(steps):
        step = abs(places[1] - places[0]) if len(places) > 1 else 1.0
        outside = np.abs(places - values[0]) > step / 2
        first = np.zeros(len(places), np.int64)
        return Along(first, first, np.where(outside, np.nan, 0.0))
    above = np.clip(np.searchsorted(values, places), 1, len(values) - 1)
    share = (places - values[above - 1]) / steps[above - 1]
    outside = (share < -0.5) | (share > 1.5)
    share = np.clip(share, 0, 1)
    share = np.where(outside, np.nan, np.round(share) if nearest else share)
    return Along(numbers[above - 1], numbers[above], share)


def _check_same(seen: Spec, source: FrameSource, record: FrameSource) -> None:
    ours, theirs = source.metadata, record.metadata
    help = "put both on one grid, with regrid: linear or nearest if they have coordinates"
    if source.space != record.space:
        message = f"{source.name} has frames of {show(source.space)}, {record.name} of {show(record.space)}"
        raise seen.error(("data", "source"), message, help=help, code="data-shape")
    for letter in ours.space:
        a, b = ours.coordinates.get(letter), theirs.coordinates.get(letter)
        if a is None or b is None or a.values is None or b.values is None:
            continue
        if not same_places(a.values, b.values, cyclic=is_longitude(b)):
            message = f"{a.name} of {source.name} differs from that of {record.name}"
            ends = f"{a.values[0]} … {a.values[-1]} and {b.values[0]} … {b.values[-1]}"
            raise seen.error(("data", "source"), message, reason=ends, help=help, code="data-shape")
