"""Our ConvGRU against its equations, against Keras's GRU on frames of one pixel, and saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild.model.backend import keras
from specbuild.model.layers import ConvGRU1D, ConvGRU2D, ConvGRU3D
from tests.backends import not_on_jax, passes_on_jax
from tests.model import reference
from tests.model.recurrences import EXACT, NEAR, NEAR_SLOPE, clip, filled, gradients, numbers, numerical
from tests.model.saving import saved_and_loaded

SHAPE = (2, 3, 5, 4, 2)  # (N, T, H, W, C)
OPTIONS: dict[str, dict[str, Any]] = {
    "reset after": {},
    "reset before": {"reset_after": False},
    "normalized": {"normalization": "layer"},
    "normalized, reset before": {"normalization": "layer", "reset_after": False, "recurrent_kernel_size": [2, 3]},
    "no bias": {"use_bias": False, "recurrent_kernel_size": 5},
}


@pytest.mark.parametrize("arguments", OPTIONS.values(), ids=OPTIONS)
def test_outputs_and_gradients_are_those_of_the_equations(arguments: dict[str, Any]) -> None:
    layer = ConvGRU2D(3, 3, padding="same", return_sequences=True, dtype=EXACT, **arguments)
    weights, x = filled(layer, SHAPE), clip(*SHAPE)
    after = arguments.get("reset_after", True)
    np.testing.assert_allclose(numbers(layer(x)), reference.conv_gru(x, weights, after), rtol=NEAR, atol=NEAR)

    found, rng = gradients(layer, x), np.random.default_rng(3)
    assert found.keys() == weights.keys()
    for name, gradient in found.items():
        direction = rng.normal(size=gradient.shape)
        expected = numerical(lambda w: float(np.mean(reference.conv_gru(x, w, after) ** 2)), weights, name, direction)
        assert np.sum(gradient * direction) == pytest.approx(expected, rel=NEAR_SLOPE, abs=NEAR), name


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("kind", [ConvGRU1D, ConvGRU2D, ConvGRU3D])
def test_on_frames_of_one_pixel_it_is_the_gru_of_keras(kind: Any, after: bool) -> None:
    arguments = {"return_sequences": True, "reset_after": after, "dropout": 0.3, "recurrent_dropout": 0.2, "seed": 5}
    gru = keras.layers.GRU(3, use_cudnn=False, **arguments)
    layer = kind(3, 1, **arguments)
    x = clip(2, 4, 2)
    frames = x.reshape(2, 4, *[1] * layer.rank, 2)
    gru.build(x.shape)
    rng = np.random.default_rng(2)
    gru.set_weights([rng.normal(size=weight.shape) for weight in gru.weights])
    layer.build(frames.shape)
    layer.set_weights([one.reshape(mine.shape) for one, mine in zip(gru.get_weights(), layer.weights, strict=True)])
    np.testing.assert_allclose(numbers(layer(frames)).reshape(2, 4, 3), numbers(gru(x)), atol=1e-6)


def test_what_the_gates_start_with() -> None:
    def first(**arguments: Any) -> np.ndarray:
        layer = ConvGRU2D(2, 3, **arguments)
        layer.build(SHAPE)
        return numbers(layer.weights[-1])

    ones = [1, 1, 1, 1, 0, 0]
    np.testing.assert_array_equal(first(), np.zeros((2, 6)))
    np.testing.assert_array_equal(first(reset_after=False), ones)
    np.testing.assert_array_equal(first(reset_after=False, unit_gate_bias=False), np.zeros(6))
    np.testing.assert_array_equal(first(unit_gate_bias=True), [ones, np.zeros(6)])
    np.testing.assert_array_equal(first(reset_after=False, normalization="layer"), np.zeros((3, 2)))
    np.testing.assert_array_equal(first(normalization="layer", unit_gate_bias=True), [[1, 1], [1, 1], [0, 0]])


@pytest.mark.parametrize("after", [True, False])
def test_gates_and_candidate_do_not_see_a_state_that_is_dropped_whole(after: bool) -> None:
    layer = ConvGRU2D(3, 3, return_sequences=True, reset_after=after, recurrent_dropout=1 - 1e-9, use_bias=False)
    x = np.repeat(clip(2, 1, 5, 4, 2), 3, axis=1)
    filled(layer, x.shape)
    outputs = numbers(layer(x, training=True))
    z, _, g = np.split(numbers(layer.cell.project(keras.ops.cast(x[:, 0], "float32"))), 3, -1)
    z, h = reference.sigmoid(z), np.zeros_like(g)
    for step in range(3):
        h = z * h + (1 - z) * np.tanh(g)
        np.testing.assert_allclose(outputs[:, step], h, atol=1e-6)


@pytest.mark.parametrize("arguments", OPTIONS.values(), ids=OPTIONS)
def test_channels_first_is_the_same_with_its_axes_moved(arguments: dict[str, Any]) -> None:
    last = ConvGRU2D(3, 3, return_sequences=True, return_state=True, **arguments)
    first = ConvGRU2D.from_config({**last.get_config(), "data_format": "channels_first"})
    x = clip(*SHAPE)
    filled(last, SHAPE)
    first.build(np.moveaxis(x, -1, 2).shape)
    first.set_weights(last.get_weights())
    for one, other in zip(first(np.moveaxis(x, -1, 2)), last(x), strict=True):
        np.testing.assert_allclose(np.moveaxis(numbers(one), -3, -1), numbers(other), atol=1e-6)


def test_without_input_only_the_state_moves_on() -> None:
    """The top forecaster of Shi et al. 2017: h′ = z∘h + (1 − z)∘tanh(r∘(U∗h + b))."""
    layer = ConvGRU2D(3, 3, use_input=False, activation="leaky_relu", return_sequences=True)
    x, h = clip(*SHAPE), clip(2, 5, 4, 3, seed=9)
    assert list(filled(layer, SHAPE)) == ["recurrent_kernel", "bias"]
    outputs = numbers(layer(x, initial_state=h))
    np.testing.assert_array_equal(outputs, numbers(layer(x + 1, initial_state=h)))
    kernel, bias = (numbers(weight) for weight in layer.weights)
    for step in range(3):
        z, r, g = np.split(reference.convolve(h, kernel) + bias, 3, -1)
        g = reference.sigmoid(r) * g
        h = reference.sigmoid(z) * h + (1 - reference.sigmoid(z)) * np.where(g > 0, g, 0.2 * g)
        np.testing.assert_allclose(outputs[:, step], h, atol=1e-5)


def test_stateful_frame_by_frame_is_the_whole_sequence() -> None:
    whole = ConvGRU1D(3, 3, padding="same", return_sequences=True)
    x = clip(2, 4, 5, 2)
    filled(whole, x.shape)
    steps = ConvGRU1D(3, 3, padding="same", stateful=True)
    steps.build((2, 1, 5, 2))
    steps.set_weights(whole.get_weights())
    outputs = [numbers(steps(x[:, at : at + 1])) for at in range(4)]
    np.testing.assert_allclose(np.stack(outputs, 1), numbers(whole(x)), atol=1e-6)
    np.testing.assert_array_equal(numbers(steps.states[0]), outputs[-1])


def test_saved_and_loaded(tmp_path: Path) -> None:
    frames = keras.Input((3, 5, 4, 2))
    layer = ConvGRU2D(3, 3, reset_after=False, activation="leaky_relu", return_sequences=True, kernel_regularizer="l2")
    model = keras.Model(frames, keras.layers.Bidirectional(ConvGRU2D(2, 2, unit_gate_bias=True))(layer(frames)))
    again = saved_and_loaded(model, tmp_path)
    x = clip(*SHAPE)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.layers[1].get_config() == layer.get_config()


@not_on_jax
def test_on_jax() -> None:
    passes_on_jax(__file__, "-k", "equations or pixel or moved")
