"""Our recurrences in plain NumPy, as their equations stand: loops over steps and kernel entries, no shared code.

x is (N, T, *space, C), h, c and m are (N, *space, F); gates are i, f, g, o and z, r, g. Convolutions are 'same'.
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


def st_lstm(x: np.ndarray, w: Weights, forget_bias: float = 1.0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """h of the last cell at every step, `(N, T, *space, F)`, and the last state by name: h1, c1, …, m.

    One convolution for each gate and tensor, in the order of the paper.
    """
    cells = range(1, 1 + sum(name.startswith("fusion_kernel") for name in w))
    filters = w["recurrent_kernel_1"].shape[-2]
    zeros = np.zeros((x.shape[0], *x.shape[2:-1], filters), x.dtype)
    state = {f"{name}{cell}": zeros for cell in cells for name in "hc"} | {"m": zeros}
    outputs = []
    for step in range(x.shape[1]):
        below = x[:, step]
        for cell in cells:
            h, c, m = state[f"h{cell}"], state[f"c{cell}"], state["m"]
            gates = _st_lstm_gates(w, cell, below, h, m)
            i, f, g, j, k, n = gates[:6]
            c = sigmoid(f + forget_bias) * c + sigmoid(i) * np.tanh(g)
            m = sigmoid(k + forget_bias) * m + sigmoid(j) * np.tanh(n)
            both = np.concatenate([c, m], -1)
            (seen,) = _st_lstm_part(w, cell, "output", both, 14)
            h = sigmoid(gates[6] + seen) * np.tanh(both @ w[f"fusion_kernel_{cell}"].reshape(2 * filters, filters))
            state[f"h{cell}"], state[f"c{cell}"], state["m"] = h, c, m
            below = h
        outputs.append(below)
    return np.stack(outputs, 1), state


def _st_lstm_gates(w: Weights, cell: int, x: np.ndarray, h: np.ndarray, m: np.ndarray) -> list[np.ndarray]:
    """i, f, g, j, k, n, and o but for what it sees of c and m."""
    read = _st_lstm_part(w, cell, "", x, 0)
    if f"bias_{cell}" in w:
        read = [one + bias for one, bias in zip(read, np.split(w[f"bias_{cell}"], 7), strict=True)]
    own = _st_lstm_part(w, cell, "recurrent", h, 7)
    memory = _st_lstm_part(w, cell, "memory", m, 11)
    return [one + other for one, other in zip(read, [*own[:3], *memory, own[3]], strict=True)]


def _st_lstm_part(w: Weights, cell: int, name: str, x: np.ndarray, first: int) -> list[np.ndarray]:
    """The gates that one kernel makes; normalized all at once where there are gains."""
    kernel = w[f"{name}_kernel_{cell}".lstrip("_")]
    filters = w[f"recurrent_kernel_{cell}"].shape[-2]
    count = kernel.shape[-1] // filters
    y = np.concatenate([convolve(x, part) for part in np.split(kernel, count, -1)], -1)
    if f"gamma_{cell}" in w:
        part = slice(first * filters, (first + count) * filters)
        axes = tuple(range(1, y.ndim))
        y = (y - y.mean(axes, keepdims=True)) / np.sqrt(y.var(axes, keepdims=True) + 1e-5)
        y = y * w[f"gamma_{cell}"][..., part] + w[f"beta_{cell}"][..., part]
    return np.split(y, count, -1)
