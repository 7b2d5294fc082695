"""The kinds of transform: how each is fitted, applied and inverted.

Their arguments are declared in `specbuild.language.sections.transform`. Every step works on arrays whose last axis is
the channels, and leaves NaN as NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Array
from specbuild.data.time.clock import Clock
from specbuild.data.transforms.records import AnomalyState, OnlyState, read_record
from specbuild.data.transforms.step import FrameContext, Step
from specbuild.document import shown
from specbuild.language.sections import transform as sections

if TYPE_CHECKING:
    from specbuild.data.transforms.fit import TrainingFrames

PerChannel: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StandardizeStep(Step):
    """y = (x − mean) / std per channel; a channel that never varies has std 1."""

    name: ClassVar[str] = "standardize"
    mean: PerChannel
    std: PerChannel

    @classmethod
    def fit(cls, section: sections.Standardize, training: TrainingFrames) -> StandardizeStep:  # noqa: ARG003
        statistics = training.statistics()
        return cls(tuple(s.mean for s in statistics), tuple(s.std if s.std > 0 else 1.0 for s in statistics))

    def apply(self, x: Array) -> Array:
        return (x - _row(self.mean)) / _row(self.std)

    def invert(self, y: Array) -> Array:
        return y * _row(self.std) + _row(self.mean)


@dataclass(frozen=True, slots=True)
class MinMaxStep(Step):
    """y = low + (x − least)(high − low) / (greatest − least) per channel.

    A channel that never varies is shifted alone.
    """

    name: ClassVar[str] = "minmax"
    least: PerChannel
    greatest: PerChannel
    low: float
    high: float

    @classmethod
    def fit(cls, section: sections.MinMax, training: TrainingFrames) -> MinMaxStep:
        statistics = training.statistics()
        shifted = section.max - section.min
        greatest = tuple(s.greatest if s.greatest > s.least else s.least + shifted for s in statistics)
        return cls(tuple(s.least for s in statistics), greatest, section.min, section.max)

    @property
    def bounds(self) -> tuple[float, float]:
        return self.low, self.high

    def apply(self, x: Array) -> Array:
        return self.low + (x - _row(self.least)) * self._slope

    def invert(self, y: Array) -> Array:
        return (y - self.low) / self._slope + _row(self.least)

    @property
    def _slope(self) -> Array:
        return (self.high - self.low) / (_row(self.greatest) - _row(self.least))


@dataclass(frozen=True, slots=True)
class LogStep(Step):
    """y = log(x + offset)."""

    name: ClassVar[str] = "log"
    offset: float

    @property
    def above(self) -> float:
        return -self.offset

    def apply(self, x: Array) -> Array:
        return np.log(x + self.offset)

    def invert(self, y: Array) -> Array:
        return np.exp(y) - self.offset


@dataclass(frozen=True, slots=True)
class Log1pStep(LogStep):
    """y = log(1 + x)."""

    name: ClassVar[str] = "log1p"
    offset: float = 1.0

    def apply(self, x: Array) -> Array:
        return np.log1p(x)

    def invert(self, y: Array) -> Array:
        return np.expm1(y)


@dataclass(frozen=True, slots=True)
class DbzStep(Step):
    """y = 10 log10(a R^b) dBZ of the rain rate R in mm/h; rates up to `minimum` become one value and come back as 0."""

    name: ClassVar[str] = "dbz"
    a: float
    b: float
    minimum: float

    def apply(self, x: Array) -> Array:
        return 10 * (math.log10(self.a) + self.b * np.log10(np.maximum(x, self.minimum)))

    def invert(self, y: Array) -> Array:
        dry = self.apply(np.full(1, self.minimum, y.dtype))
        rate: Array = 10 ** ((y / 10 - math.log10(self.a)) / self.b)
        return np.where(y <= dry, 0, rate)


@dataclass(frozen=True, slots=True)
class RainStep(Step):
    """y = (10^(x / 10) / a)^(1 / b) mm/h of the reflectivity x in dBZ; what is up to `minimum` becomes 0 and comes back
    as `minimum`.
    """

    name: ClassVar[str] = "rain"
    a: float
    b: float
    minimum: float

    def apply(self, x: Array) -> Array:
        rate: Array = 10 ** ((x / 10 - math.log10(self.a)) / self.b)
        return np.where(x <= self.minimum, np.zeros_like(rate), rate)

    def invert(self, y: Array) -> Array:
        with np.errstate(divide="ignore"):
            reflectivity: Array = 10 * (math.log10(self.a) + self.b * np.log10(np.maximum(y, 0)))
        bounded: Array = np.maximum(reflectivity, y.dtype.type(self.minimum))
        return bounded


@dataclass(frozen=True, slots=True)
class ClipStep(Step):
    """y = min(max(x, least), greatest), both ways: the inverse holds to the bounds as well.

    A model's output may lie anywhere; so a forecast stays within the range that the spec declares, such as no negative
    rain.
    """

    name: ClassVar[str] = "clip"
    least: float | None
    greatest: float | None

    @classmethod
    def fit(cls, section: sections.Clip, training: TrainingFrames) -> ClipStep:  # noqa: ARG003
        return cls(section.min, section.max)

    def apply(self, x: Array) -> Array:
        return np.clip(x, self.least, self.greatest)

    def invert(self, y: Array) -> Array:
        return self.apply(y)


@dataclass(frozen=True, slots=True)
class ScaleStep(Step):
    """y = x · factor + offset, a number or an array of the shape of the frames."""

    name: ClassVar[str] = "scale"
    factor: float
    offset: float | Array

    def apply(self, x: Array) -> Array:
        return x * self.factor + self.offset

    def invert(self, y: Array) -> Array:
        return (y - self.offset) / self.factor


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyStep(Step):
    """y = x − the training mean of the pixel at the frame's phase of the cycle, NaN where that is not known.

    `means` is (period, *space, C).
    """

    name: ClassVar[str] = "anomaly"
    means: npt.NDArray[np.float32]
    counted_by: Clock

    @classmethod
    def fit(cls, section: sections.Anomaly, training: TrainingFrames) -> AnomalyStep:
        return cls(training.climatology(section.period), training.clock)

    @property
    def clock(self) -> Clock:
        return self.counted_by

    def at(self, context: FrameContext | None) -> Step:
        if context is None:
            raise ValueError("an anomaly is of frames whose times are known")
        means = self.means[context.slots % len(self.means)]
        return ScaleStep(1.0, -(means if context.region is None else means[(slice(None), *context.region)]))

    def selected(self, channels: tuple[int, ...]) -> AnomalyStep:
        return AnomalyStep(self.means[..., list(channels)], self.counted_by)

    def apply(self, x: Array) -> Array:
        return self.at(None).apply(x)

    def invert(self, y: Array) -> Array:
        return self.at(None).invert(y)

    def state(self) -> dict[str, Any]:
        return AnomalyState.pack(self.means, self.counted_by.state()).model_dump()

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> AnomalyStep:
        record = read_record(AnomalyState, state)
        return cls(record.unpack(), Clock.from_state(record.clock.model_dump()))

    def check_channels(self, channels: int) -> None:
        if self.means.shape[-1] != channels:
            raise ValueError(f"means: {self.means.shape[-1]} channels instead of {channels}")


@dataclass(frozen=True, slots=True)
class Only(Step):
    """A step for some channels; the others pass as they are."""

    name: ClassVar[str] = "only"
    step: Step
    channels: tuple[int, ...]

    @property
    def clock(self) -> Clock | None:
        return self.step.clock

    def at(self, context: FrameContext | None) -> Step:
        return Only(self.step.at(context), self.channels)

    def selected(self, channels: tuple[int, ...]) -> Only | None:
        kept = [channel for channel in channels if channel in self.channels]
        inner = self.step.selected(tuple(self.channels.index(channel) for channel in kept)) if kept else None
        return None if inner is None else Only(inner, tuple(channels.index(channel) for channel in kept))

    def check(self, number: int, values: Array) -> None:
        self.step.check(number, values[..., list(self.channels)])

    def apply(self, x: Array) -> Array:
        return self._change(x, self.step.apply)

    def invert(self, y: Array) -> Array:
        return self._change(y, self.step.invert)

    def state(self) -> dict[str, Any]:
        step = {"name": self.step.name, **self.step.state()}
        return OnlyState(channels=list(self.channels), step=step).model_dump()

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Only:
        record = read_record(OnlyState, state)
        return cls(restored(record.step), tuple(record.channels))

    def check_channels(self, channels: int) -> None:
        if len(set(self.channels)) < len(self.channels) or any(channel >= channels for channel in self.channels):
            raise ValueError(f"channels: {list(self.channels)} are not among {channels}")
        self.step.check_channels(len(self.channels))

    def _change(self, x: Array, change: Callable[[Array], Array]) -> Array:
        changed = change(x[..., list(self.channels)])
        channels = {channel: changed[..., [place]] for place, channel in enumerate(self.channels)}
        return np.concatenate([channels.get(n, x[..., [n]]) for n in range(x.shape[-1])], axis=-1, dtype=x.dtype)


def restored(state: Mapping[str, Any]) -> Step:
    """Return the step of a saved state, whose `name` says which.

    Raises:
        ValueError: no step has that name and gives such a state.
    """
    name = state.get("name")
    kind = Only if name == Only.name else STEPS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"no step is called {shown(name)}")
    return kind.restore({key: value for key, value in state.items() if key != "name"})


STEPS: dict[str, type[Step]] = {
    step.name: step
    for step in (StandardizeStep, MinMaxStep, Log1pStep, LogStep, DbzStep, RainStep, ClipStep, ScaleStep, AnomalyStep)
}
"""The step of each transform that a spec may name."""


def _row(values: PerChannel) -> npt.NDArray[np.float32]:
    return np.asarray(values, np.float32)
