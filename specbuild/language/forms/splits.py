"""`split`: the parts of an axis as nodes, by name."""

from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.json_schema import JsonSchemaValue

from specbuild.catalog.axis_values import Axis
from specbuild.catalog.plumbing import SplitPart
from specbuild.catalog.values import Value
from specbuild.document import Entry, Mapping, Scalar, id_of, kind_of
from specbuild.language.forms.base import Composite, Expansion
from specbuild.language.forms.scope import Scope
from specbuild.language.forms.values import misfit
from specbuild.language.forms.walk import Walk
from specbuild.language.references import ID, ID_HELP, References
from specbuild.language.spec import NodeSpec

_EXAMPLE = "write split: [i, f, g, o], or with lengths split: {i: 32, f: 64}"


class _Parts(Value):
    """Names of parts, each with its length or none with any."""

    words = "the names of the parts"

    def read(self, value: Any, expected: str = "") -> dict[str, int | None]:  # noqa: ARG002 - its own words
        if not isinstance(value, list | dict) or not value:
            raise misfit(f"expected {self.words}, got {kind_of(value) if value else 'none'}", _EXAMPLE)
        for name in value:
            if not isinstance(name, str) or not ID.fullmatch(name):
                shown = f'"{name}"' if isinstance(name, str | int) else kind_of(name)
                raise misfit(f"{shown} cannot name a part", ID_HELP, code="bad-name")
        if len(set(value)) < len(value):
            twice = next(name for name in value if list(value).count(name) > 1)
            raise misfit(f"two parts are called {twice}", "give each its own name", code="duplicate-id")
        if isinstance(value, list):
            return dict.fromkeys(value)
        for name, length in value.items():
            if type(length) is not int or length < 1:
                raise misfit(f"the length of {name} is not a positive whole number", _EXAMPLE)
        return value

    def schema(self) -> JsonSchemaValue:
        name = {"type": "string", "pattern": f"^{ID.pattern}$"}
        lengths = {"type": "object", "propertyNames": name, "additionalProperties": {"type": "integer", "minimum": 1}}
        names = {"type": "array", "items": name, "uniqueItems": True, "minItems": 1}
        return {"anyOf": [names, {**lengths, "minProperties": 1}]}


class SplitForm(Composite):
    """Named parts of the channels or of another axis: {id: gates, split: [i, f, g, o]}.

    They are read as `gates.i` and so on; without an `id` their names are ids of their own.
    """

    KEY: ClassVar[str] = "split"
    UNOFFERED: ClassVar[tuple[str, ...]] = ("trainable", "expect")

    split: Annotated[dict[str, int | None], _Parts()] = Field(
        description="Names of equal parts, in order, or a mapping of names to lengths."
    )
    axis: Axis = Field(-1, description="The axis; the batch axis is 0, the time axis 1, -1 the last.")

    def inside(self, walk: Walk, item: Mapping, scope: Scope, inputs: References) -> Expansion:
        ids = {name: self._identity(walk, name, item, scope) for name in self.split}
        if len(inputs) != 1:
            if inputs:
                message, help = f"split reads one input, got {len(inputs)}", "join them first, or split each"
                walk.report.error(message, (item.get("from") or item).span, help=help, code="arity")
            walk.broken.update(ids.values())
            return replace(walk.nothing(item.span, scope), members={**ids})
        written = item["split"]
        parts = Entry(Scalar("parts", written.key.span, "parts"), written.value)
        arguments = Mapping((parts, *item.without("split").entries), written.value.span)
        lengths = tuple(length for length in self.split.values() if length is not None)
        nodes = []
        for index, identity in enumerate(ids.values()):
            walk.spend(item.span)
            node = NodeSpec(
                id=identity,
                named=self.id is None,
                layer=SplitPart(parts=lengths or len(self.split), index=index, axis=self.axis),
                sources=inputs,
                at=item,
                arguments=arguments,
                inside=scope.closed,
                use=scope.use,
            )
            nodes.append(node)
        no_end = "the split above has several parts, so this node must name the one it reads"
        return Expansion(tuple(nodes), None, no_end, members={**ids})

    def _identity(self, walk: Walk, name: str, item: Mapping, scope: Scope) -> str:
        """Return the id of a part, which is a name of the scope where the split has none."""
        span = item["split"].value.span
        if self.id is None and (claimed := walk.claim(Scalar(name, span, name), scope)):
            scope.names[claimed] = scope.prefix + claimed
            return scope.prefix + claimed
        prefix = f"{id_of(item)}_" if id_of(item) else ""
        return walk.ids.make(f"{scope.prefix}{prefix}{name}", span)
