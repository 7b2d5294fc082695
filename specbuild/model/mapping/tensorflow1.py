"""Checkpoints of the TensorFlow-1 ConvLSTM and ConvGRU cells that many tutorials use.

Their kernels act on [x, h], the input's channels before the state's; the order of the gates is z (the candidate), i, f,
o in ConvLSTM and r, u in ConvGRU. Variables are named as the checkpoint names them, without the scope of the network:
`kernel`, `bias`, `W_ci`, `LayerNorm_1/gamma`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from specbuild.model.mapping.assign import reorder, split_kernel

Variables = Mapping[str, np.ndarray]


def conv_lstm(variables: Variables, *, forget_bias: float = 0.0) -> dict[str, np.ndarray]:
    """Return weights of ConvLSTM1D, 2D or 3D from a ConvLSTMCell.

    The cell adds its `forget_bias` (1 unless changed) to f. Either the layer has the same `forget_bias`, or it is given
    here and becomes part of the bias of f (with normalization, of its offset); without peepholes and normalization
    Keras's own layer then fits.

    Args:
        variables: `kernel` (*kernel, C + F, 4F) and, as far as the cell has them, `bias` (4F,), `W_ci`, `W_cf` and
            `W_co` (*space, F), and gamma and beta (F,) of `LayerNorm` and `LayerNorm_1` to `_4` for z, i, f, o and c.
        forget_bias: what to add to the bias of f.

    Returns:
        `kernel`, `recurrent_kernel`, and as far as they exist `bias`, `gamma`, `beta` and `peephole_kernel`, with the
        gates in the order i, f, z, o.
    """
    filters = variables["kernel"].shape[-1] // 4
    kernel, recurrent = split_kernel(variables["kernel"], filters)
    weights = {"kernel": reorder(kernel, _LSTM), "recurrent_kernel": reorder(recurrent, _LSTM)}
    if "bias" in variables:
        weights["bias"] = reorder(variables["bias"], _LSTM)
        weights["bias"][filters : 2 * filters] += forget_bias
    if "LayerNorm/gamma" in variables:
        places = ("LayerNorm_1", "LayerNorm_2", "LayerNorm", "LayerNorm_3", "LayerNorm_4")  # i, f, z, o, c
        weights |= _affine(variables, places)
        weights["beta"][1] += forget_bias
    if "W_ci" in variables:
        weights["peephole_kernel"] = np.concatenate([variables[f"W_c{gate}"] for gate in "ifo"], axis=-1)
    return weights


def conv_gru(variables: Variables) -> dict[str, np.ndarray]:
    """Return weights of ConvGRU1D, 2D or 3D with `reset_after: false` from a ConvGRUCell.

    Args:
        variables: `gates/kernel` (*kernel, C + F, 2F) and `candidate/kernel` (*kernel, C + F, F), and either their
            `bias`, or gamma and beta (F,) of `gates/LayerNorm` for r, `gates/LayerNorm_1` for u and
            `candidate/LayerNorm`.

    Returns:
        `kernel`, `recurrent_kernel`, and `bias` or `gamma` and `beta`, with the gates in the order u, r, candidate.
    """
    filters = variables["candidate/kernel"].shape[-1]
    pairs = [split_kernel(variables[f"{part}/kernel"], filters) for part in ("gates", "candidate")]
    kernel, recurrent = (np.concatenate(parts, axis=-1) for parts in zip(*pairs, strict=True))
    weights = {"kernel": reorder(kernel, _GRU), "recurrent_kernel": reorder(recurrent, _GRU)}
    if "gates/bias" in variables:
        bias = np.concatenate([variables["gates/bias"], variables["candidate/bias"]])
        weights["bias"] = reorder(bias, _GRU)
    if "candidate/LayerNorm/gamma" in variables:
        weights |= _affine(variables, ("gates/LayerNorm_1", "gates/LayerNorm", "candidate/LayerNorm"))
    return weights


_LSTM = (1, 2, 0, 3)
"""Positions of i, f, the candidate and o in the cell's z, i, f, o."""
_GRU = (1, 0, 2)
"""Positions of u, r and the candidate in the cell's r, u, candidate."""


def _affine(variables: Variables, places: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: np.stack([variables[f"{place}/{name}"] for place in places]) for name in ("gamma", "beta")}
