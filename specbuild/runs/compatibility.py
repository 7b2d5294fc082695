"""Whether a run that is to be continued would still train the model that it began with."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from specbuild.catalog import show
from specbuild.document import RunError
from specbuild.graph import Graph
from specbuild.graph.model import Node

_BESIDE_THE_MODEL = ("train.", "evaluate.", "data.")


def check_same_model(before: Graph, after: Graph, overrides: Iterable[str]) -> None:
    """Compares layers, wiring, shapes and weights of a run's graph with those that `overrides` give it.

    Raises:
        RunError: they differ; it names the overrides and the first difference.
    """
    found = _difference(before, after)
    if not found:
        return
    given = tuple(overrides)
    named = ", ".join(one for one in given if not one.startswith(_BESIDE_THE_MODEL)) or ", ".join(given)
    raise RunError(
        f"{named} changes the model, whose weights are those of this run: {found}",
        help="a run continues with the model that it began with; leave the override out, or start a new run. "
        "What may change is the training, as in --set train.epochs=40",
    )


def check_same_weights(before: Graph, after: Graph, overrides: Iterable[str]) -> None:
    """Compares the weights of a run's graph with those that `overrides` give it; shapes of frames may differ.

    Raises:
        RunError: they differ; it names the overrides and the first difference.
    """
    ours, theirs = ({node.id: node for node in graph.nodes if node.weights} for graph in (before, after))
    found = next((f"{name} is not in the run" for name in theirs if name not in ours), "")
    found = found or next((f"{name} of the run is gone" for name in ours if name not in theirs), "")
    found = found or next((told for name, node in theirs.items() if (told := _weights(ours[name], node))), "")
    if found:
        raise RunError(
            f"{', '.join(overrides)} changes the weights of the model: {found}",
            help="a trained model forecasts with the weights that it has; what may change is how far it forecasts, as "
            "in --horizon 30, where no weight depends on that",
        )


def _difference(before: Graph, after: Graph) -> str:
    """The first difference in words; empty where there is none."""
    old = {one.id: one.shape for one in before.inputs}
    for one in after.inputs:
        if old.get(one.id) != one.shape:
            return f"{one.id} has {show(old.get(one.id, ()))} in the run, {show(one.shape)} now"
    ours, theirs = ({node.id: node for node in graph.nodes} for graph in (before, after))
    for name, node in theirs.items():
        if name not in ours:
            return f"{name} is not in the run"
        if told := _between(ours[name], node):
            return told
    gone = [name for name in ours if name not in theirs]
    if gone:
        return f"{gone[0]} is in the run and no longer in the spec"
    outputs = [[(one.name, one.port) for one in graph.outputs] for graph in (before, after)]
    return "" if outputs[0] == outputs[1] else "its outputs are others"


def _between(ours: Node, theirs: Node) -> str:
    differing = (f"{ours.id} has {what}" for what, of in _PARTS.items() if of(ours) != of(theirs))
    return _weights(ours, theirs) or next(differing, "")


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
