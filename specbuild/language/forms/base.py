"""Base classes of the forms of node: the keys that all have, one layer or a chain, and composites."""

from abc import abstractmethod
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, StrictBool, WithJsonSchema

from specbuild.catalog import KINDS, Bidirectional, Layer, TimeDistributed
from specbuild.document import Mapping, Node, Scalar, Sequence, id_of
from specbuild.language.allow import SCHEMA as ALLOW_SCHEMA
from specbuild.language.forms.ids import snake
from specbuild.language.forms.keys import Keys
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.values import REFERENCES, STATE, WHEN, Lengths, Located, Trainable
from specbuild.language.references import ID, Reference, References
from specbuild.language.spec import InitialState, NodeSpec, NodeSpecs, is_written

if TYPE_CHECKING:
    from specbuild.language.forms.walk import Walk

COMMON = ("id", "from", "when", "initial_state", "expect", "allow")
"""Keys that a node of any form may have; all others belong to its form."""


@dataclass(frozen=True)
class Expansion:
    """The plain nodes that an item of `layers:` comes to, in the order they run."""

    nodes: NodeSpecs
    end: Reference | None
    """What the next node reads if it does not say."""
    no_end: str = ""
    """Why the next node must say what it reads; empty where there is an end, or where that was reported."""
    complete: bool = True
    """Whether all of it could be read; what is missing was reported."""
    members: dict[str, str | Group] = field(default_factory=dict)
    """What may be read of a composite as `id.name`."""
    named: bool = False
    """Whether the id of a composite went to the node it ends in."""
    last: dict[str, str | Group] = field(default_factory=dict)
    """Of a list of nodes: the members of the last one."""


@dataclass(frozen=True, slots=True)
class Part:
    """The layer of a plain node (None if it is faulty), its arguments as written, and where it stands."""

    layer: Layer | None
    arguments: Mapping
    at: Mapping
    form: str = ""
    """What it is called where it has neither an id nor a kind."""

    @property
    def kind(self) -> str:
        """The kind as written, that of the layer inside for a wrapper."""
        kind = self.arguments.get("layer")
        return str(kind.value) if isinstance(kind, Scalar) else self.form or "layer"


class Form(Keys):
    """One item of `layers:`, identified by the key of its form."""

    KEY: ClassVar[str]
    INSIDE: ClassVar[type[Keys] | None] = None
    """The keys of the mapping that stands under the key of the form."""
    FORGIVEN = frozenset({"expect", "trainable"})

    id: Annotated[Node | None, Located({"type": "string", "pattern": f"^{ID.pattern}$"}, "text")] = Field(
        None, description="Name of the node and of the Keras layer; other nodes refer to it by this name."
    )
    source: Annotated[Node | None, Located(REFERENCES, "an id or a port, or a list of them")] = Field(
        None,
        alias="from",
        description="Input of the node: an id, a port, or a list of them. Default: the previous node.",
    )
    when: Annotated[StrictBool | None, WithJsonSchema(WHEN)] = Field(
        None,
        description="Whether to include the node, such as `$f != $g`, or {shapes_differ: [a, b]}; if false, it counts "
        "as not written.",
    )
    expect: Annotated[tuple[int | None, ...] | None, Lengths()] = Field(
        None,
        description="Expected output shape, without the batch axis; null for any length. Any other shape is an error.",
    )
    allow: Annotated[Node | None, Located(ALLOW_SCHEMA, "warnings with their reasons")] = Field(
        None,
        description="Warnings that are accepted here, each with the reason: {unbounded-recurrence: as published}.",
    )

    @classmethod
    def hint(cls, key: str, item: Mapping) -> str:  # noqa: ARG003 - whatever the node
        """Return where an unknown key belongs: inside, if it is one of the keys there."""
        return f"write it inside {cls.KEY}: {{…}}" if cls.INSIDE is not None and key in cls.INSIDE.key_names() else ""

    @abstractmethod
    def expand(self, walk: "Walk", item: Mapping, scope: Scope) -> Expansion:
        """Return the plain nodes that the item comes to; `item` is the node as written, its variables filled in."""

    def sources(self, walk: "Walk", item: Mapping, scope: Scope) -> References | None:
        """Return what `from` names; the node before where it is left out; None after a fault."""
        if self.source is None or not is_written(self.source):
            head = item[self.KEY]
            span = (head.value if self.KEY == "layer" and isinstance(head.value, Scalar) else head.key).span
            if scope.previous is not None:
                return (replace(scope.previous, span=walk.report.named(span), implied=True),)
            if scope.no_previous:
                help = "write from: and the id of what it reads"
                walk.report.error(scope.no_previous, span, help=help, code="missing-key")
            return None
        parts = self.source.items if isinstance(self.source, Sequence) else (self.source,)
        if not parts:
            walk.report.error("from: names no node", self.source.span, code="bad-reference")
        sources = [scope.references(part, walk.report) for part in parts]
        return tuple(source for each in sources for source in each) if sources and all(sources) else None


