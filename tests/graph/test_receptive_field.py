"""Receptive fields against reality: one input value is changed, and just the outputs said to see it change."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from specbuild import build_graph
from specbuild.graph.receptive_field import Extent, receptive_fields
from specbuild.model.backend import keras
from specbuild.model.build import build

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


def changed(model: Any, shape: list[int]) -> np.ndarray:
    """Which outputs change with which inputs: `(inputs, outputs)`, both flattened."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 0.3, weight.shape))
    count = math.prod(shape)
    one_each = np.concatenate([np.zeros((1, *shape)), np.eye(count).reshape(count, *shape)])
    before, *after = model.predict(one_each + 0.1, batch_size=count + 1, verbose=0)
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
