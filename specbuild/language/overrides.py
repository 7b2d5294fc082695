"""Overrides: `vars.filters=64`, applied to the document before variables are resolved.

One grammar for `--set`, for `set:` and for `overrides=` in Python. A path walks mappings by key and the items of
`layers` by id. The value replaces what the path names; only a mapping given for a whole section, an input or a layer
merges into what is there. A variable or a layer must exist already; any other key may be new, and is then checked like
a written one.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from collections.abc import Mapping as AnyMapping
from dataclasses import replace
from typing import Any, TypeAlias

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

_Keys: TypeAlias = tuple[Scalar, ...]
"""The parts of an override's path."""


def normalize(overrides: AnyMapping[str, Any] | Iterable[str]) -> tuple[str, ...]:
    """Return overrides of either form as `path=value` texts."""
    if isinstance(overrides, AnyMapping):
        return tuple(f"{path}={_inline(value)}" for path, value in overrides.items())
    return tuple(overrides)


def is_under(override: str, *paths: str) -> bool:
    """Return whether a `path=value` sets one of some paths, or something below it."""
    parts = [part.strip() for part in override.partition("=")[0].split(".")]
    return any(parts[: len(keys)] == keys for keys in (path.split(".") for path in paths))


def apply(root: Mapping, overrides: Iterable[str], report: Report, origin: str = "--set") -> Mapping:
    """Return the document with each `path=value` applied, in order."""
    size = values_in(root)
    for text in overrides:
        source = Source(origin, text)
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            message = f'"{text}" is not an override'
            help = "write PATH=VALUE, for example vars.filters=64"
            report.error(message, Span(source, 1, 1, 1, len(text) + 1), help=help, code="bad-override")
            continue
        keys, start = _keys(source, path), len(path) + 1
        try:
            node = parse_from(source, start) if value.strip() else Scalar(None, source.span(start, start))
        except SpecError as error:
            report.extend(error.diagnostics)
        else:
            source.root = _inside(keys, node, source.span(0, len(text)))
            size += values_in(node)
            root = _set(root, keys, node, size, report)
    return root


def apply_nodes(root: Mapping, changes: Mapping, report: Report) -> Mapping:
    """Return the document with a `set:` mapping applied: each key is a path, each value what to put there."""
    size = values_in(root)
    for entry in changes.entries:
        keys = tuple(Scalar(part.strip(), entry.key.span, part.strip()) for part in entry.name.split("."))
        size += values_in(entry.value)
        root = _set(root, keys, entry.value, size, report)
    return root


def _set(root: Mapping, keys: _Keys, value: Node, size: int, report: Report) -> Mapping:
    """Apply a change to a document of `size` values; report why it cannot be applied."""
    report.spend(1 + size // (5 if keys[0].value == "layers" else 10), keys[0].span)  # ids are searched everywhere
    try:
        return _merged(root, keys, 0, value)  # type: ignore[no-any-return]
    except SpecError as error:
        report.extend(error.diagnostics)
        return root


def _keys(source: Source, path: str) -> _Keys:
    """Return the parts of a path, which the text of `source` starts with, each at its place."""
    keys: list[Scalar] = []
    start = 0
    for part in path.split("."):
        keys.append(Scalar(part.strip(), source.span(start, start + len(part)), part.strip()))
        start += len(part) + 1
    return tuple(keys)


def _inside(keys: _Keys, value: Node, whole: Span) -> Node:
    """Return the value inside a mapping for each part of its path, as a document has it."""
    for key in reversed(keys):
        value = Mapping((Entry(key, value),), whole)
    return value


def _dotted(keys: _Keys) -> str:
    return ".".join(key.raw for key in keys)


def _merged(node: Node, keys: _Keys, index: int, value: Node) -> Any:
    if len(keys) > _MAX_DEPTH:
        raise _error(keys, 0, f"the path is nested deeper than {_MAX_DEPTH} levels")
    if index == len(keys):
        return overlay(node, value) if _merges(keys) else value
    part = keys[index].raw
    if isinstance(node, Sequence):
        return _in_layers(node, keys, index, value)
    if not isinstance(node, Mapping):
        raise _error(keys, index, f"{_dotted(keys[:index])} is {kind_of(node)}; it has no keys to set")
    child = node.get(part)
    if child is None:
        if not index and part not in KEYS and _is_variable(node, part):
            raise _error(keys, index, f'unknown key "{part}"', f'did you mean "vars.{part}"?')
        if index and keys[0].raw in _MUST_EXIST and len(keys) == 2:
            names = list(node.names())
            known = f"there are {', '.join(names)}" if names else f"the spec declares no {keys[0].raw}"
            message = f"{_dotted(keys[: index + 1])} does not exist"
            raise _error(keys, index, message, did_you_mean(part, names) or known)
        if index + 1 == len(keys):
            return replace(node, entries=(*node.entries, Entry(keys[index], value)))
        child = Mapping((), keys[index].span)
        return replace(node, entries=(*node.entries, Entry(keys[index], _merged(child, keys, index + 1, value))))
    changed = _merged(child, keys, index + 1, value)
    return replace(node, entries=tuple(replace(e, value=changed) if e.name == part else e for e in node.entries))


def _merges(keys: _Keys) -> bool:
    """Return whether a path names a whole section, an input or a layer."""
    return len(keys) == 1 or (len(keys) == 2 and keys[0].raw in ("inputs", "layers"))


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


def _in_layers(node: Sequence, keys: _Keys, index: int, value: Node) -> Sequence:
    """Change the item whose id is this part of the path, however deep it is nested."""
    wanted = keys[index].raw
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
                    return _merged(item, keys, index + 1, value)  # type: ignore[no-any-return]
            elif isinstance(kind := item.get("layer"), Scalar):
                nameless.add(str(kind.value))
            values = [visit(entry.value) for entry in item.entries]
            if not all(entry.value is value for entry, value in zip(item.entries, values, strict=True)):
                return replace(item, entries=tuple(map(_with_value, item.entries, values)))
        return item

    result = visit(node)
    if wanted not in ids and _generated(wanted, nameless):
        raise _error(keys, index, f"{wanted} has no id in the spec", "give that layer an id to set it")
    if wanted not in ids:
        known = f"ids are {', '.join(ids)}" if ids else "give the layer an id to name it"
        raise _error(keys, index, f"no layer has the id {wanted}", did_you_mean(wanted, ids) or known)
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


def _error(keys: _Keys, index: int, message: str, help: str = "") -> SpecError:
    return SpecError([Diagnostic(message, keys[index].span, help=help, code="bad-override")])
