"""Dropout and noise in a forecast: Monte-Carlo dropout (Gal and Ghahramani, 2016, ICML 33, 1050).

Only the layers that draw random numbers behave as in training; normalization keeps its running statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from specbuild.document import RunError
from specbuild.model.keras_internals import layers_inside, seed_generators


class SeededNoise:
    """The random layers of a model, switched on, and their random numbers."""

    def __init__(self, model: Any) -> None:
        """Switch on the random layers of a model that has not run yet.

        Raises:
            RunError: it has none.
        """
        layers = list(layers_inside(model))
        self._generators = list({id(seeds): seeds for layer in layers for seeds in seed_generators(layer)}.values())
        if not self._generators:
            raise RunError("the model cannot draw an ensemble", help="it has no layer that draws random numbers")
        for layer in layers:
            if _is_random(layer):
                _act_as_in_training(layer)

    def seed(self, entropy: Sequence[int]) -> None:
        """Restart every generator; the same numbers give the same forecasts."""
        seeds = np.random.SeedSequence([int(number) for number in entropy]).generate_state(len(self._generators))
        for generator, seed in zip(self._generators, seeds, strict=True):
            generator.state.assign(np.array([int(seed) >> 1, 0], dtype=generator.state.dtype))


def _is_random(layer: Any) -> bool:
    """Whether a layer draws random numbers, itself or in the cell that it runs in steps."""
    cell = getattr(layer, "cell", None)
    inside = [layer, *(layers_inside(cell) if cell is not None else ())]
    return any(seed_generators(part) for part in inside)


def _act_as_in_training(layer: Any) -> None:
    call = layer.call

    def training(*inputs: Any, **arguments: Any) -> Any:
        return call(*inputs, **{**arguments, "training": True})

    layer.call = training
