"""Tensors that no machine can hold: a slip of the keyboard, or an attack."""

from __future__ import annotations

from specbuild.catalog import Layer, Shape, ShapeError, Weight, show, size

MAX_AXES = 32
MAX_ELEMENTS = 2**40
"""About a trillion numbers, which is four terabytes for one sample."""


def excess(shape: Shape) -> str:
    """What is too much about a shape without the batch axis, unknown lengths counting one; empty: nothing."""
    if len(shape) > MAX_AXES:
        return f"it has {len(shape):,} axes, and no more than {MAX_AXES} are possible"
    elements = size(length or 1 for length in shape) or 0
    if elements > MAX_ELEMENTS:
        return f"that is about {elements:.1e} numbers, and no more than {MAX_ELEMENTS:.1e} are possible"
    return ""


def refuse_excess(layer: Layer, outputs: dict[str, Shape]) -> None:
    """Refuses a layer whose output is too large.

    Raises:
        ShapeError: what it would be.
    """
    for shape in outputs.values():
        if reason := excess(shape):
            what = show(shape) if len(shape) <= MAX_AXES else f"{show(shape[:MAX_AXES])} …"
            raise ShapeError(f"{layer.label} would give {what}", reason=reason)


def excessive(weights: tuple[Weight, ...]) -> Weight | None:
    """The first weight that is too large."""
    return next((weight for weight in weights if excess(weight.shape)), None)
