"""Checkpoints of the PyTorch ConvLSTM that most repositories copy.

Each layer is one convolution of [x, h], the input's channels before the state's, with the gates in the order i, f, o, g
and weights of shape (4F, C + F, *kernel).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from specbuild.model.mapping.assign import CellWeights, named_arrays, refuse_surplus, reorder, split_kernel

_ORDER = (0, 1, 3, 2)
"""Positions of i, f, g and o in i, f, o, g."""


def conv_lstm(weight: np.ndarray, bias: np.ndarray | None = None) -> CellWeights:
    """Return weights of ConvLSTM1D, 2D or 3D, with padding `same` and kernels of odd size, from one convolution.

    Args:
        weight: (4F, C + F, *kernel).
        bias: (4F,), or None for a layer with `use_bias: false`.

    Returns:
        `kernel` (*kernel, C, 4F), `recurrent_kernel` (*kernel, F, 4F) and, where there is one, `bias` (4F,), with the
        gates in the order i, f, g, o. They fit Keras's own layer too. `set_weights` refuses a layer that adds a
        `forget_bias` or has another padding.
    """
    both = reorder(np.moveaxis(weight, (0, 1), (-1, -2)), _ORDER)
    kernel, recurrent = split_kernel(both, filters=weight.shape[0] // 4)
    weights = {"kernel": kernel, "recurrent_kernel": recurrent}
    if bias is not None:
        weights["bias"] = reorder(bias, _ORDER)
    return CellWeights(weights, forget_bias=0.0, padding="same")


def conv_lstm_layers(state: Mapping[str, np.ndarray], *, prefix: str = "") -> list[CellWeights]:
    """Return weights of each layer of a stack, from its state dict: `cell_list.0.conv.weight`, `….bias`, …

    Args:
        state: arrays by name.
        prefix: what the names of the stack begin with, such as `module.`; arrays without it are ignored.

    Raises:
        WeightsMismatch: a layer is missing, or an array is none of the stack's.
    """
    weights = [name for name in state if name.startswith(prefix) and name.endswith(".conv.weight")]
    names = [f"cell_list.{layer}.conv" for layer in range(max(len(weights), 1))]
    arrays = named_arrays(state, prefix, [f"{name}.weight" for name in names])
    refuse_surplus(arrays, [f"{name}.{part}" for name in names for part in ("weight", "bias")], "the stack")
    return [conv_lstm(arrays[f"{name}.weight"], arrays.get(f"{name}.bias")) for name in names]
