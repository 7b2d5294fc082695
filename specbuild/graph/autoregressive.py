"""The body of an autoregressive node: its graphs over the past frames and over one frame, for inputs of any shape."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from specbuild.catalog import Dim, Recurrent, Shape, ShapeError, Weight, show
from specbuild.catalog.receptive_field import AxisField, ReceptiveField, no_input, whole_input
from specbuild.catalog.shapes import size, times
from specbuild.document import Report
from specbuild.graph.body_checks import (
    check_covariates,
    check_kinds,
    check_penalties,
    check_steps,
    check_whole,
    warn_unread,
)
from specbuild.graph.inside import spec_inside, weights_inside
from specbuild.graph.model import Body, Graph, Infer, Node, Port, spent, total
from specbuild.graph.ports import demands
from specbuild.graph.receptive_field import MAX_CHECKED, FieldTracer, PortField, own_field, positions
from specbuild.graph.regions import Region, at_last, one_region
from specbuild.language import BodySpec, NodeSpec, Reference, Spec
from specbuild.language.spec import NodeSpecs


class BodyRule:
    """A body, measured for inputs of any shapes; what the catalog's `MeasuredBody` asks for."""

    def __init__(self, node: NodeSpec, body: BodySpec, spec: Spec, infer: Infer) -> None:
        self.node, self.body, self._spec, self._infer = node, _by_steps(body), spec, infer
        self._graphs: dict[tuple[Shape, ...], Graph] = {}
        wanted = demands(self._inside(((1,),) * len(body.inputs))).get(body.inputs[0])
        self.ranks: tuple[int, ...] | None = tuple(sorted(wanted)) if wanted else None

    def check_at_lines(self, inputs: Sequence[Shape], report: Report) -> bool:
        """Report everything that does not fit inputs of these shapes, each at its line; return whether all fits."""
        x = inputs[0]
        if len(x) < 2:
            return True  # The shape rule of the node says so.
        if not check_covariates(self.node, self.body, inputs, report):
            return False
        if not check_kinds(self.body, self.node.id, report) or not check_penalties(self.body, self.node.id, report):
            return False
        inside = Report()
        graph = self.report(self.read(inputs, x[0]), inside)
        report.extend(inside.errors)
        if graph is None or not graph.outputs or not check_steps(graph, self.node.id, report):
            return False  # No output: what gives it could not be read, which is reported.
        if not check_whole(self.node, graph, x, report):
            return False
        report.extend(graph.warnings)
        warn_unread(self.node, self.body, graph, report)
        return True

    def check_use(self, used: Collection[str], report: Report) -> None:
        """An autoregressive node has one output, whose use needs no check."""

    def read(self, inputs: Sequence[Shape], steps: Dim) -> tuple[Shape, ...]:
        """Return the shapes of what the nodes inside read of the inputs in so many steps."""
        moving = self.body.sequences
        return (*((steps, *x[1:]) for x in inputs[:moving]), *((steps, *x) for x in inputs[moving:]))

    def report(self, read: tuple[Shape, ...], report: Report, *, known: bool = False) -> Graph | None:
        """Return the graph over what the nodes read, or None after reporting what does not fit.

        `known`: whether the number of steps is known where the nodes run, even if it is left open here.
        """
        graph = self._infer(replace(self._inside(read), known_steps=known), report)
        if graph is not None:
            self._graphs[read] = graph
        return graph

    def graph(self, inputs: Sequence[Shape], steps: Dim) -> Graph:
        """Return the graph over so many steps of the inputs.

        Raises:
            ShapeError: it does not run on such inputs.
        """
        read = self.read(inputs, steps)
        if read not in self._graphs:
            report = Report()
            if self.report(read, report, known=inputs[0][0] is not None) is None:
                why = report.errors[0].message if report.errors else ""
                raise ShapeError(f"{self.node.id} does not run on {' and '.join(map(show, read))}", reason=why)
        return self._graphs[read]

    def measured(self, inputs: Sequence[Shape]) -> Body:
        """Return the graphs over the frames given, over one frame and over any number; states enter the last two.

        Into the first go those that start the recurrence of a node inside.
        """
        given = self.graph(inputs, inputs[0][0])
        started = {node.id for node in self.started(given)}
        step, every = (_stepped(self.graph(inputs, steps)) for steps in (1, None))
        return Body(_stepped(given, started), step, every)

    def started(self, given: Graph) -> tuple[NodeSpec, ...]:
        """Return the recurrent nodes inside that start from a state of another node, with that state."""
        states = zip(self.body.recurrent, self.node.inner_states, strict=bool(self.node.inner_states))
        live = {node.id for node in given.nodes}
        return tuple(
            replace(node, initial_state=state) for node, state in states if state is not None and node.id in live
        )

    def check(self, *inputs: Shape) -> None:
        self.measured(inputs)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return weights_inside(self.graph(inputs, inputs[0][0]))

    def flops(self, *inputs: Shape, horizon: int) -> Dim:
        return spent(self.graph(inputs, inputs[0][0]).flops, self.graph(inputs, 1).flops, horizon)

    def saved_elements(self, *inputs: Shape, horizon: int, remat: bool) -> Dim:
        body = self.measured(inputs)
        given, step = (total(node.saved for node in graph.nodes) for graph in (body.given, body.step))
        if not remat:
            return spent(given, step, horizon)
        states = (size(shape) for node in body.step.nodes for shape in node.state.values())
        carried = total((*(size(x[1:]) for x in inputs[: self.body.sequences]), *states))
        return total((given, times(horizon - 1, carried), step if horizon > 1 else 0))

    def receptive_field(self, *inputs: Shape, horizon: int, every_step: bool) -> tuple[ReceptiveField, ...]:
        """Return the field of the last of `horizon` frames in each input, whose lengths are known.

        With `every_step` the output's time goes along with that of the inputs: step p reads the frames up to p. Where
        the steps are too many to follow, everything counts as read.
        """
        body = self.measured(inputs)
        fields = self._fields(body, inputs, horizon)
        given, moving = inputs[0][0] or 0, self.body.sequences
        every = []
        for index, (name, x) in enumerate(zip(self.body.inputs, inputs, strict=True)):
            if fields is not None and name not in fields:
                every.append(no_input(x))
                continue
            field = whole_input(x) if fields is None else fields[name]
            last = (x[0] or 0) - 1
            if index < moving and every_step:
                time = AxisField(0, tuple((0, min(step, last)) for step in range(given - 1 + horizon)))
                field = (time, *field[1:])
            elif index < moving:
                field = (AxisField(None, ((0, last),)), *field[1:])
            every.append(field)
        return tuple(every)

    def state_receptive_fields(self, *inputs: Shape, horizon: int) -> tuple[ReceptiveField, ...]:
        """Return the field of the last of `horizon` frames in each state that comes in, one after the other."""
        body = self.measured(inputs)
        shapes = {
            str(port): shape
            for node in body.given.nodes
            for port, shape in zip(node.initial_state, node.state.values(), strict=False)
        }
        fields = self._fields(body, inputs, horizon) if shapes else None
        if fields is None:
            return tuple(map(whole_input, shapes.values()))
        return tuple(fields.get(name, no_input(shape)) for name, shape in shapes.items())

    def _fields(self, body: Body, inputs: Sequence[Shape], horizon: int) -> dict[str, Region] | None:
        """What the last frame depends on, by the ids of inputs and the ports of states; None if there is too much."""
        work = horizon * sum(positions(shape) for node in body.given.nodes for shape in node.shapes.values())
        if work <= MAX_CHECKED:
            with suppress(KeyError, ShapeError):
                return _field_of_last(body, inputs, self.body.sequences, horizon)
        return None

    def _inside(self, read: Sequence[Shape]) -> Spec:
        """The body as a spec of its own."""
        inputs = dict(zip(self.body.inputs, read, strict=True))
        return spec_inside(self.node, self.body, self._spec, inputs)


