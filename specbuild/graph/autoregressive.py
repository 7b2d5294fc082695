"""The body of an autoregressive node: its graph over the frames given and over a single one, measured for any input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from specbuild.catalog import Dim, Layer, Recurrent, Shape, ShapeError, Weight, show
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.catalog.receptive_field import ReceptiveField
from specbuild.catalog.shapes import size, times
from specbuild.document import Report
from specbuild.graph.body_checks import check_kinds, check_steps, check_whole
from specbuild.graph.feedback import feedback_receptive_field
from specbuild.graph.model import Body, Graph, Port, spent, total
from specbuild.graph.ports import demands
from specbuild.language import BodySpec, InputSection, InputSpec, NodeSpec, OutputSpec, Reference, Spec, TrainSection

Infer = Callable[[Spec, Report], Graph | None]
"""What makes a graph of a spec, with the faults put into the report."""


def with_body(node: NodeSpec, spec: Spec, infer: Infer) -> NodeSpec:
    """The node with its body bound to its layer, where it has one."""
    if node.body is None:
        return node
    assert isinstance(node.layer, Autoregressive)
    return replace(node, layer=node.layer.bound(BodyRule(node, node.body, spec, infer)))


def body_of(layer: Layer, x: Shape) -> Body:
    """The graphs of an autoregressive node's body for its input."""
    assert isinstance(layer, Autoregressive)
    assert isinstance(layer.body, BodyRule)
    return layer.body.measured(x)


def check_body(node: NodeSpec, x: Shape, report: Report) -> bool:
    """Reports everything in a node's body that does not fit, at its own line; whether nothing was found.

    `x` is the shape of the sequence that the node reads.
    """
    assert isinstance(node.layer, Autoregressive)
    rule = node.layer.body
    assert isinstance(rule, BodyRule)
    if len(x) < 2:
        return True  # The shape rule of the node says so.
    if not check_kinds(rule.body, node.id, report):
        return False
    inside = Report()
    graph = rule.report(x, inside)
    for one in inside.errors:
        report.add(one)
    if graph is None or not check_steps(graph, node.id, report) or not check_whole(node, graph, x, report):
        return False
    for one in graph.warnings:
        report.add(one)
    return True


class BodyRule:
    """A body, measured for input sequences of any shape; what the catalogue's `Body` asks for."""

    def __init__(self, node: NodeSpec, body: BodySpec, spec: Spec, infer: Infer) -> None:
        self.node, self.body, self._spec, self._infer = node, _by_steps(body), spec, infer
        self._graphs: dict[Shape, Graph] = {}
        wanted = demands(self._inside((1,))).get(body.input)
        self.ranks: tuple[int, ...] | None = tuple(sorted(wanted)) if wanted else None

    def report(self, x: Shape, report: Report) -> Graph | None:
        """The graph for inputs of shape `x`, or None after reporting what does not fit."""
        graph = self._infer(self._inside(x), report)
        if graph is not None:
            self._graphs[x] = graph
        return graph

    def graph(self, x: Shape) -> Graph:
        """The graph for inputs of shape `x`.

        Raises:
            ShapeError: it does not run on such inputs.
        """
        if x not in self._graphs:
            report = Report()
            if self.report(x, report) is None:
                why = report.errors[0].message if report.errors else ""
                raise ShapeError(f"{self.node.id} does not run on {show(x)}", reason=why)
        return self._graphs[x]

    def measured(self, x: Shape) -> Body:
        """The graphs over the frames given, over one frame, and over any number, the last two with states passed in."""
        frame = x[1:]
        return Body(self.graph(x), _stepped(self.graph((1, *frame))), _stepped(self.graph((None, *frame))))

    def check(self, x: Shape) -> None:
        self.measured(x)

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        nodes = self.graph(x).nodes
        return tuple(replace(one, name=f"{node.id}.{one.name}") for node in nodes for one in node.weights)

    def flops(self, x: Shape, horizon: int) -> Dim:
        return spent(self.graph(x).flops, self.graph((1, *x[1:])).flops, horizon)

    def saved_elements(self, x: Shape, horizon: int, *, remat: bool) -> Dim:
        given, step = self._saved(x), self._saved((1, *x[1:]))
        if not remat:
            return spent(given, step, horizon)
        carried = total((size(x[1:]), *(size(s) for node in self.graph(x).nodes for s in node.state.values())))
        return total((given, times(horizon - 1, carried), step if horizon > 1 else 0))

    def receptive_field(self, x: Shape, horizon: int, *, every_step: bool) -> ReceptiveField:
        return feedback_receptive_field(self.measured(x), x, horizon, every_step=every_step)

    def _saved(self, x: Shape) -> Dim:
        return total(node.saved for node in self.graph(x).nodes)

    def _inside(self, x: Shape) -> Spec:
        """The body as a spec of its own."""
        body, end = self.body, self.body.end
        return replace(
            self._spec,
            name=self.node.id,
            inputs=(InputSpec(body.input, InputSection(shape=x), end.span),),
            layers=body.nodes,
            outputs=(OutputSpec(end.id, end),),
            named_outputs=False,
            data=None,
            train=TrainSection(),
            broken=body.broken,
            composites=(),
        )


def given_state(node: str, name: str) -> Port:
    """The port of a tensor that a body's node gets its state from at the start of a step."""
    return Port(node, f"given.{name}")


def _stepped(graph: Graph) -> Graph:
    """The graph with every state coming in from outside, and leaving."""
    nodes = tuple(
        replace(
            node,
            initial_state=tuple(given_state(node.id, name) for name in node.state),
            used=node.used | {f"state.{name}" for name in node.state},
        )
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _by_steps(body: BodySpec) -> BodySpec:
    """Bare references to recurrent nodes mean every step."""
    recurrent = {node.id for node in body.nodes if isinstance(node.layer, Recurrent)}

    def stepped(source: Reference) -> Reference:
        return replace(source, port="sequence") if source.port is None and source.id in recurrent else source

    nodes = tuple(replace(node, sources=tuple(map(stepped, node.sources))) for node in body.nodes)
    return replace(body, nodes=nodes, end=stepped(body.end))
