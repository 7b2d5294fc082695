"""ST-LSTM, the recurrence of PredRNN: its equations, the way of its memory, and its published size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_graph, build_model
from specbuild.catalog.st_lstm import STLSTM2D as Kind
from specbuild.model.backend import jit_compile, keras
from specbuild.model.layers import STLSTM2D, conv_recurrent
from tests.backends import not_on_jax, passes_on_jax
from tests.model import reference
from tests.model.recurrences import EXACT, NEAR, NEAR_SLOPE, clip, filled, gradients, numbers, numerical
from tests.model.saving import saved_and_loaded

SHAPE = (2, 3, 4, 3, 2)  # (N, T, H, W, C)
OPTIONS: dict[str, dict[str, Any]] = {
    "three cells": {"filters": [2, 2, 2]},
    "no bias": {"filters": [2, 2], "use_bias": False, "forget_bias": 0.3},
    "an even kernel": {"filters": 3, "kernel_size": [2, 5]},
    "normalized": {"filters": [2, 2], "normalization": "layer"},
    "normalized per pixel": {"filters": [2, 2], "normalization": "layer_per_pixel"},
}


def made(filters: Any = (2, 2), kernel_size: Any = 3, **more: Any) -> Any:
    return STLSTM2D(filters, kernel_size, **{"return_sequences": True, "data_format": "channels_last", **more})


@pytest.mark.parametrize("arguments", OPTIONS.values(), ids=OPTIONS)
def test_outputs_and_gradients_are_those_of_the_equations(arguments: dict[str, Any]) -> None:
    layer = made(**arguments, dtype=EXACT)
    weights, x = filled(layer, SHAPE), clip(*SHAPE)
    constant = arguments.get("forget_bias", 1.0)
    np.testing.assert_allclose(numbers(layer(x)), reference.st_lstm(x, weights, constant)[0], rtol=NEAR, atol=NEAR)

    found, rng = gradients(layer, x), np.random.default_rng(3)
    assert found.keys() == weights.keys()
    for name, gradient in found.items():
        direction = rng.normal(size=gradient.shape)
        expected = numerical(
            lambda w: float(np.mean(reference.st_lstm(x, w, constant)[0] ** 2)), weights, name, direction
        )
        assert np.sum(gradient * direction) == pytest.approx(expected, rel=NEAR_SLOPE, abs=NEAR), name


def test_every_state_is_returned_and_taken_back() -> None:
    layer = made(return_state=True, dtype=EXACT)
    weights, x = filled(layer, SHAPE), clip(*SHAPE)
    output, *state = layer(x)
    _, expected = reference.st_lstm(x, weights)
    assert list(expected) == list(Kind(filters=[2, 2], kernel_size=3).state_names)
    for one, other in zip(state, expected.values(), strict=True):
        np.testing.assert_allclose(numbers(one), other, rtol=NEAR, atol=NEAR)
    _, *half = layer(x[:, :2])
    np.testing.assert_allclose(numbers(layer(x[:, 2:], initial_state=half)[0])[:, 0], numbers(output)[:, 2], atol=NEAR)


def test_the_memory_goes_up_the_stack_and_on_to_the_next_step() -> None:
    """Two cells are two layers of one cell, where each hands the other its m: up within a step, down to the next."""
    stack, low, high = made(return_state=True), made(2, return_state=True), made(2, return_state=True)
    weights = filled(stack, SHAPE)
    for number, layer in ((1, low), (2, high)):
        layer.build((2, 1, 4, 3, 2))
        for weight in layer.weights:
            weight.assign(weights[f"{weight.name[:-2]}_{number}"])
    x, nothing = clip(*SHAPE), np.zeros((2, 4, 3, 2))
    h1 = c1 = h2 = c2 = m = nothing
    for step in range(SHAPE[1]):
        below, h1, c1, m = low(x[:, step : step + 1], initial_state=[h1, c1, m])
        above, h2, c2, m = high(below, initial_state=[h2, c2, m])
        np.testing.assert_allclose(numbers(above)[:, 0], numbers(stack(x)[0])[:, step], atol=1e-6)
    for one, other in zip((h1, c1, h2, c2, m), stack(x)[1:], strict=True):
        np.testing.assert_allclose(numbers(one), numbers(other), atol=1e-6)


@pytest.mark.parametrize("normalization", ["none", "layer_per_pixel"])
def test_channels_first_runs_everywhere(normalization: str) -> None:
    last = made([3, 3], normalization=normalization, return_state=True)
    first = STLSTM2D.from_config({**last.get_config(), "data_format": "channels_first"})
    x = clip(*SHAPE)
    filled(last, SHAPE)
    first.build(np.moveaxis(x, -1, 2).shape)
    first.set_weights(last.get_weights())
    state = [clip(2, 4, 3, 3, seed=seed) for seed in range(5)]
    found = first(np.moveaxis(x, -1, 2), initial_state=[np.moveaxis(one, -1, 1) for one in state])
    for one, other in zip(found, last(x, initial_state=state), strict=True):
        np.testing.assert_allclose(np.moveaxis(numbers(one), -3, -1), numbers(other), atol=1e-6)
    assert [tuple(one.shape) for one in found] == list(first.compute_output_shape((2, 3, 2, 4, 3)))


def test_frame_by_frame_a_stateful_layer_gives_the_whole_sequence() -> None:
    whole, steps = made(), made(return_sequences=False, stateful=True)
    filled(whole, SHAPE)
    filled(steps, (2, 1, *SHAPE[2:]))
    x = clip(*SHAPE)
    for _ in range(2):
        outputs = [numbers(steps(x[:, at : at + 1])) for at in range(SHAPE[1])]
        np.testing.assert_allclose(np.stack(outputs, 1), numbers(whole(x)), atol=1e-6)
        steps.reset_state()


def test_a_sequence_read_from_its_end() -> None:
    forward, backward = made(), made(go_backwards=True)
    filled(forward, SHAPE)
    filled(backward, SHAPE)
    x = clip(*SHAPE)
    np.testing.assert_allclose(numbers(backward(x)), numbers(forward(x[:, ::-1])), atol=1e-6)


def test_a_long_sequence_of_large_frames_is_convolved_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = made()
    filled(layer, SHAPE)
    expected = numbers(layer(clip(*SHAPE)))
    monkeypatch.setattr(conv_recurrent, "LARGEST_PROJECTION", 3 * 4 * 3 * 7 * 2 - 1)
    assert not layer._fits(3, SHAPE[2:])
    np.testing.assert_allclose(numbers(layer(clip(*SHAPE))), expected, atol=1e-6)


def test_masked_steps_are_passed_over() -> None:
    layer = made()
    filled(layer, SHAPE)
    x = clip(*SHAPE)
    masked = numbers(layer(x, mask=np.array([[True, False, True]] * 2)))
    np.testing.assert_allclose(masked[:, 2], numbers(layer(x[:, [0, 2]]))[:, 1], atol=1e-6)


def test_an_open_number_of_steps() -> None:
    frames = keras.Input((None, *SHAPE[2:]))
    layer = made()
    model = keras.Model(frames, layer(frames))
    for steps in (1, 4):
        x = clip(2, steps, *SHAPE[2:])
        np.testing.assert_allclose(model.predict(x, verbose=0), numbers(layer(x)), atol=1e-6)


def test_half_precision_stays_near() -> None:
    full, half = made(normalization="layer"), made(normalization="layer", dtype="mixed_bfloat16")
    filled(full, SHAPE)
    filled(half, SHAPE)
    y = half(clip(*SHAPE))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    np.testing.assert_allclose(numbers(keras.ops.cast(y, "float32")), numbers(full(clip(*SHAPE))), atol=0.05)


def test_constant_frames_leave_gradients_finite() -> None:
    layer = made(normalization="layer")
    x = np.zeros((1, 4, 4, 3, 2), "float32")
    layer.build(x.shape)
    assert all(np.isfinite(gradient).all() for gradient in gradients(layer, x, clip(1, 4, 4, 3, 2)).values())


def test_penalties() -> None:
    names = ("kernel", "recurrent", "bias", "activity")
    layer = made(**{f"{name}_regularizer": "l2" for name in names}, recurrent_constraint="non_neg")
    layer.build(SHAPE)
    assert len(layer.losses) == 2 * (1 + 4 + 1)
    layer(clip(*SHAPE))
    assert len(layer.losses) == 2 * (1 + 4 + 1) + 1


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"filters: expected the same number for every cell, .* got \[2, 3\]"):
        STLSTM2D([2, 3], 3)
    with pytest.raises(ValueError, match='normalization: expected none, layer or layer_per_pixel, got "batch"'):
        STLSTM2D(2, 3, normalization="batch")
    with pytest.raises(ValueError, match="STLSTM2D needs to know the height of its frames"):
        STLSTM2D(2, 3).build((None, 3, None, 4, 1))


SPEC: dict[str, Any] = {
    "specbuild": 1,
    "inputs": {"x": [3, 4, 3, 2]},
    "layers": [
        {"id": "enc", "layer": "STLSTM2D", "filters": [2, 2], "kernel_size": 3},
        {"layer": "RepeatFrame", "from": "enc.last", "times": 2},
        {
            "id": "dec",
            "layer": "STLSTM2D",
            "filters": 2,
            "kernel_size": 3,
            "return_sequences": True,
            "initial_state": {"h1": "enc.state.h2", "c1": "enc.state.c2", "m": "enc.state.m"},
        },
    ],
}


def test_a_spec_with_passed_states_saved_and_loaded(tmp_path: Path) -> None:
    graph, model = build_graph(SPEC), build_model(SPEC)
    assert model.count_params() == sum(node.parameters for node in graph.nodes)
    assert graph.nodes[0].shapes["state.m"] == (4, 3, 2)
    x = clip(*SHAPE)
    loaded = saved_and_loaded(model, tmp_path)
    np.testing.assert_allclose(numbers(loaded(x)), numbers(model(x)), atol=1e-6)


def test_it_learns() -> None:
    frames = keras.Input(SHAPE[1:])
    model = keras.Model(frames, made(use_bias=False)(frames))
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=jit_compile())
    x, y = clip(*SHAPE), 0.1 * clip(*SHAPE, seed=1)
    losses = [float(model.train_on_batch(x, y)) for _ in range(3)]
    assert losses == sorted(losses, reverse=True)


def test_parameters_of_predrnn() -> None:
    """Four cells of 128 filters 5 × 5 on frames of 64 × 64 in patches of 4 × 4, and a head of 1 × 1, without biases."""
    x = (10, 16, 16, 16)
    kind = Kind(filters=[128, 128, 128, 128], kernel_size=5, use_bias=False)
    head = 128 * 16
    assert sum(weight.size for weight in kind.weights(x)) + head == 23_838_720
    layer = made([128] * 4, 5, use_bias=False, kernel_initializer="zeros", recurrent_initializer="zeros")
    layer.build((None, *x))
    assert layer.count_params() + head == 23_838_720


@not_on_jax
def test_on_jax() -> None:
    """This cell and TrajGRU, in one process."""
    names = "taken_back or warping or its_paths"
    other = Path(__file__).with_name("test_traj_gru.py")
    passes_on_jax(__file__, other, "-k", names)
