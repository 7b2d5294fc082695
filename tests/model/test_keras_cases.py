"""What Keras tests of its own ConvLSTM, asked of ours; the numbers are what Keras's layer gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specbuild.model.backend import keras
from specbuild.model.layers import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from specbuild.model.layers.conv_lstm import ConvLSTMCell
from tests.model.recurrences import clip, numbers

KINDS = {1: ConvLSTM1D, 2: ConvLSTM2D, 3: ConvLSTM3D}
STOCK = {1: keras.layers.ConvLSTM1D, 2: keras.layers.ConvLSTM2D, 3: keras.layers.ConvLSTM3D}
USES: list[dict[str, Any]] = [
    {"padding": "same"},
    {"recurrent_dropout": 0.5},
    {"return_sequences": True},
]
CONSTANT: dict[str, Any] = {
    "kernel_initializer": keras.initializers.Constant(0.01),
    "recurrent_initializer": keras.initializers.Constant(0.02),
    "bias_initializer": keras.initializers.Constant(0.03),
}


@pytest.mark.parametrize("rank", KINDS)
@pytest.mark.parametrize("use", USES, ids=str)
def test_a_layer_among_layers(rank: int, use: dict[str, Any]) -> None:
    """Shapes before and after a call, weights, a copy made from its configuration, precision, a mask."""
    shape = (3, 2, *[6] * rank, 3)
    length = 6 if use.get("padding") == "same" else 4
    steps = (2,) if use.get("return_sequences") else ()
    expected = (3, *steps, *[length] * rank, 5)
    layer = KINDS[rank](5, 3, **use)
    assert layer.compute_output_shape(shape) == expected
    assert layer(keras.Input(batch_shape=shape)).shape == expected
    assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == (3, 0)
    x = clip(*shape).astype("float32")
    assert tuple(layer(x, training=True).shape) == expected

    again = KINDS[rank].from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build(shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(numbers(again(x)), numbers(layer(x)))
    half = KINDS[rank](5, 3, **use, dtype="mixed_bfloat16")
    assert keras.backend.standardize_dtype(half(x).dtype) == "bfloat16"
    assert {weight.dtype for weight in half.weights} == {"float32"}

    masked = numbers(layer(x, mask=np.array([[True, False]] * 3)))
    alone = numbers(layer(x[:, :1]))
    assert layer.supports_masking
    np.testing.assert_allclose(masked[:, :1] if steps else masked, alone, atol=1e-6)


@pytest.mark.parametrize("rank", KINDS)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_numbers_of_the_layer(rank: int, data_format: str) -> None:
    sequence = np.arange(2 * 3 * 4**rank * 5).reshape((2, 3, *[4] * rank, 5)).astype("float32") / 100
    expected = numbers(STOCK[rank](2, 3, **CONSTANT)(sequence))
    if data_format == "channels_first":
        sequence, expected = np.moveaxis(sequence, -1, 2), np.moveaxis(expected, -1, 1)
    found = KINDS[rank](2, 3, data_format=data_format, **CONSTANT)(sequence)
    np.testing.assert_allclose(numbers(found), expected, atol=1e-6)


def test_numbers_of_the_cell_and_of_a_layer_with_a_state() -> None:
    x = np.arange(2 * 5 * 5 * 3).reshape((2, 5, 5, 3)).astype("float32") / 100
    h, c = (np.arange(2 * 5 * 5 * 4).reshape((2, 5, 5, 4)).astype("float32") / scale for scale in (100, 50))
    arguments = {"filters": 4, "kernel_size": 3, "padding": "same", **CONSTANT}
    stock = STOCK[2](**arguments, return_state=True)
    expected = [numbers(one) for one in stock(np.stack([x, x / 2], 1), initial_state=[h, c])]
    cell = ConvLSTMCell(rank=2, **arguments)
    output, states = cell(x, [h, c])
    output, states = cell(x / 2, states)
    for one, other in zip([output, *states], expected, strict=True):
        np.testing.assert_allclose(numbers(one), other, atol=1e-6)
    found = KINDS[2](**arguments, return_state=True)(np.stack([x, x / 2], 1), initial_state=[h, c])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(numbers(one), other, atol=1e-6)


@pytest.mark.parametrize("rank", KINDS)
def test_strides_and_dilation_together_are_refused(rank: int) -> None:
    dilation = [1] * (rank - 1) + [3]
    with pytest.raises(ValueError, match=r"dilation_rate: expected 1, because strides is"):
        KINDS[rank](1, 1, strides=2, padding="same", dilation_rate=dilation)
    with pytest.raises(ValueError, match="not compatible"):
        STOCK[rank](1, 1, strides=2, padding="same", dilation_rate=dilation)


def test_arguments_are_attributes_as_in_keras() -> None:
    ours, theirs = ConvLSTM2D(4, [3, 5], dropout=0.1), keras.layers.ConvLSTM2D(4, [3, 5], dropout=0.1)
    names = [name for name, value in vars(type(theirs).__mro__[1]).items() if isinstance(value, property)]
    assert len(names) > 20
    for name in names:
        one, other = getattr(ours, name), getattr(theirs, name)
        assert one == other or type(one) is type(other), name
    with pytest.raises(AttributeError, match="ConvLSTM2D has no attribute 'filter'"):
        ours.filter  # noqa: B018


def test_a_frame_of_unknown_size_is_refused() -> None:
    for frames in ((None, 3, None, 4, 1), (None, 3, 4, 4, None)):
        for kind in (KINDS[2], STOCK[2]):
            with pytest.raises(ValueError, match=r"(?i)needs to know|static input shapes|should be defined"):
                kind(2, 3).build(frames)
