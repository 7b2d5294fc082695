"""Receptive fields against reality: one input value is changed, and just the outputs said to see it change."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from specbuild import SpecError, build_graph
from specbuild.graph.receptive_field import Extent, receptive_fields
from specbuild.graph.regions import EMPTY, _spans_through, hull
from specbuild.model.backend import keras
from specbuild.model.build import build

SPREADING = {"layer": "ConvLSTM1D", "filters": 1, "kernel_size": 3, "padding": "same"}
"""A recurrence that spreads by one entry on either side in each step."""

MODELS: dict[str, tuple[list[int], list[dict[str, Any]]]] = {
    "convolution": ([9, 8, 1], [{"layer": "Conv2D", "filters": 1, "kernel_size": [3, 2], "padding": "same"}]),
    "strides": (
        [11, 8, 1],
        [{"layer": "Conv2D", "filters": 1, "kernel_size": 3, "strides": [3, 2], "padding": "same"}],
    ),
    "dilation": ([9, 1], [{"layer": "Conv1D", "filters": 1, "kernel_size": 3, "dilation_rate": 2}] * 2),
    "causal": ([9, 1], [{"layer": "Conv1D", "filters": 1, "kernel_size": 3, "padding": "causal"}] * 2),
    "pooling": (
        [10, 9, 1],
        [
            {"layer": "AveragePooling2D", "pool_size": [2, 3], "padding": "same"},
            {"layer": "Conv2D", "filters": 1, "kernel_size": 2},
        ],
    ),
    "global pooling": ([5, 6, 2], [{"layer": "GlobalAveragePooling2D"}, {"layer": "Dense", "units": 2}]),
    "flatten": ([4, 5, 1], [{"layer": "Flatten"}, {"layer": "Dense", "units": 1}]),
    "transposed, same": (
        [5, 6, 1],
        [{"layer": "Conv2DTranspose", "filters": 1, "kernel_size": [3, 5], "strides": [2, 3], "padding": "same"}],
    ),
    "transposed, valid": ([5, 1], [{"layer": "Conv1DTranspose", "filters": 1, "kernel_size": 4, "strides": 2}]),
    "down and up": (
        [12, 1],
        [
            {"id": "a", "layer": "Conv1D", "filters": 1, "kernel_size": 3, "strides": 2, "padding": "same"},
            {"layer": "Conv1D", "filters": 1, "kernel_size": 3, "strides": 3, "padding": "same"},
            {"id": "b", "layer": "UpSampling1D", "size": 3},
            {"layer": "Add", "from": ["a", "b"]},
            {"layer": "Conv1DTranspose", "filters": 1, "kernel_size": 3, "strides": 2, "padding": "same"},
        ],
    ),
    "bilinear": ([5, 6, 1], [{"layer": "UpSampling2D", "size": [2, 3], "interpolation": "bilinear"}]),
    "padding and cropping": (
        [6, 5, 1],
        [
            {"layer": "ZeroPadding2D", "padding": [[2, 0], [1, 3]]},
            {"layer": "Conv2D", "filters": 1, "kernel_size": 3},
            {"layer": "Cropping2D", "cropping": [[1, 0], [0, 2]]},
        ],
    ),
    "frame by frame": (
        [3, 6, 5, 1],
        [{"time_distributed": [{"layer": "Conv2D", "filters": 1, "kernel_size": 3}, {"layer": "MaxPooling2D"}]}],
    ),
    "permuted": (
        [4, 6, 1],
        [{"layer": "Permute", "dims": [2, 1, 3]}, {"layer": "Conv2D", "filters": 1, "kernel_size": [3, 1]}],
    ),
    "recurrence, last": (
        [4, 9, 8, 1],
        [{"id": "r", "layer": "ConvLSTM2D", "filters": 1, "kernel_size": [3, 2], "return_sequences": False}],
    ),
    "recurrence, every step": (
        [3, 9, 1],
        [
            {
                "layer": "ConvLSTM1D",
                "filters": 1,
                "kernel_size": 3,
                "strides": 2,
                "padding": "same",
                "return_sequences": True,
            }
        ],
    ),
    "both directions": (
        [3, 8, 1],
        [{"bidirectional": {"layer": "ConvLSTM1D", "filters": 1, "kernel_size": 3}, "return_sequences": True}],
    ),
    "a recurrent kernel of its own": (
        [3, 12, 1],
        [
            {
                "layer": "ConvLSTM1D",
                "filters": 1,
                "kernel_size": 2,
                "recurrent_kernel_size": 4,
                "peephole": "per_pixel",
                "return_sequences": True,
            }
        ],
    ),
    "reset before": (
        [3, 14, 1],
        [{"layer": "ConvGRU1D", "filters": 1, "kernel_size": 3, "reset_after": False, "return_sequences": True}],
    ),
    "reset after": ([3, 14, 1], [{"layer": "ConvGRU1D", "filters": 1, "kernel_size": 3, "return_sequences": True}]),
    "normalized in the recurrence": (
        [2, 9, 1],
        [
            {
                "layer": "ConvLSTM1D",
                "filters": 2,
                "kernel_size": 3,
                "normalization": "layer",
                "return_sequences": True,
            }
        ],
    ),
    "zig-zag memory": (
        [2, 1, 25, 1],
        [{"layer": "STLSTM2D", "filters": [3, 3], "kernel_size": [1, 3], "forget_bias": 0, "return_sequences": True}],
    ),
    "one cell of it": (
        [2, 9, 12, 1],
        [{"layer": "STLSTM2D", "filters": 1, "kernel_size": [2, 3], "return_sequences": False}],
    ),
    "vectors": ([5, 2], [{"layer": "GRU", "units": 2, "return_sequences": True}, {"layer": "Dense", "units": 1}]),
    "passed states": (
        [3, 11, 1],
        [
            {"id": "enc", "layer": "ConvLSTM1D", "filters": 1, "kernel_size": 3, "padding": "same"},
            {"layer": "Cropping2D", "from": "x", "cropping": [[2, 0], [0, 0]]},
            {
                "id": "dec",
                "layer": "ConvLSTM1D",
                "filters": 1,
                "kernel_size": 3,
                "padding": "same",
                "initial_state": "enc",
                "return_sequences": True,
            },
        ],
    ),
    "joined in time": (
        [3, 5, 1],
        [
            {"id": "a", "layer": "Conv2D", "filters": 1, "kernel_size": [1, 3], "padding": "same"},
            {"layer": "Concatenate", "axis": 1, "from": ["x", "a"]},
            {"layer": "Conv2D", "filters": 1, "kernel_size": [2, 1]},
        ],
    ),
    "normalized": ([4, 5, 2], [{"layer": "LayerNormalization", "axis": 2}, {"layer": "BatchNormalization"}]),
    "stacked recurrences": ([4, 17, 1], [{**SPREADING, "return_sequences": True}] * 3),
    "stacked, then permuted and stacked again": (
        [3, 5, 1],
        [
            {**SPREADING, "return_sequences": True},
            {**SPREADING, "return_sequences": True},
            {"layer": "Permute", "dims": [2, 1, 3]},
            {**SPREADING, "kernel_size": 2, "return_sequences": False},
        ],
    ),
    "one step of a sequence": (
        [4, 13, 1],
        [
            {**SPREADING, "return_sequences": True},
            {**SPREADING, "return_sequences": True},
            {"layer": "Slice", "axis": 1, "start": 1, "stop": 2},
        ],
    ),
    "the last step of both directions": (
        [3, 15, 1],
        [
            {"bidirectional": SPREADING, "return_sequences": True},
            {"bidirectional": SPREADING, "return_sequences": True},
            {"layer": "LastFrame"},
        ],
    ),
    "backwards, its first step": (
        [3, 11, 1],
        [
            {**SPREADING, "go_backwards": True, "return_sequences": True},
            {"layer": "Slice", "axis": 1, "start": 0, "stop": 2},
        ],
    ),
    "stacked, with states passed twice": (
        [2, 27, 1],
        [
            {"id": "a", **SPREADING},
            {"id": "b", **SPREADING},
            {"layer": "RepeatFrame", "from": "b.last", "times": 3},
            {"id": "c", **SPREADING, "initial_state": "b"},
            {"id": "d", **SPREADING, "initial_state": "a", "return_sequences": True},
            {"layer": "Slice", "axis": 1, "start": 1, "stop": 2},
        ],
    ),
    "a reset before, with a state": (
        [2, 25, 1],
        [
            {"id": "a", "layer": "ConvGRU1D", "filters": 1, "kernel_size": 3, "padding": "same", "reset_after": False},
            {
                "layer": "ConvGRU1D",
                "filters": 1,
                "kernel_size": 3,
                "padding": "same",
                "reset_after": False,
                "initial_state": "a",
                "return_sequences": True,
            },
        ],
    ),
    "a feedback loop over two of them": (
        [3, 17, 1],
        [
            {
                "autoregressive": {
                    "horizon": 2,
                    "do": [
                        SPREADING,
                        SPREADING,
                        {"time_distributed": {"layer": "Conv1D", "filters": 1, "kernel_size": 1}},
                    ],
                }
            }
        ],
    ),
    "joined in time between recurrences": (
        [3, 9, 1],
        [
            {"id": "a", **SPREADING, "return_sequences": True},
            {"layer": "Concatenate", "axis": 1, "from": ["a", "x"]},
            {**SPREADING, "return_sequences": True},
            {"layer": "Slice", "axis": 1, "start": 2, "stop": 4},
        ],
    ),
    "a recurrence in every frame": (
        [2, 5, 2],
        [{"time_distributed": {"layer": "LSTM", "units": 2}}],
    ),
    "around the end": (
        [7, 2],
        [
            {"layer": "Roll", "axis": 1, "shift": 3},
            {"layer": "Slice", "axis": 1, "start": 4, "stop": 6},
            {"layer": "Conv1D", "filters": 1, "kernel_size": 2},
        ],
    ),
    "rows times columns": (
        [3, 4, 2],
        [
            {"id": "m", "layer": "MatMul", "from": ["x", "x"], "transpose_second": True},
            {"layer": "Slice", "axis": 2, "start": 1, "stop": 2},
            {"layer": "Slice", "axis": 3, "start": 2, "stop": 3},
        ],
    ),
    "a range and a patch": (
        [6, 4, 4, 1],
        [
            {"layer": "Slice", "axis": 1, "start": -3, "step": 2},
            {"layer": "SpaceToDepth", "block_size": 2},
            {"layer": "LastFrame"},
            {"layer": "Dense", "units": 1},
        ],
    ),
}


@pytest.fixture(autouse=True, scope="module")
def _double_precision() -> Iterator[None]:
    """Small effects, such as that of the first frame on the last state, drown in the rounding of float32."""
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


def spec_of(shape: list[int], layers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"specbuild": 1, "inputs": {"x": {"shape": shape, "dtype": "float64"}}, "layers": layers}


def built(spec: dict[str, Any]) -> Any:
    return build(build_graph(spec), precision="float64")


def make_positive(model: Any) -> None:
    """Give a model weights with which no two influences cancel."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 0.3, weight.shape))


