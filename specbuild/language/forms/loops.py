"""`repeat` and `for`: the same nodes several times, one after the other or in parallel.

Without `merge` each round reads the one before, and `id.rounds` is what all of them end in. With it every round reads
what the loop reads, and the layer joins their ends.
"""

from abc import abstractmethod
from collections import ChainMap
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from specbuild.catalog.values import Value, Whole
from specbuild.document import Mapping, Node
from specbuild.language.forms.base import Expansion
from specbuild.language.forms.branches import MERGE, Paths
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.values import Located, Nodes, misfit
from specbuild.language.forms.walk import MAX_STEPS, Walk
from specbuild.language.variables import NAME, NAME_HELP


class _Rounds(Whole):
    """How often a loop runs."""

    def read(self, value: Any, expected: str = "") -> int:
        if type(value) is int and 0 <= value <= MAX_STEPS:
            return value
        raise self.mismatch(value, expected)


class VariableName(Value):
    """The name of a variable, without its `$`."""

    words = "the name of a variable"

    def read(self, value: Any, expected: str = "") -> str:  # noqa: ARG002 - its own words
        if isinstance(value, str) and NAME.fullmatch(value):
            return value
        raise misfit(f'"{value}" cannot name a variable', NAME_HELP, code="bad-name")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{NAME.pattern}$"}


class _Values(Value):
    """What a variable holds in each round."""

    def read(self, value: Any, expected: str = "") -> list[Any]:  # noqa: ARG002 - its own words
        if isinstance(value, list):
            return value
        raise misfit("expected a list of values", "write a list, such as [1, 2, 3]", code="wrong-type")

    def schema(self) -> dict[str, Any]:
        return {"type": "array"}


def _some_variables(value: Any) -> Any:
    if not isinstance(value, dict) or not value:
        raise misfit("expected variables and their values", "write for: {f: [32, 64, 128]}", code="wrong-type")
    return value


def _in_step(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name} has {len(column)}" for name, column in columns.items())
        raise misfit("the variables of a loop need lists of one length", reason=lengths)
    return columns


_COLUMNS = {
    "type": "object",
    "propertyNames": VariableName().schema(),
    "minProperties": 1,
    "additionalProperties": _Values().schema(),
}


class _Loop(Paths):
    """Nodes that are expanded once per round, with the variables of that round."""

    MAY_START = True
    NEEDED: ClassVar[dict[str, str]] = {"do": "a loop needs do: and a list of nodes"}

    do: Nodes = Field(description="The nodes of one round.")
    merge: Annotated[Node | None, Located(MERGE, "the name of a layer, or a layer")] = Field(
        None,
        description="The layer that joins the rounds, each of which then reads what the loop reads: its name, or "
        "{layer: Concatenate, …}. Default: each round reads the one before.",
    )
    counter: Annotated[str, VariableName()] | None = Field(
        None, alias="as", description="Variable that counts the rounds, from 1."
    )

    @abstractmethod
    def rounds(self) -> Iterator[dict[str, Any]]:
        """Return the variables of each round, without its number."""

    def inside(self, walk: Walk, item: Mapping, scope: Scope, inputs: object) -> Expansion:
        rounds: list[Expansion] = []
        start = scope
        for number, values in enumerate(self.rounds(), start=1):
            walk.spend(item.span)
            if self.counter in values:
                message, help = f"the loop has two variables {self.counter}", "give the counter another name"
                walk.report.error(message, item["as"].value.span, help=help, code="duplicate-key")
                return walk.nothing(item.span, scope)
            counted = {self.counter: number, **values} if self.counter else values
            expansion = walk.items(self.do, replace(scope, values=ChainMap(counted, scope.values)))
            rounds.append(expansion)
            if self.merge is None:
                scope = replace(scope, previous=expansion.end, no_previous=expansion.no_end)
        if self.merge is not None and not rounds:
            message = f"{self.called(item)} has no rounds, so there is nothing to join"
            walk.report.error(message, self.merge.span, code="bad-node")
            return walk.nothing(item.span, scope)
        if self.merge is not None and not any(each.nodes for each in rounds) and all(each.complete for each in rounds):
            message = f"the rounds of {self.called(item)} hold no nodes, so there is nothing to join"
            walk.report.error(message, item["do"].value.span, help="put when on the loop itself", code="bad-node")
            return walk.nothing(item.span, scope)
        nodes = tuple(node for each in rounds for node in each.nodes)
        ends = tuple(each.end for each in rounds if each.end is not None)
        outputs = _of_every_round(rounds)
        every: dict[str, str | Group] = {}
        if len(ends) == len(rounds) or outputs:
            inputs = ends if len(ends) == len(rounds) else ()
            every["rounds"] = Group(None, outputs, inputs=inputs, stands_for_all=True)
        if self.merge is not None:
            join = self.joined(walk, self.merge, rounds, item, start)
            return replace(join, members={**join.members, **every})
        complete = all(each.complete for each in rounds)
        return Expansion(nodes, scope.previous, scope.no_previous, complete, every)


def _of_every_round(rounds: list[Expansion]) -> dict[str, str | Group]:
    """Return the outputs that every round ends in, by name: those of the block that stands last in it."""
    every: dict[str, str | Group] = {}
    for name in rounds[0].last if rounds else ():
        named = [each.last.get(name) for each in rounds]
        ends = tuple(each.output for each in named if isinstance(each, Group) and each.output is not None)
        if len(ends) == len(rounds):
            every[name] = Group(None, inputs=ends, stands_for_all=True)
    return every


class RepeatForm(_Loop):
    """The same nodes several times: {repeat: 3, do: […]}."""

    KEY: ClassVar[str] = "repeat"

    repeat: Annotated[int, _Rounds(0, MAX_STEPS, words=f"a whole number from 0 to {MAX_STEPS:,}")] = Field(
        description="Number of rounds."
    )

    def rounds(self) -> Iterator[dict[str, Any]]:
        return ({} for _ in range(self.repeat))


class ForForm(_Loop):
    """The same nodes for each value of a variable: {for: {f: [32, 64]}, do: […]}."""

    KEY: ClassVar[str] = "for"

    columns: Annotated[
        dict[Annotated[str, VariableName()], Annotated[list[Any], _Values()]],
        BeforeValidator(_some_variables),
        AfterValidator(_in_step),
        WithJsonSchema(_COLUMNS),
    ] = Field(alias="for", description="Variables and their values in each round; several lists advance together.")

    def rounds(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True))
