"""Layers of variational models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuild.model.backend import keras
from specbuild.model.layers.base import OwnLayer


class GaussianSampling(OwnLayer):
    """`mean + exp(log_var / 2) * noise` for the inputs `[mean, log_var]`."""

    keeps_dtype = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    def call(self, inputs: Sequence[Any], training: bool = False) -> Any:
        mean, log_var = inputs
        if self.deterministic_in_use and not training:
            return mean
        noise = keras.random.normal(keras.ops.shape(mean), dtype=self.compute_dtype, seed=self.seed_generator)
        return mean + keras.ops.exp(log_var / 2) * noise

    def compute_output_spec(self, inputs: Sequence[Any], training: bool = False) -> Any:  # noqa: ARG002 - the same
        return super().compute_output_spec(inputs)
