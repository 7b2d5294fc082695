"""From spec to graph, in passes: names, needed ranks, then shapes, ports, states and costs node by node."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping as AnyMapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.catalog import Layer, Recurrent, Shape, ShapeError, show
from specbuild.catalog.wrappers import asks_keras
from specbuild.document import Report, TooManyErrors
from specbuild.graph.limits import excess, excessive, refuse_excess
from specbuild.graph.lints import lint
from specbuild.graph.loss_checks import check_losses
from specbuild.graph.model import OUTPUT, Body, Graph, Input, Node, Output, Port
from specbuild.graph.names import Names
from specbuild.graph.ports import PortChoice, demands, port_shapes
from specbuild.graph.rank_help import input_help, missed_steps, rank_help
from specbuild.graph.samples import check_samples
from specbuild.graph.score_checks import check_scores
from specbuild.graph.states import wire_state
from specbuild.language import NodeSpec, Reference, Spec, normalize, read_spec

if TYPE_CHECKING:
    from specbuild.catalog.generic import Resolver


def build_graph(
    spec: Spec | str | Path | AnyMapping[str, Any],
    *,
    overrides: AnyMapping[str, Any] | Iterable[str] = (),
    resolver: Resolver | None = None,
) -> Graph:
    """The graph of a spec, with every shape, state, weight and cost worked out. Loads no framework.

    `resolver` answers for layers without a rule of their own; without one they are refused.

    Raises:
        SpecError: with everything that does not fit, each with its line and column.
    """
    report = Report()
    if isinstance(spec, Spec):
        if overrides:
            raise TypeError("overrides belong to load_spec when a Spec is given")
        graph = infer(spec, report, resolver)
    else:
        graph = check(spec, overrides=overrides, report=report, resolver=resolver)
    report.raise_errors()
    assert graph is not None
    return graph


def check(
    source: str | Path | AnyMapping[str, Any],
    *,
    overrides: AnyMapping[str, Any] | Iterable[str] = (),
    report: Report,
    resolver: Resolver | None = None,
) -> Graph | None:
    """Reads a spec and works out its graph, putting every fault of either into `report`; None if there is one."""
    graph = None
    with suppress(TooManyErrors):
        spec = read_spec(source, normalize(overrides), report)
        graph = infer(spec, report, resolver) if spec is not None else None
    return None if report.failed else graph


def infer(spec: Spec, report: Report, resolver: Resolver | None = None) -> Graph | None:
    """The graph, or None after reporting what does not fit. A node that fails silences only what depends on it."""
    if resolver is not None and any(asks_keras(node.layer) for node in spec.layers):
        from specbuild.catalog.generic import bind

        bound = tuple(replace(node, layer=bind(node.layer, resolver)) for node in spec.layers)
        spec = replace(spec, layers=bound)
    if any(node.body is not None for node in spec.layers):
        from specbuild.graph.autoregressive import with_body

        inside = partial(infer, resolver=resolver)
        spec = replace(spec, layers=tuple(with_body(node, spec, inside) for node in spec.layers))
    return _Inference(spec, report).run()


Draft: TypeAlias = tuple[NodeSpec, tuple[Port, ...], tuple[Port, ...]]
"""A node with the ports it reads and those that start its recurrence."""


class _Inference:
    def __init__(self, spec: Spec, report: Report) -> None:
        self.spec, self.report = spec, report
        self.names = Names(spec, report)
        self.inputs = tuple(
            Input(one.id, tuple(one.section.shape), one.section.dtype, one.section.batch) for one in spec.inputs
        )
        self.shapes: dict[str, dict[str, Shape]] = {one.id: {OUTPUT: one.shape} for one in self.inputs}
        self.layers: dict[str, Layer] = {node.id: node.layer for node in spec.layers}
        self.used: dict[str, set[str]] = {node.id: set() for node in spec.layers}
        self.choice = PortChoice(spec, self.shapes, self.layers, report)

    def run(self) -> Graph | None:
        before = len(self.report.errors)
        self.measure_inputs()
        wanted = demands(self.spec)
        drafts = [draft for node in self.spec.layers if (draft := self.node(node, wanted.get(node.id))) is not None]
        outputs = tuple(
            one for output in self.spec.outputs if (one := self.output(output.name, output.source)) is not None
        )
        self.share(drafts)
        if len(self.report.errors) > before or self.spec.broken:
            return None
        nodes = tuple(self.finished(*draft) for draft in self.live(drafts, outputs))
        graph = Graph(self.spec.name, self.inputs, nodes, outputs, self.spec)
        if not self.report.failed:
            check_samples(graph, self.report)
            check_scores(self.spec, self.report)
            check_losses(graph, self.report)
        if not self.report.failed:
            lint(graph, self.report)
        return replace(graph, warnings=self.report.warnings)

    def measure_inputs(self) -> None:
        """Leaves out inputs that are too large, after reporting them."""
        for one in self.inputs:
            if reason := excess(one.shape):
                path = ("inputs", one.id)
                message = f"the input {one.id} is too large"
                self.report.error(message, self.spec.span(path), path=path, reason=reason, code="too-large")
                del self.shapes[one.id]

    def node(self, node: NodeSpec, wanted: frozenset[int] | None) -> Draft | None:
        """Wires one node and works out its shapes; None after a fault, or where an input is unknown."""
        layer = node.layer
        sources = [self.names.producer(one, node) for one in node.sources]
        if any(source is None for source in sources) or not sources:
            return None
        if not self.arity(node):
            return None
        ports = self.choice.choose_all(node, wanted)
        if ports is None:
            return None
        shapes = [self.shapes[port.node][port.name] for port in ports]
        if node.body is not None and not self.body(node, shapes[0]):
            return None
        try:
            layer.check(*shapes)
            outputs = port_shapes(layer, shapes)
            refuse_excess(layer, outputs)
        except ShapeError as error:
            self.misfit(node, ports, error)
            return None
        self.shapes[node.id] = outputs
        state = wire_state(node, self.shapes, self.layers, self.names, self.choice, self.report)
        self.fixed_batch(node)
        if not self.expected(node):
            del self.shapes[node.id]
            return None
        self.use(*ports, *(state or ()))
        return node, ports, state or ()

    def body(self, node: NodeSpec, x: Shape) -> bool:
        from specbuild.graph.autoregressive import check_body

        return check_body(node, x, self.report)

    def arity(self, node: NodeSpec) -> bool:
        count = len(node.sources)
        if node.layer.arity == "one" and count > 1:
            self.report.error(
                f"{node.layer.label} reads one input, got {count}",
                node.span("from"),
                path=(*node.path, "from"),
                help="join them first, for example with {layer: Concatenate, from: […]}",
                code="arity",
            )
            return False
        if node.layer.arity == "many" and count < 2:
            self.report.error(
                f"{node.layer.label} joins several inputs, got {count}",
                node.span("from"),
                path=(*node.path, "from"),
                help="write from: [a, b]",
                code="arity",
            )
            return False
        return True

    def misfit(self, node: NodeSpec, ports: tuple[Port, ...], error: ShapeError) -> None:
        keys = (error.argument,) if error.argument else ("from",)
        self.report.error(
            error.message if _names(node.layer, error.message) else f"{node.layer.label}: {error.message}",
            node.span(*keys),
            path=(*node.path, *(keys if error.argument else ())),
            reason=_with_names(error.reason, ports),
            help=self.advice(node, ports) or error.help or self.rank_help(node, ports),
            code="shape",
        )

    def advice(self, node: NodeSpec, ports: tuple[Port, ...]) -> str:
        """What a form that made or fed the node says where the number of axes is wrong."""
        ranks = node.layer.ranks
        wrong = ranks is None or any(len(shape) not in ranks for shape in self.input_shapes(ports))
        return node.advice if wrong else ""

    def rank_help(self, node: NodeSpec, ports: tuple[Port, ...]) -> str:
        """What to write where the number of axes is wrong; empty where it is right."""
        ranks = {len(shape) for source in node.sources for shape in self.shapes.get(source.id, {}).values()}
        if node.layer.ranks is None or ranks & set(node.layer.ranks):
            return ""
        return (
            missed_steps(node, self.spec, self.shapes) or input_help(node, ports, self.inputs) or rank_help(node, ranks)
        )

    def fixed_batch(self, node: NodeSpec) -> None:
        """A state that outlives a batch has that batch's size."""
        open_input = next((one for one in self.inputs if one.batch is None), None)
        if open_input is None or not getattr(getattr(node.layer, "layer", node.layer), "stateful", False):
            return
        lengths = ", ".join("null" if dim is None else str(dim) for dim in open_input.shape)
        self.report.error(
            "a stateful layer needs a fixed batch size",
            node.span("stateful"),
            path=(*node.path, "stateful"),
            reason=f"the input {open_input.id} takes any",
            help=f"write the input as {open_input.id}: {{shape: [{lengths}], batch: 4}}",
            code="stateful",
        )

    def expected(self, node: NodeSpec) -> bool:
        """Compares `expect:`, or what a file declares for its input, with what came out.

        A recurrent node is taken at the rank that was written.
        """
        if node.expect is None:
            return True
        shapes = self.shapes[node.id]
        found = next((s for s in shapes.values() if len(s) == len(node.expect)), next(iter(shapes.values())))
        fits = len(found) == len(node.expect) and all(
            want is None or want == have for want, have in zip(node.expect, found, strict=False)
        )
        if not fits:
            declared = node.path[-1] == "from"
            self.report.error(
                f"{node.id} reads {show(node.expect)}, got {show(found)}"
                if declared
                else f"{node.id} gives {show(found)}, not {show(node.expect)}",
                node.span("from" if declared else "expect"),
                path=node.path if declared else (*node.path, "expect"),
                code="expect",
            )
        return fits

    def output(self, name: str, source: Reference) -> Output | None:
        if self.names.producer(source) is None:
            return None
        port = self.choice.choose_output(source)
        if port is None:
            return None
        self.use(port)
        return Output(name, port, self.shapes[port.node][port.name])

    def live(self, drafts: list[Draft], outputs: tuple[Output, ...]) -> list[Draft]:
        """The nodes that an output depends on: a model has no others. Warns of a written one that nothing reads."""
        needed = {output.port.node for output in outputs}
        for node, ports, state in reversed(drafts):
            if node.id in needed:
                needed.update(port.node for port in (*ports, *state))
                needed.update((node.shares,) if node.shares else ())
        read = {port.node for _, ports, state in drafts for port in (*ports, *state)}
        for node, _, _ in drafts if not self.report.failed else ():
            if node.id not in needed and node.id not in read and not node.inside:
                self.report.warning(
                    f"nothing reads {node.id}, and it is no output",
                    node.span(),
                    path=node.path,
                    reason="the model leaves it out, and all that only it reads",
                    help=f"read it, list it under outputs:, or remove {node.layer.label}",
                    code="unused-node",
                )
        return [draft for draft in drafts if draft[0].id in needed]

    def share(self, drafts: list[Draft]) -> None:
        """One layer used twice has one set of flags, and weights that fit both inputs."""
        by_id = {draft[0].id: draft for draft in drafts}
        for node, ports, _ in drafts:
            if node.shares is None or node.shares not in by_id:
                continue
            self.used[node.id] = self.used[node.shares] = self.used[node.id] | self.used[node.shares]
            first, first_ports, _ = by_id[node.shares]
            weights = node.layer.weights(*self.input_shapes(ports))
            for own, theirs in zip(weights, first.layer.weights(*self.input_shapes(first_ports)), strict=True):
                if own.shape != theirs.shape:
                    self.report.error(
                        f"the weights of {node.shares} do not fit this input",
                        node.span("from", "reuse"),
                        path=(*node.path, "from"),
                        reason=f"its {own.name} is {show(theirs.shape)}, here it would be {show(own.shape)}",
                        code="shape",
                    )
                    break

    def input_shapes(self, ports: tuple[Port, ...]) -> list[Shape]:
        return [self.shapes[port.node][port.name] for port in ports]

    def use(self, *ports: Port) -> None:
        for port in ports:
            if port.node in self.used:
                self.used[port.node].add(port.name)

    def finished(self, node: NodeSpec, inputs: tuple[Port, ...], state: tuple[Port, ...]) -> Node:
        shapes = [self.shapes[port.node][port.name] for port in inputs]
        layer = node.layer
        if isinstance(layer, Recurrent) and layer.return_sequences is None:
            layer = layer.model_copy(update={"return_sequences": "sequence" in self.used[node.id]})
        weights = layer.weights(*shapes) if node.shares is None else ()
        if (weight := excessive(weights)) is not None:
            message = f"the {weight.name} of {node.id} would be {show(weight.shape)}"
            self.report.error(message, node.span(), path=node.path, reason=excess(weight.shape), code="too-large")
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
            body=_body(layer, shapes[0]) if node.body is not None else None,
        )


def _body(layer: Layer, x: Shape) -> Body:
    from specbuild.graph.autoregressive import body_of

    return body_of(layer, x)


def _names(layer: Layer, message: str) -> bool:
    """Whether a message says which layer it is about; for a wrapper the layer inside will do."""
    return any(kind in message for kind in layer.label.rstrip(")").split("("))


def _with_names(reason: str, ports: tuple[Port, ...]) -> str:
    """A shape rule knows its inputs by number; a reader knows them by id."""
    named = re.sub(r"(?<=\bin )input (\d+)\b", lambda match: str(ports[int(match[1]) - 1]), reason)
    return re.sub(r"\bits input is\b", f"its input, {ports[0]}, is", named)
