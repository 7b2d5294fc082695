"""Zeros, learned weights for each position and samples of a learned distribution: numbers, saving, import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_graph, build_model
from specbuild.catalog import KINDS, Layer
from specbuild.model.backend import keras
from specbuild.model.importing import import_model
from specbuild.model.layers import LAYERS
from tests.backends import not_on_jax, passes_on_jax
from tests.catalog.refusals import shape_error
from tests.model.saving import saved_and_loaded

X = np.arange(2 * 3 * 4 * 6 * 2, dtype="float32").reshape(2, 3, 4, 6, 2)  # (N, T, H, W, C)


def test_zeros_like() -> None:
    np.testing.assert_array_equal(LAYERS["ZerosLike"]()(X), np.zeros_like(X))
    np.testing.assert_array_equal(LAYERS["ZerosLike"](filters=5)(X), np.zeros((2, 3, 4, 6, 5)))
    assert LAYERS["ZerosLike"]()(np.float32([np.nan])) == 0
    assert LAYERS["ZerosLike"](filters=3)(keras.Input((None, 4, 2), dtype="int32")).dtype == "int32"


def test_zeros_depend_on_no_input() -> None:
    text = "specbuild: 1\ninputs: {x: [4, 6, 6, 1]}\nlayers:\n  - {id: zeros, layer: ZerosLike, filters: 2}\n"
    text += "  - {id: both, layer: Concatenate, from: [zeros, x]}\n"
    from specbuild.graph.receptive_field import receptive_fields

    fields = receptive_fields(build_graph(text))
    assert fields["zeros"] == {}
    assert [extent.length for extent in fields["both"]["x"]] == [1, 1, 1, 1]


def test_zeros_start_a_recurrence() -> None:
    start = """\
specbuild: 1
inputs: {x: [3, 4, 4, 1]}
layers:
  - {id: first, layer: LastFrame}
  - {id: h, layer: ZerosLike, filters: 2}
  - {id: out, layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same, from: x, initial_state: {h: h, c: h}}
outputs: [out.last]
"""
    plain = start.replace(", initial_state: {h: h, c: h}", "")
    started, from_zero = build_model(start), build_model(plain)
    from_zero.set_weights(started.get_weights())
    x = np.random.default_rng(0).random((2, 3, 4, 4, 1), "float32")
    np.testing.assert_allclose(started.predict(x, verbose=0), from_zero.predict(x, verbose=0), atol=1e-6)


def test_a_weight_for_each_position() -> None:
    rng = np.random.default_rng(0)
    bias, scale = LAYERS["LocalBias"](shared_axes=1), LAYERS["LocalScale"](shared_axes=[1, -1])
    for layer, shape in [(bias, (1, 4, 6, 2)), (scale, (1, 4, 6, 1))]:
        layer.build(X.shape)
        layer.set_weights([rng.random(shape, "float32")])
    np.testing.assert_allclose(bias(X), X + bias.get_weights()[0], rtol=1e-6)
    np.testing.assert_allclose(scale(X), X * scale.get_weights()[0], rtol=1e-6)
    np.testing.assert_array_equal(LAYERS["LocalBias"]()(X), X)
    np.testing.assert_array_equal(LAYERS["LocalScale"]()(X), X)


def test_a_local_bias_learns_the_climate_of_each_place() -> None:
    climate = np.random.default_rng(0).random((1, 4, 4, 1), "float32")
    model = build_model("specbuild: 1\ninputs: {x: [4, 4, 1]}\nlayers: [{layer: LocalBias}]\n")
    model.compile(optimizer=keras.optimizers.SGD(4.0), loss="mse")
    x = np.zeros((8, 4, 4, 1), "float32")
    model.fit(x, np.repeat(climate, 8, axis=0), epochs=40, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], climate[0], atol=1e-4)


def test_objects_of_a_local_weight() -> None:
    text = """\
specbuild: 1
inputs: {x: [4, 4, 1]}
layers:
  - layer: LocalScale
    scale_initializer: {name: Constant, value: -2.0}
    scale_regularizer: {name: l2, l2: 0.5}
    scale_constraint: non_neg
"""
    model = build_model(text)
    layer = model.layers[-1]
    np.testing.assert_array_equal(layer.get_weights()[0], np.full((4, 4, 1), -2.0))
    assert float(layer.losses[0]) == 0.5 * 4 * 16
    assert float(layer.weight.constraint(np.float32(-1.0))) == 0


MEAN, LOG_VAR = np.full((4000, 3), 5, "float32"), np.full((4000, 3), 2 * np.log(3), "float32")


@pytest.mark.parametrize("training", [False, True])
def test_a_sample_has_the_mean_and_the_variance_that_it_reads(training: bool) -> None:
    sample = keras.ops.convert_to_numpy(LAYERS["GaussianSampling"](seed=1)([MEAN, LOG_VAR], training=training))
    assert abs(sample.mean() - 5) < 0.1
    assert abs(sample.std() - 3) < 0.1


def test_a_sample_is_drawn_anew_in_use_unless_it_is_deterministic_there() -> None:
    text = """\
specbuild: 1
inputs: {x: [3]}
layers:
  - {id: mean, layer: Dense, units: 2, from: x}
  - {id: log_var, layer: Dense, units: 2, from: x}
  - {id: z, layer: GaussianSampling, seed: 7, from: [mean, log_var]}
