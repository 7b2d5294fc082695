"""Axes that a layer's argument names: counted as Keras does, from the batch axis, which is 0; -1 is the last."""

from __future__ import annotations

from specbuild.catalog.base import Layer
from specbuild.catalog.shapes import Shape, ShapeError, show


def named_axes(axis: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes of an argument in Keras's order, which is that of the sorted list."""
    return (axis,) if isinstance(axis, int) else tuple(sorted(axis))


def check_axes(layer: Layer, shape: Shape, axis: int | tuple[int, ...], argument: str, *, known: bool) -> None:
    """Refuse axes that the input does not have, and with `known` those whose length is open.

    Raises:
        ShapeError: names the axis and those that would do.
    """
    count = len(shape)
    named = named_axes(axis)
    positions = [number if number >= 0 else number + count + 1 for number in named]
    for number, position in zip(named, positions, strict=True):
        if not 1 <= position <= count:
            what = "the batch axis" if position == 0 else f"axis {number}"
            message = f"{layer.label} cannot use {what}" if position == 0 else f"{layer.label} has no {what} to use"
            reason = f"its input is {show(shape)}: its axes are 1 to {count}, or -{count} to -1"
            raise ShapeError(message, reason=reason, argument=argument)
        if known and shape[position - 1] is None:
            message = f"{layer.label} needs to know the length of axis {number}"
            reason = f"its input is {show(shape)}, and its weights have that length"
            raise ShapeError(message, reason=reason, argument=argument)
    if len(set(positions)) < len(positions):
        message = f"{layer.label} names an axis twice"
        raise ShapeError(message, reason=f"{argument} is {list(named)}, its input {show(shape)}", argument=argument)


def positions(shape: Shape, axis: int | tuple[int, ...]) -> frozenset[int]:
    """Return the positions in a shape without the batch axis of axes that `check_axes` accepted."""
    return frozenset(number - 1 if number > 0 else number + len(shape) for number in named_axes(axis))


def lengths(shape: Shape, axis: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return the lengths of axes that `check_axes` accepted, in Keras's order."""
    with_batch: Shape = (None, *shape)
    named = (with_batch[number] for number in named_axes(axis))
    return tuple(length for length in named if length is not None)
