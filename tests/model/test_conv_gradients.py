"""Gradients of the fused recurrences are those of a plain loop, which convolves for each gate and step, and of Keras's.

With respect to the input, every weight and the first states; in double precision where the backend has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from specbuild.model.backend import keras
from specbuild.model.layers import ConvGRU2D, ConvLSTM2D
from tests.model.recurrences import EXACT, NEAR, clip, filled, slopes

ops = keras.ops
SHAPE = (2, 3, 6, 5, 2)  # (N, T, H, W, C)
FILTERS = 3
Tensors = Mapping[str, Any]
Step = Callable[[Tensors, Any, list[Any], dict[str, Any]], list[Any]]

BOTH: dict[str, dict[str, Any]] = {
    "plain": {},
    "strides": {"strides": 2},
    "dilation, valid": {"dilation_rate": [2, 1], "padding": "valid"},
    "no bias, backwards": {"use_bias": False, "go_backwards": True},
}
LSTM = BOTH | {
    "per pixel": {"peephole": "per_pixel"},
    "per channel": {"peephole": "per_channel", "forget_bias": 0.7, "strides": 2},
    "normalized": {"normalization": "layer", "peephole": "per_pixel"},
    "a wider recurrent kernel": {"recurrent_kernel_size": [2, 5]},
    "without input": {"use_input": False, "peephole": "per_pixel"},
}
GRU = BOTH | {
    "reset before": {"reset_after": False},
    "leaky relu": {"activation": "leaky_relu", "recurrent_kernel_size": 5},
    "normalized": {"normalization": "layer", "reset_after": False},
    "without input": {"use_input": False, "activation": "leaky_relu"},
}


@pytest.mark.parametrize("arguments", LSTM.values(), ids=LSTM)
def test_conv_lstm_has_those_of_a_plain_loop(arguments: dict[str, Any]) -> None:
    same_slopes(ConvLSTM2D, arguments, lstm_step)


@pytest.mark.parametrize("arguments", GRU.values(), ids=GRU)
def test_conv_gru_has_those_of_a_plain_loop(arguments: dict[str, Any]) -> None:
    same_slopes(ConvGRU2D, arguments, gru_step)


@pytest.mark.parametrize("arguments", BOTH.values(), ids=BOTH)
def test_conv_lstm_has_those_of_keras(arguments: dict[str, Any]) -> None:
    (ours, given), (theirs, _) = (example(kind, arguments) for kind in (ConvLSTM2D, keras.layers.ConvLSTM2D))
    compare(lambda tensors: ran(ours, tensors), lambda tensors: ran(theirs, tensors), given)


def same_slopes(kind: type[Any], arguments: dict[str, Any], step: Step) -> None:
    layer, given = example(kind, arguments)
    options = {**arguments, "activation": layer.activation}
    compare(lambda tensors: ran(layer, tensors), lambda tensors: looped(step, tensors, options), given)


def example(kind: type[Any], arguments: dict[str, Any]) -> tuple[Any, dict[str, np.ndarray]]:
    """A layer that gives all it can, and a value for its input, its weights and its states."""
    options = {"padding": "same", "return_sequences": True, "return_state": True, "dtype": EXACT} | arguments
    layer = kind(FILTERS, 3, **options)
    weights = filled(layer, SHAPE)
    frame = layer.compute_output_shape(SHAPE)[0][2:]
    names = ("h", "c") if kind is not ConvGRU2D else ("h",)
    states = {name: clip(SHAPE[0], *frame, seed=seed) for seed, name in enumerate(names, 5)}
    return layer, {"x": clip(*SHAPE), **weights, **states}


def compare(
    one: Callable[[Tensors], list[Any]], other: Callable[[Tensors], list[Any]], given: dict[str, np.ndarray]
) -> None:
    """Both give the same outputs, and the same gradient of a sum in which every output has a weight of its own."""

    def loss(run: Callable[[Tensors], list[Any]]) -> Callable[[Tensors], Any]:
        def total(tensors: Tensors) -> Any:
            outputs = run(tensors)
            shares = [clip(*output.shape, seed=seed) for seed, output in enumerate(outputs, 20)]
            return sum(ops.sum(output * ops.cast(share, EXACT)) for output, share in zip(outputs, shares, strict=True))

        return total

    found, expected = slopes(loss(one), given), slopes(loss(other), given)
    assert found.keys() == given.keys() | {"loss"}
    for name, slope in found.items():
        size = max(1.0, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(slope / size, expected[name] / size, rtol=NEAR, atol=NEAR, err_msg=name)
    assert all(np.abs(slope).max() > 0 for name, slope in expected.items() if name != "x" or "kernel" in given)


def ran(layer: Any, tensors: Tensors) -> list[Any]:
    weights = [tensors[weight.name] for weight in layer.trainable_variables]
    fixed = [weight.value for weight in layer.non_trainable_variables]
    states = [tensors[name] for name in ("h", "c") if name in tensors]
    outputs, _ = layer.stateless_call(weights, fixed, tensors["x"], initial_state=states)
    return list(outputs)


def looped(step: Step, t: Tensors, options: dict[str, Any]) -> list[Any]:
    """Every output h and the last states, step by step, gate by gate."""
    states = [t[name] for name in ("h", "c") if name in t]
    order = range(SHAPE[1] - 1, -1, -1) if options.get("go_backwards") else range(SHAPE[1])
    outputs = []
    for at in order:
        states = step(t, t["x"][:, at], states, options)
        outputs.append(states[0])
    return [ops.stack(outputs, 1), *states]


def lstm_step(t: Tensors, x: Any, states: list[Any], options: dict[str, Any]) -> list[Any]:
    h, c = states
    i, f, g, o = (read(t, x, gate, options) + kept(t, h, gate) + bias(t, gate) for gate in range(4))
    wi, wf, wo = (part(t["peephole_kernel"], gate) if "peephole_kernel" in t else 0.0 for gate in range(3))
    i, f, g = (normalized(t, place, gate) for place, gate in enumerate((i + wi * c, f + wf * c, g)))
    c = ops.sigmoid(f + options.get("forget_bias", 0.0)) * c + ops.sigmoid(i) * ops.tanh(g)
    o = normalized(t, 3, o + wo * c)
    c = normalized(t, 4, c)
    return [ops.sigmoid(o) * ops.tanh(c), c]


def gru_step(t: Tensors, x: Any, states: list[Any], options: dict[str, Any]) -> list[Any]:
    (h,) = states
    z, r, g = (read(t, x, gate, options) + bias(t, gate) for gate in range(3))
    z, r = (
        ops.sigmoid(normalized(t, gate, one + kept(t, h, gate) + bias(t, gate, second=True)))
        for gate, one in enumerate((z, r))
    )
    if not options.get("reset_after", True):
        g = g + kept(t, r * h, 2)
    elif options.get("use_input", True):
        g = g + r * (kept(t, h, 2) + bias(t, 2, second=True))
    else:
        g = r * (kept(t, h, 2) + bias(t, 2))
    return [z * h + (1 - z) * options["activation"](normalized(t, 2, g))]


def part(tensor: Any, gate: int) -> Any:
    return tensor[..., gate * FILTERS : (gate + 1) * FILTERS]


def read(t: Tensors, x: Any, gate: int, options: dict[str, Any]) -> Any:
    if "kernel" not in t:
        return 0.0
    strides, dilation = options.get("strides", 1), options.get("dilation_rate", 1)
    return ops.conv(x, part(t["kernel"], gate), strides, options.get("padding", "same"), "channels_last", dilation)


def kept(t: Tensors, h: Any, gate: int) -> Any:
    return ops.conv(h, part(t["recurrent_kernel"], gate), 1, "same", "channels_last")


def bias(t: Tensors, gate: int, second: bool = False) -> Any:
    """Of the input, or the second one that ConvGRU has for the state."""
    if "bias" not in t:
        return 0.0
    rows = t["bias"] if len(t["bias"].shape) == 2 else t["bias"][None]
    return part(rows[int(second)], gate) if int(second) < rows.shape[0] else 0.0


def normalized(t: Tensors, place: int, x: Any) -> Any:
    if "gamma" not in t:
        return x
    centred = x - ops.mean(x, axis=(1, 2, 3), keepdims=True)
    variance = ops.mean(ops.square(centred), axis=(1, 2, 3), keepdims=True)
    return centred / ops.sqrt(variance + 1e-12) * t["gamma"][place] + t["beta"][place]
