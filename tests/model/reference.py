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


def traj_gru(x: np.ndarray, w: Weights) -> np.ndarray:
    """h of every step, `(N, T, H, W, F)`, with leaky_relu of slope 0.2; each place of each link is looked up alone."""
    filters = w["flow_state_kernel"].shape[-2]
    gates, hidden = (np.atleast_2d(w.get(name, np.zeros(1))) for name in ("bias", "flow_hidden_bias"))
    h = np.zeros((x.shape[0], *x.shape[2:-1], filters), x.dtype)
    outputs = []
    for step in range(x.shape[1]):
        q = convolve(h, w["flow_state_kernel"]) + hidden.sum(0)
        read = np.zeros(3 * filters)
        if "kernel" in w:
            q = q + convolve(x[:, step], w["flow_input_kernel"])
            read = convolve(x[:, step], w["kernel"]) + (gates[0] if len(gates) == 2 else 0)
        flows = convolve(_leaky(q), w["flow_kernel"]) + w.get("flow_bias", 0.0)
        paths = [warped(h, flows[..., link], flows[..., link + 1]) for link in range(0, flows.shape[-1], 2)]
        recurrent = np.concatenate(paths, -1) @ w["recurrent_kernel"][0, 0] + gates[-1]
        xz, xr, xg = (read[..., at * filters : (at + 1) * filters] for at in range(3))
        z, r, g = np.split(recurrent, 3, -1)
        z = sigmoid(xz + z)
        h = z * h + (1 - z) * _leaky(xg + sigmoid(xr + r) * g)
        outputs.append(h)
    return np.stack(outputs, 1)


def warped(h: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """h at (y − v, x − u): the sum over all pixels of h, each weighted by how near it is, less than one pixel away."""
    _, height, width, _ = h.shape
    result = np.zeros_like(h)
    for y, x in itertools.product(range(height), range(width)):
        for row, column in itertools.product(range(height), range(width)):
            near = np.maximum(0, 1 - abs(y - v[:, y, x] - row)) * np.maximum(0, 1 - abs(x - u[:, y, x] - column))
            result[:, y, x] += near[:, None] * h[:, row, column]
    return result


def _leaky(x: np.ndarray) -> np.ndarray:
    """The slope is a number of single precision, as in TensorFlow."""
    return np.where(x > 0, x, float(np.float32(0.2)) * x)
