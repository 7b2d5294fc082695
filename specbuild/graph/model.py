"""The graph: every node with its shapes, states, weights and cost, and the tensors that run between them.

Shapes leave out the batch axis; `None` is an axis known only at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from specbuild.catalog import Dim, Layer, Recurrent, Shape, Weight, size
from specbuild.catalog.shapes import times
from specbuild.catalog.wrappers import asks_keras
from specbuild.document import Diagnostic, Report
from specbuild.language import NodeSpec, Spec

OUTPUT = "output"
"""The only port of an input or of a layer without a state."""
Shapes: TypeAlias = Mapping[str, Mapping[str, Shape]]
"""The shape of every port of every node, by id and port."""


@dataclass(frozen=True, slots=True)
class Port:
    """One tensor: a node and which of its outputs. Recurrent nodes have `sequence`, `last` and `state.<name>`."""

    node: str
    name: str = OUTPUT

    def __str__(self) -> str:
        return self.node if self.name == OUTPUT else f"{self.node}.{self.name}"


@dataclass(frozen=True, slots=True)
class Input:
    """An input of the model: its shape without the batch axis."""

    id: str
    shape: Shape
    dtype: str
    batch: int | None


@dataclass(frozen=True, slots=True)
class Node:
    """One layer in its place."""

    id: str
    layer: Layer
    inputs: tuple[Port, ...]
    initial_state: tuple[Port, ...]
    """The tensors that start the recurrence, in the order of `state`; empty: it starts at zero."""
    shapes: dict[str, Shape]
    """Shape of every port."""
    state: dict[str, Shape]
    weights: tuple[Weight, ...]
    flops: Dim
    saved: Dim
    """Numbers per sample that training keeps for the backward pass."""
    used: frozenset[str]
    """The ports that something reads, here or at another use of the same layer."""
    shares: str | None
    """The node whose layer this one uses again; its weights are counted there."""
    spec: NodeSpec = field(repr=False)
    body: Body | None = field(default=None, repr=False)
    """What an autoregressive node runs."""
    step: Step | None = field(default=None, repr=False)
    """What a recurrent node runs at each step."""

    @property
    def inside(self) -> tuple[Node, ...]:
        """The nodes that it runs."""
        if self.step is not None:
            return self.step.graph.nodes
        return self.body.given.nodes if self.body is not None else ()

    @property
    def with_inside(self) -> tuple[Node, ...]:
        """The node, then all that it runs, at any depth."""
        return (self, *(each for node in self.inside for each in node.with_inside))

    @property
    def given_states(self) -> tuple[Port | None, ...]:
        """What its state starts from; of an autoregressive node each one inside, None where that starts at zero."""
        if self.body is None or not self.initial_state:
            return self.initial_state
        ports = iter(self.initial_state)
        return tuple(next(ports) if node.initial_state else None for node in self.body.given.nodes for _ in node.state)

    @property
    def return_sequences(self) -> bool:
        if isinstance(self.layer, Recurrent) and self.layer.return_sequences is not None:
            return self.layer.return_sequences
        return "sequence" in self.used

    @property
    def return_state(self) -> bool:
        """Whether the state leaves the layer: written so, read by a node, or needed to give the last step as well."""
        written = isinstance(self.layer, Recurrent) and self.layer.return_state
        both = self.return_sequences and "last" in self.used
        return bool(written) or both or any(port.startswith("state.") for port in self.used)

    @property
    def port(self) -> str:
        """The port that Keras's bare output is."""
        return OUTPUT if not self.state else "sequence" if self.return_sequences else "last"

    @property
    def shape(self) -> Shape:
        return self.shapes[self.port]

    @property
    def teacher(self) -> str:
        """The input of the training model that brings the true frames of scheduled sampling; empty: there is none."""
        return f"{self.id}_teacher" if getattr(self.layer, "sampling", None) is not None else ""

    @property
    def parameters(self) -> int:
        return sum(weight.size for weight in self.weights)

    @property
    def trainable_parameters(self) -> int:
        return sum(weight.size for weight in self.weights if weight.trainable)


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    port: Port
    shape: Shape