def _stepped(graph: Graph, started: Collection[str] | None = None) -> Graph:
    """The graph with every state coming in from outside, by the ports `given.<name>` of its node, and leaving.

    With `started` only those of some nodes come in.
    """

    def open_to_states(node: Node) -> Node:
        ports = tuple(Port(node.id, f"given.{name}") for name in node.state)
        given = ports if started is None or node.id in started else ()
        return replace(node, initial_state=given, used=node.used | {f"state.{name}" for name in node.state})

    return replace(graph, nodes=tuple(map(open_to_states, graph.nodes)))


def _by_steps(body: BodySpec) -> BodySpec:
    """The body with bare references to recurrent nodes meaning every step."""
    recurrent = recurrent_ids(body.nodes)

    def stepped(source: Reference) -> Reference:
        return at_port(source, "sequence", recurrent)

    nodes = tuple(replace(node, sources=tuple(map(stepped, node.sources))) for node in body.nodes)
    return replace(body, nodes=nodes, end=stepped(body.end))


def recurrent_ids(nodes: NodeSpecs) -> frozenset[str]:
    return frozenset(node.id for node in nodes if isinstance(node.layer, Recurrent))


def at_port(source: Reference, port: str, recurrent: Collection[str]) -> Reference:
    """The reference with the port that a bare one to a recurrent node means."""
    return replace(source, port=port) if source.port is None and source.id in recurrent else source


