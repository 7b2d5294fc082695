"""What a picture of a graph shows: a box for each input and layer, an edge for each tensor that runs between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from specbuild.catalog import Bidirectional, Layer, Recurrent, Shape, TimeDistributed, show
from specbuild.graph.model import OUTPUT, Graph, Node

FAMILIES = {
    "convolution": "convolution",
    "pooling": "reshaping",
    "reshaping": "reshaping",
    "plumbing": "reshaping",
    "frames": "reshaping",
    "autoregressive": "recurrent",
    "merging": "merging",
    "core": "dense",
    "application": "convolution",
}
"""The family of a layer, which gives its box a colour, by the module of the catalogue; any other is `other`."""


@dataclass(frozen=True, slots=True)
class Box:
    """An input or a layer. `shape` is its output without the batch axis, `state` its states in words, if any."""

    id: str
    layer: str
    shape: str
    state: str
    family: str
    outputs: tuple[str, ...] = ()
    """Names of the model's outputs that it gives."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Tensors from one box to another.

    `state`: they start the recurrence there, and `label` names them, or says `state` where they are a whole one.
    """

    source: str
    target: str
    label: str = ""
    state: bool = False


@dataclass(frozen=True, slots=True)
class Diagram:
    """Boxes in the order they run, and the edges between them."""

    name: str
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def diagram(graph: Graph) -> Diagram:
    """The boxes and edges of a graph."""
    outputs = {
        node: tuple(one.name for one in graph.outputs if one.port.node == node)
        for node in {one.port.node for one in graph.outputs}
    }
    inputs = (Box(one.id, "Input", show(one.shape), "", "input", outputs.get(one.id, ())) for one in graph.inputs)
    nodes = (
        Box(one.id, one.layer.label, show(one.shape), _state(one.state), _family(one.layer), outputs.get(one.id, ()))
        for one in graph.nodes
    )
    edges = tuple(edge for node in graph.nodes for edge in (*_data_edges(node), *_state_edges(node)))
    return Diagram(graph.name, (*inputs, *nodes), edges)


def _data_edges(node: Node) -> Iterator[Edge]:
    """One for each box that is read; a port other than the usual one is named."""
    for source in dict.fromkeys(port.node for port in node.inputs):
        ports = dict.fromkeys(port.name for port in node.inputs if port.node == source)
        yield Edge(source, node.id, ", ".join(name for name in ports if name not in (OUTPUT, "sequence")))


def _state_edges(node: Node) -> Iterator[Edge]:
    """One for each box whose tensors start the recurrence, labelled with the names they get."""
    given = dict(zip(node.state, node.initial_state, strict=False))
    for source in dict.fromkeys(port.node for port in node.initial_state):
        names = [name for name, port in given.items() if port.node == source]
        whole = [port.name for port in given.values()] == [f"state.{name}" for name in node.state]
        yield Edge(source, node.id, "state" if whole and names == list(node.state) else ", ".join(names), state=True)


def _state(states: dict[str, Shape]) -> str:
    """`h, c: 32 × 32 × 32`."""
    by_shape: dict[str, list[str]] = {}
    for name, shape in states.items():
        by_shape.setdefault(show(shape), []).append(name)
    return "; ".join(f"{', '.join(names)}: {shape}" for shape, names in by_shape.items())


def _family(layer: Layer) -> str:
    while isinstance(layer, TimeDistributed | Bidirectional):
        layer = layer.layer
    if isinstance(layer, Recurrent):
        return "recurrent"
    return FAMILIES.get(type(layer).__module__.rpartition(".")[2], "other")
