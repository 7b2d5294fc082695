"""One variable of a source, as a source of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from specbuild.data.sources.base import Axis, FilePart, Frames, FrameSource, Region, Times
from specbuild.document import RunError, did_you_mean


@dataclass(frozen=True)
class OneVariable:
    """The channel `number` of a source. Reading it reads the others as well."""

    whole: FrameSource
    number: int

    @classmethod
    def called(cls, variable: str, source: FrameSource) -> OneVariable:
        """The channel of a source that has a name.

        Raises:
            RunError: none has that name.
        """
        if variable not in source.variables:
            listed = f"it has {', '.join(source.variables)}" if source.variables else "its channels have no names"
            help = did_you_mean(variable, source.variables) or listed
            raise RunError(f"{source.name} has no variable {variable}", help=help)
        return cls(source, source.variables.index(variable))

    @property
    def name(self) -> str:
        return self.whole.name

    @property
    def lengths(self) -> tuple[int, ...]:
        return self.whole.lengths

    @property
    def events(self) -> int:
        return self.whole.events

    @property
    def length(self) -> int:
        return self.whole.length

    @property
    def space(self) -> tuple[int, ...]:
        return self.whole.space

    @property
    def channels(self) -> int:
        return 1

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.whole.dtype

    @property
    def may_miss(self) -> bool:
        return self.whole.may_miss

    @property
    def coordinates(self) -> Mapping[str, Axis]:
        return {letter: axis for letter, axis in self.whole.coordinates.items() if letter != "C"}

    @property
    def variables(self) -> tuple[str, ...]:
        return self.whole.variables[self.number : self.number + 1]

    @property
    def units(self) -> str:
        return self.whole.units_of.get(self.variables[0], "") if self.variables else self.whole.units

    @property
    def units_of(self) -> Mapping[str, str]:
        return {name: units for name, units in self.whole.units_of.items() if name in self.variables}

    @property
    def parts(self) -> tuple[FilePart, ...]:
        return self.whole.parts

    @property
    def unusable(self) -> Mapping[tuple[int, int], str]:
        return self.whole.unusable

    def times(self, event: int) -> Times | None:
        return self.whole.times(event)

    def read(self, event: int, frames: range, region: Region | None = None) -> Frames:
        return self.whole.read(event, frames, region)[..., self.number : self.number + 1]
