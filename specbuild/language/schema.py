"""The language as a JSON Schema, for editors: what may be written where, with its description and default.

It is draft-07, the dialect that editors' YAML servers support best. What a schema cannot say (shapes, references,
variables that exist, arguments that `defaults:` must give) is left to `specbuild check`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from specbuild.language.schema_forms import form_definitions
from specbuild.language.schema_layers import defaults_schema, layer_definitions
from specbuild.language.schema_values import families, model_schema
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.evaluate import EvaluateSection
from specbuild.language.sections.train import TrainSection

Schema: TypeAlias = dict[str, Any]


def json_schema() -> Schema:
    """The schema of a whole spec, as JSON-able values."""
    definitions: Schema = {
        "variable": {
            "description": "A variable, or arithmetic on variables: $filters * 2.",
            "type": "string",
            "pattern": "\\$",
        },
        **families(),
        **layer_definitions(),
    }
    definitions |= form_definitions(definitions)
    properties = _properties(definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "specbuild",
        "description": "A recurrent-convolutional model: its inputs, layers, data and training.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "if": {"required": ["extends"]},
        "else": {"required": ["specbuild", "inputs", "layers"]},
        "definitions": definitions,
    }


def _properties(definitions: Schema) -> Schema:
    return {
        "specbuild": {"description": "Version of the language. Required.", "const": 1, "default": 1},
        "extends": {
            "description": "A spec that this one changes: mappings are merged, lists replaced. Relative to this file.",
            "type": "string",
        },
        "set": {
            "description": "Values of the extended spec to change, by path: layers.enc1.kernel_size: 5.",
            "type": "object",
        },
        "name": {"description": "Name of the model; default: the file's name.", "type": ["string", "number"]},
        "description": {"description": "What the model is, for people.", "type": "string"},
        "vars": {
            "description": "Values by name, read anywhere as $name; they may refer to each other.",
            "type": "object",
            "propertyNames": {"pattern": r"^[A-Za-z_]\w*$"},
            "additionalProperties": {"type": ["number", "string", "boolean", "array", "null"]},
        },
        "defaults": defaults_schema(),
        "blocks": {
            "description": "Groups of nodes by name, with parameters, to be used as {block: name, with: {…}}.",
            "type": "object",
            "propertyNames": {"$ref": "#/definitions/id"},
            "additionalProperties": {"$ref": "#/definitions/declared block"},
        },
        "inputs": {
            "description": "What the model reads, by id: a shape without the batch axis, or {shape, dtype, batch}.",
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_-]*$"},
            "minProperties": 1,
            "additionalProperties": {"$ref": "#/definitions/input"},
        },
        "layers": {
            "description": "The nodes of the model, in the order they run.",
            "allOf": [{"$ref": "#/definitions/nodes"}],
        },
        "outputs": {
            "description": "What the model gives: ids or ports, or names for them. Default: the last node.",
            "anyOf": [
                {"$ref": "#/definitions/reference"},
                {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/reference"}},
                {"type": "object", "additionalProperties": {"$ref": "#/definitions/reference"}},
            ],
        },
        "data": model_schema(DataSection, definitions),
        "train": model_schema(TrainSection, definitions),
        "evaluate": model_schema(EvaluateSection, definitions),
    }