def changed(model: Any, shape: list[int]) -> np.ndarray:
    """Which outputs change with which inputs: `(inputs, outputs)`, both flattened."""
    make_positive(model)
    count = math.prod(shape)
    one_each = np.concatenate([np.zeros((1, *shape)), np.eye(count).reshape(count, *shape)])
    before, *after = keras.ops.convert_to_numpy(model(one_each + 0.1))
    return (np.abs(np.stack(after) - before) > 1e-12).reshape(count, -1)


def measured(changes: np.ndarray, shape: list[int]) -> tuple[int, ...]:
    """The most positions, from the first to the last, that one output sees along each axis of the input."""
    extents = []
    for axis, length in enumerate(shape):
        seen = np.moveaxis(changes.reshape(*shape, -1), axis, 0).reshape(length, -1, changes.shape[1]).any(axis=1)
        places = [np.flatnonzero(column) for column in seen.T]
        extents.append(max(int(place[-1] - place[0]) + 1 for place in places if len(place)))
    return tuple(extents)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_seen_is_what_changes(name: str) -> None:
    shape, layers = MODELS[name]
    spec = spec_of(shape, layers)
    graph = build_graph(spec)
    found = receptive_fields(graph)[graph.nodes[-1].id]["x"]
    assert tuple(extent.length for extent in found) == measured(changed(built(spec), shape), shape)
    assert [extent.whole for extent in found] == [
        extent.length == length for extent, length in zip(found, shape, strict=True)
    ]


