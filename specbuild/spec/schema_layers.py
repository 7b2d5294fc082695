"""JSON Schema of layers: one definition for each kind, found by the value of `layer`."""

from __future__ import annotations

import inspect
from typing import Any, TypeAlias

from specbuild.catalog import KINDS, Bidirectional, Layer, Recurrent
from specbuild.catalog.signatures import Signature, keras_version, names, signature
from specbuild.spec.schema_values import VARIABLE, keras_argument, model_schema, with_variables

Schema: TypeAlias = dict[str, Any]

WRAPPERS = ("TimeDistributed", "Bidirectional")
"""Keras layers that have a form of their own in the language."""
NOT_LAYERS = ("Input", "InputLayer", "InputSpec", "Layer", "Wrapper", "RNN", "StackedRNNCells", "Lambda")
"""Names in keras.layers that a spec cannot say: base classes, and what takes a function or a cell."""

ID: Schema = {
    "description": "Name of the node, and of the Keras layer. Other nodes read it by this name.",
    "type": "string",
    "anyOf": [{"pattern": "^[A-Za-z_][A-Za-z0-9_-]*$"}, {"pattern": "\\$"}],
}
REFERENCE: Schema = {
    "description": "The id of a node or input, or a port of it: enc1, enc1.sequence, enc1.last, enc1.state.h.",
    "type": "string",
    "anyOf": [{"pattern": r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_.]*)?$"}, {"pattern": "\\$"}],
}
LENGTHS: Schema = with_variables(
    {
        "description": "The shape that must come out, without the batch axis; null fits any length.",
        "type": "array",
        "items": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
    }
)
FROM: Schema = {
    "description": "What the node reads: an id, a port, or a list of them. Default: the node before.",
    "anyOf": [{"$ref": "#/definitions/reference"}, {"type": "array", "items": {"$ref": "#/definitions/reference"}}],
}
STATE: Schema = {
    "description": "Where the recurrence starts: a node whose whole state is taken over, or each tensor by name. "
    "Default: zero.",
    "anyOf": [
        {"$ref": "#/definitions/reference"},
        {"type": "object", "additionalProperties": {"$ref": "#/definitions/reference"}},
    ],
}
COMMON: Schema = {
    "id": {"$ref": "#/definitions/id"},
    "from": {"$ref": "#/definitions/from"},
    "expect": {"$ref": "#/definitions/expect"},
}
"""What a node of any form says about itself."""
RECURRENT: Schema = {**COMMON, "initial_state": {"$ref": "#/definitions/initial_state"}}
"""What a recurrent node says about itself."""


def layer_definitions() -> Schema:
    """`layer`, which picks a kind by its name, and every kind under `layer:<name>`."""
    definitions: Schema = {"id": ID, "reference": REFERENCE, "from": FROM, "expect": LENGTHS, "initial_state": STATE}
    kinds = {name: _kind(cls, definitions) for name, cls in KINDS.items()}
    kinds |= {name: _other(name, known) for name, known in other_layers().items()}
    definitions |= {f"layer:{name}": schema for name, schema in kinds.items()}
    definitions["layer"] = _by_name({name: schema["description"] for name, schema in kinds.items()})
    return definitions


def other_layers() -> dict[str, Signature]:
    """The layers of Keras that have no rule of their own here, by name."""
    left_out = {*KINDS, *WRAPPERS, *NOT_LAYERS}
    found = {name: signature("layers", name) for name in names("layers") if name not in left_out}
    return {name: known for name, known in found.items() if known is not None}


def without_place() -> Schema:
    """A layer inside another node, which says itself what is read: it takes an id and arguments alone."""
    return {
        "allOf": [{"$ref": "#/definitions/layer"}],
        "properties": dict.fromkeys(("from", "expect", "initial_state"), False),
    }


def defaults_schema() -> Schema:
    """The `defaults:` section: arguments by kind."""
    own = dict.fromkeys(("layer", *RECURRENT), False)
    kinds = (*KINDS, *other_layers())
    return {
        "description": "Arguments by layer kind, laid under those that a node writes itself.",
        "type": "object",
        "properties": {
            name: {"type": "object", "allOf": [{"$ref": f"#/definitions/layer:{name}"}], "properties": own}
            for name in kinds
        },
        "additionalProperties": False,
    }


def having(key: str) -> Schema:
    """The condition that a mapping has a key. Anything else, such as nothing yet, does not meet it."""
    return {"type": "object", "required": [key]}


def bidirectional_arguments(definitions: Schema) -> Schema:
    """What stands beside `bidirectional:`."""
    properties = model_schema(Bidirectional, definitions)["properties"]
    return {name: schema for name, schema in properties.items() if name != "layer"}


def sentence(cls: type[Layer]) -> str:
    """What a kind is, in the first paragraph of its docstring."""
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def _kind(cls: type[Layer], definitions: Schema) -> Schema:
    schema = model_schema(cls, definitions)
    required = schema.get("required", ())
    properties = {name: _explained(value, name in required) for name, value in schema["properties"].items()}
    own = RECURRENT if issubclass(cls, Recurrent) else COMMON
    return {
        "description": sentence(cls),
        "type": "object",
        "properties": {"layer": True, **own, **properties},
        "additionalProperties": False,
    }


def _explained(schema: Schema, required: bool) -> Schema:
    """The argument with its default in words. `defaults:` may give a required one, so no node has to write it."""
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


def _other(name: str, known: Signature) -> Schema:
    optional = {argument: keras_argument(default) for argument, default in known.optional.items()}
    required: Schema = {argument: {"description": "Required, here or under defaults."} for argument in known.required}
    return {
        "description": f"keras.layers.{name} of Keras {keras_version()}; Keras itself works out its shape.",
        "type": "object",
        "properties": {"layer": True, **COMMON, **required, **optional},
        "additionalProperties": False,
    }


def _by_name(kinds: dict[str, str]) -> Schema:
    names_of_kinds = {"enum": list(kinds), "enumDescriptions": list(kinds.values())}
    return {
        "type": "object",
        "properties": {
            "layer": {
                "description": "A Keras layer by its name, one of specbuild's own, or package>Class of a plugin.",
                "anyOf": [names_of_kinds, {"type": "string", "pattern": ">"}, VARIABLE],
            }
        },
        "required": ["layer"],
        "allOf": [
            {
                # An editor takes a const that only begins like the value for a match; a pattern says what it means.
                "if": {**having("layer"), "properties": {"layer": {"pattern": f"^{name}$"}}},
                "then": {"$ref": f"#/definitions/layer:{name}"},
            }
            for name in kinds
        ],
    }
