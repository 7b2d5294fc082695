"""Located nodes: the contents of a YAML document, with the position of each part."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeAlias

PathPart: TypeAlias = str | int
Value: TypeAlias = bool | int | float | str | None


@dataclass(slots=True, unsafe_hash=True)
class Source:
    """A text that a spec comes from. `name` is what the user called it: a file, `--set`, `<python>`."""

    name: str
    text: str = field(repr=False)
    root: Node | None = field(default=None, init=False, repr=False, compare=False)
    """The contents, once the text has been parsed; the path of a span is looked up in them."""

    def line(self, number: int) -> str:
        """Return line `number`, counted from 1, without its line break."""
        starts = _line_starts(self.text)
        if not 1 <= number <= len(starts):
            return ""
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r")

    def span(self, start: int, end: int) -> Span:
        """Return the stretch between two character offsets of the text, counted from 0; `end` is exclusive."""
        starts = _line_starts(self.text)
        line = end_line = bisect_right(starts, start)
        if line < len(starts) and end >= starts[line]:
            end_line = bisect_right(starts, end)
        return Span(self, line, start - starts[line - 1] + 1, end_line, end - starts[end_line - 1] + 1)

    def offset(self, line: int, column: int) -> int:
        """Return the character offset of a place, both of whose numbers count from 1."""
        return _line_starts(self.text)[line - 1] + column - 1


FilledIds: TypeAlias = "AnyMapping[Span, str]"
"""Ids with their variables filled in, by the place where each is written."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source. Lines and columns count from 1; the end is exclusive."""

    source: Source
    line: int
    column: int
    end_line: int
    end_column: int
    ids: FilledIds | None = field(default=None, repr=False, compare=False)
    """The ids around it that contain variables, as they are in one round of a loop or one use of a block."""

    def encloses(self, other: Span) -> bool:
        """Whether all of `other`, a span of the same source, lies within this one."""
        starts_before = (self.line, self.column) <= (other.line, other.column)
        return starts_before and (other.end_line, other.end_column) <= (self.end_line, self.end_column)


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A number, word, boolean or null. `raw` is the text as written; `quoted` tells `"5"` from `5`."""

    value: Value
    span: Span
    raw: str = ""
    quoted: bool = False

    def places(self) -> tuple[int, ...] | None:
        """Return the offset in the source of every character of a text except blanks; None where they are unknown.

        They are known where the text in the source is the value itself, plain, in quotes or over several lines; not
        where it has escapes, or comes from another place in the source.
        """
        source, span = self.span.source, self.span
        start = source.offset(span.line, span.column)
        wanted = [character for character in str(self.value) if not character.isspace()]
        if source.text[start : start + len(self.raw)] != self.raw or not wanted:
            return None
        header = _BLOCK_HEADER.match(self.raw) if self.quoted else None
        inner = range(header.end() if header else self.quoted, len(self.raw) - (self.quoted and not header))
        places = [index for index in inner if not self.raw[index].isspace()]
        if [self.raw[index] for index in places] != wanted:
            return None
        return tuple(start + index for index in places)


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """An entry `key: value` of a mapping. The key is always a word: its value is a str."""

    key: Scalar
    value: Node

    @property
    def name(self) -> str:
        return str(self.key.value)


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """Entries in written order; keys are unique."""

    entries: tuple[Entry, ...]
    span: Span

    def entry(self, name: str) -> Entry | None:
        for entry in self.entries:
            if entry.key.value == name:
                return entry
        return None

    def get(self, name: str) -> Node | None:
        entry = self.entry(name)
        return entry.value if entry else None

    def __getitem__(self, name: str) -> Entry:
        """Return an entry that is known to be there."""
        entry = self.entry(name)
        assert entry is not None, name
        return entry

    def names(self) -> Iterator[str]:
        return (entry.name for entry in self.entries)

    def with_value(self, name: str, value: Node) -> Mapping:
        """Return the mapping with another value under one of its keys."""
        entries = (replace(entry, value=value) if entry.name == name else entry for entry in self.entries)
        return Mapping(tuple(entries), self.span)

    def without(self, *names: str) -> Mapping:
        return Mapping(tuple(entry for entry in self.entries if entry.name not in names), self.span)


Node: TypeAlias = Scalar | Sequence | Mapping


def plain(node: Node) -> Any:
    """Return the node as plain Python: dict, list, str, int, float, bool, None."""
    if isinstance(node, Mapping):
        return {entry.name: plain(entry.value) for entry in node.entries}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


def values_in(node: Node) -> int:
    """Return how many values there are in a node, itself included."""
    if isinstance(node, Mapping):
        return 1 + sum(values_in(entry.value) for entry in node.entries)
    if isinstance(node, Sequence):
        return 1 + sum(values_in(item) for item in node.items)
    return 1


def locate(node: Node, path: tuple[PathPart, ...], *, key: bool = False) -> Span:
    """Return the span of the deepest part of `path` that exists below `node`; with `key`, that of its key."""
    span = node.span
    for part in path:
        if isinstance(node, Mapping) and (entry := node.entry(str(part))):
            node, span = entry.value, (entry.key.span if key else entry.value.span)
        elif isinstance(node, Sequence) and isinstance(part, int) and 0 <= part < len(node.items):
            node = node.items[part]
            span = node.span
        else:
            break
    return span


def path_of(span: Span) -> tuple[PathPart, ...]:
    """Return the path of the innermost key or value that encloses `span`, in the document that the span belongs to.

    An item of a list is called by its `id` if it has one, with its variables filled in where the span knows them, and
    otherwise by its position. The kind of a node, such as `layer: Conv2D`, has the path of the node. The path is empty
    for the document itself, and in a text without one.
    """
    path: list[PathPart] = []
    node = span.source.root
    while node is not None and (part := _part_around(node, span)) is not None:
        path.append(part[0])
        node = part[1]
    return tuple(path[:-1] if path and path[-1] in _KIND_KEYS else path)


_KIND_KEYS = ("layer", "application")


def _part_around(node: Node, span: Span) -> tuple[PathPart, Node | None] | None:
    """The name and the contents of the part of a mapping or list that encloses a span; a key has no contents."""
    if isinstance(node, Mapping):
        for entry in node.entries:
            if entry.key.span.encloses(span):
                return entry.name, None
            if entry.value.span.encloses(span):
                return entry.name, entry.value
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            if item.span.encloses(span):
                return _name_of(item, span.ids) or index, item
    return None


def _name_of(item: Node, ids: FilledIds | None) -> str:
    """The id of an item, with its variables filled in where that is known; empty if it has none."""
    written = id_of(item)
    return ids.get(item["id"].value.span, written) if ids and written and isinstance(item, Mapping) else written


def id_of(node: Node) -> str:
    """Return the id that a node of the model gives itself; empty if it gives none."""
    written = node.get("id") if isinstance(node, Mapping) else None
    return str(written.value) if isinstance(written, Scalar) and isinstance(written.value, str) else ""


def kind_of(value: Any) -> str:
    """Return what a node or a plain value is, in the words of an error message."""
    return _KINDS.get(type(value.value if isinstance(value, Scalar) else value), "a number")


_KINDS = {
    **dict.fromkeys((Mapping, dict), "a mapping"),
    **dict.fromkeys((Sequence, list, tuple), "a list"),
    bool: "a boolean",
    str: "text",
    type(None): "nothing",
}


def shown(value: Any) -> str:
    """Return a plain value for an error message: text in quotes, a number or a boolean as it is, else its kind."""
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, int | float) else kind_of(value)


_BLOCK_HEADER = re.compile(r"[>|][-+0-9]*[ \t]*\n")
"""What a text in block style begins with."""


@lru_cache(maxsize=8)
def _line_starts(text: str) -> tuple[int, ...]:
    starts = [0]
    while at := text.find("\n", starts[-1]) + 1:
        starts.append(at)
    return tuple(starts)
