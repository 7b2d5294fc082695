"""JSON Schema of layers: a definition for each kind, selected by the value of `layer`."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from specbuild.catalog import Layer, Recurrent
from specbuild.catalog.registry import kind_named, kind_names
from specbuild.catalog.signatures import signature
from specbuild.language import references
from specbuild.language.forms import COMMON
from specbuild.language.forms.base import PlainForm
from specbuild.language.schema_values import VARIABLE, Schema, model_schema, whole

REFERENCE: Schema = {
    "description": "The id of a node or input, or a port of it: enc1, enc1.sequence, enc1.last, enc1.state.h.",
    "type": "string",
    "anyOf": [{"pattern": whole(references.REFERENCE)}, {"pattern": "\\$"}],
}
RECURRENT: Schema = {name: {"$ref": f"#/definitions/{name}"} for name in COMMON}
"""What a recurrent node says about itself."""
PLACE: Schema = {name: schema for name, schema in RECURRENT.items() if name != "initial_state"}
"""What a node of any form says about itself."""


def layer_definitions() -> Schema:
    """`layer`, which picks a kind by its name, and every kind under `layer:<name>`."""
    definitions: Schema = {"reference": REFERENCE}
    place = model_schema(PlainForm, definitions)["properties"]
    definitions |= {name: without_null(place[name]) for name in COMMON}
    kinds = {name: cls for name in kind_names() if (cls := kind_named(name)) is not None}
    for cls in dict.fromkeys(kinds.values()):
        definitions[f"layer:{cls.__name__}"] = _kind(cls, definitions)
    definitions["layer"] = _by_name(kinds)
    return definitions


def without_place() -> Schema:
    """Return the schema of a layer inside another node, which takes only an id and arguments."""
    return {
        "allOf": [{"$ref": "#/definitions/layer"}],
        "properties": dict.fromkeys((name for name in COMMON if name != "id"), False),
    }


def defaults_schema() -> Schema:
    """Return the schema of the `defaults:` section: arguments by kind."""
    own = dict.fromkeys(("layer", *RECURRENT), False)
    kinds = {name: cls.__name__ for name in kind_names() if (cls := kind_named(name)) is not None}
    return {
        "type": "object",
        "properties": {
            name: {"type": "object", "allOf": [{"$ref": f"#/definitions/layer:{kind}"}], "properties": own}
            for name, kind in kinds.items()
        },
        "additionalProperties": False,
    }


def having(key: str) -> Schema:
    """Return the condition that a mapping has a key. Anything else, such as nothing yet, does not meet it."""
    return {"type": "object", "required": [key]}


def without_null(schema: Schema) -> Schema:
    """Return the schema of a key without its default where that is to leave the key out."""
    return {key: value for key, value in schema.items() if key != "default" or value is not None}


def sentence(cls: type[BaseModel]) -> str:
    """What a kind is, in the first paragraph of its docstring."""
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def _kind(cls: type[Layer], definitions: Schema) -> Schema:
    schema = model_schema(cls, definitions)
    required = [name for name in schema.get("required", ()) if name != "layer"]
    known = signature("layers", cls.__name__)
    required = sorted(required, key=(known.required if known is not None else tuple(required)).index)
    ordered = sorted(schema["properties"].items(), key=lambda item: item[0] not in required)
    properties = {name: _explained(value, name in required) for name, value in ordered}
    own = RECURRENT if issubclass(cls, Recurrent) else PLACE
    return {
        "description": sentence(cls),
        "type": "object",
        "properties": {"layer": True, **properties, **own},
        "additionalProperties": False,
        **_snippet(required),
    }


def _snippet(required: Sequence[str]) -> Schema:
    """Return what an editor offers first in a node: the arguments that its layer must have, one below the other."""
    if not required:
        return {}
    body = {name: f"${{{number}}}" for number, name in enumerate(required, start=1)}
    return {
        "defaultSnippets": [
            {
                "label": ", ".join(required),
                "description": "The required arguments, unless defaults gives them.",
                "sortText": " ",
                "body": body,
            }
        ]
    }


def _explained(schema: Schema, required: bool) -> Schema:
    """Return the argument with its default in words. A node may omit a required one, which `defaults:` may give."""
    text = schema.get("description", "")
    if required:
        text += " Required, here or under defaults."
    elif schema.get("default") is not None:
        text += f" Default: {_written(schema['default'])}."
    return {**schema, "description": text}


def _written(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list | tuple):
        return f"[{', '.join(map(_written, default))}]"
    return str(default)


def _by_name(kinds: dict[str, type[Layer]]) -> Schema:
    """Return a layer as the kind of its name; Keras has several names for some."""
    names: dict[str, list[str]] = {}
    for name, cls in kinds.items():
        names.setdefault(cls.__name__, []).append(name)
    known = {"enum": list(kinds), "enumDescriptions": [sentence(cls) for cls in kinds.values()]}
    return {
        "type": "object",
        "properties": {
            "layer": {
                "description": "A Keras layer by its name, one of specbuild's own, or package>Class of a plugin.",
                "anyOf": [known, {"type": "string", "pattern": ">"}, VARIABLE],
            }
        },
        "required": ["layer"],
        "allOf": [
            {
                # Editors match a const by its beginning; a pattern matches the whole value.
                "if": {**having("layer"), "properties": {"layer": {"pattern": f"^({'|'.join(alike)})$"}}},
                "then": {"$ref": f"#/definitions/layer:{kind}"},
            }
            for kind, alike in names.items()
        ],
    }
