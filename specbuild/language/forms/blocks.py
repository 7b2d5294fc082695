"""`block`: named nodes with parameters, declared once under `blocks:` and used any number of times."""

import re
from collections import ChainMap
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BeforeValidator, Field

from specbuild.catalog.values import Value
from specbuild.document import Mapping, Node, Report, Scalar, Sequence, did_you_mean, id_of, kind_of, plain
from specbuild.language.forms.base import Composite, Expansion, gate_of
from specbuild.language.forms.keys import Keys
from specbuild.language.forms.loops import VariableName
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.values import REFERENCES, REFERENCES_BY_NAME, Located, Nodes, PlainText, misfit
from specbuild.language.forms.walk import Walk
from specbuild.language.references import ID, Reference, References
from specbuild.language.variables import PassedNodes, passed, substitute

TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "int": ("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool)),
    "float": ("a number", lambda v: isinstance(v, (int, float)) and not isinstance(v, bool)),
    "str": ("text", lambda v: isinstance(v, str)),
    "bool": ("true or false", lambda v: isinstance(v, bool)),
    "list": ("a list", lambda v: isinstance(v, list)),
    "nodes": ("a list of nodes", lambda v: isinstance(v, list)),
    "any": ("a value", lambda _: True),
}
"""The types of a block's parameters: what a message calls them, and the test."""

_REQUIRED = object()


class Parameter(NamedTuple):
    """A parameter of a block."""

    type: str
    default: Any = _REQUIRED


class _Declared(Value):
    """A parameter by its type, by a default that tells it, or by both."""

    def read(self, value: Any, expected: str = "") -> Parameter:  # noqa: ARG002 - its own words
        if isinstance(value, dict):
            kind = value.get("type", "any")
            if not isinstance(kind, str) or kind not in TYPES or set(value) - {"type", "default"}:
                raise misfit("expected {type: …, default: …}", f"types are {', '.join(TYPES)}")
            if kind == "nodes" and value.get("default", []) != []:
                raise misfit(
                    "a parameter of nodes can have no default but []",
                    "pass them where the block is used: with: {do: […]}",
                )
            return Parameter(kind, value.get("default", _REQUIRED))
        if isinstance(value, str) and value in TYPES:
            return Parameter(value)
        order = ("bool", "int", "float", "str", "list")
        return Parameter(next((name for name in order if TYPES[name][1](value)), "any"), value)

    def schema(self) -> dict[str, Any]:
        properties = {"type": {"enum": list(TYPES)}, "default": {}}
        typed = {"type": "object", "properties": properties, "additionalProperties": False}
        return {"anyOf": [{"not": {"type": "object"}}, typed]}


