"""The keys of a custom cell, and the nodes of one of its steps while they are expanded."""

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from specbuild.catalog import Layer
from specbuild.catalog.recurrence import Recurrence
from specbuild.document import (
    Entry,
    Mapping,
    Node,
    Scalar,
    Sequence,
    did_you_mean,
    kind_of,
    nearest,
    plain,
)
from specbuild.language.equations import refuse_cut
from specbuild.language.forms.base import frozen_together
from specbuild.language.forms.keys import Keys
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.values import REFERENCES_BY_NAME, Located, Nodes
from specbuild.language.forms.walk import Walk
from specbuild.language.references import REFERENCE, Reference, References
from specbuild.language.spec import BodySpec, CarriedState, NodeSpec, is_written

_NEXT = "a node, an equation or a number"
EXAMPLE = "write recurrent: {states: {h: 64}, do: […], next: {h: …}}"
_VALUES = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [{"type": ["string", "number"]}, {"type": "array", "items": {"type": ["string", "number"]}}]
    },
}


class Cell(Keys):
    """The keys inside `recurrent:`."""

    NOUN: ClassVar[str] = "a recurrent node"
    NEEDED: ClassVar[dict[str, str]] = {
        "states": "a recurrent node needs states: with the size of each",
        "do": "a recurrent node needs do: with a list of nodes",
        "next": "a recurrent node needs next: with the new value of each state",
    }
    EXAMPLE: ClassVar[str] = EXAMPLE
    UNOFFERED = ("trainable",)

    do: Nodes = Field(
        description="Nodes of one step. They read `input`, the states by name, each other, and nodes outside."
    )
    next: Annotated[Node, Located(_VALUES, "a mapping of states to new values")] = Field(
        description="New value of each state: a node, an equation or a number. Later entries may read `<state>_next`."
    )
    output: Annotated[Node | None, Located({"type": "string"}, "a node or an equation")] = Field(
        None,
        description="Output of the step: a state after the step, a node, or an equation. Default: the first state.",
    )
    static: Annotated[Node | None, Located(REFERENCES_BY_NAME, "a mapping of names to nodes")] = Field(
        None,
        description="Nodes without a time axis that every step reads, by the names used inside: {map: topography}.",
    )

    @classmethod
    def arguments(cls) -> type[Layer]:
        return Recurrence


