"""The items of `layers:`: each form of node, expanded into plain nodes in the order they run."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass, field, replace
from typing import Any

from specbuild.catalog import KINDS, Bidirectional, Layer, Recurrent, TimeDistributed
from specbuild.document import Mapping, Node, PathPart, Report, Scalar, Sequence, did_you_mean, kind_of, plain
from specbuild.spec.model import NodeSpec, is_written
from specbuild.spec.references import ID, Reference, reference
from specbuild.spec.validation import validate
from specbuild.spec.variables import substitute

COMMON = ("id", "from", "initial_state", "expect")
"""What a node says about itself, whatever its form; every other key belongs to the form."""

_LAYER_OF_OTHER_NAME = {
    "TimeDistributed": "write time_distributed: {layer: …}",
    "Bidirectional": "write bidirectional: {layer: …}",
    "Input": "inputs are declared under inputs:",
    "InputLayer": "inputs are declared under inputs:",
}
_KEY_OF_OTHER_NAME = {"name": "id", "inputs": "from", "input": "from", "input_shape": "inputs"}


def expand(
    node: Node | None, inputs: AnySequence[str], values: dict[str, Any], defaults: dict[str, Mapping], report: Report
) -> Expanded:
    """Every node of a `layers:` list, with variables, defaults and made-up ids filled in.

    `inputs` are the model's input ids: the first node reads the only one unless it says otherwise.
    """
    if not isinstance(node, Sequence):
        if node is not None:
            report.error(f"layers must be a list, got {kind_of(node)}", node.span, path="layers", code="wrong-type")
        return Expanded((), frozenset())
    expansion = _Expansion(defaults, report, Ids(inputs), has_inputs=bool(inputs))
    expansion.previous = inputs[0] if len(inputs) == 1 else None
    expansion.items(node, values, ("layers",))
    return Expanded(tuple(expansion.nodes), frozenset(expansion.broken))


@dataclass(frozen=True, slots=True)
class Expanded:
    """The nodes of a `layers:` list. `broken` are ids of nodes that could not be read."""

    nodes: tuple[NodeSpec, ...]
    broken: frozenset[str]


class Ids:
    """The names in use. Made-up ones follow Keras: `conv_lstm2d`, `conv_lstm2d_1`."""

    def __init__(self, taken: AnySequence[str]) -> None:
        self._places: dict[str, int] = dict.fromkeys(taken, 0)
        self._counts: dict[str, int] = {}

    def line_of(self, name: str) -> int | None:
        """Where `name` was first used: a line, 0 for an input; None if it is free."""
        return self._places.get(name)

    def claim(self, name: str, line: int) -> None:
        self._places.setdefault(name, line)

    def make(self, kind: str, line: int) -> str:
        base = snake(kind)
        while True:
            count = self._counts.get(base, 0)
            self._counts[base] = count + 1
            name = f"{base}_{count}" if count else base
            if name not in self._places:
                self.claim(name, line)
                return name


def snake(kind: str) -> str:
    """Keras's own spelling of a layer's default name: ConvLSTM2D → conv_lstm2d."""
    text = re.sub(r"\W+", "", kind)
    text = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", text)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", text).lower()


@dataclass
class _Expansion:
    """The state of one walk over `layers:`."""

    defaults: dict[str, Mapping]
    report: Report
    ids: Ids
    has_inputs: bool
    nodes: list[NodeSpec] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    previous: str | None = None

    def items(self, node: Sequence, values: dict[str, Any], path: tuple[PathPart, ...]) -> None:
        for index, item in enumerate(node.items):
            self.item(item, values, (*path, _name_of(item, index)))

    def item(self, item: Node, values: dict[str, Any], path: tuple[PathPart, ...]) -> None:
        if not isinstance(item, Mapping):
            self.report.error(
                f"a node must be a mapping, got {kind_of(item)}",
                item.span,
                path=path,
                help=_as_node(item),
                code="wrong-type",
            )
            return
        forms = [name for name in item.names() if name in FORMS]
        if len(forms) != 1:
            self.form_error(item, forms, path)
            return
        FORMS[forms[0]](self, item, values, path)

    def form_error(self, item: Mapping, forms: list[str], path: tuple[PathPart, ...]) -> None:
        if forms:
            entry = item.entry(forms[1])
            assert entry is not None
            self.report.error(
                f"a node is either {forms[0]} or {forms[1]}, not both", entry.key.span, path=path, code="bad-node"
            )
            return
        near = next(
            (hint for name in item.names() if name not in COMMON and (hint := did_you_mean(name, list(FORMS)))), ""
        )
        self.report.error(
            "a node needs a layer",
            item.span,
            path=path,
            help=near or f"give it one of {', '.join(FORMS)}",
            code="bad-node",
        )

    # One method per form of node.

    def layer_form(self, item: Mapping, values: dict[str, Any], path: tuple[PathPart, ...]) -> None:
        item = self.resolve(item, values, path)
        arguments = _without(item, COMMON)
        layer = self.layer(arguments, path)
        self.add([(layer, arguments, item)], item, path)

    def time_distributed_form(self, item: Mapping, values: dict[str, Any], path: tuple[PathPart, ...]) -> None:
        item = self.resolve(item, values, path)
        inner = item.get("time_distributed")
        assert inner is not None
        self.only(item, ("time_distributed",), inner, path)
        parts = list(inner.items) if isinstance(inner, Sequence) else [inner]
        if not parts:
            self.report.error("time_distributed holds no layer", inner.span, path=path, code="bad-node")
        chain: list[tuple[Layer | None, Mapping, Mapping]] = []
        for index, part in enumerate(parts):
            where = (*path, "time_distributed", *((index,) if isinstance(inner, Sequence) else ()))
            layer, arguments = self.inner(part, where)
            wrapped = TimeDistributed(layer=layer) if layer is not None else None
            chain.append((wrapped, arguments, part if isinstance(part, Mapping) else item))
        if chain:
            self.add(chain, item, path)

    def bidirectional_form(self, item: Mapping, values: dict[str, Any], path: tuple[PathPart, ...]) -> None:
        item = self.resolve(item, values, path)
        layer, arguments = self.bidirectional(item, path)
        self.add([(layer, arguments, item)], item, path)

    # Layers.

    def inner(self, part: Node, path: tuple[PathPart, ...]) -> tuple[Layer | None, Mapping]:
        """The layer inside a time_distributed: a plain one, or itself a wrapper."""
        if not isinstance(part, Mapping):
            self.report.error(
                f"a layer must be a mapping, got {kind_of(part)}", part.span, path=path, code="wrong-type"
            )
            return None, Mapping((), part.span)
        for key in ("from", "initial_state", "expect"):
            if (entry := part.entry(key)) is not None:
                self.report.error(
                    f"{key} stands on the time_distributed node, not on a layer inside it",
                    entry.key.span,
                    path=(*path, key),
                    code="misplaced-key",
                )
        if part.entry("bidirectional") is not None:
            return self.bidirectional(part, path)
        if (nested := part.get("time_distributed")) is not None:
            self.only(part, ("time_distributed",), nested, path)
            layer, arguments = self.inner(nested, (*path, "time_distributed"))
            return (TimeDistributed(layer=layer) if layer is not None else None), arguments
        arguments = _without(part, COMMON)
        return self.layer(arguments, path), arguments

    def bidirectional(self, item: Mapping, path: tuple[PathPart, ...]) -> tuple[Layer | None, Mapping]:
        inner = item.get("bidirectional")
        assert inner is not None
        own = tuple(name for name in Bidirectional.model_fields if name != "layer")
        self.only(item, ("bidirectional", *own), inner, path)
        if not isinstance(inner, Mapping):
            self.report.error(
                f"a layer must be a mapping, got {kind_of(inner)}", inner.span, path=path, code="wrong-type"
            )
            return None, Mapping((), inner.span)
        arguments = _without(inner, ("id",))
        layer = self.layer(arguments, (*path, "bidirectional"))
        if layer is not None and not isinstance(layer, Recurrent):
            self.report.error(
                f"bidirectional needs a recurrent layer, {layer.kind} is none",
                inner.span,
                path=(*path, "bidirectional"),
                reason="both directions in time exist only where there is a state",
                code="bad-node",
            )
            return None, arguments
        if layer is None:
            return None, arguments
        settings = Mapping(tuple(e for e in item.entries if e.name in own), item.span)
        given = {"layer": layer}
        return validate(Bidirectional, settings, path, self.report, owner="Bidirectional", given=given), arguments

    def layer(self, arguments: Mapping, path: tuple[PathPart, ...]) -> Layer | None:
        """The catalogue's instance of `{layer: Kind, …arguments}`, defaults laid under the arguments."""
        named = arguments.get("layer")
        if not isinstance(named, Scalar) or not isinstance(named.value, str):
            if named is None:
                self.report.error(
                    "a layer needs a kind", arguments.span, path=path, help="write {layer: Conv2D, …}", code="bad-node"
                )
            elif not self.report.is_known(named.span):
                self.report.error(
                    f"layer: expected the name of a layer, got {kind_of(named)}",
                    named.span,
                    path=(*path, "layer"),
                    code="wrong-type",
                )
            return None
        kind = named.value
        cls = KINDS.get(kind)
        if cls is None:
            self.report.error(
                f'no layer is called "{kind}"',
                named.span,
                path=(*path, "layer"),
                help=_LAYER_OF_OTHER_NAME.get(kind, "") or did_you_mean(kind, list(KINDS)),
                code="unknown-layer",
            )
            return None
        renamed = self.renamed_keys(arguments, cls, path)
        written = Mapping(
            tuple(e for e in arguments.entries if e.name != "layer" and not self.report.is_known(e.key.span)),
            arguments.span,
        )
        below = self.defaults.get(kind)
        if below is not None:
            extra = tuple(e for e in below.entries if written.entry(e.name) is None)
            written = replace(written, entries=(*written.entries, *extra))
        layer = validate(cls, written, path, self.report, owner=kind, at=named)
        return None if renamed else layer

    def renamed_keys(self, arguments: Mapping, cls: type[Layer], path: tuple[PathPart, ...]) -> bool:
        """Reports Keras's names for what a spec says about the node; whether there were any."""
        found = False
        for entry in arguments.entries:
            other = _KEY_OF_OTHER_NAME.get(entry.name)
            if other and entry.name not in cls.model_fields:
                self.report.error(
                    f'{cls.__name__} has no argument "{entry.name}"',
                    entry.key.span,
                    path=(*path, entry.name),
                    help=f"a spec says {other}",
                    code="unknown-key",
                )
                found = True
        return found

    # Nodes.

    def resolve(self, item: Mapping, values: dict[str, Any], path: tuple[PathPart, ...]) -> Mapping:
        resolved = substitute(item, values, self.report, path)
        assert isinstance(resolved, Mapping)
        return resolved

    def only(self, item: Mapping, keys: tuple[str, ...], inner: Node, path: tuple[PathPart, ...]) -> None:
        """Refuses keys of a wrapper's node that belong to the layer inside it, or to nothing."""
        known = (*COMMON, *keys)
        for entry in item.entries:
            if entry.name not in known:
                cls = _class_inside(inner)
                belongs = cls is not None and entry.name in cls.model_fields
                self.report.error(
                    f'unknown key "{entry.name}"',
                    entry.key.span,
                    path=(*path, entry.name),
                    help=f"it is an argument of {cls.__name__}: write it inside {keys[0]}: {{…}}"
                    if belongs and cls is not None
                    else did_you_mean(entry.name, list(known)),
                    code="unknown-key",
                )

    def add(
        self, chain: list[tuple[Layer | None, Mapping, Mapping]], item: Mapping, path: tuple[PathPart, ...]
    ) -> None:
        """Adds the nodes of one item, each reading the one before; a broken one still claims its id."""
        sources = self.sources(item, path)
        initial_state = self.initial_state(item, path)
        for index, (layer, arguments, part) in enumerate(chain):
            last = index == len(chain) - 1
            named = (item.get("id") if last else None) or (part.get("id") if part is not item else None)
            identity, written = self.identity(named, layer, part, path)
            if layer is not None:
                self.nodes.append(
                    NodeSpec(
                        id=identity,
                        named=written,
                        layer=layer,
                        sources=sources,
                        initial_state=initial_state if last else None,
                        expect=self.expect(item, path) if last else None,
                        path=("layers", identity) if written else path,
                        at=item if len(chain) == 1 or last else part,
                        arguments=arguments,
                    )
                )
            else:
                self.broken.add(identity)
            sources = (Reference(identity, None, part.span, implied=True),)
            self.previous = identity

    def identity(
        self, named: Node | None, layer: Layer | None, part: Mapping, path: tuple[PathPart, ...]
    ) -> tuple[str, bool]:
        if named is None:
            kind = part.get("layer")
            fallback = str(kind.value) if isinstance(kind, Scalar) else "layer"
            return self.ids.make(_innermost(layer).kind if layer is not None else fallback, part.span.line), False
        if not isinstance(named, Scalar) or not isinstance(named.value, str) or not ID.fullmatch(named.value):
            if not self.report.is_known(named.span):
                shown = f'"{plain(named)}"' if isinstance(named, Scalar) else kind_of(named)
                self.report.error(
                    f"{shown} cannot be an id",
                    named.span,
                    path=(*path, "id"),
                    help="use letters, digits, _ and -, not starting with a digit",
                    code="bad-name",
                )
            return self.ids.make("layer", part.span.line), False
        line = self.ids.line_of(named.value)
        if line is not None:
            self.report.error(
                f"two nodes are called {named.value}",
                named.span,
                path=(*path, "id"),
                reason=f"the first stands in line {line}" if line else "an input has that name",
                help="give each its own id",
                code="duplicate-id",
            )
        self.ids.claim(named.value, named.span.line)
        return named.value, True

    def sources(self, item: Mapping, path: tuple[PathPart, ...]) -> tuple[Reference, ...]:
        written = item.get("from")
        if not is_written(written):
            if self.previous is not None:
                return (Reference(self.previous, None, _head(item).span, implied=True),)
            if not self.has_inputs:
                return ()
            self.report.error(
                "the first node must say which input it reads",
                _head(item).span,
                path=path,
                help="write from: and the id of an input",
                code="missing-key",
            )
            return ()
        assert written is not None
        parts = written.items if isinstance(written, Sequence) else (written,)
        if not parts:
            self.report.error("from: names no node", written.span, path=(*path, "from"), code="bad-reference")
        found = (reference(part, self.report, (*path, "from")) for part in parts)
        return tuple(one for one in found if one is not None)

    def initial_state(self, item: Mapping, path: tuple[PathPart, ...]) -> Reference | dict[str, Reference] | None:
        written = item.get("initial_state")
        where = (*path, "initial_state")
        if not is_written(written):
            return None
        if isinstance(written, Mapping):
            named = {e.name: reference(e.value, self.report, (*where, e.name)) for e in written.entries}
            return {name: one for name, one in named.items() if one is not None}
        if isinstance(written, Sequence):
            self.report.error(
                "initial_state: expected a node or named tensors, got a list",
                written.span,
                path=where,
                reason="the order of a list would decide which tensor is h and which is c",
                help="write initial_state: enc1, or initial_state: {h: a, c: b}",
                code="wrong-type",
            )
            return None
        assert written is not None
        return reference(written, self.report, where)

    def expect(self, item: Mapping, path: tuple[PathPart, ...]) -> tuple[int | None, ...] | None:
        written = item.get("expect")
        if not is_written(written) or written is None:
            return None
        value = plain(written)
        valid = isinstance(value, list) and all(
            d is None or (isinstance(d, int) and not isinstance(d, bool) and d > 0) for d in value
        )
        if not valid:
            if not self.report.is_known(written.span):
                self.report.error(
                    "expect: expected the lengths of the output's axes",
                    written.span,
                    path=(*path, "expect"),
                    help="write the shape without the batch axis, such as [10, 64, 64, 32]; null fits any length",
                    code="wrong-type",
                )
            return None
        return tuple(value)


