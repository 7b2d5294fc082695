"""Kernels and gates in the order of the layers here, and named arrays put into a built layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from specbuild.document import did_you_mean


class WeightsMismatch(Exception):
    """Arrays that are not the weights of a layer, by name or by shape."""


def set_weights(layer: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Give a built layer its weights by name, such as `kernel`, `recurrent_kernel` and `bias`.

    For Bidirectional call it with `layer.forward_layer` and `layer.backward_layer`.

    Raises:
        WeightsMismatch: a weight has no array, an array no weight, or a shape differs; nothing is changed then.
    """
    weights = named_weights(layer)
    for name in arrays:
        if name not in weights:
            hint = did_you_mean(name, list(weights)) or f"it has {', '.join(weights)}"
            raise WeightsMismatch(f"{layer.name} has no weight {name}; {hint}")
    for name, weight in weights.items():
        if name not in arrays:
            raise WeightsMismatch(f"{layer.name} needs {name}, {tuple(weight.shape)}, which is not given")
        if tuple(weight.shape) != arrays[name].shape:
            raise WeightsMismatch(f"{name} of {layer.name} is {tuple(weight.shape)}, not {arrays[name].shape}")
    for name, array in arrays.items():
        weights[name].assign(array)


def named_weights(layer: Any) -> dict[str, Any]:
    """Return the weights of a built layer by the last part of their path.

    Raises:
        WeightsMismatch: two weights share a name, as in a wrapper or a model.
    """
    weights = {weight.name: weight for weight in layer.weights}
    if len(weights) < len(layer.weights):
        raise WeightsMismatch(f"{layer.name} holds several layers; set the weights of each")
    return weights


def split_kernel(kernel: np.ndarray, filters: int) -> tuple[np.ndarray, np.ndarray]:
    """Split a kernel that acts on [x, h], (…, C + F, gates), into the part for the input and the part for the state."""
    channels = kernel.shape[-2] - filters
    return kernel[..., :channels, :], kernel[..., channels:, :]


def reorder(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Put the gates along the last axis into another order: `order` names the old place of each."""
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[gate] for gate in order], axis=-1)
