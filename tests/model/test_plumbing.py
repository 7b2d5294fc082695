"""Our layers that move values and do arithmetic: their numbers beside NumPy's, on both backends, saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_graph, build_model
from specbuild.catalog import KINDS, Layer
from specbuild.catalog.arithmetic import FUNCTIONS, REDUCTIONS
from specbuild.model.backend import keras
from specbuild.model.layers import LAYERS
from tests.backends import not_on_jax, passes_on_jax
from tests.catalog.refusals import argument_error, shape_error
from tests.model.saving import saved_and_loaded

X = np.arange(2 * 3 * 4 * 6 * 2, dtype="float32").reshape(2, 3, 4, 6, 2)  # (N, T, H, W, C)
POSITIVE = (X + 1) / 64
FOLDED = X.reshape(2, 3, 2, 2, 2, 3, 2).transpose(0, 1, 2, 4, 3, 5, 6).reshape(2, 3, 2, 2, 12)
"""Patches of 2 × 3 as OpenSTL's reshape_patch cuts them: row, column, channel."""

MOVED: dict[str, tuple[str, dict[str, Any], Any]] = {
    "last frame": ("LastFrame", {}, X[:, -1]),
    "slice of time": ("Slice", {"axis": 1, "start": 1}, X[:, 1:]),
    "last two": ("Slice", {"axis": 1, "start": -2}, X[:, -2:]),
    "every other column": ("Slice", {"axis": 3, "start": 1, "stop": -1, "step": 2}, X[:, :, :, 1:-1:2]),
    "time reversed": ("Slice", {"axis": 1, "step": -1}, X[:, ::-1]),
    "one channel": ("Slice", {"axis": -1, "stop": 1}, X[..., :1]),
    "gather": ("Gather", {"axis": 3, "indices": [5, 0, 0, -2]}, X[:, :, :, [5, 0, 0, 4]]),
    "roll": ("Roll", {"axis": 3, "shift": 2}, np.roll(X, 2, axis=3)),
    "roll towards the beginning": ("Roll", {"axis": -2, "shift": -7}, np.roll(X, -7, axis=3)),
    "new axis": ("ExpandDims", {"axis": -1}, X[..., None]),
    "new time axis": ("ExpandDims", {"axis": 1}, X[:, None]),
    "space to depth": ("SpaceToDepth", {"block_size": [2, 3]}, FOLDED),
    "mean of space": ("Reduce", {"function": "mean", "axis": [2, 3]}, X.mean((2, 3))),
    "kept axis": ("Reduce", {"function": "max", "axis": -1, "keepdims": True}, X.max(-1, keepdims=True)),
    "clip": ("Clip", {"min": 3, "max": 60.5}, X.clip(3, 60.5)),
    "one bound": ("Clip", {"max": 7}, np.minimum(X, 7)),
    "rescaling": ("Rescaling", {"scale": [2, 0.5], "offset": 1}, X * np.float32([2, 0.5]) + 1),
}
NUMPY = {"abs": np.abs, "reciprocal": np.reciprocal, "rsqrt": lambda x: 1 / np.sqrt(x)}


def layer_of(kind: str, arguments: dict[str, Any]) -> Any:
    return (LAYERS.get(kind) or getattr(keras.layers, kind))(**KINDS[kind](**arguments).arguments())


