"""The step of a recurrent node: its graph over one frame and the states, for any input."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from specbuild.catalog import Bidirectional, Dim, Shape, ShapeError, Weight, show
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.catalog.receptive_field import ReceptiveField, no_input, whole_input
from specbuild.catalog.recurrence import Recurrence
from specbuild.catalog.shapes import fits
from specbuild.catalog.wrappers import innermost
from specbuild.document import Report
from specbuild.graph.body_checks import changes_in_training, check_penalties, refuse_remat, warn_unread
from specbuild.graph.inside import spec_inside, weights_inside
from specbuild.graph.model import Graph, Infer, Port, Step, total
from specbuild.graph.receptive_field import FieldTracer, PortField
from specbuild.graph.regions import one_region
from specbuild.language import BodySpec, NodeSpec, OutputSpec, Spec


class StepRule:
    """A step, measured for input sequences of any shape; what the catalog's `MeasuredStep` asks for."""

    def __init__(self, node: NodeSpec, body: BodySpec, spec: Spec, infer: Infer) -> None:
        self.node, self.body, self._spec, self._infer = node, body, spec, infer
        layer = innermost(node.layer)
        assert isinstance(layer, Recurrence)
        self.layer = layer
        self._others: tuple[Shape, ...] = ()
        """One step of each input besides the first."""
        self._graphs: dict[Shape, Graph] = {}
        self._traces: dict[Shape, _Trace] = {}

    def check_at_lines(self, inputs: Sequence[Shape], report: Report) -> bool:
        """Report everything that does not fit sequences of these shapes, each at its line; return whether all fits."""
        x, *others = inputs
        whole = self._whole(len(inputs))
        if len(x) < 2:
            return True  # The shape rule of the node says so.
        sound = self._check_lengths(inputs, report) and self._check_kinds(report)
        if not sound or not check_penalties(self.body, self.node.id, report):
            return False
        self._others = tuple(shape if at in whole else shape[1:] for at, shape in enumerate(others, start=1))
        if any(None in shape for shape in (x[1:], *self._others)):
            return True  # As above.
        inside = Report()
        graph = self._infer(self._inside(x), inside)
        report.extend(inside.errors)
        if graph is None or not self._check_states(graph, x, report):
            return False
        self._graphs[x[1:]] = graph
        report.extend(graph.warnings)
        warn_unread(self.node, self.body, graph, report, first=whole.start)
        return self._check_noise(graph, x[0], report)

    def graph(self, x: Shape) -> Graph:
        """Return the graph of a step for a sequence of shape `x`.

        Raises:
            ShapeError: it does not run on such frames.
        """
        if x[1:] not in self._graphs:
            report = Report()
            graph = self._infer(self._inside(x), report)
            if graph is None or not self._check_states(graph, x, report):
                why = report.errors[0].message if report.errors else ""
                raise ShapeError(f"{self.node.id} does not run on {show(x)}", reason=why)
            self._graphs[x[1:]] = graph
        return self._graphs[x[1:]]

    def measured(self, inputs: Sequence[Shape]) -> Step:
        """Return the graph of a step, and what of it runs for all steps at once."""
        graph = self.graph(inputs[0])
        return Step(graph, self.body.sequences, tuple(state.id for state in self.body.states))

    def check(self, x: Shape) -> None:
        self.graph(x)

    def output(self, x: Shape) -> Shape:
        return self.graph(x).outputs[0].shape

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        return weights_inside(self.graph(x))

    def flops(self, x: Shape) -> Dim:
        return self.graph(x).flops

    def saved_elements(self, x: Shape) -> Dim:
        return total(node.saved for node in self.graph(x).nodes)

    def fields(self, x: Shape, delay: int) -> tuple[tuple[ReceptiveField, ...], dict[str, ReceptiveField]]:
        field = self._field(x, delay)

        def of(name: str, shape: Shape) -> ReceptiveField:
            if field is None:
                return whole_input(shape)
            return one_region(field[name]) if name in field else no_input(shape)

        inputs = tuple(map(of, self.body.inputs, (x[1:], *self._others)))
        own = self.layer.state_shapes(x)
        return inputs, {name: of(state.id, own[name]) for name, state in zip(own, self.body.states, strict=True)}

    def _field(self, x: Shape, delay: int) -> PortField | None:
        """The field of the output, `delay` steps after its inputs and states were read; None if it is unknown."""
        if x[1:] not in self._traces:
            self._traces[x[1:]] = _Trace(self.graph(x), self.body)
        return self._traces[x[1:]].at(delay)

    def _whole(self, inputs: int) -> range:
        return range(inputs - self.body.static, inputs)

    def _check_lengths(self, inputs: Sequence[Shape], report: Report) -> bool:
        """Report what the nodes inside read that has no frame for each step."""
        steps, whole, sound = inputs[0][:1], self._whole(len(inputs)), True
        for at, (source, shape) in enumerate(zip(self.node.sources, inputs, strict=True)):
            if at not in whole and shape[:1] != steps:
                message = f"{source} does not have a frame for each step of {self.node.id}"
                reason = f"{self.node.id} reads {self.node.sources[0]}, {show(inputs[0])}; {source} is {show(shape)}"
                help = f"to read all of it at every step, write static: {{{source.id}: {source}}}"
                report.error(message, source.span, reason=reason, help=help, code="body")
                sound = False
        return sound

    def _check_kinds(self, report: Report) -> bool:
        """Report nodes that a step cannot run."""
        before = len(report.errors)
        if isinstance(self.node.layer, Bidirectional) and len(self.body.inputs) > 1:
            message = f"{self.node.id} reads {self.body.name_inside(self.body.inputs[1])} in both directions"
            reason = "Keras's Bidirectional reads a single sequence"
            help = "join the sequences before this node, for example with Concatenate"
            report.error(message, self.node.span(), reason=reason, help=help, code="body")
        for inner in self.body.nodes:
            if isinstance(innermost(inner.layer), Autoregressive):
                message = f"{inner.id} cannot forecast inside {self.node.id}"
                reason = "a step reads one frame, and an autoregressive node reads a sequence"
                help = "put the recurrent node inside the autoregressive one"
                report.error(message, inner.span(), reason=reason, help=help, code="body")
        return len(report.errors) == before

    def _check_states(self, graph: Graph, x: Shape, report: Report) -> bool:
        """Report states that change their shape from one step to the next."""
        sound = True
        given = self.layer.state_shapes(x)
        for (name, shape), output, state in zip(given.items(), graph.outputs[1:], self.body.states, strict=True):
            if not fits(output.shape, shape) or None in output.shape:
                message = f"the state {name} of {self.node.id} changes shape"
                reason = f"it is {show(shape)} before the step, and {show(output.shape)} after it"
                help = self._fix(output.shape, shape, name)
                report.error(message, state.next.span, reason=reason, help=help, code="state")
                sound = False
        return sound

    def check_use(self, used: Collection[str], report: Report) -> None:
        """Report the last output of both directions, read beside every step, where no state holds it."""
        end, states = self.body.end, {(state.next.id, state.next.port) for state in self.body.states}
        both = isinstance(self.node.layer, Bidirectional) and {"sequence", "last"} <= {*used}
        if both and (end.id, end.port) not in states:
            message = f"{self.node.id}.last cannot be read together with {self.node.id}.sequence"
            reason = "the last output of both directions is read from the states, and no state is the output"
            help = "make a state the output, or read only one of the two"
            report.error(message, self.node.span(), reason=reason, help=help, code="body")

    def _fix(self, after: Shape, before: Shape, name: str) -> str:
        if len(after) == len(before) and after[:-1] == before[:-1]:
            return f"declare states: {{{name}: {after[-1]}}}, or end in {before[-1]} channels"
        return "convolutions in a step need padding: same and no strides"

    def _check_noise(self, graph: Graph, steps: Dim, report: Report) -> bool:
        """Report nodes that draw random numbers or change while they train where a step must not."""
        noisy = [inner for inner in graph.nodes if changes_in_training(inner.layer)]
        if noisy and self.layer.remat:
            refuse_remat(self.node, noisy[0], report)
        elif noisy and steps is None and not self._spec.known_steps:
            message = f"{self.node.id} needs a known number of steps because of {noisy[0].id}"
            reason = f"in training {noisy[0].id} draws random numbers or updates statistics, so the steps are unrolled"
            help = f"write the number of frames in the input's shape, or remove {noisy[0].id}"
            report.error(message, noisy[0].spec.span(), reason=reason, help=help, code="body")
        else:
            return True
        return False

    def _inside(self, x: Shape) -> Spec:
        """The step as a spec of its own, whose inputs are frames, static maps and states."""
        body = self.body
        given = dict(zip(body.inputs, (x[1:], *self._others), strict=True))
        states = zip(body.states, self.layer.state_shapes(x).values(), strict=False)  # one may be faulty
        given |= {state.id: shape for state, shape in states}
        after = (OutputSpec(f"{state.id}_next", state.next) for state in body.states)
        return spec_inside(self.node, body, self._spec, given, after)


