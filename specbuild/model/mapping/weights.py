"""A model with the weights of a checkpoint of another framework."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.document import Report, listed
from specbuild.graph import Graph, build_graph
from specbuild.language import Spec
from specbuild.model.build import build
from specbuild.model.mapping.checkpoint import read_checkpoint, without_prefixes
from specbuild.model.mapping.plan import (
    assignments,
    check_layers,
    directions,
    graph_inside,
    has_weights_to_set,
    own_weights,
    weight_shapes,
)
from specbuild.model.mapping.table import read_table
from specbuild.model.plugins import import_plugins
from specbuild.model.resolve import KerasResolver


def import_weights(
    spec: Graph | Spec | str | Path | Mapping[str, Any],
    table: str | Path,
    checkpoint: str | Path | Mapping[str, np.ndarray],
    *,
    prefixes: Iterable[str] = (),
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
    precision: str = "float32",
) -> Any:
    """Build the model of a spec and load the weights of a checkpoint by a mapping table.

    Args:
        spec: as for `build_model`.
        table: path of the mapping table, a YAML file, or the name of one that comes with specbuild.
        checkpoint: path of an `.npz` or `.safetensors` file, or arrays by name such as a state dict of NumPy arrays.
        prefixes: prefixes of the names of arrays, such as `model.`, in place of the table's. They are removed, and
            arrays without one of them are ignored.
        overrides: `{"vars.filters": 64}` or `["vars.filters=64"]`.
        plugins: modules to import, which register custom layers.
        precision: a Keras dtype policy.

    Returns:
        keras.Model: as `build_model` returns it. Every weight has its array; numbers are converted to its dtype.

    Raises:
        SpecError: with every fault of the spec, or of the table, each with its line and column.
    """
    import_plugins(plugins)
    if not isinstance(spec, Graph):
        spec = build_graph(spec, overrides=overrides, resolver=KerasResolver())
    arrays = arranged_weights(spec, table, checkpoint, prefixes)
    model = build(spec, precision)
    weights = keras_weights(spec, model)
    for name, array in arrays.items():
        weights[name].assign(np.asarray(array, dtype="float32"))
    return model


def arranged_weights(
    graph: Graph,
    table: str | Path,
    checkpoint: str | Path | Mapping[str, np.ndarray],
    prefixes: Iterable[str] = (),
) -> dict[str, np.ndarray]:
    """Return the array of every weight of a model, by the weight's name and in its shape. Builds no model.

    The arguments are those of `import_weights`.

    Raises:
        SpecError: with every fault of the table, each with its line and column.
    """
    report = Report()
    read = read_table(table, report)
    report.raise_errors()
    assert read is not None
    stored = checkpoint if isinstance(checkpoint, Mapping) else read_checkpoint(checkpoint)
    prefixes = tuple(prefixes) or read.section.prefixes
    arrays = without_prefixes(stored, prefixes)
    if stored and not arrays:
        entry = read.document.entry("prefixes") if prefixes == read.section.prefixes else None
        message = f"no array of the checkpoint begins with {' or '.join(prefixes)}"
        help = f"it has {listed(stored)}"
        report.error(message, entry.value.span if entry else None, help=help, code="unknown-array")
        report.raise_errors()
    check_layers(read, graph, graph.spec.vars, report)
    given = assignments(read, weight_shapes(graph), arrays, graph.spec.vars, report)
    report.raise_errors()
    return given


def keras_weights(graph: Graph, model: Any) -> dict[str, Any]:
    """Return the variables of a model by the names that `weight_shapes` gives the weights of its graph."""
    return _variables(graph, {layer.name: layer for layer in model.layers if layer.weights})


def _variables(graph: Graph, layers: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    named: dict[str, Any] = {}
    for node in graph.nodes:
        if not has_weights_to_set(node):
            continue
        layer, inside = layers[node.id], graph_inside(node)
        within: set[int] = set()
        if inside is not None:
            for direction in directions(node):
                runs = getattr(layer, f"{direction}layer") if direction else layer
                parts = [part for part in (getattr(runs, name, None) for name in _MODELS) if part is not None]
                known = {inner.name: inner for part in parts for inner in part.layers if inner.weights}
                named |= _variables(inside, known, prefix + direction)
                within |= {id(weight) for part in parts for weight in part.weights}
        own = [weight for weight in layer.weights if id(weight) not in within]
        for weight, variable in zip(own_weights(node), own, strict=True):
            if weight.shape != tuple(variable.shape) or not weight.name.endswith(variable.name):
                raise AssertionError(f"specbuild counted {weight} in {node.id}, Keras has {variable.path}")
            named[f"{prefix}{node.id}/{weight.name}"] = variable
    return named


_MODELS = ("body", "at_once", "step")
"""Attributes of layers that run nodes, with the models of those."""
