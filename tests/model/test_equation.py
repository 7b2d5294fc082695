"""Equations as Keras layers: compared with NumPy, in any precision, saved, loaded and imported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild import build_model
from specbuild.catalog.equation import ACTIVATIONS, FUNCTIONS
from specbuild.model.backend import keras
from specbuild.model.importing import import_model
from specbuild.model.layers import LAYERS

RANDOM = np.random.default_rng(0)
A, B = RANDOM.random((2, 2, 3, 4), "float32") + 0.5
C = RANDOM.random((2, 4), "float32")


def value(text: str, *inputs: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(LAYERS["Equation"](text)(list(inputs))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x1 + x2 * x1 - 2 / x2", A + B * A - 2 / B),
        ("x1 - x2 - 1", A - B - 1),
        ("1 - (x1 - x2)", 1 - (A - B)),
        ("-x1 ** 2 * 3", -(A**2) * 3),
        ("(-x1) ** 3 + x2 ** -0.5", (-A) ** 3 + B**-0.5),
        ("x1 ** (1 / 2) * (3 - 1) ** 2", A**0.5 * 4),
        ("maximum(x1, x2) - minimum(x1, 1)", np.maximum(A, B) - np.minimum(A, 1)),
        ("sqrt(square(x1)) + exp(log(x2)) + abs(-x1)", A + B + A),
        ("tanh(x1) / (1 + x2)", np.tanh(A) / (1 + B)),
    ],
)
def test_numbers(text: str, expected: np.ndarray) -> None:
    inputs = (A, B) if "x2" in text else (A,)
    np.testing.assert_allclose(value(text, *inputs), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_keras(name: str) -> None:
    expected = keras.ops.convert_to_numpy(keras.layers.Activation(name)(A - 1))
    np.testing.assert_allclose(value(f"{name}(x1 - 1)", A), expected, rtol=1e-6)
    assert FUNCTIONS[name] == 1


def test_an_input_with_fewer_axes_is_repeated() -> None:
    np.testing.assert_allclose(value("x1 * x2 + x2", A, C), A * C[:, None] + C[:, None], rtol=1e-6)


def test_whole_numbers_are_read_as_floats() -> None:
    assert value("x1 / 2", np.array([[1, 2]], "int32")).tolist() == [[0.5, 1.0]]
    layer = LAYERS["Equation"]("x1 + 1")
    assert layer([keras.Input((3,), dtype="int32")]).dtype == "float32"


@pytest.mark.parametrize("text", ["x1 * 0.5 + x2 ** 2", "1 - maximum(x1, 0) / x2", "gelu(x1) - exp(x2) * 2"])
def test_mixed_precision(text: str) -> None:
    layer = LAYERS["Equation"](text, dtype="mixed_bfloat16")
    output = layer([A, B])
    assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"
    symbolic = layer([keras.Input((3, 4)), keras.Input((3, 4))])
    assert (symbolic.dtype, symbolic.shape) == ("bfloat16", (None, 3, 4))


def test_masks_pass_as_through_merges() -> None:
    x = keras.Input((3, 2))
    masked = keras.layers.Masking()(x)
    whole = keras.Model(x, keras.layers.GlobalAveragePooling1D()(LAYERS["Equation"]("x1 * 2 + x2")([masked, masked])))
    frames = np.array([[[1, 1], [3, 3], [0, 0]]], "float32")
    np.testing.assert_allclose(whole.predict(frames, verbose=0), [[6, 6]])


SPEC = """\
specbuild: 1
inputs: {x: [null, 4], h: [3]}
layers:
  - {id: enc, layer: LSTM, units: 3, from: x}
  - {id: a, layer: Dense, units: 3, from: enc.last}
  - {id: b, equation: "sigmoid(a) * h + enc.last * 0.5"}
  - {id: with-hyphen, equation: b ** 2}
  - {id: c, layer: Equation, formula: x1 / (1 + x1), from: with-hyphen}
  - {id: d, equation: -2 * c}
  - {id: e, reuse: b, from: [h, a, enc.last]}
  - {equation: e * 0.25}
  - {layer: Dense, units: 2}
  - {id: end, layer: ReLU}
outputs: [b, c, d, e, end]
"""


def test_in_a_spec_saved_loaded_and_imported(tmp_path: Path) -> None:
    model = build_model(SPEC)
    inputs = [RANDOM.random((2, 5, 4), "float32"), RANDOM.random((2, 3), "float32")]
    expected = model.predict(inputs, verbose=0)
    model.save(tmp_path / "model.keras")
    for one, other in zip(
        keras.models.load_model(tmp_path / "model.keras").predict(inputs, verbose=0), expected, strict=True
    ):
        np.testing.assert_array_equal(one, other)
    text = import_model(tmp_path / "model.keras").text
    assert "{id: b, equation: sigmoid(a) * h + enc.last * 0.5}" in text
    assert "{id: with-hyphen, equation: b ** 2}" in text
    assert "- {equation: b_2 * 0.25}\n" in text
    again = build_model(text)
    again.load_weights(tmp_path / "model.keras")
    for one, other in zip(again.predict(inputs, verbose=0), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_in_mixed_precision() -> None:
    model = build_model(SPEC, precision="mixed_bfloat16")
    model.compile("adam", "mse")
    inputs = [RANDOM.random((2, 5, 4), "float32"), RANDOM.random((2, 3), "float32")]
    history = model.fit(inputs, [*[np.ones((2, 3))] * 4, np.ones((2, 2))], verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_a_value_for_each_sample_is_added_to_that_sample() -> None:
    """Also where there are as many samples as channels, for which Keras's own sum takes it for a bias."""
    text = "specbuild: 1\ninputs: {a: [1, 1, 2], b: [1, 1, 1]}\nlayers: [{equation: a / (a + b + 0.1)}]\n"
    a, b = RANDOM.random((2, 1, 1, 2), "float32"), RANDOM.random((2, 1, 1, 1), "float32")
    given = keras.ops.convert_to_numpy(build_model(text)([a, b]))
    np.testing.assert_allclose(given, a / (a + b + 0.1), rtol=1e-5)
    ports = [keras.Input(each.shape[1:]) for each in (a, b)]
    operations = keras.Model(ports, LAYERS["Equation"]("x1 + x2").call(ports))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(operations([a, b])), a + b, rtol=1e-5)