def _by_name(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    message = f"expected names and types, got {kind_of(value)}"
    raise misfit(message, "write parameters: {f: int, k: 3}", code="wrong-type")


class _InputNames(Value):
    """Names of what a block reads."""

    words = "a list of names"

    def read(self, value: Any, expected: str = "") -> tuple[str, ...]:  # noqa: ARG002 - its own words
        if isinstance(value, list) and all(isinstance(name, str) and ID.fullmatch(name) for name in value):
            return tuple(value)
        raise misfit("expected a list of names", code="wrong-type")

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string"}}


class Block(Keys):
    """A group of nodes, declared under `blocks:` by its name."""

    NOUN: ClassVar[str] = "a block"
    NEEDED: ClassVar[dict[str, str]] = {"do": "{owner} needs do: and a list of nodes"}

    parameters: Annotated[dict[str, Annotated[Parameter, _Declared()]], BeforeValidator(_by_name)] = Field(
        {},
        description=f"Parameters by name: a type ({', '.join(TYPES)}), a default, or {{type: …, default: …}}.",
        json_schema_extra={"propertyNames": VariableName().schema()},
    )
    inputs: Annotated[tuple[str, ...], _InputNames()] = Field(
        (), description="Names of the block's inputs, if it has several; input stands for all of them."
    )
    do: Nodes = Field(description="The nodes of the block.")
    output: Annotated[
        Node | None, Located({"anyOf": [REFERENCES, REFERENCES_BY_NAME]}, "ids or ports, or a mapping of names to them")
    ] = Field(None, description="Outputs of the block: ids or ports, or names for them. Default: the last node.")


def read_blocks(node: Node, report: Report) -> dict[str, Block | None]:
    """Return the `blocks:` section by name; None for a block that could not be read, which was reported."""
    if not isinstance(node, Mapping):
        report.wrong_type("blocks must be a mapping of names to blocks", node, "write blocks: {stem: {do: […]}}")
        return {}
    return {entry.name: _block(entry.name, entry.value, report) for entry in node.entries}


def _block(name: str, node: Node, report: Report) -> Block | None:
    if not isinstance(node, Mapping):
        report.wrong_type(f"the block {name} must be a mapping", node, "write do: and a list of nodes")
        return None
    block = Block.read(node, report, owner=f"the block {name}")
    if block is None or (isinstance(block.do, Sequence) and block.do.items):
        return block
    nodes = {name: PassedNodes(block.do, {}) for name, each in block.parameters.items() if each.type == "nodes"}
    if passed(block.do, nodes) is not None:
        return block
    report.error(f"the block {name} needs do: and a list of nodes", block.do.span, code="missing-key")
    return None


class BlockForm(Composite):
    """A block declared under blocks: {block: stem, with: {f: 32}}."""

    KEY: ClassVar[str] = "block"

    block: Annotated[str, PlainText("the name of a block")] = Field(
        description="Name of a block declared under blocks."
    )
    given: Annotated[Node | None, Located({"type": "object"}, "a mapping of names to values", unbound=True)] = Field(
        None, alias="with", description="Values of the block's parameters."
    )

    def called(self, item: Mapping) -> str:  # noqa: ARG002 - by the block's name
        return self.block

    def inside(self, walk: Walk, item: Mapping, scope: Scope, inputs: References) -> Expansion:
        block = self._declared(walk, item, scope)
        values = self._values(walk, block, item, scope) if block is not None else None
        if block is None or values is None:
            return walk.nothing(item.span, scope)
        inner = Scope(
            ChainMap(values, scope.values), scope.definitions, closed=self.block, calls=(*scope.calls, self.block)
        )
        return inline(walk, Contents(block.inputs, block.do, block.output), inner, item, scope, inputs)

    def _declared(self, walk: Walk, item: Mapping, scope: Scope) -> Block | None:
        """The block; None after reporting that there is none, or that it contains itself."""
        blocks = scope.definitions.blocks
        named = item["block"].value
        if self.block not in blocks:
            declared = f"declared are {', '.join(blocks)}" if blocks else "declare it under blocks:"
            help = did_you_mean(self.block, blocks) or declared
            walk.report.error(f'no block is called "{self.block}"', named.span, help=help, code="unknown-block")
            return None
        if self.block in scope.calls:
            circle = " → ".join((*scope.calls[scope.calls.index(self.block) :], self.block))
            walk.report.error(f"the block {self.block} contains itself", named.span, reason=circle, code="block-cycle")
            return None
        return blocks[self.block]

    def _values(self, walk: Walk, block: Block, item: Mapping, scope: Scope) -> dict[str, Any] | None:
        """The values of the block's parameters here; None after a fault."""
        if self.given is not None and not isinstance(self.given, Mapping):
            walk.report.wrong_type("with: expected parameters and their values", self.given)
            return None
        values: dict[str, Any] = {}
        sound = True
        for entry in self.given.entries if self.given is not None else ():
            parameter = block.parameters.get(entry.name)
            if parameter is None:
                known = ", ".join(block.parameters)
                message = f'the block {self.block} has no parameter "{entry.name}"'
                help = did_you_mean(entry.name, block.parameters) or (f"it has {known}" if known else "it takes none")
                walk.report.error(message, entry.key.span, help=help, code="unknown-key")
                sound = False
                continue
            expected, fits = TYPES[parameter.type]
            if parameter.type == "nodes":
                nodes = passed(entry.value, scope.values) or PassedNodes(entry.value, scope.values, scope.calls)
                values[entry.name], value = nodes, plain(nodes.nodes)
            else:
                value = values[entry.name] = plain(substitute(entry.value, scope.values, walk.report))
            if walk.report.is_known(entry.value.span):
                sound = False
            elif not fits(value):
                message = f"{entry.name}: expected {expected}, got {_shown(entry.value)}"
                walk.report.error(message, entry.value.span, code="wrong-type")
                sound = False
        for name, parameter in block.parameters.items():
            if name not in values and parameter.default is _REQUIRED:
                span = (item.get("block") or item).span
                message, help = f"the block {self.block} needs {name}", f"write with: {{{name}: …}}"
                walk.report.error(message, span, help=help, code="missing-key")
                sound = False
            if name not in values and parameter.type == "nodes":
                values[name] = PassedNodes(Sequence((), item.span), {})
            values.setdefault(name, parameter.default)
        return values if sound else None


@dataclass(frozen=True)
class Contents:
    """Nodes that take the place of one: a block's, or another file's."""

    inputs: tuple[str, ...]
    """Names of the inputs of the nodes, in the order of `from`; empty: the inputs have no names."""
    do: Node
    output: Node | None
    shapes: tuple[tuple[int | None, ...], ...] = ()
    """The shape that each input must have, where that is declared."""


def inline(walk: Walk, contents: Contents, inner: Scope, item: Mapping, scope: Scope, inputs: References) -> Expansion:
    """Return nodes with the ids `<id>_<inner id>`; `inner` is closed to the names outside."""
    if contents.inputs and len(contents.inputs) != len(inputs):
        if inputs:
            _wrong_inputs(walk, contents, inner.closed, len(inputs), item)
        return walk.nothing(item.span, scope)
    prefix = scope.prefix + (id_of(item) or _as_id(inner.closed))
    if not id_of(item) or prefix in walk.ids:
        prefix = walk.ids.make(prefix, item.span)
    file = "" if contents.do.span.source == item.span.source else f" of {item.span.source.name}"
    use = f"{inner.closed} is used on line {item.span.line}{file}"
    inner = replace(inner, prefix=f"{prefix}_", use=use, previous=scope.previous, no_previous=scope.no_previous)
    inner.names["input"] = Group(inputs[0] if inputs else None, inputs=inputs, stands_for_all=True, is_input=True)
    gates = []
    for index, name in enumerate(contents.inputs):
        source = inputs[index]
        if contents.shapes:
            identity = inner.prefix + name
            walk.ids.claim(identity, item.span)
            gates.append(gate_of(identity, source, contents.shapes[index], item.without("expect")))
            walk.keep(gates[-1:])
            source = Reference(identity, None, source.span, implied=True)
        inner.names[name] = Group(source, is_input=True)
        if len(inputs) == 1:
            inner = replace(inner, previous=source)
    expansion = walk.items(contents.do, inner)
    own = {name: target for name, target in inner.names.items() if name not in (*contents.inputs, "input")}
    expansion = replace(expansion, nodes=(*gates, *expansion.nodes), members=own)
    return _with_outputs(walk, contents.output, expansion, inner)


def _with_outputs(walk: Walk, output: Node | None, expansion: Expansion, inner: Scope) -> Expansion:
    """The nodes with their declared output as end; several named ones become members, and leave no single end."""
    if output is None:
        return expansion
    if isinstance(output, Mapping):
        given = {entry.name: inner.reference(entry.value, walk.report) for entry in output.entries}
        ends = {name: source for name, source in given.items() if source is not None}
    else:
        parts = output.items if isinstance(output, Sequence) else (output,)
        sources = [source for part in parts for source in inner.references(part, walk.report)]
        ends = {}
        for source in sources:
            name = source.id.removeprefix(inner.prefix)
            if name in ends:
                message, help = f"two outputs are called {name}", "give them names: output: {first: …, second: …}"
                walk.report.error(message, output.span, help=help, code="duplicate-id")
            ends[name] = source
    several = f"{inner.closed} has several outputs, so this node must say what it reads" if len(ends) > 1 else ""
    return replace(
        expansion,
        end=next(iter(ends.values())) if len(ends) == 1 else None,
        no_end=several,
        members=expansion.members | {name: Group(end) for name, end in ends.items()},
    )


def _wrong_inputs(walk: Walk, contents: Contents, name: str, got: int, item: Mapping) -> None:
    wanted = f"{len(contents.inputs)} input{'s' if len(contents.inputs) != 1 else ''}"
    reason = f"it declares inputs: [{', '.join(contents.inputs)}]"
    walk.report.error(f"{name} reads {wanted}, got {got}", (item.get("from") or item).span, reason=reason, code="arity")


def _as_id(name: str) -> str:
    """The name of a block or a file as the beginning of an id."""
    text = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:100]
    return text if ID.match(text) else f"_{text}"


def _shown(node: Node) -> str:
    if not isinstance(node, Scalar):
        return kind_of(node)
    return f'"{node.value}"' if isinstance(node.value, str) else node.raw
