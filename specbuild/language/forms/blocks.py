"""`block`: nodes under a name, with parameters, declared once under `blocks:` and used as often as wanted."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from specbuild.catalog import KINDS
from specbuild.document import Mapping, Node, PathPart, Report, Scalar, Sequence, Span, did_you_mean, kind_of, plain
from specbuild.language.forms.expansion import Expansion, Path_
from specbuild.language.forms.scope import Group, Scope, all_inputs
from specbuild.language.references import ID, Reference
from specbuild.language.spec import NodeSpec

TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "int": ("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool)),
    "float": ("a number", lambda v: isinstance(v, (int, float)) and not isinstance(v, bool)),
    "str": ("text", lambda v: isinstance(v, str)),
    "bool": ("true or false", lambda v: isinstance(v, bool)),
    "list": ("a list", lambda v: isinstance(v, list)),
    "any": ("a value", lambda _: True),
}
"""The types of a block's parameters: what a message calls them, and the test."""

_REQUIRED = object()


@dataclass(frozen=True)
class Parameter:
    type: str
    default: Any = _REQUIRED


@dataclass(frozen=True)
class Block:
    """A declared block. `inputs` are the names under which its nodes read what it is given."""

    name: str
    parameters: dict[str, Parameter]
    inputs: tuple[str, ...]
    do: Node
    output: Node | None
    span: Span


def read_blocks(node: Node | None, report: Report) -> dict[str, Block | None]:
    """The `blocks:` section: `{stem: {parameters: {f: int, k: 3}, inputs: [x], do: […], output: id}}`.

    A block that could not be read is None, and was reported.
    """
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        message = f"blocks must be a mapping of names to blocks, got {kind_of(node)}"
        help = "write blocks: {stem: {do: […]}}"
        report.error(message, node.span, path="blocks", help=help, code="wrong-type")
        return {}
    return {entry.name: _block(entry.name, entry.value, report) for entry in node.entries}