CHAINS = [
    {"layer": "Conv1D", "filters": 1, "kernel_size": 3, "padding": "same"},
    {"layer": "Conv1D", "filters": 1, "kernel_size": 2, "strides": 2, "padding": "same"},
    {"layer": "UpSampling1D", "size": 2},
    {"layer": "Conv1DTranspose", "filters": 1, "kernel_size": 3, "strides": 2, "padding": "same"},
]


@pytest.mark.parametrize("pair", list(itertools.product(range(len(CHAINS)), repeat=2)))
def test_any_two_layers_compose(pair: tuple[int, int]) -> None:
    spec = spec_of([9, 1], [CHAINS[one] for one in (*pair, 0)])
    graph = build_graph(spec)
    found = receptive_fields(graph)[graph.nodes[-1].id]["x"]
    assert tuple(extent.length for extent in found) == measured(changed(built(spec), [9, 1]), [9, 1])


def test_lengths_known_only_at_run_time() -> None:
    layers = [
        {"id": "frames", "time_distributed": {"layer": "Conv1D", "filters": 2, "kernel_size": 3}},
        {"id": "steps", "layer": "ConvLSTM1D", "filters": 2, "kernel_size": 1, "return_sequences": True},
        {
            "id": "wide",
            "layer": "ConvLSTM1D",
            "filters": 2,
            "kernel_size": 3,
            "padding": "same",
            "return_sequences": True,
        },
        {"id": "all", "layer": "Flatten"},
    ]
    fields = receptive_fields(build_graph(spec_of([None, 20, 1], layers)))  # type: ignore[list-item]
    shown = {node: " × ".join(map(str, field["x"])) for node, field in fields.items()}
    assert shown == {"frames": "1 × 3 × 1", "steps": "all × 3 × 1", "wide": "all × 20 × 1", "all": "all × 20 × 1"}


