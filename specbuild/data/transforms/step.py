"""One step of a transform: what every kind of step has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import ConfigDict

from specbuild.data.arrays import Array
from specbuild.data.sources.base import Region
from specbuild.data.time.clock import Clock, Slots
from specbuild.data.transforms.records import STRICT, read_record
from specbuild.document import RunError

if TYPE_CHECKING:
    from specbuild.data.transforms.fit import TrainingFrames


class StepError(RunError):
    """A value that a step cannot take. `number` is the position of the step in the transform."""

    def __init__(self, number: int, message: str, help: str = "") -> None:
        super().__init__(message, help)
        self.number = number


@dataclass(frozen=True, slots=True)
class FrameContext:
    """When and where frames are: their slots on the time line, (T,), and the part of each frame; None: all of it."""

    slots: Slots
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class Step(ABC):
    """One step with its statistics, which are its fields."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    name: ClassVar[str]

    @classmethod
    def fit(cls, section: Any, training: TrainingFrames) -> Step:  # noqa: ARG003
        """Return the step for the arguments of its section, with statistics of the training frames if it has any."""
        return cls(**section.model_dump(exclude={"name", "channels"}))

    @property
    def above(self) -> float | None:
        """The bound that every value must exceed; None: any value will do."""
        return None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """What the least and the greatest training value become; None: the step does not fix that."""
        return None

    @property
    def clock(self) -> Clock | None:
        """What tells the slots of frames, if the step depends on them."""
        return None

    def at(self, context: FrameContext | None) -> Step:  # noqa: ARG002
        """Return the step for frames of a context; most steps treat all frames alike."""
        return self

    def check(self, number: int, values: Array) -> None:
        """Refuse values outside of the domain.

        Raises:
            StepError: naming the least value, at position `number` of the transform.
        """
        if self.above is not None and (values <= self.above).any():
            raise StepError(
                number,
                f"{self.name} needs values above {self.above:g}, found {np.nanmin(values):g}",
                help=f"clip them first, such as {{name: clip, min: {self.above + 1:g}}}, or mark them as missing",
            )

    def state(self) -> dict[str, Any]:
        """Return the fields, as JSON can hold them."""
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Step:
        """Return the step that `state` gave.

        Raises:
            ValueError: no step of this kind gives such a state.
        """
        return read_record(cls, state)

    def check_channels(self, channels: int) -> None:
        """Check that there are statistics of that many channels.

        Raises:
            ValueError: there are not.
        """
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, tuple) and len(value) != channels:
                raise ValueError(f"{part.name}: {len(value)} numbers for {channels} channels")

    def selected(self, channels: tuple[int, ...]) -> Step | None:
        """Return the step of some channels; None where it changes none of them."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        chosen = {name: tuple(value[n] for n in channels) for name, value in values.items() if isinstance(value, tuple)}
        return replace(self, **chosen)

    @abstractmethod
    def apply(self, x: Array) -> Array: ...

    @abstractmethod
    def invert(self, y: Array) -> Array: ...