class RecurrentStep:
    """The nodes of one step while they are expanded."""

    def __init__(
        self,
        walk: Walk,
        cell: Cell,
        states: tuple[str, ...],
        name: str,
        scope: Scope,
        copied: dict[str, tuple[str, ...]],
    ) -> None:
        self.copied = copied
        """The names of the copies of each state that has `copies`."""
        self.walk, self.cell, self.name = walk, cell, name
        self.place = cell.do.span
        self.states = states
        self.lost = set[str]()
        self.input = self._input("input")
        self.carried = {state: self._input(state) for state in self.states}
        walk.states.update(self.carried.values())
        self.stepwise: dict[str, Group] = {}
        """What stands under static by mistake, by the names inside."""
        self.whole = self._static(scope)
        self.read: References = ()
        """The nodes outside that are read inside: sequences, then static maps."""
        start = Reference(self.input, None, cell.do.span, implied=True)
        self.outside = {known: target for known, target in scope.names.items() if target != name}
        inside = {"input": self.input, **self.carried, **{known: own for known, (own, _) in self.whole.items()}}
        groups: dict[str, str | Group] = {
            known: Group(Reference(own, None, cell.do.span, implied=True), is_input=True)
            for known, own in inside.items()
        }
        names = {**self.outside, **self.stepwise, **groups}
        self.scope = replace(scope, names=names, prefix=f"{name}_", previous=start, no_previous="", use="")
        self.nodes: list[NodeSpec] = []

    def body(self) -> BodySpec:
        """Return the nodes, with an input for each node that they read outside."""
        sequences, self.walk.sequences = self.walk.sequences, frozenset()
        expansion = self.walk.items(self.cell.do, self.scope)  # A step reads a frame of each.
        self.walk.sequences = sequences
        self.nodes = [*expansion.nodes]
        states = self._next()
        end = self._output(states)
        if not expansion.complete:
            self.lost.add(self.input)
        nodes, ends = self._closed((end, *(state.next for state in states)))
        states = tuple(replace(state, next=source) for state, source in zip(states, ends[1:], strict=True))
        static = tuple(own for own, _ in self.whole.values())
        inputs = (self.input, *self.sequences, *static)
        broken = frozenset(self.walk.broken | self.lost)
        return BodySpec(inputs, frozen_together(nodes), ends[0], broken, len(static), states)

    def _input(self, name: str) -> str:
        identity = f"{self.name}_{name}"
        self.walk.ids.claim(identity, None)
        self.walk.inputs |= {identity}
        return identity

    def _static(self, scope: Scope) -> dict[str, tuple[str, Reference]]:
        """The inputs of the static maps, by the names inside, each with the node outside."""
        written = self.cell.static
        if written is None or not is_written(written):
            return {}
        if not isinstance(written, Mapping):
            help = "write static: {map: topography}"
            self.walk.report.wrong_type("static must be a mapping of names to nodes", written, help)
            return {}
        found = {}
        for entry in written.entries:
            if entry.name == "input" or entry.name in self.states:
                what = "the input" if entry.name == "input" else "a state"
                message = f"{entry.name} under static has the name of {what}"
                self.walk.report.error(message, entry.key.span, help="give it another name", code="duplicate-key")
            source = scope.reference(entry.value, self.walk.report)
            if source is not None and source.id in self.walk.sequences:
                name = plain(entry.value)
                message = f"static: {name} has a time axis"
                help = f"remove it from static; the nodes inside read its frame of the step as {name}"
                self.walk.report.error(message, entry.value.span, help=help, code="bad-reference")
                self.stepwise[entry.name] = Group(source)
            elif source is not None:
                found[entry.name] = (self._input(entry.name), source)
        return found

    def _next(self) -> tuple[CarriedState, ...]:
        """The value of each state after the step."""
        written, report = self.cell.next, self.walk.report
        if not isinstance(written, Mapping):
            report.wrong_type("next must be a mapping of states to new values", written, "write next: {h: …}")
            self.lost |= {self.input, *self.carried.values()}
            return ()
        becomes: dict[str, Reference] = {}
        declared = self._declared()
        unknown = [entry for entry in written.entries if entry.name not in (*self.states, *self.copied)]
        meant = {nearest(entry.name, declared) for entry in unknown}
        rests = [entry.name for entry in unknown if refuse_cut(written, entry, report)]
        for entry in written.entries:
            if entry.name in self.copied:
                becomes |= self._copies(entry)
                continue
            if entry in unknown:
                help = did_you_mean(entry.name, declared) or f"the states are {', '.join(declared)}"
                if self.states and entry.name not in rests:
                    report.error(f"no state is called {entry.name}", entry.key.span, help=help, code="unknown-key")
                self.scope.names.setdefault(f"{entry.name}_next", self.walk.lost(entry.key.span, self.scope).id)
                continue
            source = self._becomes(entry.name, entry.value)
            if source is None:
                self.lost.add(self.input)
            else:
                becomes[entry.name] = source
                self.scope.names.setdefault(f"{entry.name}_next", Group(source))
        given = {*written.names(), *meant}
        missing = [name for name, own in declared.items() if {name, *own}.isdisjoint(given)]
        if missing:
            message = f"next has no new value for {' and '.join(missing)}"
            help = f"write next: {{{missing[0]}: …}}, or {missing[0]}: {missing[0]} for a state that never changes"
            report.error(message, written.span, help=help, code="missing-key")
        if len(becomes) < len(self.states):
            self.lost |= {self.input, *self.carried.values()}
        return tuple(CarriedState(self.carried[state], becomes[state]) for state in self.states if state in becomes)

    def _declared(self) -> dict[str, tuple[str, ...]]:
        """The declared states, each with the names of its copies, or its own name."""
        names = {own: name for name, each in self.copied.items() for own in each}
        declared: dict[str, tuple[str, ...]] = {}
        for state in self.states:
            name = names.get(state, state)
            declared[name] = (*declared.get(name, ()), state)
        return declared

    def _copies(self, entry: Entry) -> dict[str, Reference]:
        """The new values of the copies of a state: a list, or all rounds of a loop."""
        names = self.copied[entry.name]
        if isinstance(entry.value, Sequence):
            pairs = zip(entry.value.items, names, strict=False)
            values = [self._becomes(name, each) for each, name in pairs]
            count = len(entry.value.items)
        else:
            values = [*self.scope.references(entry.value, self.walk.report)]
            count = len(values)
        if count and count != len(names):
            message = f"{entry.name} has {len(names)} copies, but next gives {count} value{'s' * (count != 1)}"
            help = f"give one for each of {', '.join(names)}: a list, or the rounds of a loop"
            self.walk.report.error(message, entry.value.span, help=help, code="arity")
            return {}
        return {name: value for name, value in zip(names, values, strict=False) if value is not None}

    def _output(self, states: tuple[CarriedState, ...]) -> Reference:
        """The output of the step."""
        written = self.cell.output
        after = {state.id: state.next for state in states}
        name = written.value if isinstance(written, Scalar) else None
        if not is_written(written) or written is None:
            source = next(iter(after.values()), None)
        elif isinstance(name, str) and name in self.carried:
            source = after.get(self.carried[name])
            source = replace(source, span=written.span) if source is not None else None
        else:
            source = self._value(written, "output", "a node or an equation")
        if source is None:
            self.lost.add(self.input)
            return Reference(self.input, None, self.cell.do.span, implied=True)
        return source

    def _becomes(self, state: str, written: Node) -> Reference | None:
        """What a state becomes: a name, an equation, or a number at every place of its shape."""
        number = written.value if isinstance(written, Scalar) else None
        if not isinstance(written, Scalar) or isinstance(number, bool) or not isinstance(number, int | float):
            return self._value(written, f"{state}_next", _NEXT)
        zeros, span = f"{state}_zeros", written.span
        keys = {"id": zeros, "layer": "ZerosLike", "from": state}
        entries = tuple(Entry(Scalar(key, span, key), Scalar(value, span, value)) for key, value in keys.items())
        self.nodes += self.walk.item(Mapping(entries, span), self.scope).nodes
        return self._value(replace(written, value=f"{zeros} + {number!r}"), f"{state}_next", _NEXT)

    def _value(self, written: Node, name: str, expected: str) -> Reference | None:
        """What a name or an equation stands for; an equation becomes a node of that name."""
        text = written.value if isinstance(written, Scalar) else None
        if not isinstance(text, str):
            if not self.walk.report.is_known(written.span):
                message = f"{name}: expected {expected}, got {kind_of(written)}"
                self.walk.report.error(message, written.span, code="wrong-type")
            return None
        if REFERENCE.fullmatch(text) and ("-" not in text or text in self.scope.names):
            return self.scope.reference(written, self.walk.report)
        named = Entry(Scalar("id", written.span, "id"), Scalar(name, written.span, name))
        equation = Entry(Scalar("equation", written.span, "equation"), written)
        expansion = self.walk.item(Mapping((named, equation), written.span), self.scope)
        self.nodes += expansion.nodes
        return expansion.end if expansion.complete else None

    @property
    def sequences(self) -> tuple[str, ...]:
        """The inputs of sequences besides the first."""
        return tuple(self._taken.values())

    def _closed(self, ends: References) -> tuple[tuple[NodeSpec, ...], References]:
        """The nodes and ends, reading inputs of the body in place of the nodes outside."""
        inside = {node.id for node in self.nodes} | self.walk.broken | {self.input, *self.carried.values()}
        inside |= {own for own, _ in self.whole.values()}
        self._taken: dict[tuple[str, str | None], str] = {}
        read: list[Reference] = []

        def taken(source: Reference) -> Reference:
            if source.id in inside or source.id in self.lost:
                return source
            if source.id not in self.walk.nodes and source.id not in self.walk.inputs:
                return self._unknown(source)
            key = source.id, source.port
            if key not in self._taken:
                self._taken[key] = self.walk.ids.make(f"{self.name}_{source.id}", self.place)
                self.walk.inputs |= {self._taken[key]}
                read.append(source)
            return replace(source, id=self._taken[key], port=None, implied=True)

        nodes = []
        for node in self.nodes:
            if node.shares is not None and node.shares not in inside:
                message = f"{self.name} cannot reuse {node.shares}, which is outside it"
                reason = "its layer does not run step by step"
                help = "move it into do:, or write its layer again"
                self.walk.report.error(message, node.span("reuse"), reason=reason, help=help, code="bad-reference")
                self.walk.broken.add(node.id)
            nodes.append(node.reading(taken))
        ends = tuple(map(taken, ends))
        self.read = (*read, *(source for _, source in self.whole.values()))
        return tuple(nodes), ends

    def _unknown(self, source: Reference) -> Reference:
        """Report an id that exists neither inside nor before the node."""
        inside = [name for name, target in self.scope.names.items() if self.outside.get(name) != target]
        state = source.id.removesuffix("_next")
        reason = ""
        if state != source.id and state in self.carried:
            message = f"{source.id} is not known yet"
            reason = f"only the entries of next below {state} can read the new value of {state}"
            help = f"move {state} above it in next, or read {state}, its value before the step"
        else:
            help = did_you_mean(source.id, [*inside, *self.outside]) or f"inside there are {', '.join(inside)}"
            message = f"there is no node {source.id} in {self.name} or before it"
        if self.states:  # None were read otherwise, and it may be one of them.
            self.walk.report.error(message, source.span, reason=reason, help=help, code="unknown-id")
        self.lost.add(source.id)
        self.walk.broken.add(source.id)
        return source
