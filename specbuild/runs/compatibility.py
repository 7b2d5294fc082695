"""Compatibility of overrides with a run: whether it can be resumed with them, and whether its weights still fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from specbuild.catalog import KerasObject, Layer, show
from specbuild.catalog.signatures import signature
from specbuild.document import ArgumentError
from specbuild.graph import Graph
from specbuild.graph.model import Node
from specbuild.language.overrides import is_under
from specbuild.language.resolved import inline
from specbuild.language.sections.base import ChangedKey, changed_keys
from specbuild.runs.folder import RunFolder

_BESIDE_THE_MODEL = ("train", "evaluate", "data")


@dataclass(frozen=True, slots=True)
class Change:
    """A value of the spec that a run is resumed with, other than before: `train.epochs`, `3`, `5`."""

    path: str
    before: str
    after: str
    between_epochs: bool = False
    """Whether it can take effect only between two epochs."""

    def __str__(self) -> str:
        return f"{self.path} from {self.before} to {self.after}"


def check_resumable(folder: RunFolder, before: Graph, after: Graph, overrides: Iterable[str]) -> tuple[Change, ...]:
    """Compare the spec of a run with the one that overrides make of it, and return what changes for the training.

    Args:
        folder: of the run.
        before: the graph of its spec.
        after: that of its spec with the overrides.
        overrides: as they were given.

    Raises:
        ArgumentError: the model changes, or a key of `train` or `data` that a resumed run cannot change.
    """
    new_run = f"start a new run from the weights of this one with --set train.init_from={folder.path.resolve()}"
    if difference := _model_difference(before, after):
        given = tuple(overrides)
        named = [override for override in given if not is_under(override, *_BESIDE_THE_MODEL)] or given
        raise ArgumentError(
            f"{', '.join(named)} changes the model of this run: {difference}",
            help=f"a resumed run keeps its model; leave the override out, or {new_run}",
        )
    changes: list[Change] = []
    for key in _changed_keys(before, after):
        if not key.mark.allows(key.before, key.after):
            raise ArgumentError(
                f"a resumed run cannot change {key.path} from {_shown(key.before)} to {_shown(key.after)}: "
                f"{key.mark.reason}",
                help=f"leave the override out, or {new_run}",
            )
        changes += _in_detail(key)
    return tuple(changes)


def _changed_keys(before: Graph, after: Graph) -> Iterator[ChangedKey]:
    ours, theirs = before.spec, after.spec
    yield from changed_keys(ours.train, theirs.train, "train")
    yield from changed_keys(ours.require_data(), theirs.require_data(), "data")


def _in_detail(key: ChangedKey) -> Iterator[Change]:
    """Yield a change, of an object with arguments one for each argument."""
    ours, theirs = key.before, key.after
    if not (isinstance(ours, KerasObject) and isinstance(theirs, KerasObject)):
        yield Change(key.path, _shown(ours), _shown(theirs), key.mark.between_epochs)
        return
    known = signature("optimizers", ours.name)
    default = known.optional if known is not None else {}
    for name in dict.fromkeys((*ours.arguments, *theirs.arguments)):
        old, new = (of.arguments.get(name, default.get(name)) for of in (ours, theirs))
        if old != new:
            yield Change(f"{key.path}.{name}", _shown(old), _shown(new), key.mark.between_epochs)


def check_same_weights(before: Graph, after: Graph, overrides: Iterable[str]) -> None:
    """Compare the weights of a run's graph with those that `overrides` give it; shapes of frames may differ.

    Raises:
        ArgumentError: they differ; it names the overrides and the first difference.
    """
    ours, theirs = ({node.id: node for node in graph.nodes if node.weights} for graph in (before, after))
    differences = [
        *(f"{name} is not in the run" for name in theirs if name not in ours),
        *(f"{name} of the run is gone" for name in ours if name not in theirs),
        *(_weights(ours[name], node) for name, node in theirs.items() if name in ours),
    ]
    if difference := next(filter(None, differences), ""):
        raise ArgumentError(
            f"{', '.join(overrides)} changes the weights of the model: {difference}",
            help="a trained model keeps its weights; what may change is how far it forecasts, as in --horizon 30, if "
            "no weight depends on it",
        )


def _model_difference(before: Graph, after: Graph) -> str:
    """Return the first difference in words; empty where there is none."""
    inputs = {port.id: port for port in before.inputs}
    for port in after.inputs:
        known = inputs.get(port.id)
        if known is None or known.shape != port.shape:
            return f"{port.id} has {show(known.shape if known else ())} in the run, {show(port.shape)} now"
        if known != port:
            return f"{port.id} has another dtype or batch"
    ours, theirs = ({node.id: node for each in graph.nodes for node in each.with_inside} for graph in (before, after))
    for name, node in theirs.items():
        if name not in ours:
            return f"{name} is not in the run"
        changed = (f"{name} has {what}" for what, of in _PARTS.items() if of(ours[name]) != of(node))
        if difference := _weights(ours[name], node) or next(changed, "") or _arguments(name, ours[name], node):
            return difference
    for name in ours:
        if name not in theirs:
            return f"{name} is in the run and no longer in the spec"
    outputs = [[(output.name, output.port) for output in graph.outputs] for graph in (before, after)]
    return "" if outputs[0] == outputs[1] else "its outputs differ"


def _weights(ours: Node, theirs: Node) -> str:
    for old, new in zip(ours.weights, theirs.weights, strict=False):
        if old != new:
            return f"{ours.id}.{old.name} has {show(old.shape)} in the run, {show(new.shape)} now"
    return "" if len(ours.weights) == len(theirs.weights) else f"{ours.id} has other weights"


def _arguments(name: str, ours: Node, theirs: Node) -> str:
    """Return the first argument of a layer that differs, in words; empty where none does."""
    old, new = (_flat(node.layer) for node in (ours, theirs))
    for argument in dict.fromkeys((*old, *new)):
        if not _same(old.get(argument), new.get(argument)):
            then, now = (_shown(values.get(argument)) for values in (old, new))
            return f"{name}.{argument} is {then} in the run, {now} now"
    return ""


def _same(old: Any, new: Any) -> bool:
    """Return whether two arguments are the same; those of a constant are arrays."""
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        return np.array_equal(old, new)
    return bool(old == new)


def _flat(layer: Layer) -> dict[str, Any]:
    """Return the arguments of a layer with those of the layers inside it."""
    flat: dict[str, Any] = {}
    for name, value in ({key: getattr(layer, key) for key in type(layer).model_fields} | layer.arguments()).items():
        flat |= _flat(value) if isinstance(value, Layer) else {name: value}
    return flat


def _shown(value: Any) -> str:
    """Return a value as a spec writes it, cut where it is long."""
    text = inline(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


_PARTS: dict[str, Callable[[Node], object]] = {
    "another kind": lambda node: type(node.layer),
    "other weights": lambda node: node.weights,
    "other sources": lambda node: (node.inputs, node.initial_state, node.shares),
    "another shape": lambda node: node.shapes,
}