class PlainForm(Form):
    """A form that expands to one layer, or to a chain of layers."""

    initial_state: Annotated[Node | None, Located(STATE, "an id, or a mapping of names to ids")] = Field(
        None,
        description="Initial state of the recurrence: a node whose whole state is passed, or a mapping of each tensor "
        "by name. Default: zeros.",
    )

    def state(self, walk: "Walk", scope: Scope) -> InitialState | None:
        """Return what `initial_state` names; None if nothing, or after a fault."""
        return read_state(self.initial_state, walk, scope) if is_written(self.initial_state) else None

    def chain(
        self,
        walk: "Walk",
        parts: AnySequence[Part],
        item: Mapping,
        scope: Scope,
        *,
        sources: References | None = None,
        name: Node | None = None,
    ) -> Expansion:
        """Return a node for each part, each reading the one before; a faulty one still claims its id.

        `sources` are what the first reads and `name` what the last is called, where the item itself does not say.
        """
        sources = first = self.sources(walk, item, scope) if sources is None else sources
        state = self.state(walk, scope)
        collects = isinstance(self.source, Sequence) or (is_written(self.source) and scope.is_list(self.source))
        nodes: list[NodeSpec] = []
        end = scope.previous
        for index, part in enumerate(parts):
            walk.spend(part.at.span)
            last = index == len(parts) - 1
            written = (name or self.id if last else None) or (part.at.get("id") if part.at is not item else None)
            if named := walk.claim(written, scope):
                identity = scope.names[named] = scope.prefix + named
            else:
                identity = walk.ids.make(scope.prefix + snake(part.kind), part.at.span)
            if part.layer is None or sources is None:
                walk.broken.add(identity)
            else:
                nodes.append(
                    NodeSpec(
                        id=identity,
                        named=bool(named),
                        layer=part.layer,
                        sources=sources,
                        initial_state=state if last else None,
                        expect=self.expect if last else None,
                        at=item if last else part.at,
                        arguments=part.arguments,
                        collects=collects,
                        inside=scope.closed,
                        use=scope.use,
                    )
                )
            end = Reference(identity, None, part.at.span, implied=True)
            sources = (end,)
        complete = len(nodes) == len(parts)
        if named and complete and len(parts) > 1:
            anonymous = self.model_copy(update={"id": None, "expect": None})

            def again(prefix: str, names: dict[str, str | Group], sources: References) -> Expansion:
                inner = replace(scope, prefix=prefix, names=names)
                return anonymous.chain(walk, parts, item, inner, sources=sources)

            ids = tuple(node.id for node in nodes)
            scope.names[named] = Group(end, nodes=ids, again=again, inputs=first or (), named=True)
        return Expansion(tuple(nodes), end, complete=complete)


def read_state(written: Node, walk: "Walk", scope: Scope) -> InitialState | None:
    """Return the initial state that is written: a node, or tensors by name; None after a fault."""
    if isinstance(written, Mapping):
        named = {entry.name: scope.reference(entry.value, walk.report) for entry in written.entries}
        return {name: source for name, source in named.items() if source is not None}
    if isinstance(written, Sequence):
        message = "initial_state: expected a node or named tensors, got a list"
        reason = "the order of a list would decide which tensor is h and which is c"
        help = "write initial_state: enc1, or initial_state: {h: a, c: b}"
        walk.report.error(message, written.span, reason=reason, help=help, code="wrong-type")
        return None
    return scope.reference(written, walk.report)


