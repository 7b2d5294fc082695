"""From spec to graph, in passes: names, needed ranks, then shapes, ports, states and costs node by node."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.catalog import Recurrent, Shape, ShapeError, show
from specbuild.catalog.plumbing import SplitPart
from specbuild.catalog.wrappers import asks_keras
from specbuild.document import Diagnostic, Report, TooManyErrors
from specbuild.graph.accepted import accept_warnings, check_allowed
from specbuild.graph.data_checks import check_samples, check_scores
from specbuild.graph.head_checks import check_heads
from specbuild.graph.lints import lint
from specbuild.graph.loss_checks import check_losses
from specbuild.graph.model import OUTPUT, Body, Graph, Input, Node, Output, Port, Step
from specbuild.graph.monitors import check_judged, check_monitors
from specbuild.graph.names import Names
from specbuild.graph.node_checks import (
    check_arity,
    check_batch_sizes,
    check_expected,
    check_frames,
    check_stateful,
    excess,
    refuse_excess,
    report_misfit,
)
from specbuild.graph.number_types import check_number_types
from specbuild.graph.ports import PortChoice, demands, port_shapes
from specbuild.graph.states import wire_inner_states, wire_state
from specbuild.language import NodeSpec, Reference, Spec, normalize, read_spec

if TYPE_CHECKING:
    from specbuild.catalog.generic import Resolver
    from specbuild.graph.bodies import Rule


def build_graph(
    spec: Spec | str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    resolver: Resolver | None = None,
    roots: Iterable[str | Path] = (),
) -> Graph:
    """Return the graph of a spec, with every shape, state, weight and cost worked out. Loads no framework.

    `resolver` answers for layers without a rule of their own; without one they are refused. `roots` are folders besides
    the spec's own under which the files may lie that it names.

    Raises:
        SpecError: with everything that does not fit, each with its line and column.
    """
    report = Report()
    if isinstance(spec, Spec):
        if overrides:
            raise TypeError("overrides belong to load_spec when a Spec is given")
        graph = _judged(spec, report, resolver)
    else:
        _, graph = _read(spec, normalize(overrides), report, resolver, tuple(roots))
    report.raise_errors()
    assert graph is not None
    return graph


def check(
    source: str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    report: Report,
    resolver: Resolver | None = None,
    roots: Iterable[str | Path] = (),
) -> Graph | None:
    """Read a spec and work out its graph, putting every fault of either into `report`; None if there is one.

    So is whether training reports what the spec monitors. What `specbuild tune` varies is checked as well, which takes
    as long as the spec for every value; mistakes in the section `tune` do not hide values that do not fit.
    """
    overrides, roots = normalize(overrides), tuple(roots)

    def read(changes: tuple[str, ...], report: Report) -> tuple[Spec | None, Graph | None]:
        spec, graph = _read(source, (*overrides, *changes), report, resolver, roots)
        with suppress(TooManyErrors):
            if spec is not None and all(map(_of_tune, report.sorted_errors())):
                check_monitors(spec, report)
                if changes or spec.tuning is None or not spec.tuning.varies("train.metrics"):
                    check_judged(spec, report)
        return spec, graph

    spec, graph = read((), report)
    known = {(error.path, error.message) for error in report.sorted_errors()}
    if (
        spec is not None
        and spec.tuning is not None
        and spec.tuning.whole
        and all(map(_of_tune, report.sorted_errors()))
    ):
        from specbuild.graph.space import check_space

        def faults(changes: tuple[str, ...]) -> tuple[Diagnostic, ...]:
            inner = Report()
            read(changes, inner)
            return tuple(error for error in inner.sorted_errors() if (error.path, error.message) not in known)

        with suppress(TooManyErrors):
            check_space(spec.tuning.space, faults, report)
    return None if report.failed else graph


def _of_tune(error: Diagnostic) -> bool:
    return error.path.partition(".")[0] == "tune"


def _read(
    source: str | Path | Mapping[str, Any],
    overrides: tuple[str, ...],
    report: Report,
    resolver: Resolver | None,
    roots: tuple[str | Path, ...],
) -> tuple[Spec | None, Graph | None]:
    """Return as much of a spec as could be read, and its graph, or None if `report` has an error."""
    spec, graph = None, None
    with suppress(TooManyErrors):
        spec = read_spec(source, overrides, report, roots=roots)
        graph = _judged(spec, report, resolver) if spec is not None else None
    assert graph is not None or report.failed, "neither a graph, nor an error that says why there is none"
    return spec, None if report.failed else graph


def _judged(spec: Spec, report: Report, resolver: Resolver | None) -> Graph | None:
    """Return the graph with its warnings, of which the spec may accept some; None after reporting what does not fit."""
    check_allowed(spec, report)
    graph = infer(spec, report, resolver)
    if graph is None or report.failed:
        return None
    accept_warnings(spec, report)
    return replace(graph, warnings=report.warnings)


def infer(spec: Spec, report: Report, resolver: Resolver | None = None) -> Graph | None:
    """Return the graph, or None after reporting what does not fit.

    A node that fails silences only what depends on it.
    """
    if resolver is not None and any(asks_keras(node.layer) for node in spec.layers):
        from specbuild.catalog.generic import bind

        spec = replace(spec, layers=tuple(replace(node, layer=bind(node.layer, resolver)) for node in spec.layers))
    if any(node.differ is not None for node in spec.layers):
        names = Names(spec, report)
        spec = spec.without(_inference(spec, Report(), resolver).of_one_shape(names))
    return _inference(spec, report, resolver).run()


def _inference(spec: Spec, report: Report, resolver: Resolver | None) -> _Inference:
    """Return what works out a graph, with the layers that run nodes bound to those."""
    bodies: dict[str, Rule] = {}
    if any(node.body is not None for node in spec.layers):
        from specbuild.graph.bodies import bind_bodies

        spec, bodies = bind_bodies(spec, partial(infer, resolver=resolver))
    return _Inference(spec, bodies, report)


Draft: TypeAlias = tuple[NodeSpec, tuple[Port, ...], tuple[Port, ...]]
"""A node with the ports it reads and those that start its recurrence."""


def _with_owners(drafts: list[Draft]) -> list[Draft]:
    """Return the nodes with weights that are left without their first user belonging to the next."""
    ids = {node.id for node, _, _ in drafts}
    owners: dict[str, str] = {}
    result = []
    for node, inputs, state in drafts:
        if node.shares is not None and node.shares not in ids:
            owner = owners.setdefault(node.shares, node.id)
            node = replace(node, shares=owner if owner != node.id else None)
        result.append((node, inputs, state))
    return result


class _Inference:
    def __init__(self, spec: Spec, bodies: Mapping[str, Rule], report: Report) -> None:
        self.spec, self.bodies, self.report = spec, bodies, report
        self.names = Names(spec, report)
        self.inputs = tuple(Input(x.id, tuple(x.section.shape), x.section.dtype, x.section.batch) for x in spec.inputs)
        self.shapes: dict[str, dict[str, Shape]] = {x.id: {OUTPUT: x.shape} for x in self.inputs}
        self.origins: dict[str, frozenset[str]] = {x.id: frozenset({x.id}) for x in self.inputs}
        """The inputs that each node depends on."""
        self.used: dict[str, set[str]] = {node.id: set() for node in spec.layers}
        """The ports of each node that something reads."""
        self.choice = PortChoice(spec, self.shapes, report)

    def run(self) -> Graph | None:
        before = len(self.report.errors)
        self.drop_large_inputs()
        check_batch_sizes(self.spec, self.report)
        self.names.check_ahead(self.spec.ahead)
        drafts = self.drafts()
        outputs = self.outputs()
        self.join_shared(drafts)
        if len(self.report.errors) > before or self.spec.broken:
            return None
        nodes = tuple(self.finished(*draft) for draft in self.live(drafts))
        graph = Graph(self.spec.name, self.inputs, nodes, outputs, self.spec)
        if not self.report.failed:
            check_samples(graph, self.report)
            check_scores(self.spec, self.report)
            check_losses(graph, self.report)
            check_heads(graph, self.report)
            check_number_types(graph, self.report)
        if not self.report.failed:
            lint(graph, self.report)
        return replace(graph, warnings=self.report.warnings)

    def drop_large_inputs(self) -> None:
        """Report inputs that are too large; what reads them is left out."""
        for x in self.inputs:
            if reason := excess(x.shape):
                message = f"the input {x.id} is too large"
                self.report.error(message, self.spec.span(("inputs", x.id)), reason=reason, code="too-large")
                del self.shapes[x.id]

    def drafts(self) -> list[Draft]:
        """Wire every node whose inputs are known and fit."""
        wanted = demands(self.spec)
        drafts = (self.draft(node, wanted.get(node.id)) for node in self.spec.layers)
        return [draft for draft in drafts if draft is not None]

    def of_one_shape(self, names: Names) -> dict[str, Reference]:
        """Return the nodes whose condition on two shapes does not hold, with what is read in place of each.

        `names` reports references of the conditions that name no node.
        """
        wanted = demands(self.spec)
        instead: dict[str, Reference] = {}
        for written in self.spec.layers:
            node = written.reading(lambda source: instead.get(source.id, source))
            pair = node.differ
            known = pair is not None and None not in [names.producer(source, node) for source in pair]
            if pair is not None and known and self.choice.have_one_shape(*pair):
                instead[node.id] = pair[0]
            else:
                self.draft(node, wanted.get(node.id))
        return instead

    def draft(self, node: NodeSpec, wanted: frozenset[int] | None) -> Draft | None:
        """Wire one node and work out its shapes; None after a fault, or where an input is unknown."""
        producers = [self.names.producer(source, node) for source in node.sources]
        if None in producers or not producers or not check_arity(node, self.report):
            return None
        ports = self.choice.choose_all(node, wanted)
        if ports is None:
            return None
        inputs = self.shapes_of(ports)
        if node.id in self.bodies and not self.bodies[node.id].check_at_lines(inputs, self.report):
            return None
        try:
            check_frames(node, inputs)
            node.layer.check(*inputs)
            shapes = port_shapes(node.layer, inputs)
            refuse_excess(node.layer, shapes)
        except ShapeError as error:
            report_misfit(node, ports, error, self.inputs, self.choice)
            return None
        self.shapes[node.id] = shapes
        state = self.wired(node, inputs) or ()
        self.origins[node.id] = frozenset().union(*(self.origins[port.node] for port in (*ports, *state)))
        depends_on = [x for x in self.spec.inputs if x.id in self.origins[node.id]]
        check_stateful(node, depends_on, self.spec, self.report)
        if not check_expected(node, shapes, self.report):
            del self.shapes[node.id]
            return None
        self.use(*ports, *state)
        return node, ports, state

    def wired(self, node: NodeSpec, inputs: list[Shape]) -> tuple[Port, ...] | None:
        """Return the ports that start a node's recurrence, or those inside it."""
        if not node.inner_states:
            return wire_state(node, self.names, self.choice)
        from specbuild.graph.autoregressive import BodyRule

        rule = self.bodies[node.id]
        assert isinstance(rule, BodyRule)
        given = rule.measured(inputs).given
        self.shapes |= {inner.id: inner.shapes for inner in given.nodes if inner.state}
        return wire_inner_states(node, rule.started(given), self.names, self.choice)

    def outputs(self) -> tuple[Output, ...]:
        """The model's outputs, as far as they are known."""
        outputs = (self.output(output.name, output.source) for output in self.spec.outputs)
        return tuple(output for output in outputs if output is not None)

    def output(self, name: str, source: Reference) -> Output | None:
        if self.names.producer(source) is None:
            return None
        port = self.choice.choose_output(source)
        if port is None:
            return None
        self.use(port)
        return Output(name, port, self.shapes[port.node][port.name])

    def join_shared(self, drafts: list[Draft]) -> None:
        """Give a layer that is used twice one set of flags, and check that its weights fit both inputs."""
        by_id = {draft[0].id: draft for draft in drafts}
        for node, ports, _ in drafts:
            if node.shares is None or node.shares not in by_id:
                continue
            self.used[node.shares] |= self.used[node.id]
            self.used[node.id] = self.used[node.shares]  # one set, for what follows as well
            first, first_ports, _ = by_id[node.shares]
            weights = node.layer.weights(*self.shapes_of(ports))
            for own, theirs in zip(weights, first.layer.weights(*self.shapes_of(first_ports)), strict=True):
                if own.shape != theirs.shape:
                    message = f"the weights of {node.shares} do not fit this input"
                    reason = f"its {own.name} is {show(theirs.shape)}, here it would be {show(own.shape)}"
                    self.report.error(message, node.span("from", "reuse"), reason=reason, code="shape")
                    break

    def live(self, drafts: list[Draft]) -> list[Draft]:
        """Return the nodes that an output depends on: a model has no others. Warns of a written one nothing reads."""
        alive = self.choice.alive
        kept = [draft for draft in drafts if draft[0].id in alive]
        read = {port.node for _, ports, state in drafts for port in (*ports, *state)}
        read |= {node.shares for node, _, _ in kept if node.shares is not None}
        read |= self._beside(read)
        for node, _, _ in drafts if not self.report.failed else ():
            if node.id not in alive and node.id not in read and not node.inside:
                message = f"nothing reads {node.id}, and it is not an output"
                reason = "the model leaves it out, and all that only it reads"
                help = f"read it, make it an output, or remove {node.layer.label}"
                self.report.warning(message, node.span(), reason=reason, help=help, code="unused-node")
        return _with_owners(kept)

    def _beside(self, read: Collection[str]) -> set[str]:
        """Return the parts of splits of which another part is read, or gives an output."""
        parts = [node for node in self.spec.layers if isinstance(node.layer, SplitPart)]
        splits = {node.at for node in parts if node.id in read or node.id in self.choice.alive}
        return {node.id for node in parts if node.at in splits}

    def finished(self, node: NodeSpec, inputs: tuple[Port, ...], state: tuple[Port, ...]) -> Node:
        """The node with its weights and costs. Weights that are too large are reported."""
        shapes, layer = self.shapes_of(inputs), node.layer
        if isinstance(layer, Recurrent) and layer.return_sequences is None:
            layer = layer.model_copy(update={"return_sequences": "sequence" in self.used[node.id]})
        weights = layer.weights(*shapes) if node.shares is None else ()
        if (weight := next((weight for weight in weights if excess(weight.shape)), None)) is not None:
            message = f"the {weight.name} of {node.id} would be {show(weight.shape)}"
            self.report.error(message, node.span(), reason=excess(weight.shape), code="too-large")
        rule = self.bodies.get(node.id)
        if rule is not None:
            rule.check_use(self.used[node.id], self.report)
        inner = rule.measured(shapes) if rule is not None else None
        return Node(
            id=node.id,
            layer=node.layer,
            inputs=inputs,
            initial_state=state,
            shapes=self.shapes[node.id],
            state=layer.state_shapes(*shapes) if isinstance(layer, Recurrent) else {},
            weights=weights,
            flops=layer.flops(*shapes),
            saved=layer.saved_elements(*shapes),
            used=frozenset(self.used[node.id]),
            shares=node.shares,
            spec=node,
            body=inner if isinstance(inner, Body) else None,
            step=inner if isinstance(inner, Step) else None,
        )

    def shapes_of(self, ports: Iterable[Port]) -> list[Shape]:
        return [self.shapes[port.node][port.name] for port in ports]

    def use(self, *ports: Port) -> None:
        """Note that something reads these ports."""
        for port in ports:
            if port.node in self.used:
                self.used[port.node].add(port.name)
