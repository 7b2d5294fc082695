"""Our ConvLSTM: Keras's where options coincide, the equations where they do not, and what a layer has to survive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild.model.backend import keras, unrolls
from specbuild.model.layers import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, conv_recurrent
from tests.backends import not_on_jax, passes_on_jax
from tests.model import reference
from tests.model.recurrences import EXACT, NEAR, NEAR_SLOPE, clip, filled, gradients, numbers, numerical

ROOT = Path(__file__).parents[2]
STATEFUL = str(Path(__file__).with_name("test_conv_stateful.py"))
SHAPE = (2, 3, 5, 4, 2)  # (N, T, H, W, C)
PLAIN: dict[str, dict[str, Any]] = {
    "plain": {},
    "strides": {"strides": 2, "padding": "same"},
    "dilation": {"dilation_rate": [2, 1]},
    "no bias, backwards": {"use_bias": False, "go_backwards": True, "return_sequences": True},
    "every output": {"padding": "same", "return_sequences": True, "return_state": True},
    "activations": {"activation": "softsign", "recurrent_activation": "hard_sigmoid"},
    "dropout": {"dropout": 0.4, "recurrent_dropout": 0.3, "seed": 7, "padding": "same"},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "per pixel": {"peephole": "per_pixel"},
    "per channel": {"peephole": "per_channel", "forget_bias": 0.7},
    "normalized": {"normalization": "layer"},
    "normalized with peepholes": {"normalization": "layer", "peephole": "per_pixel", "forget_bias": 1.0},
    "a wider recurrent kernel": {"recurrent_kernel_size": [2, 5]},
    "without input": {"use_input": False, "peephole": "per_channel"},
}


@pytest.mark.parametrize("arguments", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("training", [False, True])
def test_without_options_it_is_that_of_keras(arguments: dict[str, Any], training: bool) -> None:
    theirs, ours = keras.layers.ConvLSTM2D(3, [3, 2], **arguments), ConvLSTM2D(3, [3, 2], **arguments)
    theirs.build(SHAPE)
    ours.build(SHAPE)
    assert [weight.path.partition("/")[2] for weight in ours.weights] == [
        weight.path.partition("/")[2] for weight in theirs.weights
    ]
    ours.set_weights(theirs.get_weights())
    x = clip(*SHAPE)
    expected = keras.tree.flatten(theirs(x, training=training))
    for one, other in zip(keras.tree.flatten(ours(x, training=training)), expected, strict=True):
        np.testing.assert_allclose(numbers(one), numbers(other), atol=1e-6)


@pytest.mark.parametrize(("ours", "theirs", "shape"), [
    (ConvLSTM1D, keras.layers.ConvLSTM1D, (2, 3, 6, 2)),
    (ConvLSTM3D, keras.layers.ConvLSTM3D, (2, 3, 4, 3, 4, 2)),
])  # fmt: skip
def test_one_and_three_axes(ours: Any, theirs: Any, shape: tuple[int, ...]) -> None:
    layer, other = ours(2, 2, return_sequences=True), theirs(2, 2, return_sequences=True)
    other.build(shape)
    layer.build(shape)
    layer.set_weights(other.get_weights())
    np.testing.assert_allclose(numbers(layer(clip(*shape))), numbers(other(clip(*shape))), atol=1e-6)


def test_first_weights_are_those_of_keras() -> None:
    for arguments in ({}, {"unit_forget_bias": False}, {"bias_initializer": "ones", "unit_forget_bias": False}):
        ours, theirs = ConvLSTM2D(2, 3, **arguments), keras.layers.ConvLSTM2D(2, 3, **arguments)
        ours.build(SHAPE)
        theirs.build(SHAPE)
        np.testing.assert_array_equal(numbers(ours.weights[2]), numbers(theirs.weights[2]))


@pytest.mark.parametrize("arguments", [{}, {"padding": "same", "strides": 2, "go_backwards": True}], ids=str)
def test_gradients_are_those_of_keras(arguments: dict[str, Any]) -> None:
    ours, theirs = (
        kind(2, 3, return_sequences=True, dtype=EXACT, **arguments) for kind in (ConvLSTM2D, keras.layers.ConvLSTM2D)
    )
    filled(ours, SHAPE)
    filled(theirs, SHAPE)
    expected = gradients(theirs, clip(*SHAPE))
    for name, gradient in gradients(ours, clip(*SHAPE)).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=NEAR, atol=NEAR)


@pytest.mark.parametrize("arguments", OPTIONS.values(), ids=OPTIONS)
def test_outputs_and_gradients_are_those_of_the_equations(arguments: dict[str, Any]) -> None:
    layer = ConvLSTM2D(3, 3, padding="same", return_sequences=True, dtype=EXACT, **arguments)
    weights, x = filled(layer, SHAPE), clip(*SHAPE)
    constant = arguments.get("forget_bias", 0.0)
    np.testing.assert_allclose(numbers(layer(x)), reference.conv_lstm(x, weights, constant), rtol=NEAR, atol=NEAR)

    found, rng = gradients(layer, x), np.random.default_rng(3)
    assert found.keys() == weights.keys()
    for name, gradient in found.items():
        direction = rng.normal(size=gradient.shape)
        expected = numerical(
            lambda w: float(np.mean(reference.conv_lstm(x, w, constant) ** 2)), weights, name, direction
        )
        assert np.sum(gradient * direction) == pytest.approx(expected, rel=NEAR_SLOPE, abs=NEAR), name


def test_what_the_forget_gate_starts_with() -> None:
    def first(**arguments: Any) -> np.ndarray:
        layer = ConvLSTM2D(2, 3, **arguments)
        layer.build(SHAPE)
        return numbers(layer.weights[-1])

    np.testing.assert_array_equal(first(), [0, 0, 1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(first(forget_bias=0.5), np.zeros(8))
    np.testing.assert_array_equal(first(normalization="layer"), [[0, 0], [1, 1], [0, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(first(normalization="layer", forget_bias=1.0), np.zeros((5, 2)))
    np.testing.assert_array_equal(first(normalization="layer", use_bias=False), np.ones((5, 2)))
    np.testing.assert_array_equal(first(peephole="per_channel"), np.zeros(6))


def test_constant_frames_leave_gradients_finite() -> None:
    """Frames without rain: layer normalization of zeros, whose exact gradient overflows within a few steps."""
    layer = ConvLSTM2D(2, 3, padding="same", normalization="layer", return_sequences=True)
    x = np.zeros((1, 20, 5, 4, 2), "float32")
    layer.build(x.shape)
    assert all(np.isfinite(gradient).all() for gradient in gradients(layer, x, clip(1, 20, 5, 4, 2)).values())
    np.testing.assert_array_equal(numbers(layer(x)), np.zeros((1, 20, 5, 4, 2)))


@pytest.mark.parametrize("arguments", OPTIONS.values(), ids=OPTIONS)
def test_channels_first_runs_everywhere(arguments: dict[str, Any]) -> None:
    last = ConvLSTM2D(3, 3, padding="same", return_sequences=True, return_state=True, **arguments)
    first = ConvLSTM2D.from_config({**last.get_config(), "data_format": "channels_first"})
    x = clip(*SHAPE)
    filled(last, SHAPE)
    first.build(np.moveaxis(x, -1, 2).shape)
    first.set_weights(last.get_weights())
    state = [clip(2, 5, 4, 3, seed=seed) for seed in (5, 6)]
    given = [np.moveaxis(one, -1, 1) for one in state]
    expected = last(x, initial_state=state)
    found = first(np.moveaxis(x, -1, 2), initial_state=given)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.moveaxis(numbers(one), -3, -1), numbers(other), atol=1e-6)
    assert [tuple(one.shape) for one in found] == list(first.compute_output_shape((2, 3, 2, 5, 4)))


def test_a_long_sequence_of_large_frames_is_convolved_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ConvLSTM2D(3, 3, return_sequences=True, dropout=0.4, recurrent_dropout=0.2, seed=4)
    again = ConvLSTM2D.from_config(layer.get_config())
    filled(layer, SHAPE)
    filled(again, SHAPE)
    expected = numbers(layer(clip(*SHAPE), training=True))
    monkeypatch.setattr(conv_recurrent, "LARGEST_PROJECTION", 3 * 3 * 2 * 12 * 3 - 1)
    np.testing.assert_allclose(numbers(again(clip(*SHAPE), training=True)), expected, atol=1e-6)
    monkeypatch.setattr(conv_recurrent, "LARGEST_PROJECTION", 3 * 3 * 2 * 12 * 3)
    assert layer._fits(3, SHAPE[2:]) is not unrolls(3)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_frame_by_frame_a_stateful_layer_gives_the_whole_sequence(data_format: str) -> None:
    arguments = {"padding": "same", "peephole": "per_pixel", "data_format": data_format}
    whole = ConvLSTM2D(3, 3, return_sequences=True, return_state=True, **arguments)
    x = clip(2, 4, 5, 5, 5)
    filled(whole, x.shape)
    expected, *state = whole(x)
    steps = ConvLSTM2D(3, 3, stateful=True, **arguments)
    steps.build((2, 1, 5, 5, 5))
    steps.set_weights(whole.get_weights())
    for _ in range(2):
        outputs = [numbers(steps(x[:, at : at + 1])) for at in range(4)]
        np.testing.assert_allclose(np.stack(outputs, 1), numbers(expected), atol=1e-6)
        for kept, returned in zip(steps.states, state, strict=True):
            np.testing.assert_allclose(numbers(kept), numbers(returned), atol=1e-6)
        assert not np.allclose(numbers(steps(x[:, :1])), outputs[0])
        steps.reset_state()


def test_the_cell_steps_on_raw_frames() -> None:
    layer = ConvLSTM2D(3, 3, return_sequences=True, peephole="per_channel", data_format="channels_first")
    x = clip(2, 3, 2, 5, 4)
    filled(layer, x.shape)
    states = layer.cell.get_initial_state(2)
    for step in range(3):
        h, states = layer.cell(x[:, step], states)
        np.testing.assert_allclose(numbers(h), numbers(layer(x)[:, step]), atol=1e-6)


def test_masked_steps_are_passed_over() -> None:
    layer = ConvLSTM2D(3, 3, return_sequences=True, peephole="per_channel")
    x = clip(*SHAPE)
    filled(layer, SHAPE)
    masked = numbers(layer(x, mask=np.array([[True, False, True]] * 2)))
    np.testing.assert_allclose(masked[:, 2], numbers(layer(x[:, [0, 2]]))[:, 1], atol=1e-6)


def test_penalties_and_limits() -> None:
    penalties = {f"{one}_regularizer": "l2" for one in ("kernel", "recurrent", "bias", "peephole")}
    layer = ConvLSTM2D(
        2, 3, peephole="per_channel", activity_regularizer="l2", peephole_constraint="non_neg", **penalties
    )
    layer.build(SHAPE)
    assert len(layer.losses) == 4
    layer(clip(*SHAPE))
    assert len(layer.losses) == 5
    assert layer.weights[-1].constraint is not None


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_stays_near(precision: str) -> None:
    arguments = {"padding": "same", "peephole": "per_pixel", "normalization": "layer", "return_sequences": True}
    full, half = ConvLSTM2D(3, 3, **arguments), ConvLSTM2D(3, 3, dtype=precision, **arguments)
    filled(full, SHAPE)
    filled(half, SHAPE)
    y = half(clip(*SHAPE))
    assert keras.backend.standardize_dtype(y.dtype) == precision.removeprefix("mixed_")
    np.testing.assert_allclose(numbers(keras.ops.cast(y, "float32")), numbers(full(clip(*SHAPE))), atol=0.05)


def test_an_open_number_of_steps() -> None:
    frames = keras.Input((None, 5, 4, 2))
    layer = ConvLSTM2D(3, 3, padding="same", peephole="per_pixel", return_sequences=True)
    model = keras.Model(frames, layer(frames))
    for steps in (1, 4):
        x = clip(2, steps, 5, 4, 2)
        np.testing.assert_allclose(model.predict(x, verbose=0), numbers(layer(x)), atol=1e-6)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match='peephole: expected none, per_pixel or per_channel, got "yes"'):
        ConvLSTM2D(2, 3, peephole="yes")
    with pytest.raises(ValueError, match=r"kernel_size: expected a positive whole number or a list of 2, got \[3\]"):
        ConvLSTM2D(2, [3])
    with pytest.raises(
        ValueError,
        match=r"dilation_rate: expected 1, because strides is 2 and ConvLSTM2D takes",
    ):
        ConvLSTM2D(2, 3, strides=2, dilation_rate=2)
    with pytest.raises(ValueError, match="ConvLSTM2D needs to know the height of its frames"):
        ConvLSTM2D(2, 3).build((None, 3, None, 4, 1))


SAVED = """\
import numpy as np
import sys
import specbuild.model.layers
from specbuild.model.backend import keras
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[2], model.predict(np.load(sys.argv[3]), verbose=0))
"""


def test_saved_and_loaded_in_another_process(tmp_path: Path) -> None:
    frames = keras.Input((3, 5, 4, 2))
    normalized = ConvLSTM2D(
        3, 3, padding="same", peephole="per_pixel", normalization="layer", return_sequences=True, forget_bias=1.0
    )
    second = ConvLSTM2D(2, 3, recurrent_kernel_size=5, data_format="channels_last", return_sequences=True)
    both = keras.layers.Bidirectional(second)
    model = keras.Model(frames, both(normalized(frames)))
    model.save(tmp_path / "model.keras")
    x = clip(*SHAPE)
    np.save(tmp_path / "x.npy", x)
    files = [str(tmp_path / name) for name in ("model.keras", "y.npy", "x.npy")]
    subprocess.run([sys.executable, "-c", SAVED, *files], check=True, capture_output=True, cwd=ROOT)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model.predict(x, verbose=0), atol=1e-6)


@pytest.mark.parametrize("back", [False, True], ids=["Keras to ours", "ours to Keras"])
@pytest.mark.parametrize("suffix", ["weights.h5", "keras"])
def test_a_file_of_weights_fits_both(back: bool, suffix: str, tmp_path: Path) -> None:
    kinds = [keras.layers.ConvLSTM2D, ConvLSTM2D]
    given, taken = (
        keras.Sequential([keras.Input(SHAPE[1:]), kind(3, 3, return_sequences=True), kind(2, 2)])
        for kind in (kinds[::-1] if back else kinds)
    )
    path = tmp_path / f"given.{suffix}"
    (given.save if suffix == "keras" else given.save_weights)(path)
    taken.load_weights(path)
    x = clip(*SHAPE)
    np.testing.assert_allclose(numbers(taken(x)), numbers(given(x)), atol=1e-6)


@not_on_jax
def test_on_jax() -> None:
    names = "output or equations or (first and peepholes) or frame_by_frame or open or bfloat16 or finite or masked"
    passes_on_jax(__file__, STATEFUL, "-k", names)
