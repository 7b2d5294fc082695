"""What differs between two specs: by path, with the variables that made it differ.

Specs are compared as they are understood, with variables, defaults and loops resolved: a default that one of them
writes out is no difference, nor is the order of nodes. Nodes are matched by their ids; those whose ids are generated,
and those that were only renamed, by what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from specbuild.catalog import KerasObject, Layer
from specbuild.catalog.wrappers import Wrapper
from specbuild.document import PathPart, Span, dotted, plain
from specbuild.document.nodes import Mapping as MappingNode
from specbuild.document.nodes import Node
from specbuild.language.expressions import names
from specbuild.language.references import Reference
from specbuild.language.resolved import equation_of, flow, inline, with_absolute_paths, written_node
from specbuild.language.spec import NodeSpec, Spec, every_node

ABSENT = "not set"
"""How a value is shown that one of two specs does not have."""
_MOST = 200
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that two specs do not share: `layers.enc1.filters`, `24`, `32`."""

    path: str
    kind: Literal["changed", "added", "removed", "renamed"]
    before: str = ""
    after: str = ""
    variables: tuple[str, ...] = ()
    """The variables that it follows from, where both specs write it alike."""


def differences(before: Spec, after: Spec) -> tuple[Difference, ...]:
    """Return what differs between two specs, variables first, then in the order of the sections."""
    return tuple(_Comparison(before, after).found())


class _Missing:
    def __repr__(self) -> str:
        return ABSENT


_MISSING = _Missing()


class _Comparison:
    def __init__(self, before: Spec, after: Spec) -> None:
        self.before, self.after = before, after
        self._renamed: dict[str, str] = {}

    def found(self) -> Iterator[Difference]:
        old, new = self.before, self.after
        yield from _changed("vars", old.vars, new.vars)
        yield from _changed("name", old.name, new.name)
        yield from _changed("description", old.description, new.description)
        inputs = ({each.id: each.section for each in spec.inputs} for spec in (old, new))
        yield from self._below(("inputs",), *inputs)
        yield from self._layers()
        yield from self._outputs()
        reasons = ({each.code: each.reason for each in spec.allow} for spec in (old, new))
        yield from self._below(("allow",), *reasons)
        old, new = with_absolute_paths(old), with_absolute_paths(new)
        for name in ("data", "train", "evaluate"):
            yield from self._below((name,), getattr(old, name), getattr(new, name))
        yield from _changed("tune", *(_written(spec, "tune") for spec in (old, new)))

    def _below(self, path: tuple[PathPart, ...], old: Any, new: Any) -> Iterator[Difference]:
        for inner, was, now in _leaves(path, old, new):
            texts = [_source_text(spec, inner) for spec in (self.before, self.after)]
            yield _difference(dotted(inner), was, now, _variables(*texts))

    def _outputs(self) -> Iterator[Difference]:
        old = {each.name: str(each.source.renamed(self._rename)) for each in self.before.outputs}
        new = {each.name: str(each.source) for each in self.after.outputs}
        if self.before.named_outputs or self.after.named_outputs:
            yield from _changed("outputs", old, new)
        elif list(old.values()) != list(new.values()):  # those without a name are called by what gives them
            yield Difference("outputs", "changed", _shown(list(old.values())), _shown(list(new.values())))

    def _layers(self) -> Iterator[Difference]:
        old, new = (list(every_node(spec.layers)) for spec in (self.before, self.after))
        pairs, gone, come = _matched(old, new)
        self._renamed = {a.id: b.id for a, b in pairs if a.id != b.id}
        for a, b in pairs:
            if a.id != b.id and (a.named or b.named):
                yield Difference(f"layers.{a.id}", "renamed", a.id, b.id)
        gone, come = _outermost(gone), _outermost(come)
        for a in gone:
            yield Difference(f"layers.{a.id}", "removed", before=_cut(flow(written_node(a))))
        for a, b in pairs:
            yield from self._node(a, b)
        for b in come:
            yield Difference(f"layers.{b.id}", "added", after=_cut(flow(written_node(b))))

    def _rename(self, identity: str) -> str:
        return self._renamed.get(identity, identity)

    def _node(self, old: NodeSpec, new: NodeSpec) -> Iterator[Difference]:
        old = old.renamed(self._rename)
        ours = _entry(old)
        if ours.get("layer") != _entry(new).get("layer") and old.body is None and new.body is None:
            before, after = (_cut(flow(_without_id(node))) for node in (old, new))
            yield Difference(f"layers.{new.id}", "changed", before, after)
            return
        for inner, was, now in _leaves((), ours, _entry(new)):
            key = str(inner[0]) if inner else "layer"
            variables = _variables(_argument_text(old, key), _argument_text(new, key))
            yield _difference(dotted(("layers", new.id, *inner)), was, now, variables)


