"""Recurrent nodes come back from a saved model: the same text, graph, weights and outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import SpecError, build_graph, build_model
from specbuild.graph import Graph
from specbuild.model.backend import keras
from specbuild.model.importing import import_model

LSTM = """\
specbuild: 1
name: lstm-as-text

inputs:
  x: [5, 2]

layers:
  - id: memory
    recurrent:
      states: {h: 3, c: 3}
      do:
        - {id: read, layer: Dense, units: 12}
        - {id: kept, layer: Dense, from: h, units: 12, use_bias: false}
        - {id: sum, equation: read + kept}
        - {split: [i, f, g, o]}
      next: {c: sigmoid(f) * c + sigmoid(i) * tanh(g), h: sigmoid(o) * tanh(c_next)}
      output: h_next + 1
      go_backwards: true

outputs: [memory.sequence, memory.state.c]
"""
OUTSIDE = """\
specbuild: 1
name: outside

inputs:
  x: [3, 4, 4, 2]
  wind: [3, 4, 4, 1]
  map: [4, 4, 1]
  later: [3, 4, 4, 2]

layers:
  - {id: calm, layer: ConvGRU2D, from: wind, filters: 2, kernel_size: 1}
  - id: memory
    from: x
    recurrent:
      states: {h: 3, m: {shape: [2], initial: learned}, n: {shape: 1, initial: -1}}
      static: {relief: map}
      do:
        - {layer: Concatenate, from: [input, wind, calm, relief, n]}
        - {id: read, layer: Conv2D, filters: 3, kernel_size: 3, padding: same}
        - {id: kept, layer: Conv2D, from: h, filters: 3, kernel_size: 1}
        - {id: old, layer: Dense, from: m, units: 3}
      next: {h: tanh(read + kept + old), m: m, n: n}
      output: read
      remat: true
  - {id: memory_2, reuse: memory, from: later, initial_state: memory}

outputs: [memory_2.last]
"""
BOTH = """\
specbuild: 1
name: both

inputs:
  x: [4, 3]

layers:
  - id: memory
    bidirectional:
      recurrent:
        states: {h: 2}
        do:
          - {id: read, layer: Dense, units: 2}
          - {id: kept, layer: Dense, from: h, units: 2, use_bias: false}
        next: {h: tanh(read + kept)}
    merge_mode: sum
    trainable: false
  - {id: rain, layer: Dense, from: memory.sequence, units: 1}

outputs: [rain]
"""
FEEDBACK = """\
specbuild: 1
name: feedback

inputs:
  x: [3, 4, 4, 2]

layers:
  - id: forecast
    autoregressive:
      do:
        - id: memory
          recurrent:
            states: {h: {shape: 3, initial: -1}}
            do:
              - {id: read, layer: Conv2D, filters: 3, kernel_size: 3, padding: same}
              - {id: kept, layer: Conv2D, from: h, filters: 3, kernel_size: 3, padding: same}
            next: {h: tanh(read + kept)}
        - {time_distributed: {layer: Conv2D, filters: 2, kernel_size: 1}}
      horizon: 2

outputs: [forecast]
"""
WRITTEN = {"lstm": LSTM, "outside": OUTSIDE, "both directions": BOTH, "feedback": FEEDBACK}

GATES = """\
specbuild: 1
name: gates
inputs: {x: [5, 3]}
layers:
  - id: memory
    recurrent:
      states: {h: 3, c: 3}
      do:
        - {id: o, layer: Dense, units: 3, from: input}
        - {id: f, layer: Dense, units: 3, from: input}
        - {id: i, layer: Dense, units: 3, from: input}
        - {id: forget, equation: sigmoid(f)}
        - {id: kept, layer: Dense, units: 3, from: h}
        - {id: c_next, equation: forget * c + tanh(i + kept)}
        - {id: out, equation: sigmoid(o) * c_next}
        - {id: same, repeat: 0, do: [], from: c}
      next: {h: out, c: c_next}
      output: same
outputs: {every: memory.sequence, c: memory.state.c}
"""
"""Layers of one shape, in the file in the order a step reads them; the output is a state before the step."""


def wiring(graph: Graph) -> list[Any]:
    return [
        (n.id, n.layer.label, n.inputs, n.shapes, n.weights, n.shares, (own := inside(n)) and wiring(own))
        for n in graph.nodes
    ]


def inside(node: Any) -> Graph | None:
    return node.step.graph if node.step is not None else node.body.open if node.body is not None else None


def again(model: Any, folder: Path) -> str:
    model.save(folder / "model.keras")
    return import_model(folder / "model.keras").text


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_the_text(text: str, tmp_path: Path) -> None:
    imported = again(build_model(text), tmp_path)
    assert imported == text
    assert wiring(build_graph(imported)) == wiring(build_graph(text))


@pytest.mark.parametrize("text", [*WRITTEN.values(), GATES], ids=[*WRITTEN, "gates"])
def test_the_same_weights_and_outputs(text: str, tmp_path: Path) -> None:
    model = build_model(text)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(-0.5, 0.5, size=one.shape) for one in model.get_weights()])
    copy = build_model(again(model, tmp_path))
    copy.load_weights(tmp_path / "model.keras")
    assert [weight.trainable for weight in copy.weights] == [weight.trainable for weight in model.weights]
    given = [rng.normal(size=(2, *one.shape[1:])).astype("float32") for one in model.inputs]
    frames = given if len(given) > 1 else given[0]
    for ours, theirs in zip(keras.tree.flatten(copy(frames)), keras.tree.flatten(model(frames)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def changed(text: str, folder: Path, change: Any) -> Path:
    """Return a file with the configuration of a model, its layers of recurrent nodes changed."""
    config = json.loads(build_model(text).to_json())
    change([layer for layer in config["config"]["layers"] if layer["name"].startswith("memory")])
    path = folder / "model.json"
    path.write_text(json.dumps(config), "utf-8")
    return path


def test_a_model_that_a_spec_cannot_express_is_refused(tmp_path: Path) -> None:
    def other_sequence(layers: list[Any]) -> None:
        """Let the second call read its input in place of the wind."""
        second = layers[0]["inbound_nodes"][1]
        second["kwargs"]["extra"][0] = second["args"][0]

    with pytest.raises(SpecError, match="the nodes inside memory read different sequences in different calls"):
        import_model(changed(OUTSIDE, tmp_path, other_sequence))

    def one_way_with_bias(layers: list[Any]) -> None:
        step = layers[0]["config"]["backward_layer"]["config"]["step"]["config"]
        (kept,) = [layer for layer in step["layers"] if layer["name"] == "memory_kept"]
        kept["config"]["use_bias"] = True

    with pytest.raises(SpecError, match="the two directions of memory are different layers"):
        import_model(changed(BOTH, tmp_path, one_way_with_bias))


@pytest.mark.parametrize(
    "change",
    [
        {"states": []},
        {"states": [{"name": "h", "initial": 0}, {"name": "h", "initial": 0}]},
        {"sequences": 9},
        {"at_once": None},
    ],
    ids=["no states", "two states of one name", "too many sequences", "without what its step reads"],
)
def test_damaged_files_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    path = changed(LSTM, tmp_path, lambda layers: layers[0]["config"].update(change))
    with pytest.raises(SpecError, match=r"holds no model that Keras wrote|cannot be said by a spec"):
        import_model(path)