def _field_of_last(body: Body, inputs: Sequence[Shape], moving: int, horizon: int) -> dict[str, Region]:
    """The receptive field of the last frame forecast, on each axis of the inputs it depends on, followed step by step.

    The first `moving` of the inputs have a time axis.

    Raises:
        KeyError, ShapeError: a layer cannot be followed.
    """
    end = body.given.outputs[0].port
    names = [x.id for x in body.given.inputs]
    tracer = FieldTracer({x.id: x.shape for x in body.given.inputs})
    for node in body.given.nodes:
        for port, shape in zip(node.initial_state, node.state.values(), strict=False):
            tracer.shapes[port], tracer.fields[port] = shape, own_field(str(port), shape)
    pairs = list(zip(names, inputs, strict=True))
    still = {Port(name): _at_every_step(own_field(name, x)) for name, x in pairs[moving:]}
    tracer.fields |= still
    for node in body.given.nodes:
        tracer.add(node)
    frame, states = _last_frame(tracer.fields[end]), _states(body, tracer.fields)
    given = inputs[0][0] or 0
    for step in range(horizon - 1):
        read = {Port(name): _at_step(own_field(name, x), given + step) for name, x in pairs[1:moving]}
        shapes = {Port(x.id): x.shape for x in body.step.inputs}
        tracer.shapes = shapes | {port: shape for port, (shape, _) in states.items()}
        tracer.fields = {Port(names[0]): frame, **read, **still} | {port: field for port, (_, field) in states.items()}
        for node in body.step.nodes:
            tracer.add(node)
        before, frame, states = (frame, states), _last_frame(tracer.fields[end]), _states(body, tracer.fields)
        if before == (frame, states):
            break
    return {name: one_region(regions) for name, regions in frame.items()}


def _at_every_step(field: PortField) -> PortField:
    """The field of a frame without a time axis, as a sequence of that frame."""
    return {name: tuple(tuple(map(_behind_time, region)) for region in regions) for name, regions in field.items()}


def _behind_time(axis: AxisField) -> AxisField:
    return axis if axis.axis is None else replace(axis, axis=axis.axis + 1)


def _at_step(field: PortField, step: int) -> PortField:
    """The field of one frame of an input, as a sequence of that frame."""
    time = AxisField(None, ((step, step),))
    return {name: tuple((time, *region[1:]) for region in regions) for name, regions in field.items()}


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