def test_a_recurrence_that_reads_nothing_sees_the_state_it_starts_from() -> None:
    cell = {"layer": "ConvLSTM1D", "filters": 1, "kernel_size": 3, "padding": "same"}
    layers = [
        {"id": "enc", **cell},
        {"id": "shape", "layer": "RepeatFrame", "from": "enc.last", "times": 2},
        {"id": "dec", **cell, "use_input": False, "initial_state": "enc", "return_sequences": True},
        {"id": "alone", **cell, "use_input": False, "from": "shape", "return_sequences": True},
    ]
    spec = {**spec_of([2, 30, 1], layers), "outputs": ["dec", "alone"]}
    fields = receptive_fields(build_graph(spec))
    assert [extent.length for extent in fields["dec"]["x"]] == [2, 3 + 2 + 2 * 2, 1]
    assert fields["alone"] == {}


def test_each_input_has_a_field_of_its_own() -> None:
    spec = {
        "specbuild": 1,
        "inputs": {"rain": [8, 8, 1], "height": [8, 8, 2], "unseen": [3]},
        "layers": [
            {"id": "a", "layer": "Conv2D", "filters": 1, "kernel_size": 3, "padding": "same", "from": "rain"},
            {"id": "both", "layer": "Concatenate", "from": ["a", "height"]},
            {"id": "other", "layer": "Dense", "units": 1, "from": "unseen"},
        ],
        "outputs": ["both", "other"],
    }
    fields = receptive_fields(build_graph(spec))
    assert fields["a"] == {"rain": (Extent(3, False), Extent(3, False), Extent(1, True))}
    assert fields["both"]["height"] == (Extent(1, False), Extent(1, False), Extent(1, False))
    assert set(fields["both"]) == {"rain", "height"}
    assert set(fields["other"]) == {"unseen"}


CONVOLUTIONAL = st.fixed_dictionaries(
    {
        "layer": st.sampled_from(["ConvLSTM1D", "ConvGRU1D"]),
        "filters": st.just(1),
        "kernel_size": st.integers(1, 3),
        "padding": st.sampled_from(["same", "same", "valid"]),
        "activation": st.just("linear"),
        "return_sequences": st.just(True),
    },
    optional={"go_backwards": st.just(True), "recurrent_kernel_size": st.integers(1, 3)},
)
FORWARD = CONVOLUTIONAL.map(lambda entry: {key: entry[key] for key in entry if key != "go_backwards"})
OVER_SEQUENCES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    CONVOLUTIONAL,
    CONVOLUTIONAL.filter(lambda entry: entry["layer"] == "ConvGRU1D").map(
        lambda entry: {**entry, "reset_after": False}
    ),
    FORWARD.map(lambda entry: {"bidirectional": entry}),
    st.just({"layer": "Permute", "dims": [2, 1, 3]}),
    st.integers(2, 3).map(
        lambda extent: {"layer": "Conv2D", "filters": 1, "kernel_size": [extent, 2], "padding": "same"}
    ),
    st.just({"layer": "Slice", "axis": 1, "start": 0, "stop": 2}),
    st.just({"layer": "Slice", "axis": 2, "start": 1}),
    st.just({"layer": "UpSampling2D", "size": [2, 1]}),
)
ENDS = st.sampled_from(
    [
        {"layer": "LastFrame"},
        {"layer": "Slice", "axis": 1, "start": 1, "stop": 2},
        {"layer": "GlobalAveragePooling2D"},
        {"layer": "Activation", "activation": "softplus"},
    ]
)