Form = Callable[[_Expansion, Mapping, dict[str, Any], tuple[PathPart, ...]], None]

FORMS: dict[str, Form] = {
    "layer": _Expansion.layer_form,
    "time_distributed": _Expansion.time_distributed_form,
    "bidirectional": _Expansion.bidirectional_form,
}
"""Every form of node, by the key that marks it."""


def _name_of(item: Node, index: int) -> PathPart:
    """An item's place in words: its id where it has one."""
    identity = item.get("id") if isinstance(item, Mapping) else None
    return str(identity.value) if isinstance(identity, Scalar) and isinstance(identity.value, str) else index


def _as_node(item: Node) -> str:
    """How to write what is no mapping: `- Flatten` is `- {layer: Flatten}`."""
    kind = item.value if isinstance(item, Scalar) and item.value in KINDS else "Conv2D, …"
    return f"write {{layer: {kind}}}"


def _without(item: Mapping, keys: tuple[str, ...]) -> Mapping:
    return replace(item, entries=tuple(e for e in item.entries if e.name not in keys))


def _head(item: Mapping) -> Scalar | Mapping:
    """What to point at for a fault of the whole node: the name of its layer, or the key of its form."""
    kind = item.get("layer")
    if isinstance(kind, Scalar):
        return kind
    return next((e.key for e in item.entries if e.name in FORMS), item)


def _class_inside(node: Node) -> type[Layer] | None:
    kind = node.get("layer") if isinstance(node, Mapping) else None
    return KINDS.get(str(kind.value)) if isinstance(kind, Scalar) else None


def _innermost(layer: Layer) -> Layer:
    while isinstance(layer, (TimeDistributed, Bidirectional)):
        layer = layer.layer
    return layer
