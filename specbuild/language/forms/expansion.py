"""The walk over `layers:` that turns every form of node into plain nodes, in the order they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence as AnySequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from specbuild.catalog import KINDS, Bidirectional, Layer, TimeDistributed
from specbuild.catalog.registry import kind_named
from specbuild.document import (
    Mapping,
    Node,
    PathPart,
    Report,
    Scalar,
    Sequence,
    Span,
    did_you_mean,
    kind_of,
    plain,
    read,
)
from specbuild.language.forms.ids import Ids, snake
from specbuild.language.forms.reading import Path_ as Path_
from specbuild.language.forms.reading import Reading
from specbuild.language.forms.scope import Definitions, Group, Part, Scope
from specbuild.language.references import ID, Reference
from specbuild.language.spec import NodeSpec, is_written
from specbuild.language.variables import substitute

COMMON = ("id", "from", "initial_state", "expect")
"""What a node says about itself, whatever its form; every other key belongs to the form."""

MAX_DEPTH = 64
"""Composite nodes inside each other, the blocks and files that they use included."""
MAX_STEPS = 10_000
"""Nodes and rounds of loops that a spec may come to; more is a mistake, or an attack."""


class TooLarge(Exception):
    """The spec unrolls into more than MAX_STEPS nodes, or nests more than MAX_DEPTH; reported already."""


Form: TypeAlias = "Callable[[Expansion, Mapping, Scope, Path_], None]"


class Expansion(Reading):
    """The state of one walk. A form reads its item and calls `add` for each plain node that it comes to."""

    def __init__(self, definitions: Definitions, forms: dict[str, Form], ids: Ids, report: Report) -> None:
        self.definitions, self.forms, self.ids, self.report = definitions, forms, ids, report
        self.nodes: list[NodeSpec] = []
        self.broken: set[str] = set()
        self.previous: Reference | None = None
        self.no_previous = ""
        """Why the next node cannot leave `from` out; empty: there is nothing to say about it."""
        self.calls: tuple[str, ...] = ()
        """The blocks being expanded, outermost first."""
        self._steps = 0
        self._depth = 0
        self._documents: dict[Path, Node] = {}
        self._places: dict[str, int] = {}
        """Where each node stands in `nodes`."""

    # The walk.

    def items(self, node: Node | None, scope: Scope, path: Path_) -> None:
        """Expands a list of nodes, each reading the one before."""
        if not isinstance(node, Sequence):
            if node is not None:
                self.report.error(
                    f"expected a list of nodes, got {kind_of(node)}", node.span, path=path, code="wrong-type"
                )
            return
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"nodes are nested deeper than {MAX_DEPTH} levels"
            reason = "what a block or a file holds counts as nested in the node that uses it"
            self.report.error(message, node.span, path=path, reason=reason, code="too-deep")
            raise TooLarge
        for index, item in enumerate(node.items):
            self.item(item, scope, (*path, _name_of(item, index)))
        self._depth -= 1

    def item(self, item: Node, scope: Scope, path: Path_) -> None:
        if not isinstance(item, Mapping):
            self.report.error(
                f"a node must be a mapping, got {kind_of(item)}",
                item.span,
                path=path,
                help=as_node(item),
                code="wrong-type",
            )
            self.previous = self.lost(item.span, scope)
            return
        found = [name for name in item.names() if name in self.forms]
        if len(found) != 1:
            self._form_error(item, found, path)
            self.fail(item, scope, path)
            return
        self.forms[found[0]](self, item, scope, path)

    def spend(self, span: Span, path: Path_) -> None:
        """Counts one node or one round of a loop."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            self.report.error(
                f"the layers unroll into more than {MAX_STEPS:,} nodes", span, path=path, code="too-large"
            )
            raise TooLarge

    def read(self, file: Path) -> Node:
        """The document of another file, which is read once, however often it is used.

        Raises:
            SpecError: the file cannot be read, or is no YAML.
        """
        if file not in self._documents:
            _, self._documents[file] = read(file)
        return self._documents[file]

    def put(self, node: NodeSpec) -> None:
        """Adds a finished node."""
        self._places[node.id] = len(self.nodes)
        self.nodes.append(node)

    @contextmanager
    def apart(self) -> Iterator[list[NodeSpec]]:
        """Nodes added meanwhile go into a list of their own."""
        kept = self.nodes, self._places, self.previous, self.no_previous
        self.nodes, self._places, self.no_previous = [], {}, ""
        yield self.nodes
        self.nodes, self._places, self.previous, self.no_previous = kept

    def node(self, identity: str) -> NodeSpec | None:
        """The node with an id; None if it could not be read."""
        place = self._places.get(identity)
        return self.nodes[place] if place is not None else None

    def _form_error(self, item: Mapping, found: list[str], path: Path_) -> None:
        if found:
            entry = item.entry(found[1])
            assert entry is not None
            self.report.error(
                f"a node is either {found[0]} or {found[1]}, not both", entry.key.span, path=path, code="bad-node"
            )
            return
        near = (did_you_mean(name, self.forms) for name in item.names() if name not in COMMON)
        self.report.error(
            "a node needs a layer",
            item.span,
            path=path,
            help=_misplaced_kind(item, self.forms)
            or next((hint for hint in near if hint), f"give it one of {', '.join(self.forms)}"),
            code="bad-node",
        )

    # What forms call.

    def resolve(self, item: Mapping, scope: Scope, path: Path_, *, leave: AnySequence[str] = ()) -> Mapping:
        """The item with its variables filled in, but for the keys in `leave`, which bring variables of their own."""
        if not leave:
            return substitute(item, scope.values, self.report, path)
        own = Mapping(tuple(entry for entry in item.entries if entry.name not in leave), item.span)
        filled = substitute(own, scope.values, self.report, path)
        left = tuple(entry for entry in item.entries if entry.name in leave)
        return item if filled is own else Mapping((*filled.entries, *left), item.span)

    def only(
        self, item: Mapping, keys: AnySequence[str], path: Path_, *, help: Callable[[str], str] | None = None
    ) -> None:
        """Refuses every key of an item that is neither common to all nodes nor one of `keys`."""
        known = (*COMMON, *keys)
        for entry in item.entries:
            if entry.name not in known:
                hint = help(entry.name) if help else ""
                self.report.error(
                    f'unknown key "{entry.name}"',
                    entry.key.span,
                    path=(*path, entry.name),
                    help=hint or did_you_mean(entry.name, known),
                    code="unknown-key",
                )

    def add(
        self,
        chain: AnySequence[Part],
        item: Mapping,
        scope: Scope,
        path: Path_,
        *,
        sources: tuple[Reference, ...] | None = None,
        named: Node | None = None,
    ) -> None:
        """Adds the nodes of one item, each reading the one before; a broken one still claims its id.

        `sources` and `named` are what the first reads and what the last is called, where the item itself does not say.
        """
        sources = self.sources(item, scope, path) if sources is None else sources
        initial_state = self.initial_state(item, scope, path)
        for index, part in enumerate(chain):
            self.spend(part.at.span, path)
            last = index == len(chain) - 1
            written = (named or item.get("id") if last else None) or (
                part.at.get("id") if part.at is not item else None
            )
            identity, is_named = self.identity(written, part, scope, path)
            if part.layer is None or sources is None:
                self.broken.add(identity)
            else:
                self.put(
                    NodeSpec(
                        id=identity,
                        named=is_named,
                        layer=part.layer,
                        sources=sources,
                        initial_state=initial_state if last else None,
                        expect=self.expect(item, path) if last else None,
                        path=(*path[:-1], identity) if is_named else path,
                        at=item if last else part.at,
                        arguments=part.arguments,
                        inside=scope.closed,
                    )
                )
            self.previous = Reference(identity, None, part.at.span, implied=True)
            sources = (self.previous,)

    def fail(self, item: Mapping, scope: Scope, path: Path_) -> None:
        """Leaves out a node that could not be read, in such a way that what reads it is not reported as well."""
        self.previous = self.lost(item.span, scope)
        written = item.get("id")
        if written is not None:
            written = substitute(written, scope.values, self.report, (*path, "id"))
        name = self.written_id(written, scope, path)
        if name is not None:
            scope.names[name] = self.previous.id

    def lost(self, span: Span, scope: Scope) -> Reference:
        """A reference to what could not be read."""
        identity = self.ids.make(f"{scope.prefix}lost", span.line)
        self.broken.add(identity)
        return Reference(identity, None, span, implied=True)

    def identity(self, written: Node | None, part: Part, scope: Scope, path: Path_) -> tuple[str, bool]:
        """A node's full id, and whether the spec wrote it."""
        name = self.written_id(written, scope, path)
        if name is None:
            return self.ids.make(scope.prefix + snake(part.kind), part.at.span.line), False
        full = scope.prefix + name
        scope.names[name] = full
        return full, True

    def written_id(self, written: Node | None, scope: Scope, path: Path_) -> str | None:
        """A written id, without prefix, after claiming it; None if there is none, or none that it can have.

        Where two nodes share one, what reads it cannot be judged, and the second gets a made-up one.
        """
        if not is_written(written) or written is None:
            return None
        if not isinstance(written, Scalar) or not isinstance(written.value, str) or not ID.fullmatch(written.value):
            if not self.report.is_known(written.span):
                shown = f'"{plain(written)}"' if isinstance(written, Scalar) else kind_of(written)
                self.report.error(
                    f"{shown} cannot be an id",
                    written.span,
                    path=(*path, "id"),
                    help="use letters, digits, _ and -, not starting with a digit",
                    code="bad-name",
                )
            return None
        full = scope.prefix + written.value
        line = self.ids.line_of(full)
        if line is not None:
            self.report.error(
                f"two nodes are called {full}",
                written.span,
                path=(*path, "id"),
                reason=_clash(line, written.span.line),
                help="put a loop variable into it, such as id: conv_$f"
                if line == written.span.line
                else "give each its own id",
                code="duplicate-id",
            )
            if line:
                self.broken.add(full)
            return None
        self.ids.claim(full, written.span.line)
        return written.value

    # Composite nodes.

    @contextmanager
    def composite(self, item: Mapping, scope: Scope, path: Path_, *, open_start: bool = False) -> Iterator[Group]:
        """Frames the nodes of a composite: it reads `from`, ends in its last node, and its id names all of it.

        With `open_start` it may stand where there is nothing to read: the nodes inside say what they read.
        """
        if (entry := item.entry("initial_state")) is not None:
            self.report.error(
                "initial_state stands on a recurrent node, not on a composite one",
                entry.key.span,
                path=(*path, "initial_state"),
                code="misplaced-key",
            )
        nothing = open_start and self.previous is None and not is_written(item.get("from"))
        sources = () if nothing else self.sources(item, scope, path)
        group = Group(None, start=len(self.nodes), inputs=sources or ())
        self.previous = sources[0] if sources is not None and len(sources) == 1 else None
        if sources is None:
            self.no_previous = ""
        yield group
        group.output, group.stop = self.previous, len(self.nodes)
        expect = self.expect(item, path)
        if expect is not None and group.stop > group.start:
            last = self.nodes[-1]
            self.nodes[-1] = replace(
                last, expect=expect, at=replace(last.at, entries=(*last.at.entries, *_entry(item, "expect")))
            )
        self.freeze(item, group, path)
        name = _id(item) if group.named else self.written_id(item.get("id"), scope, path)
        if name:
            scope.names[name] = group

    def freeze(self, item: Mapping, group: Group, path: Path_) -> None:
        """Carries out `trainable:` on everything inside a composite."""
        written = item.get("trainable")
        if written is None or self.report.is_known(written.span):
            return
        if not isinstance(written, Scalar) or not isinstance(written.value, bool):
            self.report.error(
                "trainable: expected true or false", written.span, path=(*path, "trainable"), code="wrong-type"
            )
            return
        for index in range(group.start, group.stop):
            node = self.nodes[index]
            self.nodes[index] = replace(node, layer=_trainable(node.layer, written.value))


