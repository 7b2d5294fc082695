"""Resolve a bare `enc` to the port of the recurrent node with the number of axes that its reader needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from specbuild.catalog import Layer, Recurrent, Shape, TimeDistributed, show
from specbuild.catalog.plumbing import LastFrame
from specbuild.document import Report, Span, did_you_mean
from specbuild.graph.model import OUTPUT, Port
from specbuild.language import NodeSpec, Reference, Spec
from specbuild.language.references import References

Ranks: TypeAlias = frozenset[int]
_MOST_AXES = 10
"""More axes than any tensor has."""


def demands(spec: Spec) -> dict[str, Ranks | None]:
    """Return for each node how many axes its *output* must have for its readers; None where nobody minds.

    Walks backwards, so that a need passes through layers which keep the number of axes (BatchNormalization, Dropout,
    merges) to the recurrent node before them.
    """
    wanted: dict[str, Ranks | None] = {}
    for node in reversed(spec.layers):
        if node.expect is not None and node.id not in wanted:
            wanted[node.id] = frozenset({len(node.expect)})
        needs = needed_ranks(node.layer, wanted.get(node.id))
        if needs is not None:
            for source in _ranked(node):
                if source.port is None:
                    have = wanted.get(source.id)
                    wanted[source.id] = needs if have is None else (have & needs or have)
    return wanted


def alive(spec: Spec) -> frozenset[str]:
    """Return the ids that an output depends on, as far as the spec could be read."""
    needed = {output.source.id for output in spec.outputs}
    for node in reversed(spec.layers):
        if node.id in needed:
            needed.update(source.id for source in node.reads)
    return frozenset(needed)


def _ranked(node: NodeSpec) -> References:
    """Return the sources that have the axes its layer needs: of a node with a body the first, the frames."""
    return node.sources if node.body is None else node.sources[:1]


def needed_ranks(layer: Layer, of_output: Ranks | None) -> Ranks | None:
    """Return how many axes a layer's input must have, given what its own output must have."""
    if layer.ranks is not None:
        return frozenset(layer.ranks)
    if isinstance(layer, TimeDistributed | LastFrame):
        return frozenset(range(2, _MOST_AXES))
    return of_output if layer.keeps_rank else None


def fitting_outputs(shapes: Mapping[str, Shape], ranks: Ranks | None) -> list[str]:
    """Return which of `sequence` and `last` a reader that takes `ranks` axes (None: any number) can read."""
    return [name for name in ("sequence", "last") if ranks is None or len(shapes[name]) in ranks]


