"""The steps that a chain of transforms is made of: how each is fitted, applied and inverted.

Every step works on arrays whose last axis is the channels, and leaves NaN as NaN.
"""

from __future__ import annotations

import base64
import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.time.clock import Clock, Slots
from specbuild.data.transforms.running_statistics import Moments
from specbuild.language.sections import transform as spec

Array: TypeAlias = npt.NDArray[Any]
PerChannel: TypeAlias = tuple[float, ...]
Region: TypeAlias = tuple[slice, ...]


class Measure(Protocol):
    """Reads the training frames, as they reach a step, in the channels that it changes."""

    def __call__(self) -> Moments:
        """Their moments, per channel."""
        ...

    def cycle(self, period: int) -> npt.NDArray[np.float32]:
        """The mean at every place and phase, (period, *space, C); NaN where nothing is known."""
        ...

    @property
    def clock(self) -> Clock:
        """What their slots are counted by."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where frames stand: their slots on the time line, (T,), and which part of each frame they are; None: all."""

    slots: Slots
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class Step(ABC):
    """One step with its statistics, which are its fields."""

    name: ClassVar[str]
    affine: ClassVar[bool] = True
    """Whether the mean of what it gives is what it gives for the mean."""

    @property
    def above(self) -> float | None:
        """Only values above this can be taken; None: all can."""
        return None

    @property
    def clock(self) -> Clock | None:
        """What tells the slots of frames, where the step depends on them."""
        return None

    def at(self, place: Place | None) -> Step:  # noqa: ARG002
        """The step for frames that stand at a place; most steps treat all alike."""
        return self

    def state(self) -> dict[str, Any]:
        """The fields, as JSON can hold them."""
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Step:
        """The step whose `state` it is."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in state.items()})

    @abstractmethod
    def apply(self, x: Array) -> Array: ...

    @abstractmethod
    def invert(self, y: Array) -> Array: ...


@dataclass(frozen=True, slots=True)
class Standardize(Step):
    """y = (x − mean) / std per channel; a channel that never varies has std 1."""

    name: ClassVar[str] = "standardize"
    mean: PerChannel
    std: PerChannel

    @classmethod
    def fit(cls, _section: spec.Standardize, measure: Measure) -> Standardize:
        found = measure()
        return cls(_floats(found.mean), _floats(np.where(found.std > 0, found.std, 1)))

    def apply(self, x: Array) -> Array:
        return (x - _row(self.mean)) / _row(self.std)

    def invert(self, y: Array) -> Array:
        return y * _row(self.std) + _row(self.mean)


@dataclass(frozen=True, slots=True)
class MinMax(Step):
    """y = low + (x − least)(high − low) / (greatest − least) per channel.

    A channel that never varies is shifted alone.
    """

    name: ClassVar[str] = "minmax"
    least: PerChannel
    greatest: PerChannel
    low: float
    high: float

    @classmethod
    def fit(cls, section: spec.MinMax, measure: Measure) -> MinMax:
        found = measure()
        least = np.nan_to_num(found.least)
        greatest = np.where(found.greatest > found.least, found.greatest, least + section.max - section.min)
        return cls(_floats(least), _floats(greatest), section.min, section.max)

    def apply(self, x: Array) -> Array:
        return self.low + (x - _row(self.least)) * self._slope

    def invert(self, y: Array) -> Array:
        return (y - self.low) / self._slope + _row(self.least)

    @property
    def _slope(self) -> Array:
        return (self.high - self.low) / (_row(self.greatest) - _row(self.least))


@dataclass(frozen=True, slots=True)
class Log1p(Step):
    """y = log(1 + x)."""

    name: ClassVar[str] = "log1p"
    affine: ClassVar[bool] = False

    @property
    def above(self) -> float | None:
        return -1.0

    @classmethod
    def fit(cls, _section: spec.Log1p, _measure: Measure) -> Log1p:
        return cls()

    def apply(self, x: Array) -> Array:
        return np.log1p(x)

    def invert(self, y: Array) -> Array:
        return np.expm1(y)


@dataclass(frozen=True, slots=True)
class Log(Step):
    """y = log(x + offset)."""

    name: ClassVar[str] = "log"
    affine: ClassVar[bool] = False
    offset: float

    @property
    def above(self) -> float | None:
        return -self.offset

    @classmethod
    def fit(cls, section: spec.Log, _measure: Measure) -> Log:
        return cls(section.offset)

    def apply(self, x: Array) -> Array:
        return np.log(x + self.offset)

    def invert(self, y: Array) -> Array:
        return np.exp(y) - self.offset


@dataclass(frozen=True, slots=True)
class Dbz(Step):
    """y = 10 log10(a R^b) dBZ of the rain rate R in mm/h; rates up to `minimum` become one value and come back as 0."""

    name: ClassVar[str] = "dbz"
    affine: ClassVar[bool] = False
    a: float
    b: float
    minimum: float

    @classmethod
    def fit(cls, section: spec.Dbz, _measure: Measure) -> Dbz:
        return cls(section.a, section.b, section.minimum)

    def apply(self, x: Array) -> Array:
        return 10 * (math.log10(self.a) + self.b * np.log10(np.maximum(x, self.minimum)))

    def invert(self, y: Array) -> Array:
        dry = self.apply(np.full(1, self.minimum, y.dtype))
        rate: Array = 10 ** ((y / 10 - math.log10(self.a)) / self.b)
        return np.where(y <= dry, 0, rate)


@dataclass(frozen=True, slots=True)
class Clip(Step):
    """y = min(max(x, least), greatest), both ways: the inverse holds to the bounds as well.

    A model's output may lie anywhere; so a forecast stays within the range that the spec declares, such as no negative
    rain.
    """

    name: ClassVar[str] = "clip"
    affine: ClassVar[bool] = False
    least: float | None
    greatest: float | None

    @classmethod
    def fit(cls, section: spec.Clip, _measure: Measure) -> Clip:
        return cls(section.min, section.max)

    def apply(self, x: Array) -> Array:
        return np.clip(x, self.least, self.greatest)

    def invert(self, y: Array) -> Array:
        return self.apply(y)


@dataclass(frozen=True, slots=True)
class Scale(Step):
    """y = x · factor + offset."""

    name: ClassVar[str] = "scale"
    factor: float
    offset: float

    @classmethod
    def fit(cls, section: spec.Scale, _measure: Measure) -> Scale:
        return cls(section.factor, section.offset)

    def apply(self, x: Array) -> Array:
        return x * self.factor + self.offset

    def invert(self, y: Array) -> Array:
        return (y - self.offset) / self.factor


@dataclass(frozen=True, slots=True)
class Shift(Step):
    """y = x − offset; the offset is of the shape of the frames."""

    name: ClassVar[str] = "shift"
    offset: Array

    def apply(self, x: Array) -> Array:
        return x - self.offset

    def invert(self, y: Array) -> Array:
        return y + self.offset


@dataclass(frozen=True, slots=True, eq=False)
class Anomaly(Step):
    """y = x − the training mean of the pixel at the frame's phase of the cycle, NaN where that is not known.

    `means` is (period, *space, C).
    """

    name: ClassVar[str] = "anomaly"
    affine: ClassVar[bool] = False
    means: npt.NDArray[np.float32]
    counted_by: Clock

    @classmethod
    def fit(cls, section: spec.Anomaly, measure: Measure) -> Anomaly:
        return cls(measure.cycle(section.period), measure.clock)

    @property
    def clock(self) -> Clock:
        return self.counted_by

    def at(self, place: Place | None) -> Step:
        if place is None:
            raise ValueError("an anomaly is of frames whose times are known")
        means = self.means[place.slots % len(self.means)]
        return Shift(means if place.region is None else means[(slice(None), *place.region)])

    def apply(self, x: Array) -> Array:
        return self.at(None).apply(x)

    def invert(self, y: Array) -> Array:
        return self.at(None).invert(y)

    def state(self) -> dict[str, Any]:
        packed = base64.b64encode(zlib.compress(self.means.astype("<f4").tobytes())).decode()
        return {"shape": list(self.means.shape), "means": packed, "clock": self.counted_by.state()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Anomaly:
        means = np.frombuffer(zlib.decompress(base64.b64decode(state["means"])), "<f4")
        return cls(means.reshape(state["shape"]).astype(np.float32), Clock.from_state(state["clock"]))


@dataclass(frozen=True, slots=True)
class Only(Step):
    """A step for some channels; the others pass as they are."""

    name: ClassVar[str] = "only"
    affine: ClassVar[bool] = False
    step: Step
    channels: tuple[int, ...]

    @property
    def clock(self) -> Clock | None:
        return self.step.clock

    def at(self, place: Place | None) -> Step:
        return Only(self.step.at(place), self.channels)

    def apply(self, x: Array) -> Array:
        return self._change(x, self.step.apply)

    def invert(self, y: Array) -> Array:
        return self._change(y, self.step.invert)

    def state(self) -> dict[str, Any]:
        return {"channels": list(self.channels), "step": {"name": self.step.name, **self.step.state()}}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Only:
        return cls(restored(state["step"]), tuple(state["channels"]))

    def _change(self, x: Array, change: Callable[[Array], Array]) -> Array:
        changed = np.array(x)
        changed[..., list(self.channels)] = change(x[..., list(self.channels)])
        return changed


def restored(state: Mapping[str, Any]) -> Step:
    """The step that a saved state is of; `name` says which."""
    kind = Only if state["name"] == Only.name else STEPS[state["name"]]
    step: Step = kind.restore({key: value for key, value in state.items() if key != "name"})
    return step


STEPS: dict[str, Any] = {step.name: step for step in (Standardize, MinMax, Log1p, Log, Dbz, Clip, Scale, Anomaly)}
"""From a transform's name to its step."""


def _floats(values: Array) -> PerChannel:
    return tuple(float(value) for value in values)


def _row(values: PerChannel) -> npt.NDArray[np.float32]:
    return np.asarray(values, np.float32)
