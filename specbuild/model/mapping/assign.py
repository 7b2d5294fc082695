"""Kernels and gates in the order of the layers here, and named arrays put into a built layer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from specbuild.document import did_you_mean, listed


class WeightsMismatch(Exception):
    """Arrays that are not the weights of a layer, by name or by shape, or a layer that computes something else."""


class CellWeights(dict[str, np.ndarray]):
    """The weights of a cell of another framework by name, with what the cell computes besides them.

    Args:
        arrays: the weights, gates in the order of the layers here.
        forget_bias: what the cell adds to its forget gate, the second of four; None for a cell without one.
        arguments: arguments that a layer must have to compute the same, such as `reset_after=False`.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], *, forget_bias: float | None = None, **arguments: Any) -> None:
        super().__init__(arrays)
        self.forget_bias, self.arguments = forget_bias, arguments

    def fitted(self, layer: Any) -> dict[str, np.ndarray]:
        """Return the weights for a layer, whose bias takes up the forget bias where the layer adds none.

        Raises:
            WeightsMismatch: the layer computes something else.
        """
        for name, wanted in self.arguments.items():
            if (given := getattr(layer, name, wanted)) != wanted:
                raise WeightsMismatch(f"the cell has {name}: {wanted}, and {layer.name} has {name}: {given}")
        own = getattr(layer, "forget_bias", None)
        if self.forget_bias is None or self.forget_bias == (own or 0.0):
            return dict(self)
        if own is not None:
            message = f"the cell adds {self.forget_bias} to its forget gate, and {layer.name} adds {own}"
            raise WeightsMismatch(f"{message}; give it forget_bias: {self.forget_bias}")
        if "beta" in self:
            beta = self["beta"].copy()
            beta[1] += self.forget_bias
            return {**self, "beta": beta}
        if "bias" not in self:
            message = f"the cell adds {self.forget_bias} to its forget gate, and has no bias to add it to"
            raise WeightsMismatch(f"{message}; give {layer.name} forget_bias: {self.forget_bias}")
        bias = self["bias"].copy()
        np.split(bias, 4)[1][...] += self.forget_bias
        return {**self, "bias": bias}


def set_weights(layer: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Give a built layer its weights by name, such as `kernel`, `recurrent_kernel` and `bias`.

    For Bidirectional call it with `layer.forward_layer` and `layer.backward_layer`.

    Raises:
        WeightsMismatch: a weight has no array, an array no weight, a shape differs, or the cell that the arrays are
            from computes something else; nothing is changed then.
    """
    weights = named_weights(layer)
    arrays = arrays.fitted(layer) if isinstance(arrays, CellWeights) else arrays
    if not arrays:
        raise WeightsMismatch(f"there are no arrays for {layer.name}; it has {', '.join(weights)}")
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


def named_arrays(arrays: Mapping[str, np.ndarray], prefix: str, needed: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with a prefix, without it.

    Raises:
        WeightsMismatch: one that is needed is missing.
    """
    named = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    for name in needed:
        if name in named:
            continue
        longer = next((other for other in named if other.endswith((f".{name}", f"/{name}"))), None)
        if longer is not None:
            hint = f"names begin with {prefix}{longer.removesuffix(name)}: give that as the prefix"
        elif named:
            hint = did_you_mean(name, list(named)) or f"there are {listed(named)}"
        else:
            hint = f"no name begins with {prefix}; there are {listed(arrays)}" if arrays else "there are no arrays"
        raise WeightsMismatch(f"there is no array {prefix}{name}; {hint}")
    return named


def refuse_surplus(arrays: Iterable[str], used: Collection[str], cell: str) -> None:
    """Refuse arrays that a converter does not use.

    Raises:
        WeightsMismatch: there are some; they are named.
    """
    surplus = [name for name in arrays if name not in used]
    if surplus:
        raise WeightsMismatch(f"{cell} has no weight {listed(surplus)}; it has {listed(used)}")


def split_kernel(kernel: np.ndarray, filters: int) -> tuple[np.ndarray, np.ndarray]:
    """Split a kernel that acts on [x, h], (…, C + F, gates), into the part for the input and the part for the state."""
    channels = kernel.shape[-2] - filters
    return kernel[..., :channels, :], kernel[..., channels:, :]


def reorder(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Put the gates along the last axis into another order: `order` names the old place of each."""
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[gate] for gate in order], axis=-1)
