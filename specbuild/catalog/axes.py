"""Axes that a layer's argument names: counted as Keras does, from the batch axis, which is 0; -1 is the last."""

from __future__ import annotations

from specbuild.catalog.base import Layer
from specbuild.catalog.shapes import Shape, ShapeError, show


def named_axes(axis: int | tuple[int, ...]) -> tuple[int, ...]:
    """The axes of an argument in Keras's order, which sorts a list as it is written."""
    return (axis,) if isinstance(axis, int) else tuple(sorted(axis))


def check_axes(layer: Layer, shape: Shape, axis: int | tuple[int, ...], argument: str, *, known: bool) -> None:
    """Refuses axes that the input does not have, and with `known` those whose length is open.

    Raises:
        ShapeError: names the axis and those that would do.
    """
    count = len(shape)
    positions = [one if one >= 0 else one + count + 1 for one in named_axes(axis)]
    for one, position in zip(named_axes(axis), positions, strict=True):
        if not 1 <= position <= count:
            what = "the batch axis" if position == 0 else f"axis {one}"
            raise ShapeError(
                f"{layer.label} cannot use {what}" if position == 0 else f"{layer.label} has no {what} to use",
                reason=f"its input is {show(shape)}: its axes are 1 to {count}, or -{count} to -1",
                argument=argument,
            )
        if known and shape[position - 1] is None:
            raise ShapeError(
                f"{layer.label} needs to know the length of axis {one}",
                reason=f"its input is {show(shape)}, and its weights have that length",
                argument=argument,
            )
    if len(set(positions)) < len(positions):
        raise ShapeError(
            f"{layer.label} names an axis twice",
            reason=f"{argument} is {list(named_axes(axis))}, its input {show(shape)}",
            argument=argument,
        )


def positions(shape: Shape, axis: int | tuple[int, ...]) -> frozenset[int]:
    """Where the named axes stand in a shape, which leaves out the batch axis; `check_axes` has let them pass."""
    return frozenset(one - 1 if one > 0 else one + len(shape) for one in named_axes(axis))


def lengths(shape: Shape, axis: int | tuple[int, ...]) -> tuple[int, ...]:
    """Lengths of the named axes, in Keras's order; `check_axes` has let them pass."""
    with_batch: Shape = (None, *shape)
    found = tuple(with_batch[one] for one in named_axes(axis))
    return tuple(length for length in found if length is not None)