@dataclass(frozen=True, slots=True)
class Graph:
    """A model as plain values, in the order it runs."""

    name: str
    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    spec: Spec = field(repr=False)
    warnings: tuple[Diagnostic, ...] = ()
    """What is not wrong, but most likely not meant."""

    def _repr_html_(self) -> str:
        """The diagram and the table of `specbuild summary`, as a notebook shows them."""
        from specbuild.graph.drawing import diagram
        from specbuild.graph.drawing.picture import svg
        from specbuild.graph.summary import summarize
        from specbuild.graph.tables import html_summary

        return svg(diagram(self)) + html_summary(summarize(self, batch=self.spec.batch_size))

    @property
    def shapes(self) -> dict[Port, Shape]:
        """The shape of every port, those of inputs included."""
        inputs = {Port(x.id): x.shape for x in self.inputs}
        return inputs | {Port(node.id, name): shape for node in self.nodes for name, shape in node.shapes.items()}

    @property
    def every_node(self) -> tuple[Node, ...]:
        """The nodes, and after each one those that it runs inside, such as the body of an autoregressive node."""
        return tuple(each for node in self.nodes for each in node.with_inside)

    @property
    def resolved_by_keras(self) -> tuple[str, ...]:
        """Ids of the nodes whose shapes and weights Keras had to be asked for."""
        return tuple(node.id for node in self.every_node if asks_keras(node.layer))

    @property
    def parameters(self) -> int:
        return sum(node.parameters for node in self.nodes)

    @property
    def trainable_parameters(self) -> int:
        return sum(node.trainable_parameters for node in self.nodes)

    @property
    def flops(self) -> Dim:
        """Floating-point operations of one forward pass of one sample; None where a length is unknown."""
        return total(node.flops for node in self.nodes)

    def activation_bytes(self, batch: int, *, bytes_per_number: int = 4) -> Dim:
        """Memory in bytes that training keeps from the forward pass for the backward pass, inputs included.

        An estimate from the graph: what the framework adds for its own workspace is not in it.
        """
        inputs = total(size(x.shape) for x in self.inputs)
        kept = total(node.saved for node in self.nodes)
        return None if inputs is None or kept is None else (inputs + kept) * batch * bytes_per_number


@dataclass(frozen=True, slots=True)
class Body:
    """The layers inside an autoregressive node. `given` runs over the frames that the node reads.

    `step` runs over one frame, and `open` over any number: their recurrent nodes get their states from ports
    `given.<name>` of their own, and give them on.
    """

    given: Graph
    step: Graph
    open: Graph


@dataclass(frozen=True, slots=True)
class Step:
    """The layers inside a recurrent node: a graph from a frame, further frames, static maps and states to what follows.

    Its first output is that of the step, the others are the states after it.
    """

    graph: Graph
    sequences: int
    """How many inputs, the first ones, have a frame for each step."""
    states: tuple[str, ...]
    """The inputs that are states."""

    @property
    def output_state(self) -> int | None:
        """The place of the state that is the output as well; None if there is none."""
        output, *states = (output.port for output in self.graph.outputs)
        return states.index(output) if output in states else None

    @property
    def at_once(self) -> Graph:
        """The nodes that run for all steps together before the recurrence, since they need no state.

        Its outputs are what the others read. A layer that is used with and without a state runs step by step.
        """
        after = self.by_steps.nodes
        stepped = {node.id for node in after}
        own = tuple(node for node in self.graph.nodes if node.id not in stepped)
        inside = {node.id for node in own}
        read = [port for node in after for port in (*node.inputs, *node.initial_state)]
        read += [output.port for output in self.graph.outputs]
        shapes = self.graph.shapes
        taken = dict.fromkeys(port for port in read if port.node in inside)
        outputs = tuple(Output(str(port), port, shapes[port]) for port in taken)
        given = tuple(each for each in self.graph.inputs if each.id not in self.states)
        return replace(self.graph, inputs=given, nodes=own if taken else (), outputs=outputs)

    @property
    def by_steps(self) -> Graph:
        """The nodes that run step by step: those that need a state, and those that share a layer with one."""
        stateful = set(self.states)
        while True:
            shared = {node.shares or node.id for node in self.graph.nodes if node.id in stateful}
            reached = {
                node.id
                for node in self.graph.nodes
                if (node.shares or node.id) in shared
                or any(port.node in stateful for port in (*node.inputs, *node.initial_state))
            }
            if reached <= stateful:
                return replace(self.graph, nodes=tuple(node for node in self.graph.nodes if node.id in stateful))
            stateful |= reached


def closed(shape: Shape) -> tuple[int, ...]:
    """Return the shape with 64 in place of every open length, so that a layer can tell its receptive field."""
    return tuple(64 if length is None else length for length in shape)


def total(numbers: Iterable[Dim]) -> Dim:
    """Return the sum; None where a number is unknown."""
    known = tuple(numbers)
    return None if None in known else sum(number or 0 for number in known)


def spent(given: Dim, step: Dim, horizon: int) -> Dim:
    """Return what an autoregressive node spends on the frames given at once and on horizon − 1 single steps."""
    return total((given, times(horizon - 1, step)))


Infer: TypeAlias = Callable[[Spec, Report], Graph | None]
"""Makes a graph of a spec, with the faults put into the report."""
