"""The section `tune` as a JSON Schema: its options, and under every path the values to try."""

from __future__ import annotations

from specbuild.language.schema_values import Schema, model_schema
from specbuild.language.sections.tune import RANGES, TuneSection

PATH = r"^[^.]+\..+$"
"""A key that is a path has a dot; no option has one."""


def tune_schema(definitions: Schema) -> Schema:
    """Return the schema of the section; what it shares goes into `definitions`."""
    options = model_schema(TuneSection, definitions)
    ranges = [{"$ref": f"#/definitions/{cls.__name__}"} for cls in RANGES.values()]
    for cls in RANGES.values():
        definitions[cls.__name__] = {**model_schema(cls, definitions), "description": cls.__doc__}
    choices: Schema = {"type": "array", "minItems": 2, "uniqueItems": True, "description": "Values to choose among."}
    paths: Schema = {
        "description": "Values to try for the value of the spec at this path: choices or a range.",
        "anyOf": [choices, *ranges, {"$ref": "#/definitions/variable"}],
    }
    return {**options, "patternProperties": {PATH: paths}, "additionalProperties": False}