class Composite(Form):
    """A form that contains nodes. Its id stands for all of them."""

    MAY_START: ClassVar[bool] = False
    """Whether it may stand where there is nothing to read: the nodes inside say what they read."""

    trainable: Trainable = None

    @classmethod
    def key_names(cls) -> list[str]:
        return [*COMMON, *(key for key in super().key_names() if key not in COMMON)]

    @abstractmethod
    def inside(self, walk: "Walk", item: Mapping, scope: Scope, inputs: References) -> Expansion:
        """Return the nodes inside. `inputs` is what the composite reads: one is the scope's previous node."""

    def called(self, item: Mapping) -> str:
        """Return how messages call the node."""
        return id_of(item) or f"this {self.KEY}"

    def expand(self, walk: "Walk", item: Mapping, scope: Scope) -> Expansion:
        """Return the nodes inside, with `expect` and `trainable` applied; the id becomes a name of the scope."""
        refuse_state(walk, item)
        starts = self.MAY_START and scope.previous is None and not is_written(self.source)
        sources = () if starts else self.sources(walk, item, scope)
        inside = self.expanded(walk, item, scope, sources)
        if sources is not None and is_written(self.source) and not scope.closed:
            walk.reads(self.called(item), sources, inside.nodes)
        nodes = tuple(node.id for node in inside.nodes)
        inside = expecting(walk, inside, self, item, scope)
        name = id_of(item) if inside.named else walk.claim(self.id, scope)
        if name:

            def again(prefix: str, names: dict[str, str | Group], sources: References) -> Expansion:
                inner = replace(scope, prefix=prefix, names=names)
                return self.expanded(walk, item.without("id"), inner, sources)

            scope.names[name] = Group(
                inside.end,
                inside.members,
                nodes=nodes,
                again=again if inside.complete else None,
                inputs=sources or (),
                named=inside.named,
            )
        return inside

    def expanded(self, walk: "Walk", item: Mapping, scope: Scope, sources: References | None) -> Expansion:
        """Return the nodes inside, which read `sources`; None where those are faulty."""
        previous, no_previous = None, "" if sources is None else scope.no_previous
        if sources is not None and len(sources) == 1:
            (previous,) = sources
        elif sources:
            no_previous = f"{self.called(item)} has several inputs, so its first node must say which it reads"
        inner = replace(scope, previous=previous, no_previous=no_previous)
        inside = self.inside(walk, item, inner, sources or ())
        if self.trainable is None:
            return inside
        nodes = tuple(replace(node, layer=with_trainable(node.layer, self.trainable)) for node in inside.nodes)
        return replace(inside, nodes=nodes)


def refuse_state(walk: "Walk", item: Mapping) -> None:
    """Report an `initial_state` on a node that stands for several."""
    if (entry := item.entry("initial_state")) is not None:
        message = "initial_state belongs on a recurrent node, not on a composite one"
        walk.report.error(message, entry.key.span, code="misplaced-key")


def expecting(
    walk: "Walk", expansion: Expansion, form: Form, item: Mapping, scope: Scope, *, claimed: str | None = None
) -> Expansion:
    """Return an expansion whose output is compared with the `expect` of its composite.

    The node in which it ends makes the comparison if it is one inside. Otherwise, as for a port or an input that is
    passed on, an Identity after it does, which gets the id of the composite; `claimed` is that id if already claimed.
    """
    if form.expect is None or (expansion.end is None and not expansion.no_end):
        return expansion
    entry, end = item["expect"], expansion.end
    if end is None:
        message = "expect: there is no single output to compare with it"
        walk.report.error(message, entry.key.span, reason=expansion.no_end, help="write expect on the nodes inside")
        return expansion
    nodes = {node.id: node for node in expansion.nodes}
    if end.port is None and end.id in nodes and nodes[end.id].expect is None:
        node = nodes[end.id]
        at = replace(node.at, entries=(*node.at.entries, entry))
        nodes[end.id] = replace(node, expect=form.expect, at=at)
        return replace(expansion, nodes=tuple(nodes.values()))
    name = claimed or (None if expansion.named else walk.claim(form.id, scope))
    identity = scope.prefix + name if name else walk.ids.make(f"{scope.prefix}expected", item.span)
    gate = gate_of(identity, end, form.expect, item)
    end = Reference(identity, None, end.span, implied=True)
    return replace(expansion, nodes=(*expansion.nodes, gate), end=end, named=expansion.named or bool(name))


def gate_of(identity: str, source: Reference, shape: tuple[int | None, ...], item: Mapping) -> NodeSpec:
    """Return an Identity layer that compares the shape of its input with an expected one."""
    layer = KINDS["Identity"]()
    return NodeSpec(id=identity, layer=layer, sources=(source,), expect=shape, at=item, arguments=item)


def frozen_together(nodes: NodeSpecs) -> NodeSpecs:
    """Return the nodes with the weights frozen that are frozen on any node that has them."""
    frozen = {node.shares or node.id for node in nodes if not node.layer.trainable}
    return tuple(
        replace(node, layer=with_trainable(node.layer, False)) if (node.shares or node.id) in frozen else node
        for node in nodes
    )


def with_trainable(layer: Layer, trainable: bool) -> Layer:
    """The layer with its weights trained or not; for a wrapper the layer inside as well."""
    changed: dict[str, Any] = {"trainable": trainable}
    if isinstance(layer, TimeDistributed | Bidirectional):
        changed["layer"] = with_trainable(layer.layer, trainable)
    return layer.model_copy(update=changed)
