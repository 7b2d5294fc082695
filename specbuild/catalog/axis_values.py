"""Types of values that a layer has for each spatial axis, and of axes themselves.

A value that Keras reads as "one number, or one per axis" is stored as a tuple with one entry per axis.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from specbuild.catalog.list_values import ListOf, OneOrList, PerAxis
from specbuild.catalog.values import Whole

Ints1: TypeAlias = Annotated[tuple[int], PerAxis(Whole(1), 1)]
Ints2: TypeAlias = Annotated[tuple[int, int], PerAxis(Whole(1), 2)]
Ints3: TypeAlias = Annotated[tuple[int, int, int], PerAxis(Whole(1), 3)]
"""One positive whole number, or one per axis; stored as one per axis."""
NonNegativeInts1: TypeAlias = Annotated[tuple[int], PerAxis(Whole(0), 1)]
NonNegativeInts2: TypeAlias = Annotated[tuple[int, int], PerAxis(Whole(0), 2)]
NonNegativeInts3: TypeAlias = Annotated[tuple[int, int, int], PerAxis(Whole(0), 3)]

_PAIR = PerAxis(Whole(0), 2, "a whole number of at least 0 or a pair [before, after]")
_MARGINS = "a whole number of at least 0, or a list of {} such numbers or [before, after] pairs"
Margins1: TypeAlias = Annotated[tuple[int, int], _PAIR]
"""What is padded or cropped [before, after] the one spatial axis; one number stands for both."""
Margins2: TypeAlias = Annotated[tuple[tuple[int, int], ...], PerAxis(_PAIR, 2, _MARGINS.format(2))]
Margins3: TypeAlias = Annotated[tuple[tuple[int, int], ...], PerAxis(_PAIR, 3, _MARGINS.format(3))]
"""[before, after] per spatial axis; one number stands for both sides, or for every axis."""


class EachAxis:
    """Mark a field of a family of layers that has an entry for each spatial axis.

    A class for a number of axes, `class Conv2D(_Convolution, spatial=2)`, inherits the field with its type.
    """

    def __init__(self, *types: Any) -> None:
        self.types = types
        """The types for one axis, for two and for three."""


LENGTHS = EachAxis(Ints1, Ints2, Ints3)
"""A positive whole number for each axis."""
NON_NEGATIVE = EachAxis(NonNegativeInts1, NonNegativeInts2, NonNegativeInts3)
"""A whole number of at least 0 for each axis."""
MARGINS = EachAxis(Margins1, Margins2, Margins3)
"""`(before, after)` for each axis; one pair for a layer over one axis."""

Axis: TypeAlias = Annotated[int, Whole(words="a whole number (an axis, the batch axis being 0)")]
"""One axis as Keras counts them: the batch axis is 0, -1 the last."""
Axes: TypeAlias = Annotated[int | tuple[int, ...], OneOrList(Whole(), "an axis or a list of axes", 1)]
"""One axis, or a list of them."""
AxisPair: TypeAlias = Annotated[
    int | tuple[int, int], OneOrList(Whole(), "an axis or a list of 2 axes, the batch axis being 0", 2, 2)
]
"""One axis for both inputs, or one for each."""


class _Shape(ListOf):
    """A list with at most one -1."""

    def read(self, value: Any, expected: str = "") -> tuple[int, ...]:
        if isinstance(value, list | tuple) and (0 in value or list(value).count(-1) > 1):
            raise self.mismatch(value, expected)
        return super().read(value, expected)  # type: ignore[no-any-return]  # whole numbers


class _Order(ListOf):
    """The numbers 1 … n in some order."""

    def read(self, value: Any, expected: str = "") -> tuple[int, ...]:
        if isinstance(value, list | tuple) and all(isinstance(item, int) and item is not True for item in value):
            order = tuple(value)
            if order and sorted(order) == list(range(1, len(order) + 1)):
                return order
        raise self.mismatch(value, expected)


TargetShape: TypeAlias = Annotated[
    tuple[int, ...], _Shape(Whole(-1), "a list of positive whole numbers, one of which may be -1")
]
"""A shape without the batch axis; at most one entry is -1, "what is left"."""
Permutation: TypeAlias = Annotated[tuple[int, ...], _Order(Whole(1), "the axes 1, 2, … in a new order, each once", 1)]
"""The axes 1 … n (the batch axis is 0 and stays) in a new order."""
