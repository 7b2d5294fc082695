"""A mapping table applied to names: which weight gets which array, with every fault at its place in the table.

Nothing here imports Keras.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from specbuild.catalog import Bidirectional, KerasObject, Layer, Weight
from specbuild.catalog.constant import Constant
from specbuild.catalog.values import written
from specbuild.catalog.wrappers import DIRECTIONS, innermost
from specbuild.document import Entry, Report, did_you_mean, listed, locate, plain
from specbuild.document import Mapping as Mapped
from specbuild.graph import Graph, Node
from specbuild.graph.inside import weights_inside
from specbuild.language.variables import substitute
from specbuild.model.mapping.arrange import (
    ORDERS,
    ArrangeError,
    Shape,
    axes_moved,
    channels_taken,
    gates_reordered,
    unshuffled,
)
from specbuild.model.mapping.table import Pattern, Table, WeightSection

Arrays = Mapping[str, np.ndarray]


def weight_shapes(graph: Graph, prefix: str = "") -> dict[str, Shape]:
    """Return the shape of every weight of a model by its name, `<id of the node>/<name of the weight>`.

    Inside a recurrent node that runs in both directions, ids have the `prefix` forward_ or backward_. The numbers of a
    Constant are not among the weights, since the spec gives them.
    """
    shapes: dict[str, Shape] = {}
    for node in graph.nodes:
        if not has_weights_to_set(node):
            continue
        inside = graph_inside(node)
        if inside is not None:
            for direction in directions(node):
                shapes |= weight_shapes(inside, prefix + direction)
        shapes |= {f"{prefix}{node.id}/{weight.name}": weight.shape for weight in own_weights(node)}
    return shapes


def graph_inside(node: Node) -> Graph | None:
    """Return the graph of the nodes that a node runs; None for a single layer."""
    if node.step is not None:
        return node.step.graph
    return None if node.body is None else node.body.open


def own_layers(graph: Graph, prefix: str = "") -> dict[str, Layer]:
    """Return the layer of every node, without its wrappers, by the id that the names of its weights begin with."""
    layers: dict[str, Layer] = {}
    for node in graph.nodes:
        inside = graph_inside(node)
        for direction in directions(node) if inside is not None else ():
            layers |= own_layers(inside, prefix + direction) if inside is not None else {}
        layers[f"{prefix}{node.id}"] = innermost(node.layer)
    return layers


def check_layers(table: Table, graph: Graph, variables: Mapping[str, Any], report: Report) -> None:
    """Report layers that do not have the arguments that a table requires.

    Args:
        table: with the arguments by id, which may hold variables as the names of weights do.
        graph: with the layers.
        variables: of the spec; the values may use them.
        report: takes the faults.
    """
    layers = own_layers(graph)
    for pattern in table.requirements:
        matched = {name: values for name in layers if (values := pattern.match(name)) is not None}
        if not matched:
            help = did_you_mean(pattern.name, layers) or f"it has {listed(layers)}"
            report.error(f"the model has no node {pattern.name}", pattern.key.span, help=help, code="unknown-weight")
        for name, values in matched.items():
            required = substitute(pattern.value, {**variables, **values}, report)
            for entry in required.entries if isinstance(required, Mapped) else ():
                _check_argument(layers[name], name, entry, report)


def _check_argument(layer: Layer, name: str, entry: Entry, report: Report) -> None:
    if entry.name not in type(layer).model_fields:
        help = did_you_mean(entry.name, type(layer).model_fields)
        message = f"{name} is a {layer.kind}, which has no argument {entry.name}"
        report.error(message, entry.key.span, help=help, code="requires")
        return
    given, wanted = getattr(layer, entry.name), plain(entry.value)
    given = given.written() if isinstance(given, KerasObject) else list(given) if isinstance(given, tuple) else given
    same = given == wanted or (isinstance(given, list) and given == [wanted] * len(given))
    if not same:
        message = (
            f"{name} has {entry.name}: {written(given)}, and the checkpoint comes from a layer with {written(wanted)}"
        )
        reason = "the weights have the same shapes, but the outputs would differ"
        report.error(message, entry.value.span, reason=reason, code="requires")


def directions(node: Node) -> tuple[str, ...]:
    """Return the prefixes of the directions in which a node runs the nodes inside it."""
    return tuple(f"{way}_" for way in DIRECTIONS) if isinstance(node.layer, Bidirectional) else ("",)


def own_weights(node: Node) -> tuple[Weight, ...]:
    """Return the weights of a node that do not belong to nodes inside it, such as the learned states of a cell."""
    inside = graph_inside(node)
    if inside is None:
        return node.weights
    within = {f"{direction}{weight.name}" for direction in directions(node) for weight in weights_inside(inside)}
    return tuple(weight for weight in node.weights if weight.name not in within)


def has_weights_to_set(node: Node) -> bool:
    """Whether a node has weights of its own, which no other node shares and the spec does not give."""
    return bool(node.weights) and node.shares is None and not isinstance(node.layer, Constant)


def assignments(
    table: Table, shapes: Mapping[str, Shape], arrays: Arrays, variables: Mapping[str, Any], report: Report
) -> dict[str, np.ndarray]:
    """Return the array of every weight, in the weight's shape; put every fault into `report`.

    Args:
        table: what goes where.
        shapes: of the weights of the model, by name.
        arrays: of the checkpoint, by name.
        variables: of the spec; `when` and `from` may use them.
        report: takes the faults.
    """
    given: dict[str, np.ndarray] = {}
    by: dict[str, Pattern] = {}
    used: dict[str, str] = {}
    faulty: set[str] = set()
    absent: list[_Absent] = []
    for pattern in sorted(table.patterns, key=lambda pattern: not pattern.plain):
        named = {name: values for name in shapes if (values := pattern.match(name)) is not None}
        own = {name: values for name, values in named.items() if name not in by or not by[name].plain}
        if not own and not table.left_out(pattern, variables):
            _without_effect(pattern, [*named], shapes, report)
        for name, values in own.items():
            entry = table.entry(pattern, {**variables, **values}, report)
            if entry is None:
                faulty.add(name)
                continue
            if not entry.when:
                continue
            if name in by:
                reason = f"{by[name].name} matches it too"
                report.error(f"{name} is given twice", pattern.key.span, reason=reason, code="twice")
                continue
            by[name] = pattern
            used |= dict.fromkeys(entry.from_, name)
            missing = next((source for source in entry.from_ if source not in arrays), None)
            if missing is not None:
                absent.append(_Absent(missing, name, locate(pattern.value, ("from",))))
                faulty.add(name)
                continue
            array = _made(entry, name, shapes[name], arrays, pattern, report)
            if array is None:
                faulty.add(name)
            else:
                given[name] = array
    if not _names_agree(table, absent, arrays, report):
        return {}
    _all_given(table, [name for name in shapes if name not in given and name not in faulty], report)
    _all_used(table, arrays, used, report)
    return {name: given[name] for name in shapes if name in given}


@dataclass(frozen=True, slots=True)
class _Absent:
    """An array that a weight is made from, and that the checkpoint does not have."""

    source: str
    weight: str
    place: Any


def _names_agree(table: Table, absent: Sequence[_Absent], arrays: Arrays, report: Report) -> bool:
    """Report arrays that do not exist; return False after one error for all names, which lack or have a prefix."""
    if not absent:
        return True
    whole, first = table.document["weights"].key.span, absent[0].source
    if not arrays:
        report.error("the checkpoint has no arrays", whole, code="unknown-array")
        return False
    longer = next((name for name in arrays if name.endswith(first)), "")
    shorter = next((name for name in arrays if first.endswith(name)), "")
    prefix, surplus = longer.removesuffix(first), first.removesuffix(shorter) if shorter else ""
    if prefix and all(f"{prefix}{each.source}" in arrays for each in absent):
        message = f"the names of the checkpoint begin with {prefix}, those of the table do not"
        help = f"remove it with prefixes: {prefix} in the table, or with --prefix {prefix}"
        report.error(message, whole, reason=f"the checkpoint has {longer}", help=help, code="unknown-array")
        return False
    if surplus and all(each.source.removeprefix(surplus) in arrays for each in absent):
        message = f"the names of the table begin with {surplus}, those of the checkpoint do not"
        report.error(message, whole, reason=f"the checkpoint has {shorter}", code="unknown-array")
        return False
    for each in absent:
        help = did_you_mean(each.source, arrays) or f"it has {listed(arrays)}"
        message, reason = f"the checkpoint has no array {each.source}", f"{each.weight} is made from it"
        report.error(message, each.place, reason=reason, help=help, code="unknown-array")
    return True


def _made(
    entry: WeightSection, name: str, shape: Shape, arrays: Arrays, pattern: Pattern, report: Report
) -> np.ndarray | None:
    """The array of one weight; None after reporting why there is none."""
    place = locate(pattern.value, ("from",))
    for source in entry.from_:
        if arrays[source].dtype.kind not in "fiub" and "float" not in arrays[source].dtype.name:
            report.error(f"{source} holds {arrays[source].dtype}, not numbers", place, code="bad-array")
            return None
    try:
        array = _arranged(entry, shape, arrays)
    except ArrangeError as error:
        message = f"cannot make {name} {shape} from {_sources(entry, arrays)}"
        report.error(message, place, reason=str(error), help=_fitting(entry, shape, arrays), code="shape")
        return None
    if array.shape != shape:
        message = f"{name} is {shape}, and the table gives {array.shape}"
        reason = f"it is made from {_sources(entry, arrays)}"
        report.error(message, place, reason=reason, help=_fitting(entry, shape, arrays), code="shape")
        return None
    return array


def _arranged(entry: WeightSection, shape: Shape, arrays: Arrays) -> np.ndarray:
    parts = [axes_moved(arrays[source], entry.order, shape) for source in entry.from_]
    if entry.take is not None:
        parts = [channels_taken(part, entry.take, shape) for part in parts]
    if len({part.shape if entry.stack else (part.ndim, part.shape[:-1]) for part in parts}) > 1:
        raise ArrangeError(f"the arrays cannot be joined: {', '.join(str(part.shape) for part in parts)}")
    array = np.stack(parts) if entry.stack else np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
    if entry.gates is not None:
        array = gates_reordered(array, entry.gates)
    return array if entry.pixel_shuffle is None else unshuffled(array, entry.pixel_shuffle)


def _sources(entry: WeightSection, arrays: Arrays) -> str:
    return " and ".join(f"{source} {arrays[source].shape}" for source in entry.from_)


def _fitting(entry: WeightSection, shape: Shape, arrays: Arrays) -> str:
    """Return a help that names the orders of axes that would fit."""
    fitting = []
    for order in ORDERS:
        try:
            array = _arranged(entry.model_copy(update={"order": order}), shape, arrays)
        except ArrangeError:
            continue
        if array.shape == shape:
            fitting.append(order)
    return f"it would fit with order: {' or '.join(fitting)}" if fitting else ""


def _without_effect(pattern: Pattern, named: list[str], shapes: Mapping[str, Shape], report: Report) -> None:
    if named:
        message = f"{pattern.name} applies to no weight"
        reason = f"other entries give {listed(named)}"
        report.error(message, pattern.key.span, reason=reason, code="twice")
        return
    message = f"{'the model has no weight' if pattern.plain else 'no weight of the model is called'} {pattern.name}"
    help = did_you_mean(pattern.name, shapes) or f"it has {listed(shapes)}"
    report.error(message, pattern.key.span, help=help, code="unknown-weight")


def _all_given(table: Table, missing: list[str], report: Report) -> None:
    if missing and not any(report.is_known(pattern.key.span) for pattern in table.patterns):
        several = f"{len(missing)} weights of the model get" if len(missing) > 1 else "one weight of the model gets"
        place = table.document["weights"].key.span
        report.error(f"{several} no array: {listed(missing)}", place, code="missing-weight")


def _all_used(table: Table, arrays: Arrays, used: Mapping[str, str], report: Report) -> None:
    """Report entries of `unused` that name no unused array, and arrays that are neither used nor listed there."""
    left = [name for name in arrays if name not in used]
    entry = table.document.entry("unused")
    for number, name_or_stars in enumerate(table.section.unused):
        expression = re.compile(".*".join(map(re.escape, name_or_stars.split("*"))))
        place = locate(entry.value, (number,)) if entry is not None else None
        matching = [name for name in arrays if expression.fullmatch(name)]
        if not matching and "*" not in name_or_stars:
            help = did_you_mean(name_or_stars, arrays) or f"it has {listed(arrays)}"
            report.error(f"the checkpoint has no array {name_or_stars}", place, help=help, code="unknown-array")
        elif matching and all(name in used for name in matching):
            message = f"{name_or_stars} is used"
            report.error(message, place, reason=f"{used[matching[0]]} is made from {matching[0]}", code="used-array")
        left = [name for name in left if not expression.fullmatch(name)]
    if left and not report.failed:
        several = f"{len(left)} arrays of the checkpoint are" if len(left) > 1 else "one array of the checkpoint is"
        key = (entry or table.document["weights"]).key
        help = "write the weights that they are for, or list them: unused: [name, other.*]"
        report.error(f"{several} not used: {listed(left)}", key.span, help=help, code="unused-array")
