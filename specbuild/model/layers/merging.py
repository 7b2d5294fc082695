"""Sums and means of inputs of different shapes, which Keras adds along the wrong axis in some batches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from specbuild.catalog import Shape
from specbuild.catalog.merging import broadcast
from specbuild.model.backend import Registered, keras
from specbuild.model.layers.arithmetic import add, with_rank


class Add(Registered, keras.layers.Add):  # type: ignore[misc]
    """The sum of inputs that broadcast as in `keras.layers.Add`."""

    def call(self, inputs: Sequence[Any]) -> Any:
        return total(inputs)


class Average(Registered, keras.layers.Average):  # type: ignore[misc]
    """The mean of inputs that broadcast as in `keras.layers.Average`."""

    def call(self, inputs: Sequence[Any]) -> Any:
        return keras.ops.divide(total(inputs), len(inputs))


EXACT: dict[str, type[Any]] = {"Add": Add, "Average": Average}
"""The class for inputs that `mistaken` names, by kind."""


def total(inputs: Sequence[Any]) -> Any:
    """Return the sum of tensors; those with fewer axes are repeated over the axes that they lack after the batch."""
    rank = max(len(tensor.shape) for tensor in inputs)
    return reduce(add, (with_rank(tensor, rank) for tensor in inputs))


def mistaken(shapes: Sequence[Shape]) -> bool:
    """Whether Keras may add inputs of these shapes along the wrong axis with TensorFlow, for some number of samples.

    It takes an input for a bias if one alone of its axes, the batch among them, is longer than 1 and as long as the
    first axis after the batch or the last one of the sum so far (see `arithmetic.add`).

    Args:
        shapes: of the inputs, without the batch axis.
    """
    rank = max(len(shape) for shape in shapes)
    first, *others = [(*(1,) * (rank - len(shape)), *shape) for shape in shapes]
    for other in others:
        long = [axis for axis, length in enumerate(other) if length not in (1, None)]
        ends = {first[0], first[-1]} if rank else set()
        if other == first or len(long) > 1:
            wrong = False
        elif not long:  # a number for each sample
            wrong = ends != {1}
        else:
            wrong = bool(ends & {other[long[0]], None}) and not (long[0] == rank - 1 and first[-1] == other[-1])
        if wrong:
            return True
        first = broadcast(first, other)
    return False
