"""Names of axes, followed from the inputs through every layer."""

from __future__ import annotations

from typing import Any

import pytest

from specbuild import build_graph
from specbuild.graph.summary import summarize

SAME = {"filters": 2, "kernel_size": 3, "padding": "same"}
FIRST = {"data_format": "channels_first"}
EVERY = {"return_sequences": True}

CHAINS: dict[str, tuple[list[int], list[tuple[dict[str, Any], str]]]] = {
    "time as the first axis of a volume": (
        [4, 8, 8, 2],
        [
            ({}, "time height width channels"),
            ({"layer": "Conv3D", **SAME}, "time height width channels"),
            ({"layer": "Permute", "dims": [2, 3, 1, 4]}, "height width time channels"),
            ({"layer": "MaxPooling3D"}, "height width time channels"),
            ({"layer": "GlobalAveragePooling3D"}, "channels"),
        ],
    ),
    "channels first": (
        [2, 8, 8],
        [
            ({}, "channels height width"),
            ({"layer": "Rescaling", "scale": 2.0}, "channels height width"),
            ({"layer": "Conv2D", **SAME, **FIRST}, "channels height width"),
            ({"layer": "GlobalMaxPooling2D", **FIRST, "keepdims": True}, "channels height width"),
            ({"layer": "Flatten"}, "channels"),
        ],
    ),
    "channels first, in a recurrence": (
        [4, 2, 8, 8],
        [
            ({}, "time channels height width"),
            ({"layer": "ConvLSTM2D", **SAME, **FIRST, **EVERY}, "time channels height width"),
            ({"layer": "LastFrame"}, "channels height width"),
            ({"layer": "Permute", "dims": [2, 3, 1]}, "height width channels"),
        ],
    ),
    "three spatial axes": (
        [3, 4, 8, 8, 2],
        [
            ({}, "time depth height width channels"),
            ({"layer": "ConvLSTM3D", **SAME, "return_sequences": False}, "depth height width channels"),
            ({"layer": "Conv3D", **SAME}, "depth height width channels"),
            ({"layer": "RepeatFrame", "times": 2}, "time depth height width channels"),
        ],
    ),
    "one spatial axis": (
        [4, 8, 2],
        [
            ({}, "time width channels"),
            ({"time_distributed": {"layer": "Conv1D", **SAME}}, "time width channels"),
            ({"time_distributed": {"layer": "Flatten"}}, "time channels"),
            ({"layer": "LSTM", "units": 3, "return_sequences": False}, "channels"),
        ],
    ),
    "a shape that nothing names": (
        [8, 8, 2],
        [
            ({}, "height width channels"),
            ({"layer": "Reshape", "target_shape": [4, 16, 2]}, ""),
            ({"layer": "Activation", "activation": "relu"}, ""),
            ({"layer": "Conv2D", **SAME}, "height width channels"),
        ],
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_names_along_a_chain(name: str) -> None:
    shape, chain = CHAINS[name]
    spec = {"specbuild": 1, "inputs": {"x": shape}, "layers": [layer for layer, _ in chain[1:]]}
    rows = summarize(build_graph(spec), batch=1).rows
    assert [" ".join(row.axes) for row in rows] == [names for _, names in chain]


def test_a_new_axis_has_no_name() -> None:
    layers = [{"id": "a", "layer": "Conv2D", **SAME}, {"id": "both", "layer": "Stack", "from": ["x", "a"]}]
    rows = summarize(build_graph({"specbuild": 1, "inputs": {"x": [8, 8, 2]}, "layers": layers}), batch=1).rows
    assert [row.axes for row in rows] == [("height", "width", "channels")] * 2 + [()]


def test_the_inside_of_a_feedback_loop() -> None:
    text = """specbuild: 1
inputs: {x: [3, 8, 8, 1]}
layers:
  - autoregressive:
      horizon: 2
      do:
        - {layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same}
        - {time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
"""
    rows = summarize(build_graph(text), batch=1).rows
    assert {row.axes for row in rows} == {("time", "height", "width", "channels")}