class PortChoice:
    """Ports that references mean, as shapes become known."""

    def __init__(self, spec: Spec, shapes: Mapping[str, Mapping[str, Shape]], report: Report) -> None:
        self.shapes, self.report = shapes, report
        self.nodes = {node.id: node for node in spec.layers}
        self.alive = alive(spec)

    def layer(self, node: str) -> Layer | None:
        """Return the layer of a node; None for an input."""
        return self.nodes[node].layer if node in self.nodes else None

    def choose_all(self, node: NodeSpec, wanted: Ranks | None) -> tuple[Port, ...] | None:
        """Return the port behind each source of a node; None if one is unknown or reported."""
        if any(source.id not in self.shapes for source in node.sources):
            return None
        ranks = needed_ranks(node.layer, wanted)
        if ranks is None and node.layer.keeps_rank:
            ranks = self._sibling_ranks(node)
        moot = node.id not in self.alive or node.layer.kind == "Constant"
        if isinstance(node.layer, TimeDistributed):
            ranks = self._every_step(node, ranks)
        ranked = _ranked(node)
        ports = [
            self.choose(source, ranks if source in ranked else None, node.layer.label, "from", moot=moot)
            for source in node.sources
        ]
        return tuple(port for port in ports if port is not None) if None not in ports else None

    def have_one_shape(self, one: Reference, other: Reference) -> bool:
        """Return whether two nodes can be read with one shape; not where that of either is unknown."""
        return not self._readable(one).isdisjoint(self._readable(other))

    def _readable(self, source: Reference) -> set[Shape]:
        """The shapes that a reference may stand for: of a bare recurrent node that of every step, and of the last."""
        shapes, layer = self.shapes.get(source.id, {}), self.layer(source.id)
        if not isinstance(layer, Recurrent):
            names = [OUTPUT]
        elif source.port is None and layer.return_sequences is not None:
            names = ["sequence" if layer.return_sequences else "last"]
        else:
            names = ["sequence", "last"] if source.port is None else [source.port]
        return {shapes[name] for name in names if name in shapes}

    def _every_step(self, node: NodeSpec, ranks: Ranks | None) -> Ranks | None:
        """Return the axes of the sequence where a layer that runs on every frame reads a recurrence."""
        ports = self.shapes[node.sources[0].id]
        fits = "sequence" in ports and (ranks is None or len(ports["sequence"]) in ranks)
        return frozenset({len(ports["sequence"])}) if fits else ranks

    def choose_output(self, source: Reference) -> Port | None:
        if source.id not in self.shapes:
            return None
        return self.choose(source, None, "an output", "outputs")

    def choose(
        self, source: Reference, ranks: Ranks | None, reader: str, key: str, *, moot: bool = False
    ) -> Port | None:
        """Return the port that `source` means to a reader that takes `ranks` axes (None: any number).

        The reader names it under `key`. With `moot` no output depends on the reader: what is left open follows from a
        node that could not be read, or does not matter; nor does it to a Constant, which reads only how many samples
        there are.
        """
        layer = self.layer(source.id)
        if not isinstance(layer, Recurrent):
            return Port(source.id)
        if source.port is not None:
            return self._written_port(source, layer)
        if layer.return_sequences is not None:
            return Port(source.id, "sequence" if layer.return_sequences else "last")
        expected = self.nodes[source.id].expect
        if ranks is None and expected is not None:
            ranks = frozenset({len(expected)})
        fitting = fitting_outputs(self.shapes[source.id], ranks)
        if len(fitting) == 2 and not moot:
            self._ambiguous(source, reader, key)
            return None
        if len(fitting) == 2 and self.report.failed:
            return None
        # If neither fits, the shape rule of the reader reports it.
        return Port(source.id, fitting[0] if fitting else "sequence")

    def _written_port(self, source: Reference, layer: Recurrent) -> Port | None:
        shapes = self.shapes[source.id]
        states = [name for name in shapes if name.startswith("state.")]
        port = states[0] if source.port == "state" and len(states) == 1 else str(source.port)
        closed = [name for name in ("return_sequences", "return_state") if getattr(layer, name) is False]
        reason = ""
        if port == "state":
            message = f"{source} is {len(states)} tensors, not one"
            help = "write " + " or ".join(f"{source.id}.{name}" for name in states)
        elif port not in shapes:
            message = f"{source.id} has no port {port}"
            known = did_you_mean(port, list(shapes)) or f"its ports are {', '.join(shapes)}"
            help = f'did you mean "state.{port}"?' if f"state.{port}" in shapes else known
        elif (argument := _GIVEN_BY.get(port.partition(".")[0])) in closed:
            message = f"{source.id} does not give {source}"
            effect = "only the last output leaves it" if port == "sequence" else "its state stays inside"
            reason = f"{argument} is false on line {self.nodes[source.id].span(str(argument)).line}, so {effect}"
            help = f"leave {argument} out: it follows from how the node is used"
        else:
            return Port(source.id, port)
        self.report.error(message, source.span, reason=reason, help=help, code="unknown-port")
        return None

    def _ambiguous(self, source: Reference, reader: str, key: str) -> None:
        node, shapes = self.nodes[source.id], self.shapes[source.id]
        if self.report.is_known(self._place(source, node)):
            return
        written = "outputs: [{}]" if key == "outputs" else f"{key}: {{}}"
        choices = " or ".join(written.format(f"{source.id}.{name}") for name in ("sequence", "last"))
        flag = f"return_sequences: true or false on that {node.layer.kind}, or give it an id"
        message = f"{source.id} could be every step or the last one: both fit {reader}"
        reason = f"{source.id}.sequence is {show(shapes['sequence'])}, {source.id}.last is {show(shapes['last'])}"
        help = f"write {choices if node.named else flag}"
        span = self._place(source, node)
        self.report.error(message, span, reason=reason, help=help, code="ambiguous-port")

    def _place(self, source: Reference, node: NodeSpec) -> Span:
        return source.span if node.named else node.span()

    def _sibling_ranks(self, node: NodeSpec) -> Ranks | None:
        """The ranks of what a merge reads by a port, or from layers with one output: bare references follow them."""
        named = [(self.shapes[source.id], source.port or OUTPUT) for source in node.sources]
        return frozenset(len(shapes[port]) for shapes, port in named if port in shapes) or None


_GIVEN_BY = {"sequence": "return_sequences", "state": "return_state"}
"""The argument that must not be false for a port to be there."""


def port_shapes(layer: Layer, inputs: list[Shape]) -> dict[str, Shape]:
    """Return the shape of every port of a layer."""
    if not isinstance(layer, Recurrent):
        return {OUTPUT: layer.output_shape(*inputs)}
    states = {f"state.{name}": shape for name, shape in layer.state_shapes(*inputs).items()}
    return {"sequence": layer.sequence_shape(*inputs), "last": layer.last_shape(*inputs), **states}
