"""One graph of a streaming model while it is put together, and what goes in and out of it.

In the graph a sequence has one entry, `(1, …)`; outside it is a frame without a time axis.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from specbuild.catalog import KINDS, Layer, Shape
from specbuild.graph import Graph, Input, Node, Output, Port
from specbuild.graph.ports import port_shapes
from specbuild.language import NodeSpec

Role: TypeAlias = Literal["frame", "state", "static"]
NEXT = "_next"
"""What the name of an output ends in that is a state after the step."""


@dataclass(frozen=True, slots=True)
class Given:
    """An input of a streaming graph.

    Attributes:
        name: of the input.
        role: what it is.
        shape: in the graph, without the batch; that of a frame begins with a time axis of length 1.
        frame: whether it is given without that time axis.
        dtype: such as `float32`.
        origin: the input, or the port whose state or value it is, in the whole model.
        initial: of a state: a number, `start` where that graph gives it, or `learned` for weights of the layer.
        next: of a state that changes: the output that is the state after the step.
    """

    name: str
    role: Role
    shape: Shape
    frame: bool
    origin: str
    dtype: str = "float32"
    initial: float | str = ""
    next: str = ""

    @property
    def outer(self) -> Shape:
        """The shape outside of the graph."""
        return self.shape[1:] if self.frame else self.shape


@dataclass(frozen=True, slots=True)
class Taken:
    """An output of a streaming graph: a tensor of the graph under a name, without its time axis where it is a frame."""

    name: str
    port: Port
    role: Role
    shape: Shape
    frame: bool
    origin: str

    @property
    def outer(self) -> Shape:
        """The shape outside of the graph."""
        return self.shape[1:] if self.frame else self.shape


@dataclass(frozen=True, slots=True)
class StreamGraph:
    """A graph of one step, with its inputs and outputs in order."""

    name: str
    graph: Graph
    inputs: tuple[Given, ...]
    outputs: tuple[Taken, ...]
    owners: dict[str, str]
    """For each node the node of the whole model whose weights it has."""


@dataclass
class Side:
    """A graph of one step that nodes are added to."""

    name: str
    whole: Graph
    nodes: list[Node] = field(default_factory=list)
    inputs: dict[str, Given] = field(default_factory=dict)
    outputs: list[Taken] = field(default_factory=list)
    shapes: dict[Port, Shape] = field(default_factory=dict)
    ports: dict[Port, Port] = field(default_factory=dict)
    """Where a port of the whole model is to be read here, if not under its own name."""

    def given(self, given: Given) -> Port:
        """Add an input, unless it is there, and return its port."""
        self.inputs.setdefault(given.name, given)
        self.shapes[Port(given.name)] = given.shape
        return Port(given.name)

    def add(self, node: Node) -> None:
        """Add a node, whose shapes follow from those of its inputs here.

        Raises:
            ShapeError: it does not run on them.
        """
        inputs = [self.shapes[port] for port in node.inputs]
        node.layer.check(*inputs)
        shapes = port_shapes(node.layer, inputs)
        self.nodes.append(replace(node, shapes=shapes))
        self.shapes |= {Port(node.id, name): shape for name, shape in shapes.items()}

    def made(self, name: str, kind: str, inputs: tuple[Port, ...], spec: NodeSpec, **arguments: object) -> Port:
        """Add a layer without weights that the whole model does not have, and return its port."""
        layer = KINDS[kind].model_validate(arguments)
        known = Port(name)
        if known not in self.shapes:
            self.add(plain_node(name, layer, inputs, spec))
        return known

    def here(self, port: Port) -> Port:
        """Return where a port of the whole model is read in this graph."""
        return self.ports.get(port, port)

    def has(self, port: Port) -> bool:
        return self.here(port) in self.shapes

    def finished(self) -> StreamGraph:
        """Return the graph with what its outputs depend on; states that no frame or other graph needs are left out."""
        by_id = {node.id: node for node in self.nodes}
        states = {taken.name: taken for taken in self.outputs if taken.name in self._nexts()}
        wanted = [taken for taken in self.outputs if taken.name not in states]
        needed: set[str] = set()
        rest = [taken.port.node for taken in wanted]
        while rest:
            name = rest.pop()
            if name in needed:
                continue
            needed.add(name)
            if name in by_id:
                rest += [port.node for port in (*by_id[name].inputs, *by_id[name].initial_state)]
            elif (after := self.inputs[name].next) in states and states[after] not in wanted:
                wanted.append(states[after])
                rest.append(states[after].port.node)
        nodes = tuple(_with_owners([node for node in self.nodes if node.id in needed]))
        owners = {node.id: node.shares or node.id for node in self.nodes}
        inputs = tuple(given for given in self.inputs.values() if given.name in needed)
        outputs = tuple(sorted((taken for taken in self.outputs if taken in wanted), key=lambda x: x.role != "frame"))
        graph = Graph(
            f"{self.whole.name}-{self.name}",
            tuple(Input(given.name, given.shape, given.dtype, None) for given in inputs),
            nodes,
            tuple(Output(taken.name, taken.port, taken.shape) for taken in outputs),
            self.whole.spec,
        )
        return StreamGraph(self.name, graph, inputs, outputs, owners)

    def _nexts(self) -> set[str]:
        return {given.next for given in self.inputs.values() if given.next}


def plain_node(name: str, layer: Layer, inputs: tuple[Port, ...], spec: NodeSpec) -> Node:
    """Return a node without weights and state."""
    return Node(
        id=name,
        layer=layer,
        inputs=inputs,
        initial_state=(),
        shapes={},
        state={},
        weights=(),
        flops=None,
        saved=None,
        used=frozenset(),
        shares=None,
        spec=spec,
    )


def _with_owners(nodes: list[Node]) -> list[Node]:
    """Return the nodes with layers that are left without their first user belonging to the next."""
    ids = {node.id for node in nodes}
    first: dict[str, str] = {}
    result = []
    used: dict[str, frozenset[str]] = {}
    for node in nodes:
        owner = node.shares or node.id
        used[owner] = used.get(owner, frozenset()) | node.used
    for node in nodes:
        node = replace(node, used=used[node.shares or node.id])  # one layer has one set of flags
        if node.shares is not None and node.shares not in ids:
            owner = first.setdefault(node.shares, node.id)
            node = replace(node, shares=owner if owner != node.id else None)
        result.append(node)
    return result
