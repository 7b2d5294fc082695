"""The diagram of a graph: a box for each input and layer, an edge for each tensor passed between them.

The same as text for Mermaid, which GitHub, GitLab and many editors draw in Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

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
"""A quiet color for each family of layers."""
STATE = "#c2410c"
"""One strong color for states that are passed on."""
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
"""The family of a layer by the module of the catalog; any other is `other`."""


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
    above: tuple[Box, ...] = ()
    """The boxes of a chain that ends in this one, which is drawn as one box."""

    @property
    def lines(self) -> tuple[str, ...]:
        """What is written in it, below its id: the layers of a chain, each with its shape where that changes."""
        shown = [f"{box.id}: {box.layer}" for box in self.above]
        shapes = [box.shape for box in (*self.above, self)]
        changed = [f", {shape}" if shape != after else "" for shape, after in pairwise(shapes)]
        return tuple(text + shape for text, shape in zip(shown, changed, strict=True))


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


def folded(diagram: Diagram) -> Diagram:
    """Return a diagram in which each chain of boxes is one: each is read by the next alone, which reads nothing else.

    Inputs, recurrences and what gives an output before the end of its chain stay boxes of their own.
    """
    readers: dict[str, list[Edge]] = {}
    sources: dict[str, list[Edge]] = {}
    for edge in diagram.edges:
        readers.setdefault(edge.source, []).append(edge)
        sources.setdefault(edge.target, []).append(edge)
    chains: dict[str, tuple[Box, ...]] = {}
    for box in diagram.boxes:
        read = sources.get(box.id, [])
        before = chains.get(read[0].source) if len(read) == 1 and not (read[0].label or read[0].state) else None
        alone = before is not None and len(readers[before[-1].id]) == 1 and not before[-1].outputs
        if before is not None and alone and _in_chain(box) and _in_chain(before[-1]):
            del chains[before[-1].id]
            chains[box.id] = (*before, box)
        else:
            chains[box.id] = (box,)
    ends = {part.id: end for end, chain in chains.items() for part in chain}
    kept = tuple(
        replace(edge, source=ends[edge.source], target=ends[edge.target])
        for edge in diagram.edges
        if ends[edge.source] != ends[edge.target]
    )
    return Diagram(diagram.name, tuple(map(_chained, chains.values())), kept)


def _in_chain(box: Box) -> bool:
    return box.family not in ("input", "recurrent") and not box.state


def _chained(chain: tuple[Box, ...]) -> Box:
    """Return a chain as a box, with the color of a convolution where it has one."""
    families = [box.family for box in chain]
    family = "convolution" if "convolution" in families else chain[-1].family
    *above, _ = (replace(part, above=()) for box in chain for part in (*box.above, box))
    return replace(chain[-1], family=family, above=tuple(above))


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
    text = "<br/>".join(map(_escaped, filter(None, (*box.lines, box.id, box.layer, box.shape, box.state, *outputs))))
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
    """One for each box whose tensors start the recurrence, labeled with the names they get."""
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
