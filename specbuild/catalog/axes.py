"""Axes that a layer's argument names: counted as Keras does, from the batch axis, which is 0; -1 is the last."""

from typing import ClassVar

from specbuild.catalog.axis_values import Axes
from specbuild.catalog.base import Layer
from specbuild.catalog.receptive_field import ReceptiveField, in_place
from specbuild.catalog.shapes import Shape, ShapeError, show


class OverAxes(Layer):
    """A layer that works along one axis or several, which its argument `axis` names."""

    axis: Axes

    needs_lengths: ClassVar[bool] = False
    """Whether the lengths of these axes must be known, as its weights have them."""

    def check(self, *inputs: Shape) -> None:
        """Also refuse axes that the input does not have or that are named twice."""
        super().check(*inputs)
        shape, named = inputs[0], named_axes(self.axis)
        count = len(shape)
        positions = [number if number >= 0 else number + count + 1 for number in named]
        for number, position in zip(named, positions, strict=True):
            if not 1 <= position <= count:
                message = "cannot use the batch axis" if position == 0 else f"has no axis {number} to use"
                raise self.unfit(message, shape, f": its axes are 1 to {count}, or -{count} to -1", argument="axis")
            if self.needs_lengths and shape[position - 1] is None:
                message = f"needs to know the length of axis {number}"
                raise self.unfit(message, shape, ", and its weights have that length", argument="axis")
        if len(set(positions)) < len(positions):
            reason = f"axis is {list(named)}, its input {show(shape)}"
            raise ShapeError(f"{self.label} names an axis twice", reason=reason, argument="axis")


class MixesAxes(OverAxes):
    """A layer whose output values depend on all of the named axes, and elsewhere on their own position."""

    keeps_rank = True

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return (in_place(inputs[0], mixed=positions(inputs[0], self.axis)),)


def named_axes(axis: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes of an argument in Keras's order, which is that of the sorted list."""
    return (axis,) if isinstance(axis, int) else tuple(sorted(axis))


def positions(shape: Shape, axis: int | tuple[int, ...]) -> frozenset[int]:
    """Return the positions in a shape without the batch axis of axes that `check` accepted."""
    return frozenset(number - 1 if number > 0 else number + len(shape) for number in named_axes(axis))


def lengths(shape: Shape, axis: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return the lengths of axes that `check` accepted, in Keras's order."""
    with_batch: Shape = (None, *shape)
    named = (with_batch[number] for number in named_axes(axis))
    return tuple(length for length in named if length is not None)
