"""Whether frames are like those that a model was trained on: as far apart in time, without a gap, on the same grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.sources import FrameSource
from specbuild.data.sources.base import Coordinate
from specbuild.data.sources.cf import is_longitude
from specbuild.data.sources.places import TOLERANCE, same_places
from specbuild.data.time.intervals import GAP, differ, usual_step
from specbuild.data.time.times import Times, show
from specbuild.data.units import UnitsError, conversion
from specbuild.document import ArgumentError
from specbuild.language.interval import Interval
from specbuild.runs.frames import Axis, TrainingFrames

Doubles: TypeAlias = npt.NDArray[np.float64]


def check_interval(source: FrameSource, interval: str | None) -> None:
    """Refuse frames that are not as far apart as those of the training; what is not known is not compared.

    Raises:
        ArgumentError: they are not.
    """
    times = source.times(source.events - 1)
    step = None if times is None else usual_step(times, source.metadata.calendar)
    if interval is not None and step is not None and differ(step, Interval.parse(interval)):
        raise ArgumentError(
            f"the frames of {source.name} are {step.times(1)} apart, those of the training data {interval}",
            help=f"give frames that are {interval} apart",
        )


def check_unbroken(times: Times, interval: str | None, name: str) -> None:
    """Refuse frames that follow each other with a gap, or closer than those of the training.

    Raises:
        ArgumentError: they do.
    """
    number = None if interval is None else broken(times, interval)
    if interval is None or number is None:
        return
    before, after = times[number - 1 : number + 1]
    step = usual_step(times[number - 1 : number + 1])
    assert step is not None
    raise ArgumentError(
        f"the past frames of {name} are not {interval} apart: {show(before)} and {show(after)} are {step.times(1)}",
        help=f"give {len(times)} frames without a gap, each {interval} after the one before",
    )


def broken(times: Times, interval: str) -> int | None:
    """Return the first frame that does not follow the one before at about the interval; None where all do."""
    usual = Interval.parse(interval).mean_seconds
    steps = np.diff(times).astype("timedelta64[s]").astype(np.int64)
    wrong = np.flatnonzero((steps > GAP * usual) | (steps < usual / 2))
    return int(wrong[0]) + 1 if wrong.size else None


def check_grid(source: FrameSource, training: TrainingFrames, *, anywhere: bool) -> None:
    """Refuse frames on another grid than that of the training, as far as both have coordinates.

    Args:
        anywhere: whether the model reads frames of any place and size, so that only the distance of their pixels and
            the direction of their axes must be the same.

    Raises:
        ArgumentError: they are on another grid.
    """
    for here, values, expected in _axes(source, training):
        alike = _same_steps(values, expected) if anywhere else same_places(values, expected, cyclic=is_longitude(here))
        if not alike:
            raise ArgumentError(
                f"{source.name} is on another grid than the training data: {here.name} runs from "
                f"{_axis(values)}, there from {_axis(expected)}",
                help="put the frames on the grid of the training data; past frames in a .npy file are used as they are",
            )


def same_place(source: FrameSource, training: TrainingFrames) -> bool:
    """Whether pixels are where those of the training are, as far as both have coordinates."""
    axes = _axes(source, training)
    return all(same_places(values, expected, cyclic=is_longitude(here)) for here, values, expected in axes)


def _axes(source: FrameSource, training: TrainingFrames) -> Iterator[tuple[Coordinate, Doubles, Doubles]]:
    """Yield the spatial axes whose coordinates both have, with their values there and in the training."""
    for letter, there in training.space.items():
        here = source.metadata.coordinates.get(letter)
        if here is not None and here.values is not None and here.values.dtype.kind in "iuf":
            yield here, _in_units(here, there), np.array(there.values)


def _in_units(here: Coordinate, there: Axis) -> Doubles:
    """Return coordinates in the units of the training, where they can be converted."""
    assert here.values is not None
    values = here.values.astype(np.float64)
    try:
        step = conversion(here.units, there.units) if here.units and there.units else None
    except UnitsError:
        step = None
    return values if step is None else values * step.factor + step.offset


def _same_steps(values: Doubles, expected: Doubles) -> bool:
    if len(values) < 2 or len(expected) < 2:
        return True
    here, there = np.median(np.diff(values)), np.median(np.diff(expected))
    return bool(abs(here - there) <= TOLERANCE * abs(there))


def _axis(values: Doubles) -> str:
    step = f" in steps of {np.median(np.diff(values)):.4g}" if len(values) > 1 else ""
    return f"{values[0]:.6g} to {values[-1]:.6g}{step}"
