"""JSON Schema of values: plain values, `$variables` in their place, and Keras objects by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from specbuild.catalog.objects import FAMILY, KerasObject
from specbuild.catalog.signatures import Family, Signature, names, signature
from specbuild.language.forms.values import DEFINITION

Schema: TypeAlias = dict[str, Any]

VARIABLE = {"$ref": "#/definitions/variable"}


def model_schema(cls: type[BaseModel], definitions: Schema) -> Schema:
    """Return the schema of a pydantic model, with variables allowed; models inside it go into `definitions`."""
    schema = cls.model_json_schema(schema_generator=SchemaGenerator)
    for name, inner in schema.pop("$defs", {}).items():
        definitions[name] = with_variables(inner)
    return with_variables(schema)


def whole(pattern: re.Pattern[str]) -> str:
    """Return the pattern of texts that match as a whole."""
    return f"^{pattern.pattern}$"


def with_variables(schema: Schema) -> Schema:
    """Return the schema with `$name` or arithmetic on it allowed for every value that is not a mapping."""
    notes, rest = _split(schema)
    if "$ref" in rest or DEFINITION in rest:
        return {**notes, "allOf": [_inside(rest)]} if notes else _inside(rest)
    if rest.get("type") == "object":
        return {**notes, **_object(rest)}
    options = [_inside(option) for option in _options(rest)]
    if not any(map(_takes_variables, options)):
        options.append(VARIABLE)
    return {**notes, **options[0]} if len(options) == 1 else {**notes, "anyOf": options}


def families() -> Schema:
    """Return a definition for each family of Keras objects: by name, or by name and arguments."""
    return {family: _family(family) for family in get_args(Family) if family not in ("applications", "layers")}


def keras_argument(default: Any) -> Schema:
    """Return the schema of an argument of which only the default is known: values of the same type."""
    if isinstance(default, bool):
        return with_variables({"type": "boolean", "default": default})
    if isinstance(default, int | float):
        return with_variables({"anyOf": [{"type": "number"}, {"type": "array"}, {"type": "null"}], "default": default})
    return {"default": default} if default is not None else {}


class SchemaGenerator(GenerateJsonSchema):
    """Draft 7, without what a wrapper holds: the form of the node says what may stand there."""

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:  # noqa: ARG002
        return {}

    def tuple_schema(self, schema: core_schema.TupleSchema) -> JsonSchemaValue:
        """Return a list of so many values of one type, as draft 7 writes it."""
        generated = super().tuple_schema(schema)
        items = generated.pop("prefixItems", [])
        return {**generated, "items": items[0]} if items else generated

    def generate(self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        generated = super().generate(schema, mode)
        generated.pop("$schema", None)
        return generated


_NOTES = ("description", "default", "examples")


def _split(schema: Schema) -> tuple[Schema, Schema]:
    """Return what describes a value, and what constrains it; pydantic's titles repeat the key and are dropped."""
    notes = {key: schema[key] for key in _NOTES if key in schema}
    if isinstance(default := notes.get("default"), dict) and set(default) == {"name", "arguments"}:
        notes["default"] = KerasObject(**default).written()
    return notes, {key: value for key, value in schema.items() if key not in (*_NOTES, "title")}


def _options(schema: Schema) -> Iterable[Schema]:
    if FAMILY in schema or "anyOf" not in schema:
        return (schema,)
    return (inner for option in schema["anyOf"] for inner in _options(option))


def _inside(option: Schema) -> Schema:
    """Return one form of a value, without the variable that could replace all of it."""
    if FAMILY in option:
        return {"$ref": f"#/definitions/{option[FAMILY]}"}
    if DEFINITION in option:
        return {"$ref": f"#/definitions/{option[DEFINITION]}"}
    if "$ref" in option:
        return {"$ref": option["$ref"].replace("#/$defs/", "#/definitions/")}
    if option.get("type") == "object":
        return with_variables(option)
    notes, rest = _split(option)
    if isinstance(rest.get("items"), dict):
        rest = {**rest, "items": with_variables(rest["items"])}
    return {**notes, **rest}


def _takes_variables(option: Schema) -> bool:
    """Tell whether an option already accepts a variable: any text, or a Keras object by name."""
    free = option.get("type") == "string" and not {"enum", "pattern", "const"} & option.keys()
    return free or not option or option.get("$ref", "").rpartition("/")[2] in get_args(Family)


def _object(schema: Schema) -> Schema:
    inner = dict(schema)
    if "properties" in schema:
        inner["properties"] = {name: with_variables(value) for name, value in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        inner["additionalProperties"] = with_variables(schema["additionalProperties"])
    return inner


_ARGUMENTS: dict[str, Schema] = {
    "learning_rate": {
        "description": "A number, or a schedule by name and arguments.",
        "anyOf": [{"type": "number"}, {"$ref": "#/definitions/schedules"}],
    },
    "inner_optimizer": {"$ref": "#/definitions/optimizers"},
}
"""Arguments that are, or may be, Keras objects again."""


def _family(family: Family) -> Schema:
    alike: dict[tuple[Any, ...], tuple[Signature, list[str]]] = {}
    texts = []
    for name in names(family):
        called = signature(family, name)
        assert called is not None
        texts.append(called.text)
        alike.setdefault((called.required, repr(called.optional)), (called, []))[1].append(name)
    rules = []
    for called, aliases in alike.values():
        condition = {
            "type": "object",
            "properties": {"name": {"pattern": f"^({'|'.join(aliases)})$"}},
            "required": ["name"],
        }
        rules.append({"if": condition, "then": _arguments(called)})
    by_name = {
        "anyOf": [{"enum": list(names(family)), "enumDescriptions": texts}, {"type": "string", "pattern": "[>$]"}],
        "description": "Keras's name; package>Class for a class of a plugin.",
    }
    written_out = {"type": "object", "properties": {"name": by_name}, "required": ["name"], "allOf": rules}
    return {"anyOf": [*by_name["anyOf"], written_out]}


def _arguments(known: Signature) -> Schema:
    optional = {name: _ARGUMENTS.get(name) or keras_argument(default) for name, default in known.optional.items()}
    required = {name: _ARGUMENTS.get(name, {}) for name in known.required}
    return {
        "properties": {"name": True, **required, **optional},
        "required": list(known.required),
        "additionalProperties": False,
    }
