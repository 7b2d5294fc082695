"""What ConvLSTM and ConvGRU add to Keras: which class they become, their weights and costs by hand, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from specbuild import build_model
from specbuild.catalog import Weight
from specbuild.catalog.conv_gru import ConvGRU2D
from specbuild.catalog.conv_lstm import ConvLSTM1D, ConvLSTM2D
from specbuild.model.backend import keras
from specbuild.model.layers import ConvLSTM2D as OurConvLSTM2D
from tests.catalog.refusals import argument_error

X = (6, 30, 30, 3)
NEEDS_OURS: list[dict[str, Any]] = [
    {"peephole": "per_pixel"},
    {"peephole": "per_channel"},
    {"normalization": "layer"},
    {"forget_bias": 0},
    {"use_input": False},
    {"recurrent_kernel_size": 3},
    {"data_format": "channels_first"},
]
KERAS_HAS_IT: list[dict[str, Any]] = [
    {},
    {"peephole": "none", "normalization": "none", "use_input": True, "forget_bias": None},
    {"recurrent_kernel_size": 5},
    {"unit_forget_bias": False, "dropout": 0.2, "data_format": "channels_last"},
]


@pytest.mark.parametrize("arguments", NEEDS_OURS, ids=str)
def test_options_of_our_own_need_our_layer(arguments: dict[str, Any]) -> None:
    layer = ConvLSTM2D(filters=1, kernel_size=5, **arguments)
    assert layer.origin == "specbuild"
    assert set(layer.arguments()) == {"filters", "kernel_size", *arguments}


@pytest.mark.parametrize("arguments", KERAS_HAS_IT, ids=str)
def test_without_them_it_is_the_layer_of_keras(arguments: dict[str, Any]) -> None:
    layer = ConvLSTM2D(filters=1, kernel_size=5, **arguments)
    assert layer.origin == "keras"
    keras.layers.ConvLSTM2D(**layer.arguments())


def test_a_spec_becomes_the_one_or_the_other() -> None:
    spec = {"specbuild": 1, "inputs": {"x": [2, 6, 6, 1]}}
    plain = {"id": "r", "layer": "ConvLSTM2D", "filters": 1, "kernel_size": 3, "return_sequences": False}
    for node, kind in [(plain, keras.layers.ConvLSTM2D), ({**plain, "peephole": "per_channel"}, OurConvLSTM2D)]:
        assert type(build_model({**spec, "layers": [node]}, stock=True).get_layer("r")) is kind


def test_weights() -> None:
    kernels = (Weight("kernel", (5, 5, 3, 8)), Weight("recurrent_kernel", (3, 3, 2, 8)))
    layer = ConvLSTM2D(filters=2, kernel_size=5, recurrent_kernel_size=3, peephole="per_pixel")
    assert layer.weights(X) == (*kernels, Weight("bias", (8,)), Weight("peephole_kernel", (26, 26, 6)))
    layer = ConvLSTM2D(filters=2, kernel_size=5, recurrent_kernel_size=3, normalization="layer")
    assert layer.weights(X) == (*kernels, Weight("gamma", (5, 2)), Weight("beta", (5, 2)))
    layer = ConvLSTM1D(filters=2, kernel_size=5, use_input=False, peephole="per_channel", use_bias=False)
    assert layer.weights((4, 9, 1)) == (Weight("recurrent_kernel", (5, 2, 8)), Weight("peephole_kernel", (6,)))
    assert layer.state_shapes((4, 9, 1)) == {"h": (9, 2), "c": (9, 2)}

    gru = ConvGRU2D(filters=2, kernel_size=5)
    assert gru.weights(X)[2] == Weight("bias", (2, 6))
    assert ConvGRU2D(filters=2, kernel_size=5, reset_after=False).weights(X)[2] == Weight("bias", (6,))
    assert ConvGRU2D(filters=2, kernel_size=5, use_input=False).weights(X)[1] == Weight("bias", (6,))
    assert gru.state_shapes(X) == {"h": (26, 26, 2)}


def test_costs() -> None:
    # 26 × 26 states of one filter; each gate 2·25·3 for x and 2·25·1 for h, a bias and a sum; then 4.
    places, gate = 26 * 26, 150 + 50 + 1 + 1
    options = {"filters": 1, "kernel_size": 5}
    assert ConvLSTM2D(**options, peephole="per_channel").flops(X) == 6 * places * (4 * gate + 4 + 3 * 2)
    assert ConvLSTM2D(**options, forget_bias=1).flops(X) == 6 * places * (4 * gate + 4 + 1)
    # Normalized: i, f, g, o and c, each 1 for the mean, 3 for the variance, 2 to apply them, gain and offset; no bias.
    normalized = ConvLSTM2D(**options, normalization="layer")
    assert normalized.flops(X) == 6 * places * (4 * (gate - 1) + 4 + 5 * 8)
    assert normalized.saved_elements(X) == 6 * places * (7 + 5)
    # Without input 30 × 30 states, and neither the convolution of x nor its sum.
    assert ConvLSTM2D(**options, use_input=False).flops(X) == 6 * 900 * (4 * (50 + 1) + 4)
    assert ConvLSTM2D(**options, recurrent_kernel_size=1).flops(X) == 6 * places * (4 * (150 + 2 + 1 + 1) + 4)
    # ConvGRU: two biases with reset_after; the product with r, and four operations for h.
    assert ConvGRU2D(**options).flops(X) == 6 * places * (3 * (150 + 50 + 2 + 1) + 5)
    assert ConvGRU2D(**options, reset_after=False).flops(X) == 6 * places * (3 * (150 + 50 + 1 + 1) + 5)
    assert ConvGRU2D(**options, normalization="layer").saved_elements(X) == 6 * places * (5 + 3)
    # Recomputed: 40 outputs, h and c before each of 6 segments of up to 7 steps, and all of one segment.
    assert ConvLSTM2D(**options, remat=True).saved_elements((40, *X[1:])) == places * (40 + 2 * 6 + 7 * 7)
    assert ConvLSTM2D(**options, remat=True).saved_elements((2, *X[1:])) == places * 2 * 7


@pytest.mark.parametrize(
    ("filters", "peephole", "parameters"),
    [
        ([256], "per_channel", 13_524_496),
        ([128, 128], "per_channel", 10_042_896),
        ([128, 64, 64], "per_channel", 7_585_296),
        ([256], "none", 13_522_960),
        ([128, 128], "none", 10_041_360),
        ([128, 64, 64], "none", 7_583_760),
    ],
)
def test_parameters_of_shi_2015(filters: list[int], peephole: Any, parameters: int) -> None:
    """Encoder and forecaster of 5 × 5 cells on 16 × 16 × 16; the forecaster's first layer reads nothing, all its
    outputs go through one 1 × 1 convolution to 16 channels.
    """
    x = (10, 16, 16)
    encoder = list(zip([16, *filters], filters, strict=False))
    deepest = filters[-1]
    forecaster = list(zip(filters[:0:-1], filters[-2::-1], strict=False))
    first = ConvLSTM2D(filters=deepest, kernel_size=5, padding="same", peephole=peephole, use_input=False)
    total = sum(weight.size for weight in first.weights((*x, deepest)))
    for channels, width in [*encoder, *forecaster]:
        layer = ConvLSTM2D(filters=width, kernel_size=5, padding="same", peephole=peephole)
        total += sum(weight.size for weight in layer.weights((*x, channels)))
    assert total + sum(filters) * 16 + 16 == parameters


def test_parameters_of_a_conv_gru_of_shi_2017() -> None:
    """i2h 3 × 3 and h2h 5 × 5, each with a bias: 64 → 192, as in the second encoder of the published 13,648,297."""
    layer = ConvGRU2D(filters=192, kernel_size=3, padding="same", recurrent_kernel_size=5, activation="leaky_relu")
    expected = 9 * 192 * 576 + 576 + 25 * 192 * 576 + 576
    assert sum(weight.size for weight in layer.weights((5, 32, 32, 192))) == expected


def test_what_is_refused() -> None:
    assert argument_error(ConvLSTM2D, filters=1, kernel_size=3, peephole="pixel") == (
        "peephole",
        'expected none, per_pixel or per_channel, got "pixel"; did you mean "per_pixel"?',
    )
    assert argument_error(ConvLSTM2D, filters=1, kernel_size=3, peephole_regularizer="l2") == (
        "peephole_regularizer",
        "expected peephole to be per_pixel or per_channel where peephole_regularizer is written",
    )
    assert argument_error(ConvLSTM2D, filters=1, kernel_size=3, normalization="batch") == (
        "normalization",
        'expected none or layer, got "batch"',
    )
    assert argument_error(ConvGRU2D, filters=1, kernel_size=3, forget_bias=1)[0] == "forget_bias"
