"""ConvLSTM and ConvGRU in plain NumPy, as their equations stand: loops over steps and kernel entries, no shared code.

x is (N, T, *space, C), h and c are (N, *space, F); gates are i, f, g, o and z, r, g. Convolutions are 'same'.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

Weights = Mapping[str, np.ndarray]


def convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """`(N, *space, C)` and `(*size, C, F)` → `(N, *space, F)`, zeros around, fewer in front where uneven."""
    size, space = kernel.shape[:-2], x.shape[1:-1]
    padded = np.pad(x, [(0, 0), *(((k - 1) // 2, k // 2) for k in size), (0, 0)])
    total = np.zeros((*x.shape[:-1], kernel.shape[-1]), x.dtype)
    for place in itertools.product(*map(range, size)):
        window = tuple(slice(first, first + length) for first, length in zip(place, space, strict=True))
        total += padded[(slice(None), *window)] @ kernel[place]
    return total


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    axes = tuple(range(1, x.ndim))
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-12) * gamma + beta


def conv_lstm(x: np.ndarray, w: Weights, forget_bias: float = 0.0) -> np.ndarray:
    """h of every step, `(N, T, *space, F)`; peepholes and layer normalization where there are weights for them."""
    filters = w["recurrent_kernel"].shape[-2]
    h = c = np.zeros((x.shape[0], *x.shape[2:-1], filters), x.dtype)
    outputs = []
    for step in range(x.shape[1]):
        gates = convolve(h, w["recurrent_kernel"]) + w.get("bias", 0.0)
        if "kernel" in w:
            gates = gates + convolve(x[:, step], w["kernel"])
        i, f, g, o = np.split(gates, 4, -1)
        wi, wf, wo = np.split(w["peephole_kernel"], 3, -1) if "peephole_kernel" in w else (0.0, 0.0, 0.0)
        i, f = i + wi * c, f + wf * c
        if "gamma" in w:
            i, f, g = (layer_norm(gate, w["gamma"][at], w["beta"][at]) for at, gate in enumerate((i, f, g)))
        c = sigmoid(f + forget_bias) * c + sigmoid(i) * np.tanh(g)
        o = o + wo * c
        if "gamma" in w:
            o, c = (layer_norm(one, w["gamma"][at], w["beta"][at]) for at, one in ((3, o), (4, c)))
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, 1)


def conv_gru(x: np.ndarray, w: Weights, reset_after: bool = True) -> np.ndarray:
    """h of every step, `(N, T, *space, F)`."""
    filters = w["recurrent_kernel"].shape[-2]
    uz, ur, ug = np.split(w["recurrent_kernel"], 3, -1)
    bias = np.atleast_2d(w.get("bias", np.zeros(3 * filters)))
    bz, br, bg = np.split(bias[0], 3)
    cz, cr, cg = np.split(bias[1], 3) if len(bias) == 2 else (0.0, 0.0, 0.0)
    h = np.zeros((x.shape[0], *x.shape[2:-1], filters), x.dtype)
    outputs = []
    for step in range(x.shape[1]):
        xz, xr, xg = np.split(convolve(x[:, step], w["kernel"]), 3, -1)
        z, r = xz + bz + convolve(h, uz) + cz, xr + br + convolve(h, ur) + cr
        if "gamma" in w:
            z, r = (layer_norm(gate, w["gamma"][at], w["beta"][at]) for at, gate in enumerate((z, r)))
        z, r = sigmoid(z), sigmoid(r)
        g = xg + bg + (r * (convolve(h, ug) + cg) if reset_after else convolve(r * h, ug))
        if "gamma" in w:
            g = layer_norm(g, w["gamma"][2], w["beta"][2])
        h = z * h + (1 - z) * np.tanh(g)
        outputs.append(h)
    return np.stack(outputs, 1)
