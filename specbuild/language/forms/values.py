"""Types of values of the keys of nodes: what a form keeps as a node of the document, words, and lengths of axes."""

from copy import deepcopy
from typing import Annotated, Any, TypeAlias

from pydantic import Field, StrictBool
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError

from specbuild.catalog.values import Value
from specbuild.document import Node, did_you_mean, kind_of

SHAPES_DIFFER = "shapes_differ"
"""The key of the condition that two nodes have different shapes."""
DEFINITION = "x-definition"
"""Marks a JSON Schema that stands among the definitions of the whole language under this name."""


class Located(Value):
    """A value that stays a node of the document, because it holds nodes or names some.

    Its JSON Schema is given, or a definition of the language is named. `unbound` marks what brings variables of its
    own, such as those of a loop; those of the scope are not yet filled in.
    """

    def __init__(self, schema: str | JsonSchemaValue, words: str, *, unbound: bool = False) -> None:
        self._schema: JsonSchemaValue = {DEFINITION: schema} if isinstance(schema, str) else schema
        self.words, self.unbound = words, unbound

    def read(self, value: Any, expected: str = "") -> Any:  # noqa: ARG002 - the form reads it
        return value

    def schema(self) -> JsonSchemaValue:
        return deepcopy(self._schema)  # pydantic adds the default of the field


class PlainText(Value):
    """A word; `words` say what it names."""

    def __init__(self, words: str) -> None:
        self.words = words

    def read(self, value: Any, expected: str = "") -> str:
        if isinstance(value, str):
            return value
        raise misfit(f"expected {expected or self.words}, got {kind_of(value)}", code="wrong-type")

    def schema(self) -> JsonSchemaValue:
        return {"type": "string"}


class Word(Value):
    """One of a few words; `help` says what they mean."""

    def __init__(self, *choices: str, words: str = "", help: str) -> None:
        self.choices, self.words, self.help = choices, words or " or ".join(choices), help

    def read(self, value: Any, expected: str = "") -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        got = f'"{value}"' if isinstance(value, str) else kind_of(value)
        near = did_you_mean(value, self.choices) if isinstance(value, str) else ""
        raise misfit(f"expected {expected or self.words}, got {got}", near or self.help)

    def schema(self) -> JsonSchemaValue:
        return {"enum": list(self.choices)}


class Lengths(Value):
    """The shape of an output without the batch axis; None is any length."""

    words = "the lengths of the output's axes"

    def read(self, value: Any, expected: str = "") -> tuple[int | None, ...] | None:  # noqa: ARG002 - its own words
        if value is None:
            return None
        if isinstance(value, list) and all(length is None or (type(length) is int and length > 0) for length in value):
            return tuple(value)
        help = "write the shape without the batch axis, such as [10, 64, 64, 32]; null fits any length"
        raise misfit(f"expected {self.words}", help, code="wrong-type")

    def schema(self) -> JsonSchemaValue:
        return {"type": "array", "items": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}}


def misfit(message: str, help: str = "", reason: str = "", code: str = "bad-value") -> PydanticCustomError:
    """Return the error of a value that does not fit."""
    context = {"message": message, "help": help, "reason": reason, "code": code}
    return PydanticCustomError("specbuild.form", "{message}", context)


Nodes = Annotated[Node, Located("nodes", "a list of nodes", unbound=True)]
"""A list of nodes, kept as written until its variables are known."""
OptionalNodes = Annotated[Node | None, Located("nodes", "a list of nodes", unbound=True)]
REFERENCES: JsonSchemaValue = {
    "anyOf": [{DEFINITION: "reference"}, {"type": "array", "items": {DEFINITION: "reference"}}]
}
REFERENCES_BY_NAME: JsonSchemaValue = {"type": "object", "additionalProperties": {DEFINITION: "reference"}}

WHEN: JsonSchemaValue = {
    "anyOf": [
        {"type": "boolean"},
        {
            "type": "object",
            "properties": {
                SHAPES_DIFFER: {"type": "array", "items": {DEFINITION: "reference"}, "minItems": 2, "maxItems": 2}
            },
            "required": [SHAPES_DIFFER],
            "additionalProperties": False,
        },
    ]
}
_WHOLE_STATE: JsonSchemaValue = {"anyOf": [{DEFINITION: "reference"}, REFERENCES_BY_NAME]}
STATE: JsonSchemaValue = {
    "anyOf": [
        {DEFINITION: "reference"},
        {"type": "object", "additionalProperties": {"anyOf": [*_WHOLE_STATE["anyOf"], {"type": "null"}]}},
    ]
}
"""A state, or those of the nodes inside an autoregressive node by their ids."""

Trainable: TypeAlias = Annotated[StrictBool | None, Field(description="Whether training changes the weights inside.")]
