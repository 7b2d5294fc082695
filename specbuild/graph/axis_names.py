"""Names of the axes of every tensor: time, depth, height, width and channels, followed through the graph.

An input is named after what reads it. From there on each layer keeps, permutes, drops or adds axes: its receptive field
says which output axis an input axis goes along with. An axis that nothing names has the name "".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from specbuild.catalog import Bidirectional, Layer, Recurrent, Shape, ShapeError, TimeDistributed
from specbuild.catalog.receptive_field import ReceptiveField
from specbuild.catalog.spatial import Spatial
from specbuild.catalog.wrappers import innermost
from specbuild.graph.model import OUTPUT, Graph, Input, Node, Port, closed

Names: TypeAlias = tuple[str, ...]

BY_RANK: dict[int, Names] = {
    0: (),
    1: ("channels",),
    2: ("time", "channels"),
    3: ("height", "width", "channels"),
    4: ("time", "height", "width", "channels"),
    5: ("time", "depth", "height", "width", "channels"),
}
"""What an input is called by convention where its readers do not say."""
SPACE: dict[int, Names] = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}
ADDS_TIME = ("RepeatFrame", "RepeatVector")
"""Layers whose new axis is the time axis."""


def axis_names(graph: Graph, given: Mapping[str, Names] | None = None) -> dict[Port, Names]:
    """Return the names of the axes of every port; `given` are those of inputs that are known already."""
    given = given or {}
    names = {Port(x.id): given.get(x.id) or _input_names(x, graph) for x in graph.inputs}
    shapes = graph.shapes
    for node in graph.nodes:
        inputs = [names[port] for port in node.inputs]
        every = _output_names(node, inputs, [shapes[port] for port in node.inputs])
        for name, shape in node.shapes.items():
            own = every if name in (OUTPUT, "sequence") else every[1:]
            names[Port(node.id, name)] = own if len(own) == len(shape) else ("",) * len(shape)
    return names


def _input_names(x: Input, graph: Graph) -> Names:
    """The names by the first layer that knows what its axes are, past layers that keep them."""
    same = {Port(x.id)}
    for node in graph.nodes:
        if same.isdisjoint(node.inputs):
            continue
        names = _expected(node.layer, len(x.shape))
        if names:
            return names
        if node.layer.pointwise or node.layer.kind.endswith("Normalization"):
            same.add(Port(node.id))
    return BY_RANK.get(len(x.shape), ("",) * len(x.shape))


def _expected(layer: Layer, rank: int) -> Names:
    """The names of the axes that a layer works on, empty where any will do."""
    if isinstance(layer, TimeDistributed):
        frame = layer.layer
        space = _in_space(frame, SPACE) if isinstance(frame, Spatial) and not isinstance(frame, Recurrent) else ()
        names: Names = ("time", *(space or BY_RANK.get(rank - 1, ())))
        return names if len(set(names)) == len(names) == rank else ()
    if isinstance(layer, Bidirectional):
        return _expected(layer.layer, rank)
    if isinstance(layer, Recurrent) and isinstance(layer, Spatial):
        return ("time", *_in_space(layer, SPACE))
    if isinstance(layer, Spatial):
        return _in_space(layer, {**SPACE, 1: ("time",), 3: ("time", "height", "width")})
    return ("time", "height", "width")[:rank] if layer.kind == "Embedding" else ()


def _in_space(layer: Spatial, space: Mapping[int, Names]) -> Names:
    axes = space[layer.spatial]
    return ("channels", *axes) if layer.channels_first else (*axes, "channels")


def _output_names(node: Node, inputs: Sequence[Names], shapes: Sequence[Shape]) -> Names:
    """The names of the axes of a node's output, of a recurrent node of every step."""
    layer = node.layer
    if layer.kind == "Autoregressive" or layer.package == "applications":
        return inputs[0] if len(node.shape) == len(inputs[0]) else BY_RANK.get(len(node.shape), ())
    rank = len(node.shapes["sequence"] if isinstance(layer, Recurrent) else node.shape)
    names: Names = ("",) * rank
    with suppress(ShapeError):
        fields = layer.receptive_field(*map(closed, shapes))
        carried = (_carried(layer, own, field, rank) for own, field in zip(inputs, fields, strict=True))
        names = _first_known(carried, rank)
    if "" in names:
        conventional = _expected(layer, rank)
        return conventional if len(conventional) == rank else names
    return names


def _carried(layer: Layer, names: Names, field: ReceptiveField, rank: int) -> Names:
    """The names that a layer's output has from one of its inputs."""
    own = [""] * rank
    mixed = []
    for at, (name, axis) in enumerate(zip(names, field, strict=True)):
        if axis is None or axis.axis is None:
            mixed.append(at)
        else:
            own[axis.axis] = name
    kind = innermost(layer).kind
    if kind == "Reshape":
        return tuple(own)
    if len(names) == rank:
        for at in mixed:
            own[at] = own[at] or names[at]
    elif own.count("") == 1 and "channels" not in own and (mixed or kind == "Embedding"):
        own[own.index("")] = "channels"
    if kind in ADDS_TIME and layer.kind == kind and "time" not in own:
        own[0] = "time"
    return tuple(own)


def _first_known(names: Iterable[Names], rank: int) -> Names:
    """For each axis the first name that there is."""
    return tuple(next((name for name in axis if name), "") for axis in zip(*names, strict=True)) or ("",) * rank
