"""Checkpoints of the TensorFlow-1 ConvLSTM and ConvGRU cells that many tutorials use.

Their kernels act on [x, h], the input's channels before the state's; the order of the gates is z (the candidate), i, f,
o in ConvLSTM and r, u in ConvGRU. Variables are named as the checkpoint names them: `kernel`, `bias`, `W_ci`,
`LayerNorm_1/gamma`, behind the scope of the network, such as `rnn/conv_lstm_cell/`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from specbuild.model.mapping.assign import CellWeights, named_arrays, refuse_surplus, reorder, split_kernel

Variables = Mapping[str, np.ndarray]


def conv_lstm(variables: Variables, *, forget_bias: float = 1.0, scope: str = "") -> CellWeights:
    """Return weights of ConvLSTM1D, 2D or 3D from a ConvLSTMCell.

    Args:
        variables: `kernel` (*kernel, C + F, 4F) and, as far as the cell has them, `bias` (4F,), `W_ci`, `W_cf` and
            `W_co` (*space, F), and gamma and beta (F,) of `LayerNorm` and `LayerNorm_1` to `_4` for z, i, f, o and c.
        forget_bias: what the cell adds to f, 1 unless it was changed. `set_weights` puts it into the bias of f (with
            normalization, into its offset) of a layer without `forget_bias`, and refuses a layer with another one.
            Without peepholes and normalization Keras's own layer then fits.
        scope: what the names of the variables begin with, such as `fw/`; variables without it are ignored.

    Returns:
        `kernel`, `recurrent_kernel`, and as far as they exist `bias`, `gamma`, `beta` and `peephole_kernel`, with the
        gates in the order i, f, z, o.

    Raises:
        WeightsMismatch: a variable is missing, or is none of the cell's.
    """
    needed = ["kernel"]
    if any(name.startswith(f"{scope}W_c") for name in variables):
        needed += _PEEPHOLES
    if any(name.startswith(f"{scope}LayerNorm") for name in variables):
        needed += _affine_names(_LSTM_NORMS)
    own = named_arrays(variables, scope, needed)
    refuse_surplus(own, [*needed, "bias"], "the cell")
    filters = own["kernel"].shape[-1] // 4
    kernel, recurrent = split_kernel(own["kernel"], filters)
    weights = {"kernel": reorder(kernel, _LSTM), "recurrent_kernel": reorder(recurrent, _LSTM)}
    if "bias" in own:
        weights["bias"] = reorder(own["bias"], _LSTM)
    if "LayerNorm/gamma" in own:
        weights |= _affine(own, _LSTM_NORMS)
    if "W_ci" in own:
        weights["peephole_kernel"] = np.concatenate([own[name] for name in _PEEPHOLES], axis=-1)
    return CellWeights(weights, forget_bias=forget_bias, padding="same")


def conv_gru(variables: Variables, *, scope: str = "") -> CellWeights:
    """Return weights of ConvGRU1D, 2D or 3D with `reset_after: false` from a ConvGRUCell.

    Args:
        variables: `gates/kernel` (*kernel, C + F, 2F) and `candidate/kernel` (*kernel, C + F, F), and either their
            `bias`, or gamma and beta (F,) of `gates/LayerNorm` for r, `gates/LayerNorm_1` for u and
            `candidate/LayerNorm`.
        scope: what the names of the variables begin with, such as `fw/`; variables without it are ignored.

    Returns:
        `kernel`, `recurrent_kernel`, and `bias` or `gamma` and `beta`, with the gates in the order u, r, candidate.
        `set_weights` refuses a layer with `reset_after: true`.

    Raises:
        WeightsMismatch: a variable is missing, or is none of the cell's.
    """
    needed = ["gates/kernel", "candidate/kernel"]
    for more in (_GRU_BIASES, _affine_names(_GRU_NORMS)):
        needed += more if any(f"{scope}{name}" in variables for name in more) else []
    own = named_arrays(variables, scope, needed)
    refuse_surplus(own, needed, "the cell")
    filters = own["candidate/kernel"].shape[-1]
    pairs = [split_kernel(own[f"{part}/kernel"], filters) for part in ("gates", "candidate")]
    kernel, recurrent = (np.concatenate(parts, axis=-1) for parts in zip(*pairs, strict=True))
    weights = {"kernel": reorder(kernel, _GRU), "recurrent_kernel": reorder(recurrent, _GRU)}
    if "gates/bias" in own:
        weights["bias"] = reorder(np.concatenate([own[name] for name in _GRU_BIASES]), _GRU)
    if "candidate/LayerNorm/gamma" in own:
        weights |= _affine(own, _GRU_NORMS)
    return CellWeights(weights, reset_after=False, padding="same")


_LSTM = (1, 2, 0, 3)
"""Positions of i, f, the candidate and o in the cell's z, i, f, o."""
_GRU = (1, 0, 2)
"""Positions of u, r and the candidate in the cell's r, u, candidate."""


_PEEPHOLES = ("W_ci", "W_cf", "W_co")
_LSTM_NORMS = ("LayerNorm_1", "LayerNorm_2", "LayerNorm", "LayerNorm_3", "LayerNorm_4")
"""The scopes of the normalizations of i, f, z, o and c."""
_GRU_BIASES = ("gates/bias", "candidate/bias")
_GRU_NORMS = ("gates/LayerNorm_1", "gates/LayerNorm", "candidate/LayerNorm")
"""The scopes of the normalizations of u, r and the candidate."""


def _affine_names(places: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{place}/{name}" for place in places for name in ("gamma", "beta"))


def _affine(variables: Variables, places: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: np.stack([variables[f"{place}/{name}"] for place in places]) for name in ("gamma", "beta")}
