"""Overrides: `vars.filters=64`, applied to the document before variables are resolved.

One grammar for `--set` and for `overrides=` in Python. A path walks mappings by key and the items of `layers` by id.
Mappings merge into what is there, anything else replaces it. A variable or a layer must exist already; any other key
may be new, and is then checked like a written one.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from collections.abc import Mapping as AnyMapping
from dataclasses import replace
from typing import Any

import yaml

from specbuild.document import (
    Diagnostic,
    Entry,
    Mapping,
    Node,
    Report,
    Scalar,
    Sequence,
    Source,
    Span,
    SpecError,
    did_you_mean,
    kind_of,
    values_in,
)
from specbuild.document.parse import parse_from
from specbuild.language.declarations import KEYS

_MUST_EXIST = ("vars", "layers", "inputs")
_MAX_DEPTH = 64


def normalize(overrides: AnyMapping[str, Any] | Iterable[str]) -> tuple[str, ...]:
    """Return overrides of either form as `path=value` texts."""
    if isinstance(overrides, AnyMapping):
        return tuple(f"{path}={_inline(value)}" for path, value in overrides.items())
    return tuple(overrides)


def apply(root: Mapping, overrides: Iterable[str], report: Report, origin: str = "--set") -> Mapping:
    """Return the document with each `path=value` applied, in order."""
    size = values_in(root)
    for text in overrides:
        source = Source(origin, text)
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            message = f'"{text}" is no override'
            help = "write PATH=VALUE, for example vars.filters=64"
            report.error(message, Span(source, 1, 1, 1, len(text) + 1), help=help, code="bad-override")
            continue
        where = _Path(source, tuple(path.split(".")))
        start = len(path) + 1
        try:
            node = parse_from(source, start) if value.strip() else Scalar(None, source.span(start, start))
        except SpecError as error:
            report.extend(error.diagnostics)
        else:
            source.root = where.around(node)
            size += values_in(node)
            root = _set(root, where, node, size, report)
    return root


def apply_nodes(root: Mapping, changes: Mapping, report: Report) -> Mapping:
    """Return the document with a `set:` mapping applied: each key is a path, each value what to put there."""
    size = values_in(root)
    for entry in changes.entries:
        path = _Path(entry.key.span.source, tuple(entry.name.split(".")), entry.key.span)
        size += values_in(entry.value)
        root = _set(root, path, entry.value, size, report)
    return root


def _set(root: Mapping, path: _Path, value: Node, size: int, report: Report) -> Mapping:
    """Apply a change to a document of `size` values; report why it cannot be applied."""
    report.spend(path.cost(size), path.span(0))
    try:
        return _merged(root, path, 0, value)  # type: ignore[no-any-return]
    except SpecError as error:
        report.extend(error.diagnostics)
        return root


class _Path:
    """The parts of an override's path and their places in its text, or `key`, the place of all of it."""

    def __init__(self, source: Source, parts: tuple[str, ...], key: Span | None = None) -> None:
        self.source, self.parts, self._key = source, tuple(part.strip() for part in parts), key

    def span(self, index: int) -> Span:
        if self._key is not None:
            return self._key
        column = sum(len(part) + 1 for part in self.parts[:index]) + 1
        return Span(self.source, 1, column, 1, column + len(self.parts[index]))

    def around(self, value: Node) -> Node:
        """Return the value inside a mapping for each part of the path, as a document would have it."""
        for index in reversed(range(len(self.parts))):
            key = Scalar(self.parts[index], self.span(index), self.parts[index])
            value = Mapping((Entry(key, value),), self.source.span(0, len(self.source.text)))
        return value

    def cost(self, values: int) -> int:
        """Return the work of following the path through a document of so many values: ids are searched everywhere."""
        return 1 + values // (5 if self.parts[0] == "layers" else 10)

    def dotted(self, index: int) -> str:
        return ".".join(self.parts[: index + 1])