@pytest.mark.parametrize(("kind", "arguments", "expected"), MOVED.values(), ids=MOVED)
def test_numbers(kind: str, arguments: dict[str, Any], expected: np.ndarray) -> None:
    output = keras.ops.convert_to_numpy(layer_of(kind, arguments)(X))
    np.testing.assert_allclose(output, expected, rtol=1e-6)
    assert KINDS[kind](**arguments).output_shape(X.shape[1:]) == expected.shape[1:]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_are_those_of_numpy(function: str) -> None:
    output = keras.ops.convert_to_numpy(layer_of("Elementwise", {"function": function})(POSITIVE))
    np.testing.assert_allclose(output, NUMPY.get(function, getattr(np, function, None))(POSITIVE), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("function", REDUCTIONS)
def test_reductions_are_those_of_numpy(function: str) -> None:
    output = keras.ops.convert_to_numpy(layer_of("Reduce", {"function": function, "axis": [1, -1]})(POSITIVE))
    np.testing.assert_allclose(output, getattr(np, function)(POSITIVE, axis=(1, -1)), rtol=1e-5)


def test_depth_to_space_undoes_space_to_depth() -> None:
    for block in (1, 2, [2, 3], [4, 1]):
        deep = layer_of("SpaceToDepth", {"block_size": block})(X)
        np.testing.assert_array_equal(layer_of("DepthToSpace", {"block_size": block})(deep), X)


def test_frozen_channel_order_of_patches() -> None:
    frame = np.arange(4 * 4).reshape(1, 4, 4, 1)
    patches = np.asarray(layer_of("SpaceToDepth", {"block_size": 2})(frame))
    np.testing.assert_array_equal(patches[0, 0, 1], [2, 3, 6, 7])
    two = np.stack([frame[..., 0], 100 + frame[..., 0]], -1)  # channels vary fastest
    patches = np.asarray(layer_of("SpaceToDepth", {"block_size": 2})(two))
    np.testing.assert_array_equal(patches[0, 0, 0], [0, 100, 1, 101, 4, 104, 5, 105])


def test_merges() -> None:
    stacked = layer_of("Stack", {})([X, 2 * X, 3 * X])
    np.testing.assert_array_equal(stacked, np.stack([X, 2 * X, 3 * X], 1))
    np.testing.assert_array_equal(layer_of("Stack", {"axis": -1})([X, 2 * X]), np.stack([X, 2 * X], -1))
    np.testing.assert_array_equal(layer_of("Squeeze", {"axis": 4})(X[..., :1]), X[..., 0])
    np.testing.assert_allclose(layer_of("Divide", {})([X, POSITIVE]), X / POSITIVE, rtol=1e-6)
    frame = POSITIVE[:, 0]
    np.testing.assert_allclose(layer_of("Divide", {})([X, frame]), X / frame[:, None], rtol=1e-6)


def test_matrix_products() -> None:
    wide = POSITIVE.swapaxes(-1, -2)
    np.testing.assert_allclose(layer_of("MatMul", {})([X, wide]), X @ wide, rtol=1e-5)
    transposed = layer_of("MatMul", {"transpose_second": True})
    np.testing.assert_allclose(transposed([X, POSITIVE]), X @ wide, rtol=1e-5)
    second = POSITIVE[:, 0]
    np.testing.assert_allclose(transposed([X, second]), X @ second.swapaxes(-1, -2)[:, None], rtol=1e-5)
    one = POSITIVE[:, :, :1]
    np.testing.assert_allclose(transposed([X, one]), X @ one.swapaxes(-1, -2), rtol=1e-5)


def test_whole_numbers_stay_whole_where_they_only_move() -> None:
    x = keras.Input((5, 4, 4, 1), dtype="int32")
    for kind, arguments in [("Slice", {"axis": 1, "start": 2}), ("LastFrame", {}), ("SpaceToDepth", {"block_size": 2})]:
        assert layer_of(kind, arguments)(x).dtype == "int32"


SPEC = """\
specbuild: 1
inputs: {x: [null, 8, 8, 1]}
layers:
  - {id: patches, layer: SpaceToDepth, block_size: 4}
  - {id: late, layer: Slice, axis: 1, start: -2}
  - {id: both, layer: Stack, axis: 1, from: [late, late]}
  - {id: mean, layer: Reduce, function: mean, axis: 1}
  - {id: first, layer: Gather, axis: 1, indices: [0]}
  - {id: ratio, layer: Divide, from: [mean, first]}
  - {layer: Elementwise, function: log1p}
  - {layer: Clip, min: 0, max: 5}
  - {layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same, return_sequences: false}
  - {layer: ExpandDims, axis: 1}
  - {layer: DepthToSpace, block_size: [2, 1]}
  - {layer: Squeeze, axis: 1}
"""


def test_in_a_spec_with_an_open_axis_saved_and_loaded(tmp_path: Path) -> None:
    graph, model = build_graph(SPEC), build_model(SPEC)
    assert graph.outputs[0].shape == (4, 2, 1)
    assert graph.parameters == model.count_params()
    x = np.random.default_rng(0).random((3, 5, 8, 8, 1), "float32")
    y = model.predict(x, verbose=0)
    assert y.shape == (3, 4, 2, 1)
    np.testing.assert_array_equal(saved_and_loaded(model, tmp_path).predict(x, verbose=0), y)


REFUSED: dict[str, tuple[Layer, tuple[Any, ...], str, str]] = {
    "slice": (
        KINDS["Slice"](axis=1, start=6),
        ((4, 8),),
        "Slice leaves nothing of axis 1",
        "it takes 6::1 of its input 4 × 8",
    ),
    "gather": (
        KINDS["Gather"](axis=-1, indices=[0, 8]),
        ((4, 8),),
        "Gather finds no entry 8 on axis -1",
        "its input is 4 × 8, that axis has the entries 0 to 7",
    ),
    "stack": (
        KINDS["Stack"](),
        ((4, 8), (4, 7)),
        "Stack needs inputs of one shape",
        "input 1 is 4 × 8, input 2 is 4 × 7",
    ),
    "batch": (
        KINDS["ExpandDims"](axis=0),
        ((4, 8),),
        "ExpandDims cannot put an axis before the batch axis",
        "its input is 4 × 8: the new axis can be 1 to 3, or -3 to -1",
    ),
    "squeeze": (
        KINDS["Squeeze"](axis=2),
        ((4, 8),),
        "Squeeze needs axis 2 to have length 1",
        "its input is 4 × 8",
    ),
    "products": (
        KINDS["MatMul"](),
        ((4, 8, 3), (4, 8, 3)),
        "MatMul needs the same length on the axes it sums over",
        "axis -1 of input 1 is 3 (4 × 8 × 3), axis -2 of input 2 is 8 (4 × 8 × 3)",
    ),
    "products of vectors": (
        KINDS["MatMul"](),
        ((4, 8), (8,)),
        "MatMul needs inputs with two axes or more",
        "input 2 is 8 (without the batch axis)",
    ),
    "products of unlike heads": (
        KINDS["MatMul"](transpose_second=True),
        ((2, 8, 3), (4, 5, 3)),
        "MatMul cannot match its inputs on axis -3",
        "it is 2 in input 1 (2 × 8 × 3) and 4 in input 2 (4 × 5 × 3)",
    ),
    "patches": (
        KINDS["SpaceToDepth"](block_size=4),
        ((10, 64, 62, 1),),
        "SpaceToDepth cannot cut a width of 62 into patches of 4",
        "its input is 10 × 64 × 62 × 1; 62 is not a multiple of 4",
    ),
    "channels": (
        KINDS["DepthToSpace"](block_size=4),
        ((10, 16, 16, 8),),
        "DepthToSpace cannot spread 8 channels over patches of 4 × 4",
        "its input is 10 × 16 × 16 × 8; 8 is not a multiple of 16",
    ),
    "time": (
        KINDS["LastFrame"](),
        ((8,),),
        "LastFrame needs an input with a time axis",
        "its input is 8 (without the batch axis)",
    ),
    "scale": (
        KINDS["Rescaling"](scale=[1, 2, 3]),
        ((8, 2),),
        "scale of Rescaling has 3 numbers, which is not one for each channel",
        "its input is 8 × 2, the channels being the last axis",
    ),
}


@pytest.mark.parametrize(("layer", "shapes", "message", "reason"), REFUSED.values(), ids=REFUSED)
def test_inputs_that_do_not_fit(layer: Layer, shapes: tuple[Any, ...], message: str, reason: str) -> None:
    error = shape_error(layer, *shapes)
    assert (error.message, error.reason) == (message, reason)


def test_arguments_that_do_not_fit() -> None:
    place, message = argument_error(KINDS["Elementwise"], function="logp")
    assert place == "function"
    assert message == f'expected one of {", ".join(FUNCTIONS)}, got "logp"; did you mean "log1p"?'
    assert argument_error(KINDS["Reduce"], function="median", axis=1) == (
        "function",
        'expected mean, max, min, sum or std, got "median"; did you mean "mean"?',
    )
    assert argument_error(KINDS["Slice"], axis=1, step=0) == ("step", "expected a whole number other than 0, got 0")
    assert argument_error(KINDS["Roll"], axis=1, shift=None) == ("shift", "expected a whole number, got null")
    assert argument_error(KINDS["Gather"], axis=1, indices=[]) == (
        "indices",
        "expected a list of whole numbers, where -1 is the last entry, got []",
    )


def test_clip_needs_bounds_in_order() -> None:
    with pytest.raises(ValueError, match="Clip needs min, max or both"):
        KINDS["Clip"]()
    with pytest.raises(ValueError, match=r"Clip needs a min of at most its max, got 2\.0 and 1\.0"):
        KINDS["Clip"](min=2, max=1)


@not_on_jax
def test_on_jax() -> None:
    tests = "numbers or numpy or undoes or frozen or merges or products or whole or spec"
    passes_on_jax(__file__, "-k", tests)
