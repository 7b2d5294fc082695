"""Arithmetic on static shapes.

A shape leaves out the batch axis. `None` is an axis whose length is known only at run time (an unknown number of
frames, any image size); arithmetic with it gives None.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

Dim: TypeAlias = int | None
Shape: TypeAlias = tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class Weight:
    """One weight tensor of a layer, named as Keras names it."""

    name: str
    shape: tuple[int, ...]
    trainable: bool = True

    @property
    def size(self) -> int:
        return prod(self.shape)


class ShapeError(Exception):
    """A layer that does not fit its input.

    `message` is the fault, `reason` the numbers behind it, `argument` the layer's argument to point at (None: the
    input itself), `help` the fix.
    """

    def __init__(self, message: str, *, reason: str = "", argument: str | None = None, help: str = "") -> None:
        super().__init__(message)
        self.message, self.reason, self.argument, self.help = message, reason, argument, help


def size(shape: Iterable[Dim]) -> Dim:
    """Return the number of elements, None where an axis is unknown."""
    total = 1
    for dim in shape:
        if dim is None:
            return None
        total *= dim
    return total


def times(*factors: Dim) -> Dim:
    return size(factors)


def plus(*terms: Dim) -> Dim:
    """Return the sum, None where a term is unknown."""
    known = [term for term in terms if term is not None]
    return sum(known) if len(known) == len(terms) else None


def show(shape: Shape) -> str:
    """`10 × 64 × 64 × 1`; an unknown axis is `?`, a shape without axes `scalar`."""
    return " × ".join("?" if dim is None else str(dim) for dim in shape) or "scalar"


def fits(shape: Shape, other: Shape) -> bool:
    """Whether two shapes have the same axes, as far as their lengths are known."""
    return len(shape) == len(other) and all(a is None or b is None or a == b for a, b in zip(shape, other, strict=True))


def written_shape(shape: Iterable[Dim]) -> str:
    """`[10, null, null, 1]`, as a spec writes it."""
    return "[" + ", ".join("null" if dim is None else str(dim) for dim in shape) + "]"
