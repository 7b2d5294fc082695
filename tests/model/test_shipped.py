"""The shipped specs: the graph says what Keras builds, and a real batch goes through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild import build_graph, build_model, load_spec
from specbuild.model.backend import keras
from tests.model.saving import saved_and_loaded

SPECS = sorted((Path(__file__).parent.parent.parent / "specs").glob("*.yaml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_graph_equals_keras(path: Path) -> None:
    graph, model = build_graph(path), build_model(path)
    layers = {layer.name: layer for layer in model.layers}
    for node in graph.nodes:
        output = layers[node.id].output
        outputs = output if isinstance(output, list) else [output]
        assert outputs[0].shape == (None, *node.shape), node.id
        if node.return_state:
            assert [one.shape[1:] for one in outputs[1:]] == list(node.state.values())
        assert [tuple(w.shape) for w in layers[node.id].weights if "seed" not in w.path] == [
            w.shape for w in node.weights
        ]
    assert model.count_params() == graph.parameters
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == graph.trainable_parameters


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_batch_goes_through_and_survives_saving(path: Path, tmp_path: Path) -> None:
    graph, model = build_graph(path), build_model(path)
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(2, *one.shape)).astype("float32") for one in graph.inputs]
    given = keras.tree.flatten(model.predict(x if len(x) > 1 else x[0], verbose=0))
    assert sorted(y.shape for y in given) == sorted((2, *output.shape) for output in graph.outputs)
    assert all(np.isfinite(y).all() for y in given)
    loaded = saved_and_loaded(model, tmp_path).predict(x if len(x) > 1 else x[0], verbose=0)
    for again, y in zip(keras.tree.flatten(loaded), given, strict=True):
        np.testing.assert_array_equal(again, y)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_resolved_spec_is_the_same_model(path: Path) -> None:
    spec = load_spec(path)
    again = load_spec(spec.resolved())
    assert build_model(again).to_json() == build_model(spec).to_json()
    assert (again.data is None) == (spec.data is None)
    if again.data is not None and spec.data is not None:
        assert again.data.windows == spec.data.windows
    assert again.train == spec.train
    assert again.resolved() == spec.resolved()


def test_there_are_two_shipped_specs_at_least() -> None:
    assert {"radar_nowcast", "next_frame"} <= {path.stem for path in SPECS}
