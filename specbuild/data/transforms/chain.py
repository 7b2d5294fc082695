"""Transforms: from physical units to what the model reads, and back.

A `Transform` is the chain that `data.transform` lists, with its statistics. They come from the training frames alone,
leave missing values out, and are saved with the model; every split, and every forecast, uses the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.time.clock import Clock
from specbuild.data.transforms.running_statistics import Moments, moments
from specbuild.data.transforms.steps import STEPS, Only, Place, Step, restored
from specbuild.document import RunError, did_you_mean
from specbuild.language.sections.transform import TransformSection

Piece: TypeAlias = Floats | tuple[Floats, Place]
"""Frames (…, C), with where they stand if a step needs that: then (T, *space, C)."""


@dataclass(frozen=True, slots=True)
class Transform:
    """`steps` in order; `fill` is what a missing value becomes after them, one number per channel."""

    steps: tuple[Step, ...]
    fill: tuple[float, ...]

    @property
    def clock(self) -> Clock | None:
        """What tells the slots of frames, where a step depends on them; None where none does."""
        return next((step.clock for step in self.steps if step.clock is not None), None)

    def apply(self, physical: Floats, place: Place | None = None) -> Floats:
        """Physical units to the model's; NaN stays NaN. Any shape whose last axis is the channels.

        Args:
            place: where the frames (T, *space, C) stand; only a transform with a clock needs it.

        Raises:
            StepError: a value that a step cannot take, such as the logarithm of a negative number.
        """
        for number, step in enumerate(self.steps):
            _check(number, step, physical)
            physical = step.at(place).apply(physical)
        return physical

    def invert(self, transformed: Floats, place: Place | None = None) -> Floats:
        """What the model gives, in physical units: undoes `apply`, but for what `clip` and `dbz` take away.

        `clip` holds to its bounds here too. Frames are (…, T, *space, C) where a place is given.
        """
        with np.errstate(over="ignore"):
            for step in reversed(self.steps):
                transformed = step.at(place).invert(transformed)
        return transformed

    def fill_missing(self, transformed: Floats) -> Floats:
        """NaN replaced by `fill`."""
        return np.where(np.isnan(transformed), np.asarray(self.fill, np.float32), transformed).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {"steps": [{"name": step.name, **step.state()} for step in self.steps], "fill": list(self.fill)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Transform:
        """The transform that `state` gave.

        Raises:
            RunError: the state is not one of this version of specbuild.
        """
        try:
            return cls(tuple(restored(step) for step in state["steps"]), tuple(float(fill) for fill in state["fill"]))
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"the saved transform cannot be read: {error!r}", "train the model again") from error


class StepError(RunError):
    """A value that a step cannot take. `number` is the position of the step in the chain."""

    def __init__(self, number: int, message: str, help: str = "") -> None:
        super().__init__(message, help)
        self.number = number


def fit(
    sections: Iterable[TransformSection],
    frames: Callable[[], Iterator[Piece]],
    channels: int,
    *,
    fill: float | None = None,
    may_miss: bool = True,
    clock: Clock | None = None,
    variables: Sequence[str] = (),
) -> Transform:
    """The chain of `sections` with statistics of `frames()`, which is read once per step that needs any.

    Args:
        frames: gives the training frames anew, piece by piece, in physical units with NaN where missing: (…, channels),
            with the place of each piece if `clock` is given.
        fill: physical value of missing values; None is the mean of what the model reads in training.
        may_miss: whether anything can be missing; if not, no pass is spent on that mean.
        clock: what the slots of the pieces are counted by.
        variables: names of the channels.

    Raises:
        StepError: a training value that a step cannot take, a channel without any, or one that does not exist.
    """
    steps: tuple[Step, ...] = ()
    mean: npt.NDArray[np.float64] | None = None  # of what reaches the next step, where it is known
    for number, section in enumerate(sections):
        chosen = _chosen(number, section, channels, variables)
        measure = _Measure(steps, frames, channels, clock or Clock(), chosen)
        step: Step = STEPS[section.name].fit(section, measure)
        step = step if chosen is None else Only(step, chosen)
        mean = mean if measure.mean is None else measure.mean
        mean = step.apply(mean) if step.affine and mean is not None else None
        steps = (*steps, step)
    if fill is not None:
        if any(step.clock is not None for step in steps):
            raise StepError(
                next(number for number, step in enumerate(steps) if step.clock is not None),
                "an anomaly has no one value for what is missing",
                help="leave data.fill out: missing values become the mean anomaly",
            )
        filled = Transform(steps, ()).apply(np.full((1, channels), fill, np.float32))[0]
    elif not may_miss:
        filled = np.zeros(channels, np.float32)
    else:
        filled = _Measure(steps, frames, channels, clock or Clock(), None)().mean if mean is None else mean
    return Transform(steps, tuple(float(value) for value in filled))


class _Measure:
    """The training frames after `steps`, measured in the channels `chosen`; None: in all."""

    def __init__(
        self,
        steps: tuple[Step, ...],
        frames: Callable[[], Iterator[Piece]],
        channels: int,
        clock: Clock,
        chosen: tuple[int, ...] | None,
    ) -> None:
        self.clock = clock
        self.mean: npt.NDArray[np.float64] | None = None
        """The mean of all channels, once it is known."""
        self._chain, self._frames, self._chosen = Transform(steps, ()), frames, chosen
        self._channels = channels

    def __call__(self) -> Moments:
        found = moments((values for values, _ in self._pieces()), self._channels)
        if not found.count.all():
            channel = int(np.argmin(found.count))
            of = f" of channel {channel}" if self._channels > 1 else ""
            raise StepError(
                len(self._chain.steps),
                f"every training value{of} is missing",
                "check data.missing and data.split.train",
            )
        self.mean = found.mean
        if self._chosen is None:
            return found
        own = list(self._chosen)
        return Moments(found.count[own], found.mean[own], found.std[own], found.least[own], found.greatest[own])

    def cycle(self, period: int) -> Floats:
        total: Any = None
        count: Any = None
        for values, place in self._pieces():
            if place is None:
                raise StepError(len(self._chain.steps), "an anomaly needs frames that follow each other in time")
            mine = values if self._chosen is None else values[..., list(self._chosen)]
            if total is None:
                total = np.zeros((period, *mine.shape[1:]))
                count = np.zeros((period, *mine.shape[1:]), np.int64)
            for phase, frame in zip(place.slots % period, mine, strict=True):
                known = ~np.isnan(frame)
                total[phase][known] += frame[known]
                count[phase] += known
        empty = [phase for phase in range(period) if not count[phase].any()]
        if empty:
            raise StepError(
                len(self._chain.steps),
                f"no training frame has phase {empty[0]} of {period}",
                help="choose a shorter period, or train on at least one whole cycle",
            )
        means: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0).astype(np.float32)
        return means

    def _pieces(self) -> Iterator[tuple[Floats, Place | None]]:
        for piece in self._frames():
            values, place = piece if isinstance(piece, tuple) else (piece, None)
            yield self._chain.apply(values, place), place


def _chosen(number: int, section: TransformSection, channels: int, variables: Sequence[str]) -> tuple[int, ...] | None:
    """The numbers of the channels that a step changes; None: all."""
    if section.channels is None:
        return None
    names = list(variables)
    for one in section.channels:
        if isinstance(one, str) and one not in names:
            help = did_you_mean(one, names) or (f"they are {', '.join(names)}" if names else "number them from 0")
            raise StepError(number, f"no channel of the data is called {one}", help=help)
        if isinstance(one, int) and one >= channels:
            raise StepError(number, f"there is no channel {one}", help=f"the data has {channels}, counted from 0")
    return tuple(names.index(one) if isinstance(one, str) else one for one in section.channels)


def _check(number: int, step: Step, values: Floats) -> None:
    inner, seen = (step.step, values[..., list(step.channels)]) if isinstance(step, Only) else (step, values)
    if inner.above is not None and (seen <= inner.above).any():
        raise StepError(
            number,
            f"{inner.name} needs values above {inner.above:g}, found {np.nanmin(seen):g}",
            help=f"clip them first, such as {{name: clip, min: {inner.above + 1:g}}}, or mark them as missing",
        )
