"""Custom cells of published models in the zoo against their equations, on both backends; they train on both.

Weights are called as in the equations: `self["d2_conv_x"]` is a kernel, and its bias where it has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from specbuild import build_graph, build_model
from specbuild.model.backend import jit_compile, keras
from tests.backends import not_on_jax, passes_on_jax
from tests.model.recurrences import numbers

ops = keras.ops

ZOO = Path(__file__).parents[2] / "specs" / "zoo"
STEPS = 4
SMALL: dict[str, dict[str, Any]] = {
    "mau": {"filters": 3, "kernel": 3, "tau": 2, "cells": 2},
    "mim": {"filters": 3, "kernel": 3},
    "phydnet": {"filters": 4, "widths": [3, 4], "derivatives": 6, "groups": 2, "derivative_groups": 3, "kernel": 3},
    "swinlstm_d": {
        "width": 4,
        "window": 2,
        "places": [0, 1],
        "down": [2, 2],
        "down_heads": [2, 2],
        "up": [2, 2],
        "up_heads": [2, 2],
    },
}
"""Variables of small models."""

Array = np.ndarray
Cell = Callable[["Weights", Array, dict[str, Any]], Array]
"""One step: the weights, a frame (N, H, W, C) and the states, which it changes, to the output."""


class Weights:
    """The weights of a recurrent node by the ids of the layers in it."""

    def __init__(self, model: Any, node: str) -> None:
        random = np.random.default_rng(1)
        self.by_layer: dict[str, dict[str, Array]] = {}
        for weight in model.weights:
            if weight.trainable:
                weight.assign(random.normal(size=weight.shape) * 0.5)
            layer, _, name = weight.path.removeprefix(f"{node}_").rpartition("/")
            self.by_layer.setdefault(layer, {})[name] = numbers(weight)

    def conv(self, layer: str, x: Array) -> Array:
        own = self.by_layer[layer]
        return numbers(ops.conv(x.astype("float32"), own["kernel"], padding="same")) + own.get("bias", 0)

    def dense(self, layer: str, x: Array) -> Array:
        return x @ self.by_layer[layer]["kernel"] + self.by_layer[layer]["bias"]

    def norm(self, layer: str, x: Array, axes: tuple[int, ...], groups: int = 1) -> Array:
        """Normalized over some axes, and over each group of channels."""
        cut = x.reshape(*x.shape[:-1], groups, -1) if groups > 1 else x
        mean, variance = cut.mean(axes, keepdims=True), cut.var(axes, keepdims=True)
        normed = ((cut - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)
        return normed * self.by_layer[layer]["gamma"] + self.by_layer[layer]["beta"]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def parts(x: Array, names: str) -> dict[str, Array]:
    return dict(zip(names.split(), np.split(x, len(names.split()), axis=-1), strict=True))


# MIM (Wang et al. 2019, equations 2 to 4)


def mim(w: Weights, x: Array, s: dict[str, Any]) -> Array:
    first = not s
    if first:
        zero = np.zeros((*x.shape[:-1], 3), "float32")
        s |= {"m": zero} | {f"{name}{i}": zero for name in ("h", "c", "s", "dh", "dc") for i in range(4)}
    below = s["h0"]
    wx = parts(w.conv("cell0_conv_x", x), "i f g i2 f2 g2 o")
    wh, wm = parts(w.conv("cell0_conv_h", s["h0"]), "i f g o"), parts(w.conv("cell0_conv_m", s["m"]), "i f g")
    s["c0"] = sigmoid(wx["f"] + wh["f"] + 1) * s["c0"] + sigmoid(wx["i"] + wh["i"]) * np.tanh(wx["g"] + wh["g"])
    s["m"] = sigmoid(wx["f2"] + wm["f"] + 1) * s["m"] + sigmoid(wx["i2"] + wm["i"]) * np.tanh(wx["g2"] + wm["g"])
    both = np.concatenate([s["c0"], s["m"]], -1)
    gate = sigmoid(wx["o"] + wh["o"] + w.conv("cell0_conv_o", both))
    s["h0"] = gate * np.tanh(w.conv("cell0_conv_last", both))
    change = np.zeros_like(below) if first else s["h0"] - below
    for i in (1, 2, 3):
        # MIM-N: the change of the features below; the original skips it in the first step.
        if not first:
            change, s[f"dc{i}"] = peephole_lstm(w, f"cell{i}_change", change, s[f"dh{i}"], s[f"dc{i}"])
            s[f"dh{i}"] = change
        x = s[f"h{i - 1}"]
        wx, wm = parts(w.conv(f"cell{i}_conv_x", x), "i g f o"), parts(w.conv(f"cell{i}_conv_m", s["m"]), "i g f o")
        wh = parts(w.conv(f"cell{i}_conv_h", s[f"h{i}"]), "i g o")
        s["m"] = sigmoid(wx["f"] + wm["f"] + 1) * s["m"] + sigmoid(wx["i"] + wm["i"]) * np.tanh(wx["g"] + wm["g"])
        # MIM-S: the stationary part replaces the forget gate.
        kept, s[f"s{i}"] = peephole_lstm(w, f"cell{i}_stays", change, s[f"c{i}"], s[f"s{i}"])
        s[f"c{i}"] = kept + sigmoid(wx["i"] + wh["i"]) * np.tanh(wx["g"] + wh["g"])
        both = np.concatenate([s[f"c{i}"], s["m"]], -1)
        s[f"h{i}"] = sigmoid(wx["o"] + wh["o"] + wm["o"]) * np.tanh(w.conv(f"cell{i}_conv_last", both))
    return s["h3"]


def peephole_lstm(w: Weights, place: str, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    g = parts(w.conv(f"{place}_conv_x", x) + w.conv(f"{place}_conv_h", h), "i g f o")
    peep = {gate: w.by_layer[f"{place}_peep_{gate}"]["scale"] for gate in "ifo"}
    c = sigmoid(g["f"] + peep["f"] * c + 1) * c + sigmoid(g["i"] + peep["i"] * c) * np.tanh(g["g"])
    return sigmoid(g["o"] + peep["o"] * c) * np.tanh(c), c


# MAU (Chang et al. 2021, equations 1 to 6)


def mau(w: Weights, x: Array, s: dict[str, Any]) -> Array:
    if not s:
        s |= {"t": [np.zeros_like(x)] * 2, "s": [np.zeros_like(x)] * 2}

    def conv(name: str, value: Array) -> Array:
        return w.norm(f"{name}_norm", w.conv(f"{name}_conv", value), (1, 2, 3))

    t, query = s["t"][-1], conv("s_query", x)
    gate = sigmoid(conv("t_query", t))
    scores = np.stack([(query * old).sum((1, 2, 3)) for old in s["s"][-2:]]) / np.sqrt(x[0].size)
    weights = np.exp(scores) / np.exp(scores).sum(0)
    trend = sum(weight[:, None, None, None] * old for weight, old in zip(weights, s["t"][-2:], strict=True))
    ut = parts(conv("from_t", gate * t + (1 - gate) * trend), "gate t s")
    us = parts(conv("from_s", x), "gate t s")
    s["s"] = [*s["s"], x]
    s["t"] = [*s["t"], sigmoid(ut["gate"]) * ut["t"] + (1 - sigmoid(ut["gate"])) * us["t"]]
    return sigmoid(us["gate"]) * us["s"] + (1 - sigmoid(us["gate"])) * ut["s"]


# The PhyCell (Le Guen and Thome 2020, equations 6 to 8)


def phycell(w: Weights, x: Array, s: dict[str, Any]) -> Array:
    h = s.setdefault("h", np.zeros_like(x))
    predicted = h + w.conv("conv2", w.norm("norm", w.conv("conv1", h), (1, 2, -1), groups=3))
    gain = sigmoid(w.conv("gate", np.concatenate([x, h], -1)))
    s["h"] = predicted + gain * (x - predicted)
    return s["h"]


# SwinLSTM (Tang et al. 2023, equations 4 to 8), with the attention of Swin written pixel by pixel


def swin_cell(w: Weights, x: Array, s: dict[str, Any]) -> Array:
    if not s:
        s |= {"h": np.zeros_like(x), "c": np.zeros_like(x)}
    o = swin(w, "b1", x, s["h"], 0)
    for i in (2, 3, 4):
        o = swin(w, f"b{i}", o, x if i % 2 else None, 0 if i % 2 else 1)
    s["c"] = sigmoid(o) * (s["c"] + np.tanh(o))
    s["h"] = sigmoid(o) * np.tanh(s["c"])
    return s["h"]


def swin(w: Weights, place: str, x: Array, other: Array | None, shift: int, window: int = 2, heads: int = 2) -> Array:
    normed = w.norm(f"{place}_norm1", x, (-1,))
    if other is not None:
        normed = w.dense(f"{place}_red", np.concatenate([normed, w.norm(f"{place}_norm1", other, (-1,))], -1))
    qkv = w.dense(f"{place}_qkv", normed)
    query, key, value = (part.reshape(*x.shape[:-1], heads, -1) for part in np.split(qkv, 3, axis=-1))
    table = w.by_layer[f"{place}_position_table"]["embeddings"]
    side = x.shape[1]
    mixed = np.zeros_like(query)
    places = [(row, column) for row in range(side) for column in range(side)]
    for row, column in places:
        # Shifted windows; pixels that the roll brings from the other border are masked.
        seen = [
            (r, c)
            for r, c in places
            if all((own - shift) // window == (far - shift) // window for own, far in ((row, r), (column, c)))
        ]
        scores = np.stack(
            [
                (query[:, row, column] * key[:, r, c]).sum(-1) / np.sqrt(query.shape[-1])
                + table[(row - r + window - 1) * (2 * window - 1) + column - c + window - 1]
                for r, c in seen
            ]
        )
        weights = np.exp(scores) / np.exp(scores).sum(0)
        mixed[:, row, column] = sum(
            weight[..., None] * value[:, r, c] for weight, (r, c) in zip(weights, seen, strict=True)
        )
    x = x + w.dense(f"{place}_proj", mixed.reshape(x.shape))
    hidden = numbers(ops.gelu(w.dense(f"{place}_fc1", w.norm(f"{place}_norm2", x, (-1,))), approximate=False))
    return x + w.dense(f"{place}_fc2", hidden)


CELLS: dict[str, tuple[str, str, Any, list[int], dict[str, Any], Cell]] = {
    "MIM": ("mim", "stack", "stack", [5, 6, 2], {}, mim),
    "MAU": ("mau", "cell1", "cell$i", [4, 6, 3], {"i": 1, "height": 16, "width": 24}, mau),
    "PhyCell": ("phydnet", "phycell", "phycell", [5, 6, 4], {}, phycell),
    "SwinLSTM": (
        "swinlstm_d",
        "swin_cell",
        {"id": "swin", "block": "cell", "with": {"n": 3, "f": 4, "heads": 2, "depth": 4}},
        [6, 6, 4],
        {},
        swin_cell,
    ),
}
"""By name: the spec, the node in a model of its own, the node as the spec has it, a frame, variables, and the step."""


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_computes_its_equations(name: str) -> None:
    spec, node, written, frame, variables, step = CELLS[name]
    whole = yaml.safe_load((ZOO / f"{spec}.yaml").read_text("utf-8"))
    if isinstance(written, str):
        written = next(item for item in items(whole["layers"]) if item.get("id") == written)
    alone = {
        **{key: whole[key] for key in ("specbuild", "defaults", "blocks") if key in whole},
        "vars": {**whole["vars"], **SMALL[spec], **variables},
        "inputs": {"x": [STEPS, *frame]},
        "layers": [written],
        "outputs": [f"{node}.sequence" if spec != "swinlstm_d" else "swin.cell.sequence"],
    }
    model = build_model(alone)
    weights = Weights(model, node)
    x = np.random.default_rng(0).normal(size=(2, STEPS, *frame)).astype("float32")
    states: dict[str, Any] = {}
    expected = np.stack([step(weights, x[:, t], states) for t in range(STEPS)], axis=1)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(numbers(model(x)), expected, rtol=1e-4, atol=1e-5)


def items(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in a spec, outer ones first."""
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from items(value)


@pytest.mark.parametrize("name", SMALL)
def test_a_forecaster_trains(name: str) -> None:
    """As `fit` trains it: in graph mode, on JAX compiled; its second step is fed back."""
    size = {"size": 32} if name == "swinlstm_d" else {"height": 16, "width": 16}
    small = {**SMALL[name], **size, "past": 1, "future": 2}
    overrides = {f"vars.{key}": value for key, value in small.items()}
    model = build_model(build_graph(ZOO / f"{name}.yaml", overrides=overrides))
    model.compile(keras.optimizers.Adam(1e-3), "mse", jit_compile=jit_compile())
    x = np.random.default_rng(0).uniform(size=(2, 1, *model.input_shape[2:])).astype("float32")
    target = np.repeat(x, 2, axis=1)
    losses = [float(model.train_on_batch(x, target)) for _ in range(3)]
    assert losses[2] < losses[1] < losses[0]


@not_on_jax
def test_on_jax() -> None:
    passes_on_jax(__file__)
