"""The parts of a tensor as Keras layers: one operation for all of them, saved, loaded and imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import SpecError, build_graph, build_model
from specbuild.model.backend import keras
from specbuild.model.importing import import_model
from specbuild.model.layers import LAYERS
from specbuild.model.layers.plumbing import Split

X = np.random.default_rng(0).random((2, 4, 6, 8), "float32")


@pytest.mark.parametrize(("parts", "axis"), [(2, -1), (4, 1), (3, 2), ([1, 5, 2], 3), ([6], -2), ([1, 3], -3)])
def test_numbers(parts: Any, axis: int) -> None:
    cuts = parts if isinstance(parts, int) else np.cumsum(parts)[:-1]
    expected = np.split(X, cuts, axis=axis)
    split = Split(parts, axis)
    for open_axes in (False, True):
        x = keras.Input((None,) * 3 if open_axes else X.shape[1:])
        outputs = keras.Model(x, split(x)).predict(X, verbose=0)
        for part, other in zip(outputs if isinstance(outputs, list) else [outputs], expected, strict=True):
            np.testing.assert_array_equal(part, other)
        for index, other in enumerate(expected):
            one = LAYERS["SplitPart"](parts=parts, index=index, axis=axis)
            np.testing.assert_array_equal(keras.Model(x, one(x)).predict(X, verbose=0), other)
    with pytest.raises(ValueError, match="split "):
        Split(parts, axis)(np.zeros((2, 5, 5, 5)))


SPEC = """\
specbuild: 1
inputs: {x: [4, 6, 8], y: [null, 4]}
layers:
  - {id: conv, layer: Conv2D, filters: 12, kernel_size: 3, padding: same, from: x}
  - {id: gates, split: [i, f, g]}
  - {split: {a: 3, b: 9}, from: conv}
  - {id: alone, layer: SplitPart, parts: 2, index: 1, axis: 1, from: x}
  - {id: late, split: [early, late], axis: 1, from: y}
  - {id: c, equation: "sigmoid(gates.i) * gates.f"}
outputs: {gate: gates.f, c: c, b: b, alone: alone, early: late.early, late: late.late}
"""


def test_in_a_spec_saved_loaded_and_imported(tmp_path: Path) -> None:
    model = build_model(SPEC)
    assert {layer.name: type(layer).__name__ for layer in model.layers if type(layer).__name__.startswith("Split")} == {
        "gates_i": "Split",
        "b": "SplitPart",
        "alone": "SplitPart",
        "late_early": "Split",
    }
    inputs = [X, np.random.default_rng(1).random((2, 6, 4), "float32")]
    expected = model.predict(inputs, verbose=0)
    np.testing.assert_array_equal(expected["early"], inputs[1][:, :3])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").predict(inputs, verbose=0)
    text = import_model(tmp_path / "model.keras").text
    again = build_model(text)
    again.load_weights(tmp_path / "model.keras")
    imported = again.predict(inputs, verbose=0)
    for name, output in expected.items():
        np.testing.assert_array_equal(loaded[name], output)
        np.testing.assert_array_equal(imported[name], output)
    assert {node.id for node in build_graph(text).nodes} == {node.id for node in build_graph(SPEC).nodes}


def test_the_gradient_is_that_of_the_whole() -> None:
    model = build_model(
        "specbuild: 1\ninputs: {x: [8]}\nlayers:\n"
        "  - {layer: Dense, units: 6, use_bias: false, kernel_initializer: ones}\n"
        "  - {id: p, split: [a, b, c]}\n"
        "  - {equation: p.a * 2 - p.c}\n"
    )
    model.compile(keras.optimizers.SGD(1.0), "mean_absolute_error")
    x = X[:, 0, 0]
    model.fit(x, np.full((2, 2), -100.0), batch_size=2, verbose=0)
    step = 1 - model.get_weights()[0]
    expected = np.outer(x.mean(0), [1, 1, 0, 0, -0.5, -0.5])
    np.testing.assert_allclose(step, expected, rtol=1e-5, atol=1e-6)


def test_precision() -> None:
    model = build_model(SPEC, precision="mixed_bfloat16")
    assert {str(output.dtype) for output in model.outputs} == {"float32"}
    text = "specbuild: 1\ninputs: {x: [8]}\nlayers: [{split: [a, b]}, {id: c, equation: a * b}]\n"
    model = build_model(text, precision="mixed_bfloat16")
    assert model.get_layer("a").compute_dtype == "bfloat16"
    whole = "specbuild: 1\ninputs: {x: {shape: [8], dtype: int32}}\nlayers: [{split: [a, b]}]\noutputs: [a, b]\n"
    assert [output.dtype for output in build_model(whole).outputs] == ["int32", "int32"]


def test_the_split_of_keras_is_imported(tmp_path: Path) -> None:
    x = keras.Input((6, 8))
    a, _, b, c = keras.ops.split(x, 4, axis=-1)
    d, e = keras.ops.split(x, [3], axis=2)
    model = keras.Model(x, keras.layers.Concatenate()([a, b, c, d, e]))
    model.save(tmp_path / "model.keras")
    again = build_model(import_model(tmp_path / "model.keras").text)
    np.testing.assert_array_equal(again.predict(X[:, 0], verbose=0), model.predict(X[:, 0], verbose=0))


@pytest.mark.parametrize("change", ['"parts": 0', '"parts": "x"', '"parts": 1000000000', '"axis": "y"'])
def test_a_damaged_configuration_of_a_split_is_refused(change: str, tmp_path: Path) -> None:
    text = build_model("specbuild: 1\ninputs: {x: [8]}\nlayers: [{split: [a, b]}]\noutputs: [a, b]\n").to_json()
    key = change.split(":")[0]
    old = {'"parts"': '"parts": 2', '"axis"': '"axis": -1'}[key]
    assert old in text
    path = tmp_path / "model.json"
    path.write_text(text.replace(old, change), "utf-8")
    with pytest.raises(SpecError, match="does not say how it cuts its input"):
        import_model(path)