class _Trace:
    """The receptive field of a step's output, followed from step to step.

    The first step reads everything: its frames, the static maps and the states before it. Later ones read no frames.
    """

    def __init__(self, graph: Graph, body: BodySpec) -> None:
        self._graph = graph
        self._tracer = FieldTracer({each.id: each.shape for each in graph.inputs})
        self._states = {
            Port(state.id): output.port for state, output in zip(body.states, graph.outputs[1:], strict=True)
        }
        self._frames = [Port(name) for name in body.inputs[: body.sequences]]
        self._fields: list[PortField] = []
        self._ended = False

    def at(self, delay: int) -> PortField | None:
        """Return the field after so many further steps; None if a layer cannot be followed."""
        while len(self._fields) <= delay and not self._ended:
            try:
                self._go_on()
            except (KeyError, ShapeError):
                self._fields, self._ended = [], True
        return self._fields[min(delay, len(self._fields) - 1)] if self._fields else None

    def _go_on(self) -> None:
        """Follow one more step.

        Raises:
            KeyError, ShapeError: a layer cannot be followed.
        """
        tracer = self._tracer
        for node in self._graph.nodes:
            tracer.add(node)
        self._fields.append(tracer.fields[self._graph.outputs[0].port])
        before = {port: tracer.fields[port] for port in self._states}
        after = {port: tracer.fields[end] for port, end in self._states.items()}
        self._ended = before == after and not any(tracer.fields[port] for port in self._frames)
        tracer.fields |= after | {port: {} for port in self._frames}
