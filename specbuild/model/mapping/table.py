"""The mapping table: which array of a checkpoint each weight of a model gets, as a YAML file.

    specbuild-mapping: 1
    weights:
      l$i/kernel: {from: "cell_list.${i - 1}.conv_x.0.weight", order: conv}
    unused: ["cell_list.*.conv_last.weight"]

Nothing here imports Keras.
"""

import re
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from specbuild.catalog.list_values import ListOf, Several
from specbuild.catalog.values import Choice, Flag, PositiveInt, Text, Value, Whole, refuse, written
from specbuild.document import Mapping, Node, Report, Scalar, did_you_mean, read
from specbuild.document.files import SUFFIXES
from specbuild.language.sections.base import Section
from specbuild.language.validation import validate
from specbuild.language.variables import condition, substitute
from specbuild.model.mapping.arrange import ORDERS

VERSION = 1
HEAD = "specbuild-mapping"
MAX_OPEN = 4
"""Variables in the name of a weight, and stars in that of an array: with many more, matching could take forever."""


class _Version(Value):
    """The version of the language of tables."""

    words = str(VERSION)

    def read(self, value: Any, expected: str = "") -> int:  # noqa: ARG002 - the message says more
        if value is True or value != VERSION:
            refuse("version", f"this specbuild reads mapping tables of version {VERSION}, got {written(value)}")
        return VERSION

    def schema(self) -> dict[str, Any]:
        return {"const": VERSION}


class _Permutation(ListOf):
    """The numbers from 0 in a new order, each once."""

    def __init__(self, words: str) -> None:
        super().__init__(Whole(0), words, 1, once="a number")

    def read(self, value: Any, expected: str = "") -> tuple[int, ...]:
        numbers: tuple[int, ...] = super().read(value, expected)
        if sorted(numbers) != list(range(len(numbers))):
            raise self.mismatch(value, expected)
        return numbers


class _Order(Value):
    """The name of an order of axes, or the old position of each axis."""

    words = f"{', '.join(ORDERS)}, or the old position of each axis such as [2, 3, 1, 0]"

    def read(self, value: Any, expected: str = "") -> str | tuple[int, ...]:
        if isinstance(value, list | tuple):
            return _Permutation(self.words).read(value, expected)
        return str(Choice(*ORDERS).read(value, expected))

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [Choice(*ORDERS).schema(), _Permutation(self.words).schema()]}


class _Starred(Text):
    """The name of an array, in which * stands for any characters."""

    def read(self, value: Any, expected: str = "") -> str:
        text = super().read(value, expected)
        if text.count("*") > MAX_OPEN:
            refuse("stars", f"expected at most {MAX_OPEN} stars in a name, got {written(text)}")
        return text


Names = Annotated[tuple[str, ...], Several(Text(), "the name of an array, or a list of names", 1)]
Patterns = Annotated[tuple[str, ...], Several(_Starred(), "the name of an array, or a list of names", 1)]


class TableSection(Section):
    """A mapping table."""

    version: Annotated[int, _Version()] = Field(alias=HEAD, description=f"Version of the table's language: {VERSION}.")
    description: str = Field("", description="What the checkpoint is, for readers.")
    prefixes: Names = Field(
        (), description="Prefixes to remove from the names of the arrays; arrays without one of them are ignored."
    )
    weights: dict[str, Any] = Field(description="Weights of the model, as id/weight, and the array for each.")
    requires: dict[str, dict[str, Any]] = Field(
        {}, description="Arguments that layers must have for the weights to give the same outputs, by id."
    )
    unused: Patterns = Field(
        (), description="Arrays that the model does not use; * matches any characters. A pattern may match no array."
    )


class WeightSection(Section):
    """What a weight is made from."""

    from_: Names = Field(alias="from", description="An array of the checkpoint, or a list joined along the last axis.")
    order: Annotated[str | tuple[int, ...], _Order()] = Field(
        "same", description="Order of the axes: one of the names below, or the old position of each axis."
    )
    stack: Flag = Field(False, description="Whether a list becomes the rows of a new first axis instead.")
    take: Annotated[Literal["first", "last"], Choice()] | None = Field(
        None, description="Which input channels of a larger kernel the weight gets: first or last."
    )
    gates: Annotated[tuple[int, ...], _Permutation("the old position of each gate, as [0, 1, 3, 2]")] | None = Field(
        None, description="Old position of each gate, as equal parts of the last axis."
    )
    pixel_shuffle: PositiveInt | None = Field(
        None, description="Block size of the pixel shuffle that follows the convolution; for DepthToSpace."
    )
    when: Flag = Field(True, description="Whether the entry applies, such as $norm == 'layer'.")


