"""The body of an autoregressive node: its graph over the past frames and over a single frame, for any input."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from specbuild.catalog import Dim, Recurrent, Shape, ShapeError, Weight, show
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.catalog.receptive_field import AxisField, ReceptiveField, whole_input
from specbuild.catalog.shapes import size, times
from specbuild.document import Report
from specbuild.graph.body_checks import check_kinds, check_steps, check_whole
from specbuild.graph.model import Body, Graph, Port, spent, total
from specbuild.graph.ports import demands
from specbuild.graph.receptive_field import MAX_CHECKED, FieldTracer, PortField, positions
from specbuild.graph.regions import Region, at_last, one_region
from specbuild.language import BodySpec, InputSection, InputSpec, NodeSpec, OutputSpec, Reference, Spec
from specbuild.language.sections.train import TrainSection

Infer: TypeAlias = Callable[[Spec, Report], Graph | None]
"""Makes a graph of a spec, with the faults put into the report."""


def bind_bodies(spec: Spec, infer: Infer) -> tuple[Spec, dict[str, BodyRule]]:
    """Return the spec with each autoregressive layer bound to its body, and the bodies by the id of their node."""
    rules = {node.id: BodyRule(node, node.body, spec, infer) for node in spec.layers if node.body is not None}

    def bound(node: NodeSpec) -> NodeSpec:
        if node.id not in rules:
            return node
        assert isinstance(node.layer, Autoregressive)
        return replace(node, layer=node.layer.bound(rules[node.id]))

    return replace(spec, layers=tuple(map(bound, spec.layers))), rules


class BodyRule:
    """A body, measured for input sequences of any shape; what the catalogue's `Body` asks for."""

    def __init__(self, node: NodeSpec, body: BodySpec, spec: Spec, infer: Infer) -> None:
        self.node, self.body, self._spec, self._infer = node, _by_steps(body), spec, infer
        self._graphs: dict[Shape, Graph] = {}
        wanted = demands(self._inside((1,))).get(body.inputs[0])
        self.ranks: tuple[int, ...] | None = tuple(sorted(wanted)) if wanted else None

    def check_at_lines(self, x: Shape, report: Report) -> bool:
        """Report everything that does not fit a sequence of shape `x`, each at its own line; whether all fits."""
        if len(x) < 2:
            return True  # The shape rule of the node says so.
        if not check_kinds(self.body, self.node.id, report):
            return False
        inside = Report()
        graph = self.report(x, inside)
        report.extend(inside.errors)
        if graph is None or not check_steps(graph, self.node.id, report):
            return False
        if not check_whole(self.node, graph, x, report):
            return False
        report.extend(graph.warnings)
        return True

    def report(self, x: Shape, report: Report) -> Graph | None:
        """Return the graph for inputs of shape `x`, or None after reporting what does not fit."""
        graph = self._infer(self._inside(x), report)
        if graph is not None:
            self._graphs[x] = graph
        return graph

    def graph(self, x: Shape) -> Graph:
        """Return the graph for inputs of shape `x`.

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
        """Return the graphs over the frames given, over one frame and over any number; states enter the last two."""
        frame = x[1:]
        return Body(self.graph(x), _stepped(self.graph((1, *frame))), _stepped(self.graph((None, *frame))))

    def check(self, x: Shape) -> None:
        self.measured(x)

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        nodes = self.graph(x).nodes
        return tuple(replace(weight, name=f"{node.id}.{weight.name}") for node in nodes for weight in node.weights)

    def flops(self, x: Shape, horizon: int) -> Dim:
        return spent(self.graph(x).flops, self.graph((1, *x[1:])).flops, horizon)

    def saved_elements(self, x: Shape, horizon: int, *, remat: bool) -> Dim:
        given, step = self._saved(x), self._saved((1, *x[1:]))
        if not remat:
            return spent(given, step, horizon)
        carried = total((size(x[1:]), *(size(s) for node in self.graph(x).nodes for s in node.state.values())))
        return total((given, times(horizon - 1, carried), step if horizon > 1 else 0))

    def receptive_field(self, x: Shape, horizon: int, *, every_step: bool) -> ReceptiveField:
        """Return the field of the last of `horizon` frames on the sequence `x`, whose lengths are known.

        With `every_step` the output's time goes along with the input's: step p reads the frames up to p. Where the
        steps are too many to follow, everything counts as read.
        """
        body = self.measured(x)
        work = horizon * sum(positions(shape) for node in body.given.nodes for shape in node.shapes.values())
        field = None
        if work <= MAX_CHECKED:
            with suppress(KeyError, ShapeError):
                field = _field_of_last(body, x, horizon)
        frames = x[0] or 0
        space = whole_input(x)[1:] if field is None else field[1:]
        if not every_step:
            return (AxisField(None, ((0, frames - 1),)), *space)
        return (AxisField(0, tuple((0, min(step, frames - 1)) for step in range(frames - 1 + horizon))), *space)

    def _saved(self, x: Shape) -> Dim:
        return total(node.saved for node in self.graph(x).nodes)

    def _inside(self, x: Shape) -> Spec:
        """The body as a spec of its own."""
        body, end = self.body, self.body.end
        return replace(
            self._spec,
            name=self.node.id,
            inputs=(InputSpec(body.inputs[0], InputSection(shape=x), end.span),),
            layers=body.nodes,
            outputs=(OutputSpec(end.id, end),),
            named_outputs=False,
            data=None,
            train=TrainSection(),
            broken=body.broken,
            composites=(),
        )


def _stepped(graph: Graph) -> Graph:
    """The graph with every state coming in from outside, by the ports `given.<name>` of its node, and leaving."""
    nodes = tuple(
        replace(
            node,
            initial_state=tuple(Port(node.id, f"given.{name}") for name in node.state),
            used=node.used | {f"state.{name}" for name in node.state},
        )
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _by_steps(body: BodySpec) -> BodySpec:
    """The body with bare references to recurrent nodes meaning every step."""
    recurrent = {node.id for node in body.nodes if isinstance(node.layer, Recurrent)}

    def stepped(source: Reference) -> Reference:
        return replace(source, port="sequence") if source.port is None and source.id in recurrent else source

    nodes = tuple(replace(node, sources=tuple(map(stepped, node.sources))) for node in body.nodes)
    return replace(body, nodes=nodes, end=stepped(body.end))


def _field_of_last(body: Body, x: Shape, horizon: int) -> Region:
    """The receptive field of the last frame forecast, on each axis of the sequence, followed step by step.

    Raises:
        KeyError, ShapeError: a layer cannot be followed.
    """
    name, end = body.given.inputs[0].id, body.given.outputs[0].port
    tracer = FieldTracer({name: x})
    for node in body.given.nodes:
        tracer.add(node)
    frame, states = _last_frame(tracer.fields[end]), _states(body, tracer.fields)
    for _ in range(horizon - 1):
        tracer.shapes = {Port(name): (1, *x[1:])} | {port: shape for port, (shape, _) in states.items()}
        tracer.fields = {Port(name): frame} | {port: field for port, (_, field) in states.items()}
        for node in body.step.nodes:
            tracer.add(node)
        before, frame, states = (frame, states), _last_frame(tracer.fields[end]), _states(body, tracer.fields)
        if before == (frame, states):
            break
    return one_region(frame[name])


def _last_frame(field: PortField) -> PortField:
    """The field of the last of several frames, as one frame that has its axes."""
    return {name: at_last(regions, keep_axis=True) for name, regions in field.items()}


def _states(body: Body, fields: dict[Port, PortField]) -> dict[Port, tuple[Shape, PortField]]:
    """Shape and field of the states after a step, under the ports that the next step gets them from."""
    return {
        port: (shape, fields[Port(node.id, f"state.{name}")])
        for node in body.step.nodes
        for port, (name, shape) in zip(node.initial_state, node.state.items(), strict=True)
    }
