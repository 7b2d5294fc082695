"""Transforms: from physical units to what the model reads, and back.

A `Transform` is the chain that `data.transform` lists, with its statistics. They come from the training frames alone,
leave missing values out, and are saved with the model; every split, and every forecast, uses the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.moments import Moments, moments
from specbuild.data.steps import STEPS, Step
from specbuild.document import RunError
from specbuild.spec.transform_section import TransformSection

Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Transform:
    """`steps` in order; `fill` is what a missing value becomes after them, one number per channel."""

    steps: tuple[Step, ...]
    fill: tuple[float, ...]

    def apply(self, physical: Floats) -> Floats:
        """Physical units to the model's; NaN stays NaN. Any shape whose last axis is the channels.

        Raises:
            StepError: a value that a step cannot take, such as the logarithm of a negative number.
        """
        for number, step in enumerate(self.steps):
            _check(number, step, physical)
            physical = step.apply(physical)
        return physical

    def invert(self, transformed: Floats) -> Floats:
        """What the model gives, in physical units: undoes `apply`, but for what `clip` and `dbz` take away.

        `clip` holds to its bounds here too.
        """
        with np.errstate(over="ignore"):
            for step in reversed(self.steps):
                transformed = step.invert(transformed)
        return transformed

    def fill_missing(self, transformed: Floats) -> Floats:
        """NaN replaced by `fill`."""
        return np.where(np.isnan(transformed), np.asarray(self.fill, np.float32), transformed).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "steps": [{"name": step.name, **asdict(step)} for step in self.steps],
            "fill": list(self.fill),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Transform:
        """The transform that `state` gave.

        Raises:
            RunError: the state is not one of this version of specbuild.
        """
        try:
            return cls(tuple(_restore(step) for step in state["steps"]), tuple(float(fill) for fill in state["fill"]))
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"the saved transform cannot be read: {error!r}", "train the model again") from error


class StepError(RunError):
    """A value that a step cannot take. `number` is the position of the step in the chain."""

    def __init__(self, number: int, message: str, help: str = "") -> None:
        super().__init__(message, help)
        self.number = number


def fit(
    sections: Iterable[TransformSection],
    frames: Callable[[], Iterator[Floats]],
    channels: int,
    *,
    fill: float | None = None,
    may_miss: bool = True,
) -> Transform:
    """The chain of `sections` with statistics of `frames()`, which is read once per step that needs any.

    Args:
        frames: gives the training frames anew, piece by piece, in physical units with NaN where missing: (…, channels).
        fill: physical value of missing values; None is the mean of what the model reads in training.
        may_miss: whether anything can be missing; if not, no pass is spent on that mean.

    Raises:
        StepError: a training value that a step cannot take, or a channel without any.
    """
    steps: tuple[Step, ...] = ()
    mean: npt.NDArray[np.float64] | None = None  # of what reaches the next step, where it is known

    def measure() -> Moments:
        nonlocal mean
        chain = Transform(steps, ())
        found = moments((chain.apply(piece) for piece in frames()), channels)
        if not found.count.all():
            channel = int(np.argmin(found.count))
            of = f" of channel {channel}" if channels > 1 else ""
            raise StepError(
                len(steps), f"every training value{of} is missing", "check data.missing and data.split.train"
            )
        mean = found.mean
        return found

    for section in sections:
        step: Step = STEPS[section.name].fit(section, measure)
        mean = step.apply(mean) if step.affine and mean is not None else None
        steps = (*steps, step)
    if fill is not None:
        filled = Transform(steps, ()).apply(np.full((1, channels), fill, np.float32))[0]
    elif not may_miss:
        filled = np.zeros(channels, np.float32)
    else:
        filled = measure().mean if mean is None else mean
    return Transform(steps, tuple(float(value) for value in filled))


def _check(number: int, step: Step, values: Floats) -> None:
    if step.above is not None and (values <= step.above).any():
        raise StepError(
            number,
            f"{step.name} needs values above {step.above:g}, found {np.nanmin(values):g}",
            help=f"clip them first, such as {{name: clip, min: {step.above + 1:g}}}, or mark them as missing",
        )


def _restore(state: Mapping[str, Any]) -> Step:
    arguments = {
        key: tuple(value) if isinstance(value, list) else value for key, value in state.items() if key != "name"
    }
    step: Step = STEPS[state["name"]](**arguments)
    return step
