"""Options that ConvLSTM and ConvGRU share, one by one: what each changes, and that nothing else does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specbuild.model.backend import keras
from specbuild.model.layers import ConvGRU1D, ConvGRU2D, ConvGRU3D, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from tests.model.recurrences import clip, filled, numbers

SHAPE = (2, 4, 6, 5, 2)  # (N, T, H, W, C)
BOTH = pytest.mark.parametrize("kind", [ConvLSTM2D, ConvGRU2D])
AXES = [(ConvLSTM1D, (9,)), (ConvLSTM3D, (5, 6, 4)), (ConvGRU1D, (9,)), (ConvGRU3D, (5, 6, 4))]


def made(kind: type[Any], shape: tuple[int, ...] = SHAPE, **arguments: Any) -> Any:
    layer = kind(3, 3, **{"padding": "same"} | arguments)
    filled(layer, shape)
    return layer


@BOTH
def test_backwards_is_the_sequence_reversed(kind: type[Any]) -> None:
    x = clip(*SHAPE)
    found = made(kind, go_backwards=True, return_sequences=True)(x)
    np.testing.assert_allclose(numbers(found), numbers(made(kind, return_sequences=True)(x[:, ::-1])), atol=1e-6)


@BOTH
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_returned_state_continues_the_sequence(kind: type[Any], data_format: str) -> None:
    x = clip(*SHAPE)
    x = x if data_format == "channels_last" else np.moveaxis(x, -1, 2)
    layer = made(kind, x.shape, return_sequences=True, return_state=True, data_format=data_format)
    whole, *end = layer(x)
    first, *state = layer(x[:, :3])
    second, *last = layer(x[:, 3:], initial_state=state)
    np.testing.assert_allclose(np.concatenate([numbers(first), numbers(second)], 1), numbers(whole), atol=1e-6)
    for one, other in zip(last, end, strict=True):
        np.testing.assert_allclose(numbers(one), numbers(other), atol=1e-6)
    np.testing.assert_array_equal(numbers(whole)[:, -1], numbers(end[0]))


@BOTH
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_strides_and_dilation_are_those_of_the_inputs_convolution(kind: type[Any], padding: str) -> None:
    """The first step starts from zero, so that all it sees of the frame is one convolution."""
    for arguments in ({"strides": [2, 3]}, {"dilation_rate": [1, 2]}):
        layer = made(kind, use_bias=False, padding=padding, **arguments)
        x = clip(*SHAPE)[:, :1]
        gates = keras.ops.conv(x[:, 0].astype("float32"), layer.weights[0], padding=padding, **arguments)
        np.testing.assert_allclose(numbers(layer.cell.project(x[:, 0].astype("float32"))), numbers(gates), atol=1e-5)
        assert layer(x).shape[1:3] == gates.shape[1:3]


@pytest.mark.parametrize(("kind", "space"), AXES)
def test_channels_first_on_one_and_three_axes(kind: type[Any], space: tuple[int, ...]) -> None:
    x = clip(2, 3, *space, 2)
    arguments = {"strides": 2, "recurrent_kernel_size": 2, "return_sequences": True}
    last = made(kind, x.shape, **arguments)
    moved = np.moveaxis(x, -1, 2)
    first = made(kind, moved.shape, data_format="channels_first", **arguments)
    np.testing.assert_allclose(np.moveaxis(numbers(first(moved)), 2, -1), numbers(last(x)), atol=1e-6)
    assert tuple(first(moved).shape) == first.compute_output_shape(moved.shape)


@BOTH
def test_penalties(kind: type[Any]) -> None:
    """Three losses after build, four after a call; each is that of its weight."""
    layer = kind(
        2, 3, kernel_regularizer="l1", recurrent_regularizer="l2", bias_regularizer="l1", activity_regularizer="l2"
    )
    filled(layer, SHAPE)
    kernel, recurrent, bias = (numbers(weight) for weight in layer.weights)
    expected = [0.01 * np.abs(kernel).sum(), 0.01 * (recurrent**2).sum(), 0.01 * np.abs(bias).sum()]
    np.testing.assert_allclose([float(loss) for loss in layer.losses], expected, rtol=1e-5)
    layer(clip(*SHAPE))
    assert len(layer.losses) == 4


@BOTH
def test_limits_hold_after_a_step_of_training(kind: type[Any]) -> None:
    limits = {f"{name}_constraint": "non_neg" for name in ("kernel", "recurrent", "bias")}
    model = keras.Sequential([keras.Input(SHAPE[1:]), kind(2, 3, **limits)])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    filled(model.layers[0], SHAPE)
    model.train_on_batch(clip(*SHAPE), clip(2, 4, 3, 2))
    assert all(numbers(weight).min() >= 0 for weight in model.layers[0].weights)


@BOTH
def test_dropout_is_the_same_in_all_steps_and_anew_for_every_sequence(kind: type[Any]) -> None:
    """With gates that never change, h (of ConvGRU) and c (of ConvLSTM) approach their end by the same factor."""
    layer = kind(3, 1, use_bias=False, dropout=0.5, return_state=True, return_sequences=True, seed=3)
    filled(layer, SHAPE)
    layer.weights[1].assign(np.zeros(layer.weights[1].shape))
    x = np.repeat(clip(*SHAPE)[:, :1], 4, axis=1)
    one, other = (numbers(layer(x[:, :1], training=True)[-1]) for _ in range(2))
    assert not np.allclose(one, other)
    first, second, third = (drawn_first(layer, x[:, :count]) for count in (1, 2, 3))
    np.testing.assert_allclose((third - second) * first, (second - first) ** 2, atol=1e-6)
    np.testing.assert_array_equal(numbers(layer(x)[-1]), numbers(layer(x, training=False)[-1]))


def drawn_first(layer: Any, x: np.ndarray) -> np.ndarray:
    """The last state that a layer of the same seed and weights gives with the first masks it draws."""
    again = type(layer).from_config(layer.get_config())
    again.build(x.shape)
    again.set_weights(layer.get_weights())
    return numbers(again(x, training=True)[-1])


@BOTH
@pytest.mark.parametrize("rate", [0.2, 0.7])
def test_how_much_is_dropped(kind: type[Any], rate: float) -> None:
    """Each gate drops its own share of inputs and states, and what is kept makes up for it."""
    cell = kind(2, 1, dropout=rate, recurrent_dropout=rate, seed=1).cell
    masks = [numbers(mask) for mask in cell.masks(keras.ops.ones((20, 30, 30, 2)), rate, True)]
    assert len(masks) == cell.entry.gates
    spread = 5 * np.sqrt(rate * (1 - rate) / masks[0].size)
    for mask in masks:
        assert np.mean(mask == 0) == pytest.approx(rate, abs=spread)
        np.testing.assert_allclose(np.unique(mask), [0, 1 / (1 - rate)], rtol=1e-6)
    both = np.mean((masks[0] == 0) & (masks[1] == 0))
    assert both == pytest.approx(rate**2, abs=2 * spread)
    assert cell.masks(keras.ops.ones((1, 2)), rate, False) is None
    assert cell.masks(keras.ops.ones((1, 2)), 0.0, True) is None


def test_dropout_spreads_outputs_as_keras_does() -> None:
    count = 400
    x = np.repeat(clip(1, 3, 6, 5, 2, seed=4), count, axis=0)
    outputs = []
    for kind, seed in ((ConvLSTM2D, 1), (keras.layers.ConvLSTM2D, 2)):
        layer = made(kind, x.shape, dropout=0.3, recurrent_dropout=0.4, seed=seed)
        outputs.append(numbers(layer(x, training=True)))
    one, other = outputs
    spread = other.std(axis=0)
    assert not np.allclose(one, other)
    np.testing.assert_array_less(np.abs(one.mean(axis=0) - other.mean(axis=0)), 6 * spread / np.sqrt(count))
    np.testing.assert_allclose(one.std(axis=0), spread, rtol=0.3)


@BOTH
@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
def test_a_rate_that_is_no_fraction_is_refused(kind: type[Any], name: str) -> None:
    for rate in (-0.1, 1.0, 1.7):
        with pytest.raises(ValueError, match=f"{name}: expected a fraction from 0 to below 1, got {rate}"):
            kind(2, 3, **{name: rate})


@BOTH
def test_statelike_flags_survive_a_copy(kind: type[Any]) -> None:
    layer = kind(2, 3, go_backwards=True, stateful=True, return_state=True, activity_regularizer="l2", seed=4)
    again = kind.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.go_backwards, again.stateful, again.return_state, again.seed) == (True, True, True, 4)
