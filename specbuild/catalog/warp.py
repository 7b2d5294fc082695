"""Advection: frames moved along a field of motion."""

from typing import Annotated, Any

from pydantic import Field

from specbuild.catalog.base import Layer
from specbuild.catalog.list_values import OneOrList
from specbuild.catalog.merging import check_two
from specbuild.catalog.receptive_field import AxisField, ReceptiveField, known, same
from specbuild.catalog.shapes import Dim, Shape, ShapeError, plus, show, size, times
from specbuild.catalog.values import Choice, Real, Value, Whole

TO_LAST = "to_last"
EDGE = "edge"

_CORNERS = 4
_PLACE_FLOPS, _VALUE_FLOPS = 10, 7
"""For each bilinear reading: the place with the shares of its four neighbors, and the weighted sum of a channel."""


class _Steps(OneOrList):
    """A number of steps, a list of them, or the word for the steps that are left until the last frame."""

    def __init__(self) -> None:
        super().__init__(Whole(0), "a positive whole number, a list of whole numbers of at least 0, or to_last", 1)

    def read(self, value: Any, expected: str = "") -> Any:
        if value == TO_LAST:
            return value
        if isinstance(value, list | tuple):
            return super().read(value, expected)
        return Whole(1, words=self.words).read(value)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [Whole(1).schema(), *super().schema()["anyOf"][1:], Choice(TO_LAST).schema()]}


class _Outside(Value):
    """The word for the values at the edge, or a number."""

    words = "edge or a number"

    def read(self, value: Any, expected: str = "") -> str | float:
        return EDGE if value == EDGE else Real().read(value, expected or self.words)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [Choice(EDGE).schema(), Real().schema()]}


class Warp(Layer):
    """Move frames along a motion: semi-Lagrangian advection, the evolution operator of NowcastNet (Zhang et al. 2023).

    `(H, W, C)`, `(H, W, 2)` → `(steps, H, W, C)`, or `(T, H, W, C)`: one frame for each number of steps, or each of
    several frames moved by its own number of steps. The motion is in pixels per step, along x (the width) and y (the
    height). It is constant, or `(S, H, W, 2)` with a motion for each step. From each pixel the path is followed
    upstream, each step with the motion of its middle (Germann and Zawadzki 2002, Mon. Weather Rev. 130, 2859), and the
    frame is read once, where the path begins, with bilinear interpolation, so that many steps blur no more than one.
    Gradients reach the frames and the motion, which may be learned (Zhang et al. 2023, Nature 619, 526). With `steps:
    to_last` the past is in Lagrangian coordinates, and a second layer takes the forecast back: L-CNN (Ritvanen et al.
    2023, IEEE JSTARS 16, 1654). Multiply the motion by -1 to go backward in time, by 0.5 for half steps. As motion may
    lead anywhere, the receptive field is all of each frame.
    """

    steps: Annotated[int | str | tuple[int, ...], _Steps()] = Field(
        1, description="n for 1 to n steps, a list of numbers of steps, or to_last: each frame moved to the last one."
    )
    outside: Annotated[str | float, _Outside()] = Field(
        EDGE, description="What enters from beyond the border: the values at the edge, or a number."
    )

    package = "specbuild"
    arity = "many"

    def check(self, *inputs: Shape) -> None:
        check_two(self, inputs)
        frames, motion = inputs
        reason = f"input 1 is {show(frames)}, input 2 is {show(motion)}"
        if len(frames) not in (3, 4):
            message = f"{self.label} needs a frame with 3 axes or frames with 4, got {len(frames)}"
            raise ShapeError(message, reason=f"{reason} (without the batch axis)")
        if len(motion) not in (3, 4) or motion[-1] != 2:
            message = f"{self.label} needs a motion of 2 channels, along x and y, in input 2"
            raise ShapeError(message, reason=f"{reason}; a motion is H × W × 2, or steps × H × W × 2")
        for axis, name in ((-3, "height"), (-2, "width")):
            if None not in (frames[axis], motion[axis]) and frames[axis] != motion[axis]:
                raise ShapeError(f"{self.label} needs a motion of the frames' {name}", reason=reason)
        self._check_steps(frames, motion, reason)

    def _check_steps(self, frames: Shape, motion: Shape, reason: str) -> None:
        """Refuse numbers of steps that are not those of the frames, or more than there are motions."""
        if len(frames) == 4 and frames[0] is None:
            raise ShapeError(f"{self.label} needs to know the number of frames", reason=reason)
        if len(frames) == 3 and self.steps == TO_LAST:
            message, help = f"{self.label} has one frame, which is its own last", "write the number of steps"
            raise ShapeError(message, reason=reason, argument="steps", help=help)
        counts = self.counts(frames)
        if len(frames) == 4 and len(counts) != frames[0]:
            message = f"{self.label} needs a number of steps for each frame"
            reason = f"there are {len(counts)} numbers for {frames[0]} frames; {reason}"
            raise ShapeError(message, reason=reason, argument="steps")
        if len(motion) == 4 and (motion[0] is None or motion[0] < max(counts)):
            message = f"{self.label} needs a motion for each of {max(counts)} steps"
            raise ShapeError(message, reason=reason, argument="steps")

    def counts(self, frames: Shape) -> tuple[int, ...]:
        """Return the number of steps of each frame of the output."""
        if self.steps == TO_LAST:
            return tuple(range(known(frames[0]) - 1, -1, -1))
        return tuple(range(1, self.steps + 1)) if isinstance(self.steps, int) else tuple(map(int, self.steps))

    def output_shape(self, *inputs: Shape) -> Shape:
        frames, motion = inputs
        height, width = (a if b is None else b for a, b in zip(frames[-3:-1], motion[-3:-1], strict=True))
        return len(self.counts(frames)), height, width, frames[-1]

    def flops(self, *inputs: Shape) -> Dim:
        """For each step of a path two readings of the motion, half of it and two differences; a reading per value."""
        places = size(self.output_shape(*inputs)[1:3])
        reading = plus(_PLACE_FLOPS, times(_VALUE_FLOPS, inputs[0][-1]))
        step = 2 * (_PLACE_FLOPS + 2 * _VALUE_FLOPS) + 2 + 2 * 2
        frames = times(len(self.counts(inputs[0])), reading)
        return times(places, plus(self.path_steps(*inputs) * step, frames))

    def path_steps(self, *inputs: Shape) -> int:
        """Return the steps of all paths from a pixel; through a constant motion a longer one continues a shorter."""
        most = max(self.counts(inputs[0]))
        apart = len(inputs[1]) == 4 and self.steps != TO_LAST
        return most * (most + 1) // 2 if apart else most

    def saved_elements(self, *inputs: Shape) -> Dim:
        """Each value with its four neighbors; for each step of a path its place and the two motions it has met."""
        places = size(self.output_shape(*inputs)[1:3])
        paths = times(self.path_steps(*inputs) * 2 * (1 + 2 * (1 + _CORNERS)), places)
        return plus(times(1 + _CORNERS, size(self.output_shape(*inputs))), paths)

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        """Each channel depends on its own in its own frame, and on both channels of the motions of its path."""
        frames, motion = inputs
        counts, channels = self.counts(frames), same(3, frames[-1])
        time = (same(0, frames[0]),) if len(frames) == 4 else ()
        first = known(motion[0]) if self.steps == TO_LAST and len(motion) == 4 else 0
        met = AxisField(0, tuple((first - count, first - 1) if first else (0, count - 1) for count in counts))
        return (*time, None, None, channels), (*((met,) if len(motion) == 4 else ()), None, None, None)
