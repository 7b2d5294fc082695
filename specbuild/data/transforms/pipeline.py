"""A transform: from physical units to what the model reads, and back.

It consists of the steps that `data.transform` lists, with their statistics. These come from the training frames alone,
without missing values, and are saved with the model; every split, and every forecast, uses the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.data.time.clock import Clock
from specbuild.data.transforms.kinds import Only, restored
from specbuild.data.transforms.records import TransformState, read_record
from specbuild.data.transforms.step import FrameContext, Step
from specbuild.document import RunError
from specbuild.language.sections.transform import TransformSection


@dataclass(frozen=True, slots=True)
class Transform:
    """`steps` in order; `fill` is what a missing value becomes after them, one number per channel."""

    steps: tuple[Step, ...]
    fill: tuple[float, ...]

    @property
    def clock(self) -> Clock | None:
        """What tells the slots of frames, if a step depends on them."""
        return next((step.clock for step in self.steps if step.clock is not None), None)

    def apply(self, physical: Floats, context: FrameContext | None = None) -> Floats:
        """Convert physical units to the model's; NaN stays NaN. Any shape whose last axis is the channels.

        Args:
            context: when and where the frames (T, *space, C) are; only a transform with a clock needs it.

        Raises:
            StepError: a value that a step cannot take, such as the logarithm of a negative number.
        """
        for number, step in enumerate(self.steps):
            step.check(number, physical)
            physical = step.at(context).apply(physical)
        return physical

    def invert(self, transformed: Floats, context: FrameContext | None = None) -> Floats:
        """Convert the model's output to physical units: undo `apply`, except for what `clip`, `dbz` and `rain` cut off.

        `clip` keeps to its bounds here too. Frames are (…, T, *space, C) where a context is given.
        """
        with np.errstate(over="ignore"):
            for step in reversed(self.steps):
                transformed = step.at(context).invert(transformed)
        return transformed

    def selected(self, channels: Sequence[int]) -> Transform:
        """Return the transform of some channels."""
        steps = (step.selected(tuple(channels)) for step in self.steps)
        return Transform(tuple(step for step in steps if step is not None), tuple(self.fill[n] for n in channels))

    def fill_missing(self, transformed: Floats) -> Floats:
        """Replace NaN by `fill`."""
        return np.where(np.isnan(transformed), np.asarray(self.fill, np.float32), transformed).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        steps = [{"name": step.name, **step.state()} for step in self.steps]
        return TransformState(steps=steps, fill=list(self.fill)).model_dump(exclude={"inputs"})

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Transform:
        """Return the transform that `state` gave.

        Raises:
            RunError: the state is not one of this version of specbuild.
        """
        place = ""
        try:
            record = read_record(TransformState, state)
            steps = []
            for number, step in enumerate(record.steps):
                place = f"steps[{number}]."
                steps.append(restored(step))
                steps[-1].check_channels(len(record.fill))
        except (ValueError, OverflowError, RecursionError) as error:
            raise RunError(f"the saved transform cannot be read: {place}{error}", "train the model again") from error
        return cls(tuple(steps), tuple(record.fill))

    def check_fits(self, sections: Sequence[TransformSection], channels: int) -> None:
        """Check that this is the transform that a spec describes, for frames of so many channels.

        Raises:
            RunError: it is not.
        """
        ours = [step.step.name if isinstance(step, Only) else step.name for step in self.steps]
        theirs = [section.name for section in sections]
        if ours != theirs or len(self.fill) != channels:
            kept, asked = (f"{', '.join(names) or 'no step'}" for names in (ours, theirs))
            raise RunError(
                f"the saved transform is {kept} for {len(self.fill)} channels, the spec has {asked} for {channels}",
                help="train the model again, or restore the original files of the run",
            )
