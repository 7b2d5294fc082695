"""The walk over `layers:` that turns every form of node into plain nodes, in the order they run."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as AnySequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

from specbuild.catalog import KINDS
from specbuild.catalog.registry import argument_names, kind_named
from specbuild.document import Mapping, Node, Report, Scalar, Sequence, Span, did_you_mean, id_of, kind_of, plain
from specbuild.language.allow import read_allow
from specbuild.language.files import Home, document_of
from specbuild.language.forms.base import COMMON, Expansion, Form
from specbuild.language.forms.ids import Ids
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.values import SHAPES_DIFFER
from specbuild.language.references import ID, ID_HELP, Reference, References
from specbuild.language.spec import Ahead, NodeSpec, NodeSpecs, is_written
from specbuild.language.variables import condition, passed, substitute

MAX_DEPTH = 64
"""Composite nodes inside each other, the blocks and files that they use included."""
MAX_STEPS = 10_000
"""Nodes and rounds of loops that a spec may come to; more is a mistake, or an attack."""


FORMS = {
    "layer": "layers",
    "application": "applications",
    "equation": "equations",
    "split": "splits",
    "time_distributed": "layers",
    "bidirectional": "layers",
    "repeat": "loops",
    "for": "loops",
    "branch": "branches",
    "residual": "branches",
    "block": "blocks",
    "reuse": "reuse",
    "model": "models",
    "encoder_decoder": "encoder_decoder",
    "autoregressive": "autoregressive",
    "recurrent": "recurrent",
}
"""The module of every form of node, by the key that marks it: `repeat` is RepeatForm in `loops`."""


@cache
def form_of(key: str) -> type[Form]:
    """Return the class of a form, imported when it is first used."""
    module = import_module(f"specbuild.language.forms.{FORMS[key]}")
    return getattr(module, key.title().replace("_", "") + "Form")  # type: ignore[no-any-return]  # see FORMS


def forms_of(item: Mapping) -> list[str]:
    """Return the keys of a node that mark its form; an argument of its layer, such as `equation`, marks none."""
    keys = [name for name in item.names() if name in FORMS]
    kind = item.get("layer")
    if len(keys) < 2 or not isinstance(kind, Scalar) or (cls := kind_named(str(kind.value))) is None:
        return keys
    arguments = argument_names(cls)
    return [key for key in keys if key == "layer" or (arguments is not None and key not in arguments)]


class TooLarge(Exception):
    """The spec unrolls into more than MAX_STEPS nodes, or nests more than MAX_DEPTH; reported already."""


class Walk:
    """What all forms of one document share while they are expanded: ids, faults, and the nodes so far."""

    def __init__(self, inputs: AnySequence[str], report: Report) -> None:
        self.ids, self.report = Ids(inputs), report
        self.inputs = frozenset(inputs)
        self.sequences = frozenset[str]()
        """The inputs of the feedback bodies being read, which have a frame for every step."""
        self.states = set[str]()
        """The ids that states have in the nodes of a step."""
        self.nodes: dict[str, NodeSpec] = {}
        """Every node so far by its id, as the forms that hold it left it."""
        self.broken: set[str] = set()
        """The ids of what could not be read."""
        self.left_out: dict[str, int] = {}
        """The ids of nodes whose `when` is false, with their lines."""
        self.ahead: list[Ahead] = []
        """What composites read that is below them, or nowhere."""
        self.files: list[Path] = []
        """The files that were read: specs that are used here, their bases, and those of constants."""
        self._steps = 0
        self._depth = 0
        self.frames = 0
        """How many composite `time_distributed` hold what is being expanded."""
        self._documents: dict[Path, Mapping] = {}

    def items(self, node: Node | None, scope: Scope) -> Expansion:
        """Expand a list of nodes, each reading the one before.

        Where the outermost list unrolls into too many, the nodes before are returned, so that they are checked as well.

        Raises:
            TooLarge: an inner list unrolls into too many nodes, or nests too deep; reported already.
        """
        if node is not None and (given := passed(node, scope.values)) is not None:
            node, scope = given.nodes, replace(scope, values=dict(given.values), calls=given.calls)
        if isinstance(node, Scalar):
            node = substitute(node, scope.values, self.report)
        if not isinstance(node, Sequence):
            if node is not None:
                self.report.wrong_type("expected a list of nodes", node)
            return Expansion((), scope.previous, scope.no_previous, complete=node is None)
        depth = self._depth = self._depth + 1
        if depth > MAX_DEPTH:
            message = f"nodes are nested deeper than {MAX_DEPTH} levels"
            reason = "what a block or a file holds counts as nested in the node that uses it"
            self.report.error(message, node.span, reason=reason, code="too-deep")
            raise TooLarge
        nodes: list[NodeSpec] = []
        complete = True
        last: dict[str, str | Group] = {}
        for item in node.items:
            try:
                expansion = self.item(item, scope)
            except TooLarge:
                if depth > 1:
                    raise
                complete = False
                break
            nodes += expansion.nodes
            last = expansion.members if expansion.nodes else last
            complete = complete and expansion.complete
            scope = replace(scope, previous=expansion.end, no_previous=expansion.no_end)
        self._depth = depth - 1
        return Expansion(tuple(nodes), scope.previous, scope.no_previous, complete, last=last)

    def item(self, item: Node, scope: Scope) -> Expansion:
        """Expand one node of any form."""
        if not isinstance(item, Mapping):
            self.report.wrong_type("a node must be a mapping", item, as_mapping(item))
            return self.nothing(item.span, scope)
        named = self._named(item, scope)
        with self.report.naming(item.get("id"), named.get("id")):
            expansion = self._expanded(named, scope)
        self.keep(expansion.nodes)
        return expansion

    def _named(self, item: Mapping, scope: Scope) -> Mapping:
        """Return an item with the variables of its id filled in, but for an escaped `$$`, which stays for later."""
        written = item.entry("id")
        if written is None:
            return item
        value = substitute(written.value, scope.values, self.report)
        if value is written.value or "$" in str(getattr(value, "value", "")):
            return item
        return item.with_value("id", value)

    def _expanded(self, item: Mapping, scope: Scope) -> Expansion:
        keys = forms_of(item)
        if len(keys) != 1:
            self._no_form(item, keys)
            return self.failed(item, scope)
        cls = form_of(keys[0])
        differ: tuple[Reference, Reference] | None = None
        if isinstance(item.get("when"), Mapping):
            written, place = item["when"].value, item["when"].key.span
            differ, item = self._differing(written, scope), item.without("when")
            if differ is None:
                return self.failed(item, scope)
        if (when := item.entry("when")) is not None:
            item = item.with_value("when", condition(when.value, scope.values, self.report))
        item = substitute(item, scope.values, self.report, leave=cls.unbound())
        if self._left_out(item, scope):
            return Expansion((), scope.previous, scope.no_previous)
        form = cls.read(item, self.report)
        expansion = form.expand(self, item, scope) if form is not None else self.failed(item, scope)
        if form is not None and (allow := read_allow(form.allow, self.report)):
            expansion = replace(expansion, nodes=tuple(node.accepting(allow) for node in expansion.nodes))
        if differ is not None:
            expansion = where_shapes_differ(self, expansion, differ, place)
        if self.report.ids:
            named = (node if node.ids else replace(node, ids=self.report.ids) for node in expansion.nodes)
            expansion = replace(expansion, nodes=tuple(named))
        return expansion

    def _differing(self, written: Node, scope: Scope) -> tuple[Reference, Reference] | None:
        """Return the two nodes of a condition on their shapes; None after a fault."""
        value = substitute(written, scope.values, self.report)
        pair = value.get(SHAPES_DIFFER) if isinstance(value, Mapping) and len(value.entries) == 1 else None
        if not isinstance(pair, Sequence) or len(pair.items) != 2:
            message, help = "when: expected a condition, or two shapes", f"write when: {{{SHAPES_DIFFER}: [a, b]}}"
            self.report.error(message, value.span, help=help, code="wrong-type")
            return None
        first, second = (scope.reference(each, self.report) for each in pair.items)
        return (first, second) if first is not None and second is not None else None

    def _left_out(self, item: Mapping, scope: Scope) -> bool:
        """Whether the `when` of a node is false, so that it counts as not written."""
        when = item.get("when")
        left_out = isinstance(when, Scalar) and when.value is False
        if left_out and (name := id_of(item)):
            self.left_out[scope.prefix + name] = item.span.line
        return left_out

    def keep(self, nodes: Iterable[NodeSpec]) -> None:
        """Remember nodes as they are now, for those that refer to them."""
        self.nodes.update((node.id, node) for node in nodes)

    def reads(self, reader: str, sources: References, nodes: NodeSpecs) -> None:
        """Remember what a composite reads, where that is not a node so far."""
        inside = tuple(node.id for node in nodes)
        known = (self.nodes, self.broken, self.inputs)
        ahead = (each for each in sources if each.id in inside or not any(each.id in ids for ids in known))
        self.ahead += [Ahead(source, reader, inside) for source in ahead]

    def spend(self, span: Span) -> None:
        """Count one node or one round of a loop."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            self.report.error(f"the layers unroll into more than {MAX_STEPS:,} nodes", span, code="too-large")
            raise TooLarge

    def document(self, file: Path, home: Home, named: Node) -> Mapping | None:
        """Return the document of another file, read once however often it is used; None after reporting why not."""
        document = self._documents.get(file) or document_of(file, home, named.span, self.report)
        if document is not None:
            self._documents[file] = document
            self.files.append(file)
        return document

    def failed(self, item: Mapping, scope: Scope) -> Expansion:
        """Leave out a node that could not be read, so that what reads it is not reported as well."""
        nothing = self.nothing(item.span, scope)
        written = item.get("id")
        if written is not None:
            written = substitute(written, scope.values, self.report)
        if name := self.claim(written, scope):
            assert nothing.end is not None
            scope.names[name] = nothing.end.id
        return nothing

    def nothing(self, span: Span, scope: Scope) -> Expansion:
        """Return no nodes, and an end that what follows can read in silence."""
        return Expansion((), self.lost(span, scope), complete=False)

    def lost(self, span: Span, scope: Scope) -> Reference:
        """Return a reference to what could not be read."""
        identity = self.ids.make(f"{scope.prefix}lost", span)
        self.broken.add(identity)
        return Reference(identity, None, span, implied=True)

    def claim(self, written: Node | None, scope: Scope) -> str | None:
        """Claim a written id and return it without prefix; None if there is none, or none that it can have.

        If two nodes share an id, its readers cannot be checked, and the second node gets a generated id.
        """
        if not is_written(written) or written is None:
            return None
        if not isinstance(written, Scalar) or not isinstance(written.value, str) or not ID.fullmatch(written.value):
            if not self.report.is_known(written.span):
                shown = f'"{plain(written)}"' if isinstance(written, Scalar) else kind_of(written)
                self.report.error(f"{shown} cannot be an id", written.span, help=ID_HELP, code="bad-name")
            return None
        full = scope.prefix + written.value
        if full not in self.ids:
            self.ids.claim(full, written.span)
            return written.value
        first, help = self.ids.place(full), "give each its own id"
        if first is None:
            reason = "a state has that name" if full in self.states else "an input has that name"
        elif first == written.span:
            reason, help = "each round of a loop makes it again", "put a loop variable into it, such as id: conv_$f"
        else:
            reason = f"the first is {_relative(first, written.span)}"
        self.report.error(f"two nodes are called {full}", written.span, reason=reason, help=help, code="duplicate-id")
        if first is not None:
            self.broken.add(full)
        return None

    def _no_form(self, item: Mapping, keys: list[str]) -> None:
        """Report a node that has the key of no form, or those of two."""
        if keys:
            message = f"a node is either {keys[0]} or {keys[1]}, not both"
            self.report.error(message, item[keys[1]].key.span, code="bad-node")
            return
        near = (did_you_mean(name, FORMS) for name in item.names() if name not in COMMON)
        help = _misplaced_kind(item) or next(filter(None, near), f"give it one of {', '.join(FORMS)}")
        self.report.error("a node needs a layer", item.span, help=help, code="bad-node")