@settings(max_examples=25)
@given(layers=st.lists(OVER_SEQUENCES, min_size=1, max_size=3), end=ENDS)
def test_stacks_see_what_the_gradient_reaches(layers: list[dict[str, Any]], end: dict[str, Any]) -> None:
    shape = [3, 7, 1]
    spec = spec_of(shape, [*layers, end])
    try:
        graph = build_graph(spec)
    except SpecError:
        assume(False)
    found = tuple(extent.length or 0 for extent in receptive_fields(graph)[graph.nodes[-1].id]["x"])
    model = built(spec)
    assert found == measured(all_channels(changed(model, shape), graph.nodes[-1].shape[-1]), shape)
    middle = measured(gradient_of_the_middle(model, shape), shape)
    assert all(said >= reached for said, reached in zip(found, middle, strict=True))


def all_channels(changes: np.ndarray, channels: int | None) -> np.ndarray:
    """Which places of the output change in any of their channels."""
    return changes.reshape(len(changes), -1, channels or 1).any(axis=-1)


def gradient_of_the_middle(model: Any, shape: list[int]) -> np.ndarray:
    """Which inputs the middle output value has a gradient for, `(inputs, 1)`."""
    if keras.backend.backend() != "tensorflow":
        changes = changed(model, shape)
        return changes[:, changes.shape[1] // 2][:, None]
    import tensorflow as tf

    make_positive(model)
    x = tf.fill((1, *shape), tf.constant(0.1, tf.float64))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reshape(model(x), (-1,))
        middle = y[len(y) // 2]
    return np.asarray(np.abs(tape.gradient(middle, x)) > 0).reshape(-1, 1)


def test_three_layers_over_four_frames_share_the_steps() -> None:
    layer = {"layer": "ConvLSTM2D", "filters": 2, "kernel_size": 3, "padding": "same", "return_sequences": True}
    fields = receptive_fields(build_graph(spec_of([4, 40, 40, 1], [layer] * 3)))
    assert [str(extent) for extent in fields["conv_lstm2d_2"]["x"]] == ["4", "13", "13", "1"]


def test_very_long_recurrences_are_never_too_small() -> None:
    layer = {"layer": "ConvLSTM1D", "filters": 2, "kernel_size": 2, "padding": "same", "return_sequences": True}
    fields = receptive_fields(build_graph(spec_of([100, 400, 1], [layer] * 2)))
    assert [extent.length for extent in fields["conv_lstm1d"]["x"]] == [100, 2 + 99, 1]
    assert [extent.length for extent in fields["conv_lstm1d_1"]["x"]] == [100, 3 + 2 * 99, 1]  # At most: 3 + 99.


@pytest.mark.parametrize(
    "layers",
    [
        [{"layer": "Roll", "shift": 5, "axis": 1}, {"layer": "LSTM", "units": 2, "return_sequences": True}],
        [{"layer": "Conv1D", "filters": 2, "kernel_size": 4001, "padding": "same"}] * 4,
        [{"bidirectional": {"layer": "LSTM", "units": 2, "return_sequences": True}}] * 2,
    ],
)
def test_long_sequences_take_no_longer_than_they_are_long(layers: list[dict[str, Any]]) -> None:
    graph = build_graph({"specbuild": 1, "inputs": {"x": [65_536, 2]}, "layers": layers})
    before = time.process_time()
    fields = receptive_fields(graph)
    assert time.process_time() - before < 20  # seconds; going through all pairs of positions takes an hour
    assert fields[graph.nodes[-1].id]["x"][0].length


@given(st.data())
def test_spans_that_are_out_of_order(data: st.DataObject) -> None:
    read = st.one_of(st.just(EMPTY), st.tuples(st.integers(0, 20), st.integers(0, 20)))
    inner = tuple(data.draw(st.lists(read, min_size=1, max_size=12)))
    outer = tuple(data.draw(st.lists(st.tuples(st.integers(-3, 20), st.integers(-3, 20)), max_size=12)))
    held = [inner[max(first, 0) : max(last + 1, 0)] for first, last in outer]
    assert _spans_through(inner, outer) == tuple(hull(spans) if spans else EMPTY for spans in held)