def _trainable(layer: Layer, trainable: bool) -> Layer:
    """The layer with its weights trained or not; for a wrapper the layer inside as well."""
    changed: dict[str, Any] = {"trainable": trainable}
    if isinstance(layer, TimeDistributed | Bidirectional):
        changed["layer"] = _trainable(layer.layer, trainable)
    return layer.model_copy(update=changed)


def _name_of(item: Node, index: int) -> PathPart:
    """An item's place in words: its id where it has one."""
    name = _id(item)
    return name if name else index


def _id(item: Node) -> str:
    written = item.get("id") if isinstance(item, Mapping) else None
    return str(written.value) if isinstance(written, Scalar) and isinstance(written.value, str) else ""


def _entry(item: Mapping, name: str) -> tuple[Any, ...]:
    entry = item.entry(name)
    return (entry,) if entry is not None else ()


def as_node(item: Node) -> str:
    """How to write what is no mapping: `- Flatten` is `- {layer: Flatten}`."""
    kind = item.value if isinstance(item, Scalar) and item.value in KINDS else "Conv2D, …"
    return f"write {{layer: {kind}}}"


def _misplaced_kind(item: Mapping, forms: AnyMapping[str, Any]) -> str:
    """Help where a form lacks its colon, `{layer Conv2D, …}`, or where a kind stands as a key, `Conv2D: {…}`."""
    for entry in item.entries:
        first, _, rest = entry.name.partition(" ")
        if rest and first in forms and isinstance(entry.value, Scalar) and entry.value.value is None:
            return f"write {first}: {rest.strip()}"
        if kind_named(entry.name) is not None:
            arguments = entry.value.entries if isinstance(entry.value, Mapping) else ()
            shown = [f"{one.name}: {one.value.raw}" for one in arguments[:1] if isinstance(one.value, Scalar)]
            more = ["…"] if len(arguments) > len(shown) else []
            return f"write {{{', '.join([f'layer: {entry.name}', *shown, *more])}}}"
    return ""


def _clash(first: int, second: int) -> str:
    if first == 0:
        return "an input has that name"
    return "each round of a loop makes it again" if first == second else f"the first stands in line {first}"
