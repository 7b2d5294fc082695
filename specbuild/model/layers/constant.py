"""A layer that gives fixed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from specbuild.model.backend import keras
from specbuild.model.layers.base import OwnLayer

MOST_IN_CONFIGURATION = 20_000
"""Numbers up to which the configuration of a saved layer repeats them, so that a spec can be made of it."""


class Constant(OwnLayer):
    """`value`, repeated to `shape`, for each sample of the input; without a value it comes with the weights."""

    keeps_dtype = False
    only_in_specs = ("path", "key")

    def __init__(self, value: Any = None, *, shape: Sequence[int] | None = None, **kwargs: Any) -> None:
        self._value: np.ndarray[Any, Any] | None = None if value is None else np.asarray(value, "float32")
        self._given_shape = shape
        full = tuple(shape or np.shape(value)) or (1,)
        super().__init__(value=0.0, shape=full, **kwargs)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.numbers = self.add_weight(shape=self.shape, initializer=self._first, trainable=False, name="numbers")

    def call(self, inputs: Any) -> Any:
        numbers = keras.ops.cast(self.numbers, self.compute_dtype)
        return keras.ops.broadcast_to(numbers[None], (keras.ops.shape(inputs)[0], *self.shape))

    def get_config(self) -> dict[str, Any]:
        own = super().get_config()
        config = {name: value for name, value in own.items() if name not in ("value", "shape")}
        value = self._value
        if value is None or value.size > MOST_IN_CONFIGURATION:
            return {**config, "shape": list(self.shape)}
        shape = {} if self._given_shape is None else {"shape": list(self._given_shape)}
        return {**config, "value": value.tolist(), **shape}

    def _first(self, shape: Sequence[int], dtype: Any = None) -> Any:
        numbers = np.zeros(shape, "float32") if self._value is None else np.broadcast_to(self._value, tuple(shape))
        return keras.ops.convert_to_tensor(numbers, dtype=dtype)