def block_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{block: stem, with: {f: 32}}`"""
    item = walk.resolve(item, scope, path)
    walk.only(item, ("block", "with", "trainable"), path)
    block = _called(walk, item, path)
    values = _parameters(walk, block, item, path) if block is not None else None
    if block is None or values is None:
        walk.fail(item, scope, path)
        return
    inside = Inside(block.name, ChainMap(values, scope.values), block.inputs, block.do, block.output)
    calls, walk.calls = walk.calls, (*walk.calls, block.name)
    inline(walk, inside, item, scope, path)
    walk.calls = calls


@dataclass(frozen=True)
class Inside:
    """Nodes to put in the place of one: a block's, or another file's."""

    name: str
    values: MutableMapping[str, Any]
    inputs: tuple[str, ...]
    """Names of what the nodes read, in the order of `from`; none: they read whatever they are given."""
    do: Node
    output: Node | None
    shapes: tuple[tuple[int | None, ...], ...] = ()
    """The shape that each input must have, where that is declared."""


def inline(walk: Expansion, inside: Inside, item: Mapping, scope: Scope, path: Path_) -> None:
    """Expands nodes under the ids `<id>_<inner id>`, closed to the names outside."""
    with walk.composite(item, scope, path) as group:
        if inside.inputs and len(inside.inputs) != len(group.inputs):
            if group.inputs:
                _wrong_inputs(walk, inside, len(group.inputs), item, path)
            walk.previous = walk.lost(item.span, scope)
            return
        made_up = walk.ids.make(scope.prefix + _as_id(inside.name), item.span.line) if not _id_of(item) else ""
        prefix = f"{made_up or scope.prefix + _id_of(item)}_"
        inner = Scope(inside.values, prefix=prefix, closed=inside.name)
        inner.names["input"] = all_inputs(group.inputs)
        for index, name in enumerate(inside.inputs):
            source = group.inputs[index]
            if inside.shapes:
                source = _gate(walk, prefix + name, source, inside.shapes[index], item, path)
            inner.names[name] = all_inputs((source,))
            walk.previous = source
        if len(group.inputs) > 1:
            walk.previous = None
            walk.no_previous = f"{inside.name} has several inputs, so its first node must say which it reads"
        walk.items(inside.do, inner, (*path, inside.name))
        outputs = _outputs(walk, inside, inner, path)
        own = {name: target for name, target in inner.names.items() if name not in (*inside.inputs, "input")}
        group.members.update(own | outputs)


def _outputs(walk: Expansion, inside: Inside, inner: Scope, path: Path_) -> dict[str, str | Group]:
    """Ends in the declared output; several named ones become members, and leave no single end."""
    where = (*path, inside.name, "output")
    if inside.output is None:
        return {}
    if isinstance(inside.output, Mapping):
        ends = {e.name: walk.reference(e.value, inner, where) for e in inside.output.entries}
    else:
        parts = inside.output.items if isinstance(inside.output, Sequence) else (inside.output,)
        many = [one for part in parts for one in walk.reference(part, inner, where)]
        ends = {one.id.removeprefix(inner.prefix): (one,) for one in many}
    found = {name: one[0] for name, one in ends.items() if one}
    walk.previous = next(iter(found.values())) if len(found) == 1 else None
    walk.no_previous = (
        f"{inside.name} has several outputs, so this node must say what it reads" if len(found) > 1 else ""
    )
    return {name: Group(end) for name, end in found.items()}


def _gate(
    walk: Expansion, identity: str, source: Reference, shape: tuple[int | None, ...], item: Mapping, path: Path_
) -> Reference:
    """An Identity layer that holds what an input gets against what the file declares for it."""
    walk.ids.claim(identity, item.span.line)
    walk.put(
        NodeSpec(
            id=identity,
            named=False,
            layer=KINDS["Identity"](),
            sources=(source,),
            initial_state=None,
            expect=shape,
            path=(*path, "from"),
            at=item,
            arguments=item,
        )
    )
    return Reference(identity, None, source.span, implied=True)


def _wrong_inputs(walk: Expansion, inside: Inside, got: int, item: Mapping, path: Path_) -> None:
    wanted = f"{len(inside.inputs)} input{'s' if len(inside.inputs) != 1 else ''}"
    walk.report.error(
        f"{inside.name} reads {wanted}, got {got}",
        (item.get("from") or item).span,
        path=(*path, "from"),
        reason=f"it declares inputs: [{', '.join(inside.inputs)}]",
        code="arity",
    )


def _called(walk: Expansion, item: Mapping, path: Path_) -> Block | None:
    named = item.get("block")
    where = (*path, "block")
    assert named is not None
    if not isinstance(named, Scalar) or not isinstance(named.value, str):
        if not walk.report.is_known(named.span):
            message = f"block: expected the name of a block, got {kind_of(named)}"
            walk.report.error(message, named.span, path=where, code="wrong-type")
        return None
    blocks: dict[str, Block | None] = walk.definitions.blocks
    if named.value not in blocks:
        walk.report.error(
            f'no block is called "{named.value}"',
            named.span,
            path=where,
            help=did_you_mean(named.value, blocks)
            or (f"declared are {', '.join(blocks)}" if blocks else "declare it under blocks:"),
            code="unknown-block",
        )
        return None
    if named.value in walk.calls:
        circle = " → ".join((*walk.calls[walk.calls.index(named.value) :], named.value))
        walk.report.error(
            f"the block {named.value} contains itself", named.span, path=where, reason=circle, code="block-cycle"
        )
        return None
    return blocks[named.value]


def _parameters(walk: Expansion, block: Block, item: Mapping, path: Path_) -> dict[str, Any] | None:
    """The values of a block's parameters in one use; None after a fault."""
    given = item.get("with")
    where = (*path, "with")
    if given is not None and not isinstance(given, Mapping):
        message = f"with: expected parameters and their values, got {kind_of(given)}"
        walk.report.error(message, given.span, path=where, code="wrong-type")
        return None
    entries = given.entries if isinstance(given, Mapping) else ()
    values, sound = {}, True
    for entry in entries:
        parameter = block.parameters.get(entry.name)
        if parameter is None:
            walk.report.error(
                f'the block {block.name} has no parameter "{entry.name}"',
                entry.key.span,
                path=(*where, entry.name),
                help=did_you_mean(entry.name, block.parameters)
                or (f"it has {', '.join(block.parameters)}" if block.parameters else "it takes none"),
                code="unknown-key",
            )
            sound = False
            continue
        values[entry.name] = plain(entry.value)
        if walk.report.is_known(entry.value.span):
            sound = False
        elif not TYPES[parameter.type][1](values[entry.name]):
            message = f"{entry.name}: expected {TYPES[parameter.type][0]}, got {_shown(entry.value)}"
            walk.report.error(message, entry.value.span, path=(*where, entry.name), code="wrong-type")
            sound = False
    for name, parameter in block.parameters.items():
        if name not in values and parameter.default is _REQUIRED:
            named = item.get("block")
            walk.report.error(
                f"the block {block.name} needs {name}",
                named.span if named is not None else item.span,
                path=where,
                help=f"write with: {{{name}: …}}",
                code="missing-key",
            )
            sound = False
        values.setdefault(name, parameter.default)
    return values if sound else None


def _block(name: str, node: Node, report: Report) -> Block | None:
    path: tuple[PathPart, ...] = ("blocks", name)
    if not isinstance(node, Mapping):
        message = f"the block {name} must be a mapping, got {kind_of(node)}"
        report.error(message, node.span, path=path, help="write do: and a list of nodes", code="wrong-type")
        return None
    known = ("parameters", "inputs", "do", "output")
    for entry in node.entries:
        if entry.name not in known:
            report.error(
                f'unknown key "{entry.name}"',
                entry.key.span,
                path=(*path, entry.name),
                help=did_you_mean(entry.name, known) or f"a block has {', '.join(known)}",
                code="unknown-key",
            )
    body = node.get("do")
    if not isinstance(body, Sequence) or not body.items:
        message = f"the block {name} needs do: and a list of nodes"
        report.error(message, (body or node).span, path=(*path, "do"), code="missing-key")
        return None
    inputs = node.get("inputs")
    names = plain(inputs) if inputs is not None else []
    if not isinstance(names, list) or not all(isinstance(one, str) and ID.fullmatch(one) for one in names):
        assert inputs is not None
        report.error("inputs: expected a list of names", inputs.span, path=(*path, "inputs"), code="wrong-type")
        return None
    parameters = _declared(node.get("parameters"), path, report)
    return Block(name, parameters, tuple(names), body, node.get("output"), node.span)


def _declared(node: Node | None, path: tuple[PathPart, ...], report: Report) -> dict[str, Parameter]:
    """`{f: int, k: 3, act: {type: str, default: relu}}`: a type, a default that tells it, or both."""
    if node is None:
        return {}
    where = (*path, "parameters")
    if not isinstance(node, Mapping):
        message = f"parameters: expected names and types, got {kind_of(node)}"
        report.error(message, node.span, path=where, help="write parameters: {f: int, k: 3}", code="wrong-type")
        return {}
    found = {}
    for entry in node.entries:
        value = plain(entry.value)
        if isinstance(value, str) and value in TYPES:
            found[entry.name] = Parameter(value)
        elif isinstance(value, dict):
            kind = value.get("type", "any")
            if kind not in TYPES or set(value) - {"type", "default"}:
                report.error(
                    f"{entry.name}: expected {{type: …, default: …}}",
                    entry.value.span,
                    path=(*where, entry.name),
                    help=f"types are {', '.join(TYPES)}",
                    code="bad-value",
                )
                continue
            found[entry.name] = Parameter(kind, value.get("default", _REQUIRED))
        else:
            found[entry.name] = Parameter(_type_of(value), value)
    return found


def _type_of(value: Any) -> str:
    order = ("bool", "int", "float", "str", "list")
    return next((name for name in order if TYPES[name][1](value)), "any")


def _as_id(name: str) -> str:
    """The name of a block or a file as the beginning of an id."""
    text = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:100]
    return text if ID.match(text) else f"_{text}"


def _id_of(item: Mapping) -> str:
    written = item.get("id")
    return str(written.value) if isinstance(written, Scalar) and isinstance(written.value, str) else ""


def _shown(node: Node) -> str:
    return (
        f'"{node.value}"'
        if isinstance(node, Scalar) and isinstance(node.value, str)
        else (node.raw if isinstance(node, Scalar) else kind_of(node))
    )