def _written(spec: Spec, name: str) -> Any:
    """Return a section as it is written, its variables filled in."""
    node = spec.document.get(name)
    return plain(node) if isinstance(node, MappingNode) else {}


def _changed(path: str, old: Any, new: Any) -> Iterator[Difference]:
    for inner, was, now in _leaves((path,), old, new):
        yield _difference(dotted(inner), was, now, ())


def _difference(path: str, was: Any, now: Any, variables: tuple[str, ...]) -> Difference:
    if was is _MISSING:
        return Difference(path, "added", after=_shown(now), variables=variables)
    if now is _MISSING:
        return Difference(path, "removed", before=_shown(was), variables=variables)
    return Difference(path, "changed", _shown(was), _shown(now), variables)


def _leaves(path: tuple[PathPart, ...], old: Any, new: Any) -> Iterator[tuple[tuple[PathPart, ...], Any, Any]]:
    """Yield the path of every value that differs, with both values; one that is not there is `_MISSING`."""
    ours, theirs = _parts(old), _parts(new)
    if ours is not None and theirs is not None and _comparable(old, new):
        for name in dict.fromkeys((*ours, *theirs)):
            yield from _leaves((*path, name), ours.get(name, _MISSING), theirs.get(name, _MISSING))
    elif not _same(old, new):
        yield path, old, new


def _comparable(old: Any, new: Any) -> bool:
    """Whether two values are better compared part by part: the parts of different kinds have little in common."""
    if isinstance(old, BaseModel):
        return type(old) is type(new)
    if isinstance(old, KerasObject):
        return isinstance(new, KerasObject) and old.name == new.name and type(old) is type(new)
    return isinstance(new, Mapping)


