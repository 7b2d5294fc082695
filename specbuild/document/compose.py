"""Compose parser events into located nodes, without recursion and with the limits needed for untrusted documents.

PyYAML's own composer recurses, keeps the last of duplicate keys, expands aliases without a limit, resolves words by
YAML 1.1 and stops at the first fault; its nodes end after their trailing blanks. So only its parser is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import yaml

from specbuild.document.diagnostics import Diagnostic, Report, dotted
from specbuild.document.errors import SpecError
from specbuild.document.nodes import Entry, Mapping, Node, PathPart, Scalar, Sequence, Source, Span
from specbuild.document.scalars import NULLS, UnreadableNumber, resolve, shorten
from specbuild.document.suggest import did_you_mean

MAX_DEPTH = 64
MAX_NODES = 150_000


class Composer:
    """Composes the events of a document. `report` holds the faults found so far."""

    def __init__(self, source: Source, start: int = 0) -> None:
        self.source = source
        self.start = start  # offset in the source of the text that the parser reads
        self.report = Report()
        self.root: Node | None = None
        self.open: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.documents = 0
        self.nodes = 0
        self.end = 0  # of the last scalar, alias or bracket
        self.handlers: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.DocumentStartEvent: self.start_document,
            yaml.ScalarEvent: self.scalar,
            yaml.AliasEvent: self.alias,
            yaml.SequenceStartEvent: self.start_collection,
            yaml.MappingStartEvent: self.start_collection,
            yaml.SequenceEndEvent: self.end_collection,
            yaml.MappingEndEvent: self.end_collection,
        }

    def compose(self, events: Iterable[yaml.Event]) -> Node:
        """Return the root node of the document in `events`.

        Independent faults (duplicate keys, tags, merge keys, bad keys, unknown aliases, numbers out of range) are
        raised together as SpecError; nesting past 64 levels, more than 150,000 nodes after aliases are followed, the
        hundredth fault, an empty text and a second document end the reading at once. Errors of the parser pass through.
        """
        for event in events:
            if (handler := self.handlers.get(type(event))) is not None:
                handler(event)
        self.report.raise_errors()
        if self.root is None:
            raise SpecError([_empty(self.source, self.start)])
        return self.root

    @property
    def bracket(self) -> int | None:
        """Offset of the innermost "[" or "{" that is still open."""
        return next((holder.start for holder in reversed(self.open) if holder.in_brackets), None)

    # One method per event

    def start_document(self, event: yaml.DocumentStartEvent) -> None:
        self.documents += 1
        if self.documents > 1:
            span = self.source.span(self.offset(event.start_mark), self.offset(event.end_mark))
            reason = "a spec is one YAML document"
            help = 'remove the line "---", or move what follows into a file of its own'
            self.stop("a second document starts here", span, reason=reason, help=help, code="many-documents")

    def scalar(self, event: yaml.ScalarEvent) -> None:
        start, end = self.content(event), self.offset(event.end_mark)
        self.count(1, 0, start)
        quoted, is_key = bool(event.style), bool(self.open and self.open[-1].awaits_key)
        raw = self.source.text[start:end]
        if event.style in _BLOCK_STYLES:
            raw = raw.rstrip()
            end = start + len(raw)
        span = self.source.span(start, end)
        self.end = end
        self.refuse_broken_text(event, raw, start, span)
        value = event.value if quoted or is_key else self.resolve(event.value, span)
        node = Scalar(value, span, raw, quoted)
        if event.anchor is not None:
            self.declare(event, _Anchored(node))
        self.place(node, 1, 0)

    def alias(self, event: yaml.AliasEvent) -> None:
        start, self.end = self.offset(event.start_mark), self.offset(event.end_mark)
        span = self.source.span(start, self.end)
        name = str(event.anchor)
        target = self.anchors.get(name)
        if self.open and self.open[-1].awaits_key:
            self.refuse_key("a key cannot be an alias", span, "write the key out")
        elif target is None:
            help = did_you_mean(name, self.anchors) or f"declare it above this line as &{name}"
            self.error(f"there is no anchor &{name}", span, help=help, code="unknown-alias")
            self.place(Scalar(None, span), 1, 0)
        elif target.node is None:
            self.error(f"the alias *{name} contains itself", span, code="recursive-alias")
            self.place(Scalar(None, span), 1, 0)
        else:
            self.count(target.size, target.height, start)
            self.place(target.node, target.size, target.height)

    def start_collection(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        start = self.content(event)
        self.count(1, 1, start)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if event.anchor is not None:
            self.declare(event, _Anchored(None))
        self.open.append(_Open(is_mapping, bool(event.flow_style), start, event.anchor))

    def end_collection(self, event: yaml.MappingEndEvent | yaml.SequenceEndEvent) -> None:
        ended = self.open.pop()
        if ended.in_brackets:
            self.end = self.offset(event.end_mark)
        span = self.source.span(ended.start, max(self.end, ended.start))
        node: Node = Mapping(tuple(ended.entries), span) if ended.is_mapping else Sequence(tuple(ended.items), span)
        if ended.anchor is not None:
            self.anchors[ended.anchor] = _Anchored(node, ended.size, ended.height)
        self.place(node, ended.size, ended.height)

    # Putting nodes together

    def place(self, node: Node, size: int, height: int) -> None:
        """Put a complete node into the collection that holds it."""
        if not self.open:
            self.root = node if not _is_empty(node) else None
            return
        holder = self.open[-1]
        holder.size += size
        holder.height = max(holder.height, height + 1)
        if not holder.is_mapping:
            holder.items.append(node)
        elif holder.awaits_key:
            self.place_key(holder, node)
        else:
            if holder.key is not None:
                holder.entries.append(Entry(holder.key, node))
            holder.key, holder.key_refused = None, False

    def place_key(self, holder: _Open, node: Node) -> None:
        if not isinstance(node, Scalar):
            what = "a mapping" if isinstance(node, Mapping) else "a list"
            self.refuse_key(f"a key must be a word, not {what}", node.span, "put text that holds braces in quotes")
            return
        name = str(node.value)
        first = holder.first_keys.setdefault(name, node)
        if not node.quoted and name == "<<":
            help = 'use "defaults" for values that layers share, or "vars" for a number that is needed twice'
            self.refuse_key("merge keys (<<) are not supported", node.span, help, code="merge-key")
        elif not node.quoted and name in NULLS:
            self.refuse_key("a key must be a word, not null", node.span, "name the key, or put it in quotes")
        elif first is not node:
            message = f'the key "{shorten(name)}" is given twice'
            reason = f"line {first.span.line} gives it first"
            holder.key = node
            self.error(message, node.span, reason=reason, help="remove one of the two", code="duplicate-key")
        else:
            holder.key = node

    def declare(self, event: yaml.NodeEvent, anchored: _Anchored) -> None:
        name = str(event.anchor)
        if name in self.anchors:
            start = self.source.text.index(f"&{name}", self.offset(event.start_mark))
            span = self.source.span(start, start + len(name) + 1)
            self.error(
                f"the anchor &{name} is declared twice", span, help="rename one of them", code="duplicate-anchor"
            )
        self.anchors[name] = anchored

    def content(self, event: Any) -> int:
        """Return where the node itself starts, after its anchor and tag. Reports the tag."""
        start = self.offset(event.start_mark)
        if event.anchor is None and event.tag is None:
            return start
        while match := _PROPERTY.match(self.source.text, start):
            if match["tag"]:
                message = f"the tag {shorten(match['tag'])} is not supported"
                reason = "a spec holds only words, numbers, lists and mappings"
                help = "remove the tag; put the text in quotes if the ! belongs to it"
                self.error(message, self.source.span(*match.span("tag")), reason=reason, help=help, code="tag")
            start = match.end()
        return min(start, self.offset(event.end_mark)) if isinstance(event, yaml.ScalarEvent) else start

    def offset(self, mark: Any) -> int:
        """Return the position of a PyYAML mark in the source; events always have marks."""
        return self.start + int(mark.index)

    def resolve(self, text: str, span: Span) -> Any:
        try:
            return resolve(text)
        except UnreadableNumber as fault:
            self.error(fault.message, span, help=fault.help, code="number-range")
            return text

    # Refusals

    def refuse_broken_text(self, event: yaml.ScalarEvent, raw: str, start: int, span: Span) -> None:
        if not event.style and (tab := _TAB_INDENT.search(raw)):
            place = self.source.span(start + tab.start(1), start + tab.end(1))
            reason = "YAML indents with spaces only; so this line continues the text above it"
            self.error(
                "a tab cannot indent a line", place, reason=reason, help="replace the tab with spaces", code="tab"
            )
        if event.style == '"' and _SURROGATE.search(event.value):
            help = r"write the character itself, or \U and its eight hexadecimal digits"
            self.error("half a surrogate pair is not a character", span, help=help, code="character")

    def refuse_key(self, message: str, span: Span, help: str, *, code: str = "bad-key") -> None:
        self.open[-1].key_refused = True
        self.error(message, span, help=help, code=code)

    def count(self, size: int, height: int, start: int) -> None:
        """Count nodes that are about to be placed, and stop at the limits."""
        self.nodes += size
        if len(self.open) + height <= MAX_DEPTH and self.nodes <= MAX_NODES:
            return
        span = self.source.span(start, start + 1)
        if len(self.open) + height > MAX_DEPTH:
            help = "a spec needs no more than ten; use blocks for what is repeated"
            self.stop(f"nested deeper than {MAX_DEPTH} levels", span, help=help, code="too-deep")
        message = f"the document has more than {MAX_NODES:,} values"
        reason = "an alias counts as often as it is used"
        self.stop(message, span, reason=reason, help="use blocks and repeat for what is repeated", code="too-large")

    def error(self, message: str, span: Span, *, reason: str = "", help: str = "", code: str) -> None:
        self.report.error(message, span, where=dotted(self.path()), reason=reason, help=help, code=code)

    def stop(self, message: str, span: Span, *, reason: str = "", help: str = "", code: str) -> NoReturn:
        self.error(message, span, reason=reason, help=help, code=code)
        raise SpecError(self.report.errors)

    def path(self) -> tuple[PathPart, ...]:
        """Return the path to where the reading stands, without keys that are not known yet."""
        parts: list[PathPart] = []
        for holder in self.open:
            if not holder.is_mapping:
                parts.append(len(holder.items))
            elif holder.key is not None:
                parts.append(str(holder.key.value))
            else:
                break
        return tuple(parts)


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been seen. `size` and `height` count what it holds after aliases."""

    is_mapping: bool
    in_brackets: bool
    start: int
    anchor: str | None
    size: int = 1
    height: int = 1
    items: list[Node] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    first_keys: dict[str, Scalar] = field(default_factory=dict)
    key: Scalar | None = None
    key_refused: bool = False

    @property
    def awaits_key(self) -> bool:
        return self.is_mapping and self.key is None and not self.key_refused


class _Anchored(NamedTuple):
    """What an alias stands for. `node` is None while the anchored node is still open."""

    node: Node | None
    size: int = 1
    height: int = 0


def _is_empty(node: Node) -> bool:
    return isinstance(node, Scalar) and not node.quoted and node.raw == ""


def _empty(source: Source, start: int) -> Diagnostic:
    reason = "it holds no key and no value"
    help = 'a spec starts with the line "specbuild: 1"'
    return Diagnostic(f"{source.name} is empty", source.span(start, start), reason=reason, help=help, code="empty")


_BLOCK_STYLES = ("|", ">")
_TAB_INDENT = re.compile(r"\n *(\t)[ \t]*\S")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PROPERTY = re.compile(r"(?:&[^\s,\[\]{}]+|(?P<tag>![^\s,\[\]{}]*))(?:\s|\s#[^\n]*\n)*")
