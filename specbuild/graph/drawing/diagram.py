"""The diagram of a graph: a box for each input and layer, an edge for each tensor passed between them.

The same as text for Mermaid, which GitHub, GitLab and many editors draw in Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from specbuild.catalog import Layer, Recurrent, Shape, show
from specbuild.catalog.wrappers import innermost
from specbuild.document.printable import one_line
from specbuild.graph.model import OUTPUT, Graph, Node
from specbuild.graph.summary import shown_layer

FILLS = {
    "input": "#e9e9e9",
    "recurrent": "#fde3cf",
    "convolution": "#d9e7f7",
    "dense": "#e3e0f5",
    "merging": "#dcefdc",
    "reshaping": "#eef1e4",
    "other": "#f5f5f5",
}
"""A quiet colour for each family of layers."""
STATE = "#c2410c"
"""One strong colour for states that are passed on."""
FAMILIES = {
    "convolution": "convolution",
    "pooling": "reshaping",
    "reshaping": "reshaping",
    "plumbing": "reshaping",
    "autoregressive": "recurrent",
    "recurrence": "recurrent",
    "merging": "merging",
    "equation": "merging",
    "core": "dense",
    "application": "convolution",
}
"""The family of a layer by the module of the catalogue; any other is `other`."""


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
    """Return the boxes and edges of a graph."""

    def outputs(node: str) -> tuple[str, ...]:
        return tuple(one_line(output.name) for output in graph.outputs if output.port.node == node)

    inputs = (Box(x.id, "Input", show(x.shape), "", "input", outputs(x.id)) for x in graph.inputs)
    nodes = (Box(x.id, _layer(x), show(x.shape), _state(x.state), _family(x.layer), outputs(x.id)) for x in graph.nodes)
    edges = tuple(edge for node in graph.nodes for edge in (*_data_edges(node), *_state_edges(node)))
    return Diagram(one_line(graph.name), (*inputs, *nodes), edges)


def mermaid(diagram: Diagram) -> str:
    """Return the text of a flowchart, without the fence around it. States that are passed on are dashed."""
    names = {box.id: f"n{index}" for index, box in enumerate(diagram.boxes)}
    families = dict.fromkeys(box.family for box in diagram.boxes)
    states = [str(index) for index, edge in enumerate(diagram.edges) if edge.state]
    lines = [
        "flowchart TD",
        *(f"  {names[box.id]}{_mermaid_box(box)}:::{box.family}" for box in diagram.boxes),
        *(f"  {names[edge.source]} {_mermaid_arrow(edge)} {names[edge.target]}" for edge in diagram.edges),
        *(f"  classDef {family} fill:{FILLS[family]},stroke:#888,color:#222" for family in families),
        *([f"  linkStyle {','.join(states)} stroke:{STATE}"] if states else []),
    ]
    return "\n".join(lines) + "\n"


def _mermaid_box(box: Box) -> str:
    outputs = [f"→ {name}" for name in box.outputs]
    text = "<br/>".join(map(_escaped, filter(None, (box.id, box.layer, box.shape, box.state, *outputs))))
    return f'(["{text}"])' if box.family == "input" else f'["{text}"]'


def _mermaid_arrow(edge: Edge) -> str:
    if edge.state:
        return f'-. "{edge.label}" .->'
    return f'-- "{edge.label}" -->' if edge.label else "-->"


def _escaped(text: str) -> str:
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")


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


def _layer(node: Node) -> str:
    text = shown_layer(node.layer.label, node.layer.text([str(port) for port in node.inputs]))
    count = len(node.with_inside) - 1
    return f"{text}, {count} layer{'s' * (count > 1)} inside" if count else text


def _state(states: dict[str, Shape]) -> str:
    """`h, c: 32 × 32 × 32`."""
    by_shape: dict[str, list[str]] = {}
    for name, shape in states.items():
        by_shape.setdefault(show(shape), []).append(name)
    return "; ".join(f"{', '.join(names)}: {shape}" for shape, names in by_shape.items())


def _family(layer: Layer) -> str:
    layer = innermost(layer)
    if isinstance(layer, Recurrent):
        return "recurrent"
    return FAMILIES.get(type(layer).__module__.rpartition(".")[2], "other")
