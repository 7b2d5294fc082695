"""Arithmetic without weights: functions of every value, bounds, division, matrix products, and reductions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuild.catalog import arithmetic
from specbuild.model.backend import keras
from specbuild.model.layers.base import OwnLayer

FUNCTIONS = {name: getattr(keras.ops, name) for name in (*arithmetic.FUNCTIONS, *arithmetic.REDUCTIONS)}
"""The operation of each function in the catalog, which has its name."""


class Elementwise(OwnLayer):
    """A function of every value, by its NumPy name."""

    keeps_dtype = False

    def call(self, inputs: Any) -> Any:
        return FUNCTIONS[self.function](inputs)


class Clip(OwnLayer):
    """Every value brought into the range from `min` to `max`; None leaves a side open."""

    keeps_dtype = False

    def call(self, inputs: Any) -> Any:
        raised = inputs if self.min is None else keras.ops.maximum(inputs, self.min)
        return raised if self.max is None else keras.ops.minimum(raised, self.max)


class Divide(OwnLayer):
    """The first of two inputs divided by the second.

    They broadcast as in `keras.layers.Subtract`: an input with fewer axes is repeated over the axes it lacks, which are
    the first after the batch.
    """

    keeps_dtype = False

    def call(self, inputs: Sequence[Any]) -> Any:
        rank = max(len(tensor.shape) for tensor in inputs)
        first, second = (with_rank(tensor, rank) for tensor in inputs)
        return keras.ops.divide(first, second)


class MatMul(OwnLayer):
    """Matrix products over the last two axes; those before them broadcast as in `Divide`."""

    keeps_dtype = False

    def call(self, inputs: Sequence[Any]) -> Any:
        rank = max(len(tensor.shape) for tensor in inputs)
        first, second = (with_rank(tensor, rank) for tensor in inputs)
        return keras.ops.matmul(first, keras.ops.swapaxes(second, -1, -2) if self.transpose_second else second)


class Reduce(OwnLayer):
    """Mean, max, min, sum or (population) std along the axes named."""

    keeps_dtype = False

    def call(self, inputs: Any) -> Any:
        return FUNCTIONS[self.function](inputs, axis=self.axis, keepdims=self.keepdims)


def add(first: Any, second: Any) -> Any:
    """Return the sum of two tensors, or of a tensor and a number.

    With TensorFlow, `keras.ops.add` (Keras 3.15) takes the second for a bias, and adds it along another axis, where one
    alone of its axes is longer than 1 and as long as the second or the last of the first: a batch of 2 samples,
    (2, 1, 1, 1), along 2 channels.
    """
    symbolic = [isinstance(tensor, keras.KerasTensor) for tensor in (first, second)]
    if not any(symbolic):
        return first + second
    return keras.ops.subtract(first, keras.ops.negative(second) if symbolic[1] else -second)  # their + is keras.ops.add


def with_rank(tensor: Any, rank: int) -> Any:
    """Return a tensor with so many axes: those that it lacks come after the batch axis and have length 1."""
    for _ in range(rank - len(tensor.shape)):
        tensor = keras.ops.expand_dims(tensor, 1)
    return tensor