def _parts(value: Any) -> dict[str, Any] | None:
    """Return the parts of a value by name, defaults included; None for a value without any."""
    if isinstance(value, KerasObject):
        return dict(value.arguments)
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {fields[name].alias or name: getattr(value, name) for name in fields}
    return dict(value) if isinstance(value, Mapping) else None


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        return np.array_equal(old, new)
    return (type(old) is type(new) and bool(old == new)) or (_number(old) and _number(new) and bool(old == new))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return _cut(ABSENT if value is _MISSING else inline(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"


def _entry(node: NodeSpec) -> dict[str, Any]:
    """Return a node as flat keys: its kind, the arguments of its layer, and all that it reads."""
    sources = [str(source) for source in node.sources]
    if (text := equation_of(node.layer, sources)) and node.shares is None:
        entry: dict[str, Any] = {"equation": text}
    else:
        entry = {"layer": node.layer.label, **_arguments(node.layer), "from": sources}
    if node.shares is not None:
        entry = {"reuse": node.shares, "from": sources}
    if node.initial_state is not None:
        entry["initial_state"] = _state(node.initial_state)
    for place, state in enumerate(node.inner_states):
        level = node.body.name_inside(node.body.recurrent[place].id) if node.body is not None else str(place)
        entry[f"initial_state of {level}"] = _state(state)
    if node.body is not None:
        entry["output"] = str(node.body.end)
        entry |= {f"next {state.id}": str(state.next) for state in node.body.states}
    if node.expect is not None:
        entry["expect"] = list(node.expect)
    return entry


def _arguments(layer: Layer) -> dict[str, Any]:
    """Return the arguments of a layer, defaults included; of a wrapper those of the layer inside as well."""
    own = {key: value for key, value in (_parts(layer) or {}).items() if key != "layer"}
    inner = getattr(layer, "layer", None)
    if not (isinstance(layer, Wrapper) and isinstance(inner, Layer)):
        return {key: value for key, value in own.items() if not isinstance(value, Layer)}
    written = {key: value for key, value in own.items() if key in layer.model_fields_set}
    return own | _arguments(inner) | written


def _without_id(node: NodeSpec) -> dict[str, Any]:
    return {key: value for key, value in written_node(node).items() if key != "id"}


def _state(state: Reference | Mapping[str, Reference] | None) -> Any:
    if state is None:
        return "none"
    return str(state) if isinstance(state, Reference) else {name: str(source) for name, source in state.items()}


def _matched(
    old: Sequence[NodeSpec], new: Sequence[NodeSpec]
) -> tuple[list[tuple[NodeSpec, NodeSpec]], list[NodeSpec], list[NodeSpec]]:
    """Return the nodes that two specs have in common, in the order of the second, and those that only one has."""
    by_id = {node.id: node for node in new if node.named}
    pairs = {node.id: (node, by_id[node.id]) for node in old if node.named and node.id in by_id}
    known = {theirs.id for _, theirs in pairs.values()}
    left, right = [node for node in old if node.id not in pairs], [node for node in new if node.id not in known]
    found = list(pairs.values())
    for alike in (_is_the_same, _is_of_the_kind):
        keys = [[alike(node) for node in nodes] for nodes in (left, right)]
        blocks = SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_matching_blocks()
        matches = [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
        if alike is _is_of_the_kind:  # a node that was named and changed is another one, not a rename
            matches = [(a, b) for a, b in matches if not left[a].named and not right[b].named]
        found += [(left[a], right[b]) for a, b in matches]
        gone, come = {a for a, _ in matches}, {b for _, b in matches}
        left = [node for place, node in enumerate(left) if place not in gone]
        right = [node for place, node in enumerate(right) if place not in come]
    order = {node.id: place for place, node in enumerate(new)}
    return sorted(found, key=lambda pair: order[pair[1].id]), left, right


def _outermost(nodes: Sequence[NodeSpec]) -> list[NodeSpec]:
    """Return the nodes without those that others of them run."""
    inside = {inner.id for node in nodes if node.body is not None for inner in every_node(node.body.nodes)}
    return [node for node in nodes if node.id not in inside]


def _is_the_same(node: NodeSpec) -> str:
    """Return what a node is apart from its id and what it reads, as text."""
    entry = {key: value for key, value in _entry(node).items() if key not in ("from", "initial_state", "output")}
    return repr(entry)


def _is_of_the_kind(node: NodeSpec) -> str:
    return node.layer.label


def _variables(ours: str, theirs: str) -> tuple[str, ...]:
    """Return the variables in a value that two specs write alike."""
    return tuple(sorted(names(ours))) if ours == theirs and "$" in ours else ()


def _argument_text(node: NodeSpec, key: str) -> str:
    written = next((value for at in (node.arguments, node.at) if (value := at.get(key)) is not None), None)
    return "" if written is None else _text(written.span)


def _source_text(spec: Spec, path: tuple[PathPart, ...]) -> str:
    """Return the text of the value at a path, as it was written; empty where it was not."""
    node: Node | None = spec.document
    for part in path:
        node = node.get(str(part)) if isinstance(node, MappingNode) else None
    return "" if node is None else _text(node.span)


def _text(span: Span) -> str:
    source = span.source
    return source.text[source.offset(span.line, span.column) : source.offset(span.end_line, span.end_column)]


def by_cause(found: Sequence[Difference]) -> tuple[tuple[Difference, tuple[Difference, ...]], ...]:
    """Return every difference that stands for itself, each with those that follow from it.

    What differs as a variable does follows from that variable; of several, from the first that differs.
    """
    causes = {each.path.removeprefix("vars."): each for each in found if each.path.startswith("vars.")}
    following: dict[str, list[Difference]] = {name: [] for name in causes}
    alone: list[Difference] = []
    for each in found:
        cause = next((name for name in each.variables if name in causes), None)
        (alone if cause is None else following[cause]).append(each)
    by_path = {f"vars.{name}": tuple(after) for name, after in following.items()}
    return tuple((each, by_path.get(each.path, ())) for each in alone)