@dataclass(frozen=True, slots=True)
class Pattern:
    """The name of a weight in a table, in which variables stand for numbers or words."""

    name: str
    key: Node
    value: Node
    expression: re.Pattern[str]
    plain: bool
    """Whether it names one weight, without variables."""

    def match(self, weight: str) -> dict[str, int | str] | None:
        """Return the values of the variables for a weight that the pattern fits, else None."""
        found = self.expression.fullmatch(weight)
        if found is None:
            return None
        return {name: int(text) if text.isdecimal() else text for name, text in found.groupdict().items()}


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping table as read. Its entries are validated for each weight, as variables decide what they say."""

    section: TableSection
    document: Mapping
    patterns: tuple[Pattern, ...]
    requirements: tuple[Pattern, ...] = ()
    """The ids under `requires`, with the arguments of their layers."""

    def entry(self, pattern: Pattern, values: AnyMapping[str, Any], report: Report) -> WeightSection | None:
        """Return the entry for the values of its variables; None after reporting its faults."""
        value = substitute(_with_condition(pattern.value, values, report), values, report)
        if isinstance(value, Scalar) and isinstance(value.value, str):
            return WeightSection.model_validate({"from": value.value})
        return validate(WeightSection, value, report, owner=pattern.name)

    def left_out(self, pattern: Pattern, variables: AnyMapping[str, Any]) -> bool:
        """Whether the `when` of an entry is false for the variables of the spec alone."""
        when = pattern.value.get("when") if isinstance(pattern.value, Mapping) else None
        if when is None:
            return False
        unheard = Report()
        value = substitute(condition(when, variables, unheard), variables, unheard)
        return isinstance(value, Scalar) and value.value is False


def _with_condition(value: Node, values: AnyMapping[str, Any], report: Report) -> Node:
    """Return an entry with its `when` computed, which is an expression even where it names no variable."""
    when = value.entry("when") if isinstance(value, Mapping) else None
    if when is None or not isinstance(value, Mapping):
        return value
    return value.with_value("when", condition(when.value, values, report))


SHIPPED = Path(__file__).parent / "tables"


def shipped_tables() -> dict[str, Path]:
    """Return the tables that come with specbuild, for published models, by name."""
    return {path.stem.replace("_", "-"): path for path in sorted(SHIPPED.glob("*.yaml"))}


def read_table(table: str | Path, report: Report) -> Table | None:
    """Return a mapping table; None after reporting everything that is wrong with it.

    Args:
        table: path of a YAML file, or the name of a table that comes with specbuild.
        report: takes the faults.

    Raises:
        SpecError: the file cannot be read, or is not YAML.
    """
    shipped = shipped_tables()
    if not Path(table).exists() and not str(table).endswith(SUFFIXES) and "/" not in str(table):
        if str(table) not in shipped:
            help = did_you_mean(str(table), shipped) or f"there are {', '.join(shipped)}; or name a YAML file"
            report.error(f"no mapping table is called {table}", help=help, code="no-file")
            return None
        table = shipped[str(table)]
    _, document = read(table)
    section = validate(TableSection, document, report, owner="the table")
    if section is None or not isinstance(document, Mapping):
        return None

    def patterns(key: str) -> tuple[Pattern, ...]:
        value = document.get(key)
        entries = value.entries if isinstance(value, Mapping) else ()
        read = (_pattern(entry.name, entry.key, entry.value, report) for entry in entries)
        return tuple(pattern for pattern in read if pattern is not None)

    return Table(section, document, patterns("weights"), patterns("requires"))


_VARIABLE = re.compile(r"\$\{\s*([A-Za-z_]\w*)\s*\}|\$([A-Za-z_]\w*)", re.ASCII)


def _pattern(name: str, key: Node, value: Node, report: Report) -> Pattern | None:
    expression, end, seen = "", 0, set[str]()
    for found in _VARIABLE.finditer(name):
        variable = found[1] or found[2]
        expression += re.escape(name[end : found.start()])
        expression += f"(?P={variable})" if variable in seen else f"(?P<{variable}>[A-Za-z0-9]+)"
        end = found.end()
        seen.add(variable)
    if len(_VARIABLE.findall(name)) > MAX_OPEN:
        message = f"the name {name} has more than {MAX_OPEN} variables"
        report.error(message, key.span, help="write an entry for each value of one of them", code="bad-name")
        return None
    if "$" in _VARIABLE.sub("", name):
        message = f"cannot read the name {name}"
        reason = "the name of a weight has plain variables, such as $i and ${i}; arithmetic belongs into from"
        report.error(message, key.span, reason=reason, code="bad-name")
        return None
    return Pattern(name, key, value, re.compile(expression + re.escape(name[end:])), plain=not seen)
