"""Autoregressive nodes and our own recurrences come back from a saved model: the same text, graph and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import SpecError, build_graph, build_model
from specbuild.graph import Graph
from specbuild.model.backend import keras
from specbuild.model.importing import import_model

PATCHES = """\
specbuild: 1
name: openstl-small

defaults:
  ConvLSTM2D: {kernel_size: 3, use_bias: false, padding: same}

inputs:
  frames: [3, 8, 8, 1]

layers:
  - id: forecast
    autoregressive:
      do:
        - {layer: SpaceToDepth, block_size: 2}
        - {layer: ConvLSTM2D, filters: 3}
        - {layer: ConvLSTM2D, filters: 3}
        - {layer: ConvLSTM2D, filters: 3}
        - {time_distributed: {layer: Conv2D, filters: 4, kernel_size: 1, use_bias: false}}
        - {layer: DepthToSpace, block_size: 2}
      horizon: 4
      give: all
      sampling: {steps: 50}
      remat: true

outputs: [forecast]
"""
RESIDUAL = """\
specbuild: 1
name: residual

inputs:
  frames: [3, 6, 6, 2]

layers:
  - {layer: Rescaling, scale: 0.5}
  - id: forecast
    autoregressive:
      do:
        - {id: memory, layer: ConvGRU2D, filters: 2, kernel_size: 3, padding: same}
        - {id: calm, layer: BatchNormalization}
        - {layer: Add, from: [input, calm]}
        - {id: memory_2, reuse: memory}
        - {layer: Maximum, from: [memory, memory_2]}
      horizon: 3
      sampling: {schedule: constant, start: 0.25}
  - {id: rain, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}

outputs: [rain]
"""
SERIES = """\
specbuild: 1
name: series

inputs:
  before: [5, 3]
  after: [5, 3]

layers:
  - id: steps
    from: before
    trainable: false
    autoregressive:
      do:
        - {layer: LSTM, units: 6}
        - {time_distributed: {layer: Dense, units: 3}}
      horizon: 2
      sampling: {schedule: exponential, start: 0.5, end: 0.1, k: 0.9}
  - {id: steps_2, reuse: steps, from: after}
  - {id: sum, layer: Add, from: [steps, steps_2]}

outputs: [sum]
"""
PREDRNN = """\
specbuild: 1
name: predrnn-small

inputs:
  frames: [3, 4, 4, 1]

layers:
  - id: forecast
    autoregressive:
      do:
        - {layer: STLSTM2D, filters: [2, 2], kernel_size: 3, normalization: layer}
        - {time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
      horizon: 3

outputs: [forecast]
"""
TRAJECTORIES = """\
specbuild: 1
name: trajectories

inputs:
  frames: [3, 6, 6, 1]

layers:
  - {id: enc, layer: TrajGRU2D, filters: 2, kernel_size: 3, links: 2, flow_filters: 4}
  - {layer: RepeatFrame, from: enc.last, times: 2}
  - {id: dec, layer: TrajGRU2D, filters: 2, kernel_size: 3, use_input: false, initial_state: enc}
  - {id: wide, layer: STLSTM2D, filters: 3, kernel_size: [3, 5]}

outputs: [dec.sequence, wide.state.m]
"""
WRITTEN = {"patches": PATCHES, "series": SERIES, "predrnn": PREDRNN, "trajectories": TRAJECTORIES}


def wiring(graph: Graph) -> list[Any]:
    return [
        (n.id, n.layer.label, n.inputs, n.shapes, n.weights, n.shares, n.body and wiring(n.body.open))
        for n in graph.nodes
    ]


def again(model: Any, folder: Path) -> str:
    model.save(folder / "model.keras")
    return import_model(folder / "model.keras").text


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_the_text(text: str, tmp_path: Path) -> None:
    assert again(build_model(text), tmp_path) == text


@pytest.mark.parametrize("text", [*WRITTEN.values(), RESIDUAL], ids=[*WRITTEN, "residual"])
def test_the_same_graph_weights_and_outputs(text: str, tmp_path: Path) -> None:
    model = build_model(text)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.5, size=one.shape) for one in model.get_weights()])
    imported = again(model, tmp_path)
    assert wiring(build_graph(imported)) == wiring(build_graph(text))
    found, meant = ([one.layer.arguments() for one in build_graph(one).nodes if one.body] for one in (imported, text))
    assert found == meant
    copy = build_model(imported)
    copy.load_weights(tmp_path / "model.keras")
    given = [rng.normal(size=(2, *one.shape[1:])).astype("float32") for one in model.inputs]
    frames = given if len(given) > 1 else given[0]
    for ours, theirs in zip(keras.tree.flatten(copy(frames)), keras.tree.flatten(model(frames)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_ids_that_the_text_needs_stay(tmp_path: Path) -> None:
    text = again(build_model(RESIDUAL), tmp_path)
    inside = [line.strip(" -") for line in text.splitlines() if line.startswith("        - ")]
    assert inside == [
        "{id: memory, layer: ConvGRU2D, filters: 2, kernel_size: 3, padding: same}",
        "{id: calm, layer: BatchNormalization}",
        "{layer: Add, from: [input, calm]}",
        "{id: memory_2, reuse: memory}",
        "{layer: Maximum, from: [memory, memory_2]}",
    ]


def test_another_name_outside_is_another_name_inside(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(build_model(SERIES).to_json().replace('"steps', '"7 steps'), "utf-8")
    (first, _, _) = build_graph(import_model(path).text).nodes
    assert first.body is not None
    assert (first.id, [one.id for one in first.body.given.nodes]) == ("_7_steps", ["_7_steps_lstm", "_7_steps_dense"])


def test_a_model_that_a_spec_cannot_express_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="forecast is called with its true frames, which a spec does not name"):
        again(build_model(PATCHES, teacher=True), tmp_path)
    keras.backend.clear_session()
    frames = keras.Input((None, 4))
    memory, h = keras.layers.GRU(4, return_sequences=True, return_state=True)(frames), keras.Input((4,))
    body = keras.Model([frames, h], [memory[0], keras.layers.ReLU()(h)])
    feedback = type(build_model(SERIES).layers[2])
    outer = keras.Input((3, 4))
    with pytest.raises(SpecError, match="the model inside mine does not carry its states from step to step"):
        again(keras.Model(outer, feedback(body, 2, name="mine")(outer)), tmp_path)
