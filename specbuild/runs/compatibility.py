"""Compatibility of overrides with a run: whether they leave the model, or at least its weights, unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from specbuild.catalog import show
from specbuild.document import RunError
from specbuild.graph import Graph
from specbuild.graph.model import Node

_BESIDE_THE_MODEL = ("train.", "evaluate.", "data.")


def check_same_model(before: Graph, after: Graph, overrides: Iterable[str]) -> None:
    """Compare layers, wiring, shapes and weights of a run's graph with those that `overrides` give it.

    Raises:
        RunError: they differ; it names the overrides and the first difference.
    """
    if difference := _model_difference(before, after):
        given = tuple(overrides)
        named = [override for override in given if not override.startswith(_BESIDE_THE_MODEL)] or given
        raise RunError(
            f"{', '.join(named)} changes the model, whose weights are those of this run: {difference}",
            help="a run continues with the model that it began with; leave the override out, or start a new run. "
            "What may change is the training, as in --set train.epochs=40",
        )


def check_same_weights(before: Graph, after: Graph, overrides: Iterable[str]) -> None:
    """Compare the weights of a run's graph with those that `overrides` give it; shapes of frames may differ.

    Raises:
        RunError: they differ; it names the overrides and the first difference.
    """
    ours, theirs = ({node.id: node for node in graph.nodes if node.weights} for graph in (before, after))
    differences = [
        *(f"{name} is not in the run" for name in theirs if name not in ours),
        *(f"{name} of the run is gone" for name in ours if name not in theirs),
        *(_weights(ours[name], node) for name, node in theirs.items() if name in ours),
    ]
    if difference := next(filter(None, differences), ""):
        raise RunError(
            f"{', '.join(overrides)} changes the weights of the model: {difference}",
            help="a trained model forecasts with the weights that it has; what may change is how far it forecasts, as "
            "in --horizon 30, where no weight depends on that",
        )


def _model_difference(before: Graph, after: Graph) -> str:
    """Return the first difference in words; empty where there is none."""
    shapes = {port.id: port.shape for port in before.inputs}
    for port in after.inputs:
        if shapes.get(port.id) != port.shape:
            return f"{port.id} has {show(shapes.get(port.id, ()))} in the run, {show(port.shape)} now"
    ours, theirs = ({node.id: node for node in graph.nodes} for graph in (before, after))
    for name, node in theirs.items():
        if name not in ours:
            return f"{name} is not in the run"
        changed = (f"{name} has {what}" for what, of in _PARTS.items() if of(ours[name]) != of(node))
        if difference := _weights(ours[name], node) or next(changed, ""):
            return difference
    for name in ours:
        if name not in theirs:
            return f"{name} is in the run and no longer in the spec"
    outputs = [[(output.name, output.port) for output in graph.outputs] for graph in (before, after)]
    return "" if outputs[0] == outputs[1] else "its outputs are others"


def _weights(ours: Node, theirs: Node) -> str:
    for old, new in zip(ours.weights, theirs.weights, strict=False):
        if old != new:
            return f"{ours.id}.{old.name} has {show(old.shape)} in the run, {show(new.shape)} now"
    return "" if len(ours.weights) == len(theirs.weights) else f"{ours.id} has other weights"


_PARTS: dict[str, Callable[[Node], object]] = {
    "another kind": lambda node: type(node.layer),
    "other weights": lambda node: node.weights,
    "other sources": lambda node: (node.inputs, node.initial_state, node.shares),
    "another shape": lambda node: node.shapes,
}
