"""Twenty published models written as specs: their sizes, shapes and layers are those of the originals.

`tests/real_models/expected.json` holds what each original has, in Keras's words. Under `instead` stands what a spec has
for a class of the original: our layers for a Lambda, the layers of a sub-model for its Functional.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_graph, build_model
from specbuild.graph import Graph
from specbuild.model.backend import keras
from specbuild.model.keras_internals import without_memory

FOLDER = Path(__file__).parent.parent / "real_models"
ORIGINALS: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
OPEN_LENGTH = 2
"""Steps that a model of open length is run on."""
RUN_BELOW = 2e11
"""Floating-point operations of a forward pass that a test may cost; models beyond it are only built."""

models = pytest.mark.parametrize("name", ORIGINALS)


@cache
def graph_of(name: str) -> Graph:
    return build_graph(FOLDER / f"{name}.yaml")


def layers_of(original: dict[str, Any]) -> Counter[str]:
    """Layers by class, with what the spec has instead of some."""
    counts = Counter(original["layers"])
    for kind, others in original.get("instead", {}).items():
        del counts[kind]
        counts.update(others)
    return counts


def label(layer: Any) -> str:
    """A Keras layer's class, with that of the layer it wraps."""
    inside = getattr(layer, "forward_layer", None) or getattr(layer, "layer", None)
    kind = type(layer).__name__
    return f"{kind}({type(inside).__name__})" if inside is not None else kind


def frames(graph: Graph) -> list[np.ndarray[Any, Any]]:
    """One sample for each input."""
    rng = np.random.default_rng(0)
    shapes = [(1, *(OPEN_LENGTH if dim is None else dim for dim in one.shape)) for one in graph.inputs]
    return [
        rng.normal(size=shape).astype(one.dtype) if one.dtype == "float32" else np.ones(shape, one.dtype)
        for one, shape in zip(graph.inputs, shapes, strict=True)
    ]


def test_every_spec_has_its_original() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(ORIGINALS)
    assert len(ORIGINALS) == 20


@models
def test_the_graph_is_the_original(name: str) -> None:
    graph, original = graph_of(name), ORIGINALS[name]
    assert [[None, *one.shape] for one in graph.inputs] == original["inputs"]
    assert [[None, *one.shape] for one in graph.outputs] == original["outputs"]
    assert (graph.parameters, graph.trainable_parameters) == (original["parameters"], original["trainable"])
    assert Counter(node.layer.label for node in graph.nodes) == layers_of(original)
    assert not graph.resolved_by_keras


@models
def test_keras_builds_the_original(name: str) -> None:
    graph, original = graph_of(name), ORIGINALS[name]
    runs = graph.flops is None or graph.flops < RUN_BELOW
    with nullcontext() if runs else without_memory():
        model = build_model(graph)
    outputs = model.output if isinstance(model.output, dict) else dict(enumerate(model.outputs))
    assert [list(one.shape) for one in model.inputs] == original["inputs"]
    assert [list(one.shape) for one in outputs.values()] == original["outputs"]
    assert model.count_params() == original["parameters"]
    assert sum(int(np.prod(one.shape)) for one in model.trainable_weights) == original["trainable"]
    built = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    assert Counter(map(label, built)) == layers_of(original)
    if runs:
        given = frames(graph)
        results = keras.tree.flatten(model(given if len(given) > 1 else given[0]))
        for result, output in zip(results, graph.outputs, strict=True):
            assert tuple(result.shape) == (1, *(OPEN_LENGTH if dim is None else dim for dim in output.shape))
            assert np.isfinite(keras.ops.convert_to_numpy(result)).all()


def test_named_outputs() -> None:
    assert list(build_model(graph_of("trailer_branches")).output) == [f"cat_{k}" for k in range(5)]


def test_projected_states_start_the_decoder() -> None:
    decoder = next(node for node in graph_of("adsnet_plain").nodes if node.id == "dec")
    assert [str(port) for port in decoder.initial_state] == ["h", "c"]


def test_four_states_go_from_one_bidirectional_layer_to_the_next() -> None:
    """Against the same layers called by hand."""
    model = build_model(graph_of("bidir_states"))
    both = [layer for layer in model.layers if isinstance(layer, keras.layers.Bidirectional)]
    x = y = keras.Input((5, 60, 24, 1))
    again = [keras.layers.Bidirectional.from_config(layer.get_config()) for layer in both]
    for first, encoder, decoder in (again[:3], again[3:6], again[6:]):
        y, *states = encoder(first(y))
        y = decoder(y, initial_state=states)
    y = keras.layers.Conv3DTranspose(1, (1, 54, 19))(y)
    reference = keras.Model(x, keras.layers.TimeDistributed(keras.layers.Dense(1, activation="sigmoid"))(y))
    reference.set_weights(model.get_weights())
    (given,) = frames(graph_of("bidir_states"))
    np.testing.assert_allclose(model(given), reference(given), atol=1e-6)


def test_a_slice_drops_the_other_channels() -> None:
    model = build_model(graph_of("states_slice"))
    given = frames(graph_of("states_slice"))
    first = [np.concatenate([one[..., :1], 0 * one[..., 1:]], axis=-1) for one in given]
    np.testing.assert_array_equal(model(given), model(first))


def test_the_index_is_the_mean_over_the_box() -> None:
    model = build_model(graph_of("month_embed_nino"))
    forecast, index = (keras.ops.convert_to_numpy(one) for one in model(frames(graph_of("month_embed_nino"))))
    mask = np.zeros((20, 27, 2))
    mask[7:13, 11:20, 0] = 1
    np.testing.assert_allclose(index, (forecast * mask).sum(axis=(1, 2)) / 54, atol=1e-6)