def where_shapes_differ(walk: Walk, expansion: Expansion, pair: tuple[Reference, Reference], place: Span) -> Expansion:
    """Return nodes that are there only where two others have different shapes; elsewhere the first is read instead."""
    if any(node.differ is not None for node in expansion.nodes):
        message = "a condition on shapes cannot hold another one"
        help = "move the inner one out, or write it without the outer one"
        walk.report.error(message, place, help=help, code="bad-node")
        return replace(expansion, complete=False)
    return replace(expansion, nodes=tuple(replace(node, differ=pair) for node in expansion.nodes))


def _relative(place: Span, other: Span) -> str:
    """Say where a place is, for a message about another one."""
    if place.source != other.source:
        return f"on line {place.line} of {place.source.name}"
    return f"on line {place.line}" if place.line != other.line else f"on the same line, in column {place.column}"


def as_mapping(item: Node) -> str:
    """Return how to write a node that is not a mapping: `- Flatten` is `- {layer: Flatten}`."""
    kind = item.value if isinstance(item, Scalar) and item.value in KINDS else "Conv2D, …"
    return f"write {{layer: {kind}}}"


def _misplaced_kind(item: Mapping) -> str:
    """Help where a form lacks its colon, `{layer Conv2D, …}`, or where a kind stands as a key, `Conv2D: {…}`."""
    for entry in item.entries:
        first, _, rest = entry.name.partition(" ")
        if rest and first in FORMS and isinstance(entry.value, Scalar) and entry.value.value is None:
            return f"write {first}: {rest.strip()}"
        if kind_named(entry.name) is not None:
            arguments = entry.value.entries if isinstance(entry.value, Mapping) else ()
            shown = [f"{x.name}: {x.value.raw}" for x in arguments[:1] if isinstance(x.value, Scalar)]
            more = ["…"] if len(arguments) > len(shown) else []
            return f"write {{{', '.join([f'layer: {entry.name}', *shown, *more])}}}"
    return ""