def _merged(node: Node, path: _Path, index: int, value: Node) -> Any:
    if len(path.parts) > _MAX_DEPTH:
        raise _error(path, 0, f"the path is nested deeper than {_MAX_DEPTH} levels")
    if index == len(path.parts):
        return overlay(node, value)
    part = path.parts[index]
    if isinstance(node, Sequence):
        return _in_layers(node, path, index, value)
    if not isinstance(node, Mapping):
        raise _error(path, index, f"{path.dotted(index - 1)} is {kind_of(node)}; it has no keys to set")
    here = Scalar(part, path.span(index), part)
    child = node.get(part)
    if child is None:
        if not index and part not in KEYS and _is_variable(node, part):
            raise _error(path, index, f'unknown key "{part}"', f'did you mean "vars.{part}"?')
        if index and path.parts[0] in _MUST_EXIST and len(path.parts) == 2:
            names = list(node.names())
            known = f"there are {', '.join(names)}" if names else f"the spec declares no {path.parts[0]}"
            raise _error(path, index, f"{path.dotted(index)} does not exist", did_you_mean(part, names) or known)
        if index + 1 == len(path.parts):
            return replace(node, entries=(*node.entries, Entry(here, value)))
        child = Mapping((), here.span)
        return replace(node, entries=(*node.entries, Entry(here, _merged(child, path, index + 1, value))))
    changed = _merged(child, path, index + 1, value)
    return replace(node, entries=tuple(replace(e, value=changed) if e.name == part else e for e in node.entries))


def _is_variable(root: Mapping, name: str) -> bool:
    declared = root.get("vars")
    return isinstance(declared, Mapping) and name in declared.names()


def overlay(old: Node | None, new: Node) -> Any:
    """Return `new` over `old`: mappings merge, key by key; anything else replaces."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    entries = {entry.name: entry for entry in old.entries}
    for entry in new.entries:
        under = entries.get(entry.name)
        entries[entry.name] = replace(under, value=overlay(under.value, entry.value)) if under else entry
    return replace(old, entries=tuple(entries.values()))


def _with_value(entry: Entry, value: Node) -> Entry:
    return replace(entry, value=value)


def _in_layers(node: Sequence, path: _Path, index: int, value: Node) -> Sequence:
    """Change the item whose id is this part of the path, however deep it is nested."""
    wanted = path.parts[index]
    ids: list[str] = []
    nameless: set[str] = set()
    """Kinds of the layers without an id."""

    def visit(item: Node) -> Node:
        if isinstance(item, Sequence):
            items = tuple([visit(inner) for inner in item.items])
            return item if all(map(operator.is_, items, item.items)) else replace(item, items=items)
        if isinstance(item, Mapping):
            identity = item.get("id")
            if isinstance(identity, Scalar) and isinstance(identity.value, str):
                ids.append(identity.value)
                if identity.value == wanted:
                    return _merged(item, path, index + 1, value)  # type: ignore[no-any-return]
            elif isinstance(kind := item.get("layer"), Scalar):
                nameless.add(str(kind.value))
            values = [visit(entry.value) for entry in item.entries]
            if not all(entry.value is value for entry, value in zip(item.entries, values, strict=True)):
                return replace(item, entries=tuple(map(_with_value, item.entries, values)))
        return item

    result = visit(node)
    if wanted not in ids and _generated(wanted, nameless):
        help = "give that layer an id to set it"
        raise _error(path, index, f"{wanted} has no id in the spec", help)
    if wanted not in ids:
        raise _error(
            path,
            index,
            f"no layer has the id {wanted}",
            did_you_mean(wanted, ids) or (f"ids are {', '.join(ids)}" if ids else "give the layer an id to name it"),
        )
    assert isinstance(result, Sequence)
    return result


def _generated(name: str, kinds: Iterable[str]) -> bool:
    """Whether specbuild generates this name for a layer of these kinds."""
    from specbuild.language.forms.ids import snake

    return any(re.fullmatch(rf"{re.escape(snake(kind))}(_\d+)?", name) for kind in kinds)


def _inline(value: Any) -> str:
    """Return a Python value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=2**20, allow_unicode=True).strip()
    return text.removesuffix("...").strip()


def _error(path: _Path, index: int, message: str, help: str = "") -> SpecError:
    return SpecError([Diagnostic(message, path.span(index), path.dotted(index), "", help, "bad-override")])
