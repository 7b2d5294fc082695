"""The language as a JSON Schema, for editors: what may be written where, with its description and default.

It is draft-07, the dialect that editors' YAML servers support best. What a schema cannot say (shapes, references,
variables that exist, arguments that `defaults:` must give) is left to `specbuild check`.
"""

from __future__ import annotations

from specbuild.language.allow import SCHEMA as ALLOW_SCHEMA
from specbuild.language.declarations import EXTENDING, KEYS, VERSION
from specbuild.language.references import ID
from specbuild.language.schema_forms import form_definitions
from specbuild.language.schema_layers import defaults_schema, layer_definitions
from specbuild.language.schema_tuning import tune_schema
from specbuild.language.schema_values import Schema, families, model_schema, whole
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.evaluate import EvaluateSection
from specbuild.language.sections.train import TrainSection
from specbuild.language.variables import NAME


def json_schema() -> Schema:
    """Return the schema of a whole spec, as JSON-able values."""
    definitions: Schema = {
        "variable": {
            # Without a description: an editor shows that of the key, which says more.
            "$comment": "A variable, or arithmetic on variables: $filters * 2.",
            "type": "string",
            "pattern": "\\$",
        },
        **families(),
        **layer_definitions(),
    }
    definitions |= form_definitions(definitions)
    values = _values(definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "specbuild",
        "description": "A recurrent-convolutional model: its inputs, layers, data and training.",
        "type": "object",
        "properties": {key: {**values[key], "description": text} for key, text in {**KEYS, **EXTENDING}.items()},
        "additionalProperties": False,
        "if": {"required": ["extends"]},
        "else": {"required": ["specbuild", "inputs", "layers"]},
        "definitions": definitions,
    }


def _values(definitions: Schema) -> Schema:
    """Return what each key of a spec may hold."""
    reference: Schema = {"$ref": "#/definitions/reference"}
    variables = {"type": ["number", "string", "boolean", "array", "null"]}
    return {
        "specbuild": {"const": VERSION, "default": VERSION},
        "extends": {"type": "string"},
        "set": {"type": "object"},
        "name": {"type": ["string", "number"]},
        "description": {"type": "string"},
        "vars": {"type": "object", "propertyNames": {"pattern": whole(NAME)}, "additionalProperties": variables},
        "defaults": defaults_schema(),
        "blocks": {
            "type": "object",
            "propertyNames": {"$ref": "#/definitions/id"},
            "additionalProperties": {"$ref": "#/definitions/declared block"},
        },
        "inputs": {
            "type": "object",
            "propertyNames": {"pattern": whole(ID)},
            "minProperties": 1,
            "additionalProperties": {"$ref": "#/definitions/input"},
        },
        "layers": {"allOf": [{"$ref": "#/definitions/nodes"}]},
        "outputs": {
            "anyOf": [
                reference,
                {"type": "array", "minItems": 1, "items": reference},
                {"type": "object", "additionalProperties": reference},
            ],
        },
        "data": model_schema(DataSection, definitions),
        "train": model_schema(TrainSection, definitions),
        "evaluate": model_schema(EvaluateSection, definitions),
        "tune": tune_schema(definitions),
        "allow": ALLOW_SCHEMA,
    }