outputs: [z, mean]
"""
    x = np.ones((2, 3), "float32")
    drawn = build_model(text)
    first, second = drawn.predict(x, verbose=0)[0], drawn.predict(x, verbose=0)[0]
    assert not np.allclose(first, second)

    still = build_model(text.replace("seed: 7", "deterministic_in_use: true"))
    z, mean = still.predict(x, verbose=0)
    np.testing.assert_array_equal(z, mean)
    assert not np.allclose(still(x, training=True)[0], still(x, training=True)[1])


def test_gradients_pass_through_a_sample() -> None:
    text = """\
specbuild: 1
inputs: {x: [3]}
layers:
  - {id: mean, layer: Dense, units: 2, from: x}
  - {id: log_var, layer: Dense, units: 2, from: x}
  - {layer: GaussianSampling, seed: 7, from: [mean, log_var]}
"""
    model = build_model(text)
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"), verbose=0)
    assert all(not np.allclose(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_samples_inside_an_autoregressive_node() -> None:
    text = """\
specbuild: 1
inputs: {x: [3, 4]}
layers:
  - autoregressive:
      horizon: 3
      do:
        - {id: lstm, layer: LSTM, units: 4}
        - {id: log_var, time_distributed: {layer: Dense, units: 4}}
        - {layer: GaussianSampling, from: [lstm, log_var]}
"""
    model = build_model(text)
    model.compile("sgd", "mse")
    model.fit(np.ones((2, 3, 4), "float32"), np.ones((2, 3, 4), "float32"), verbose=0)
    assert model.predict(np.ones((2, 3, 4), "float32"), verbose=0).shape == (2, 3, 4)


SPEC = """\
specbuild: 1
inputs: {x: [null, 4, 4, 2]}
layers:
  - {id: bias, layer: LocalBias, shared_axes: 1, bias_regularizer: {name: l2, l2: 0.25}}
  - {id: scale, layer: LocalScale, shared_axes: [1, -1], scale_initializer: {name: RandomNormal, stddev: 0.5}}
  - {id: none, layer: ZerosLike, filters: 1}
  - {id: both, layer: Concatenate, from: [scale, none]}
  - {id: sample, layer: GaussianSampling, deterministic_in_use: true, seed: 3, from: [both, both]}
"""


def test_saved_loaded_and_imported(tmp_path: Path) -> None:
    graph, model = build_graph(SPEC), build_model(SPEC)
    assert graph.parameters == model.count_params() == 4 * 4 * 2 + 4 * 4
    x = np.random.default_rng(0).random((2, 3, 4, 4, 2), "float32")
    y = model.predict(x, verbose=0)
    np.testing.assert_array_equal(saved_and_loaded(model, tmp_path).predict(x, verbose=0), y)

    text = import_model(tmp_path / "model.keras").text
    again = build_model(text)
    again.load_weights(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), y)
    assert "bias_regularizer: {name: l2, l2: 0.25}" in text
    assert "scale_initializer: {name: random_normal, stddev: 0.5}" in text


def test_resolved() -> None:
    graph = build_graph(SPEC)
    again = build_graph(graph.spec.resolved())
    assert [(node.id, node.layer, node.shapes) for node in again.nodes] == [
        (node.id, node.layer, node.shapes) for node in graph.nodes
    ]


REFUSED: dict[str, tuple[Layer, tuple[Any, ...], str, str]] = {
    "unknown length": (
        KINDS["LocalBias"](),
        ((None, 8, 1),),
        "LocalBias needs to know the length of axis 1",
        "its input is ? × 8 × 1, and it has a weight for each value of a sample",
    ),
    "batch axis": (
        KINDS["LocalScale"](shared_axes=[0, 1]),
        ((4, 8, 1),),
        "LocalScale cannot share along axis 0, which is the batch axis",
        "its input is 4 × 8 × 1: its axes are 1 to 3, or -3 to -1",
    ),
    "no such axis": (
        KINDS["LocalScale"](shared_axes=4),
        ((4, 8, 1),),
        "LocalScale cannot share along axis 4, which does not exist",
        "its input is 4 × 8 × 1: its axes are 1 to 3, or -3 to -1",
    ),
    "axis twice": (
        KINDS["LocalScale"](shared_axes=[1, -3]),
        ((4, 8, 1),),
        "LocalScale names an axis twice",
        "shared_axes is [1, -3], its input 4 × 8 × 1",
    ),
    "one input": (KINDS["GaussianSampling"](), ((8,),), "GaussianSampling needs exactly 2 inputs, got 1", ""),
    "unlike inputs": (
        KINDS["GaussianSampling"](),
        ((8,), (4,)),
        "GaussianSampling needs a mean and a log-variance of one shape",
        "the mean, its first input, is 8; the log-variance, its second, is 4",
    ),
}


@pytest.mark.parametrize(("layer", "shapes", "message", "reason"), REFUSED.values(), ids=REFUSED)
def test_inputs_that_do_not_fit(layer: Layer, shapes: tuple[Any, ...], message: str, reason: str) -> None:
    error = shape_error(layer, *shapes)
    assert (error.message, error.reason) == (message, reason)


@not_on_jax
def test_on_jax() -> None:
    passes_on_jax(__file__)
