"""JSON Schema of nodes: what an item of `layers:` may be, form by form.

A form is told by its key, so the schema asks for one key after the other: an editor then completes and checks a node
as the one form that it is, instead of trying them all. What a form holds is said by its class.
"""

from __future__ import annotations

from specbuild.catalog.application import application_kind
from specbuild.catalog.signatures import names
from specbuild.language.forms import COMMON, FORMS, form_of
from specbuild.language.forms.autoregressive import Feedback
from specbuild.language.forms.blocks import Block
from specbuild.language.forms.encoder_decoder.form import EncoderDecoder
from specbuild.language.forms.keys import Keys
from specbuild.language.forms.recurrent_step import Cell
from specbuild.language.schema_layers import having, sentence, without_null, without_place
from specbuild.language.schema_values import VARIABLE, Schema, model_schema
from specbuild.language.sections.inputs import InputSection


def form_definitions(definitions: Schema) -> Schema:
    """Return `nodes`, `node`, every form under `node:<key>`, and what forms are made of."""
    forms = {key: keys_schema(form_of(key), definitions) for key in FORMS}
    forms["layer"] = {"$ref": "#/definitions/layer"}
    forms["application"]["properties"] |= _application_arguments(definitions)
    wrapped = {key: _without_place(forms[key]) for key in ("application", "time_distributed", "bidirectional")}
    return {
        "nodes": {
            "if": {"type": "string"},
            "then": VARIABLE,
            "else": {"type": "array", "items": {"$ref": "#/definitions/node"}},
        },
        "node": _one_of_the_forms(),
        **{f"node:{key}": schema for key, schema in forms.items()},
        "layer inside": without_place(),
        "frame layer": _frame_layer(wrapped),
        "both ways": {
            "if": having("recurrent"),
            "then": {"properties": {"recurrent": {"$ref": "#/definitions/recurrent cell"}}},
            "else": {"$ref": "#/definitions/layer inside"},
        },
        "network": {
            "description": "The name of a network.",
            "anyOf": [{"enum": list(names("applications"))}, VARIABLE],
        },
        "encoder decoder": keys_schema(EncoderDecoder, definitions),
        "feedback": keys_schema(Feedback, definitions),
        "recurrent cell": keys_schema(Cell, definitions),
        "declared block": keys_schema(Block, definitions),
        "input": _input(definitions),
    }


def keys_schema(cls: type[Keys], definitions: Schema) -> Schema:
    """Return the schema of a class of keys: its fields, and the arguments of the layer that stand among them."""
    schema = model_schema(cls, definitions)
    own = {name: value for name, value in schema["properties"].items() if name not in cls.UNOFFERED}
    for name, value in own.items():
        own[name] = {"$ref": f"#/definitions/{name}"} if name in COMMON else without_null(value)
    layer = cls.arguments()
    taken = model_schema(layer, definitions) if layer is not None else {"properties": {}}
    hidden = {"layer", *cls.UNOFFERED}
    return {
        **schema,
        "description": sentence(cls),
        "properties": own | {name: value for name, value in taken["properties"].items() if name not in hidden},
        "required": [*schema["required"], *(name for name in taken.get("required", ()) if name != "layer")],
    }


def _one_of_the_forms() -> Schema:
    """The first form whose key is there; without any, the keys to choose from."""
    schema: Schema = {
        "properties": {key: {"description": sentence(form_of(key))} for key in FORMS},
        "anyOf": [{"required": [key]} for key in FORMS],
    }
    for key in reversed([*FORMS]):
        schema = {"if": having(key), "then": {"$ref": f"#/definitions/node:{key}"}, "else": schema}
    return {"type": "object", **schema}


def _application_arguments(definitions: Schema) -> Schema:
    """Every argument of any network: Keras knows which of them takes which."""
    arguments: Schema = {}
    for name in names("applications"):
        cls = application_kind(name)
        assert cls is not None
        arguments |= model_schema(cls, definitions)["properties"]
    return arguments


def _without_place(form: Schema) -> Schema:
    """A form inside another node, which says itself what is read."""
    own = {name: value for name, value in form["properties"].items() if name == "id" or name not in COMMON}
    return {**form, "properties": own}


def _frame_layer(wrapped: Schema) -> Schema:
    """What may stand on every frame: a layer, a wrapper or a network without a place of its own, or another node."""
    schema: Schema = {"$ref": "#/definitions/layer inside"}
    choices = {key: {"$ref": f"#/definitions/node:{key}"} for key in FORMS if key != "layer"} | wrapped
    for key, choice in choices.items():
        schema = {"if": having(key), "then": choice, "else": schema}
    return {"type": "object", **schema}


def _input(definitions: Schema) -> Schema:
    section = model_schema(InputSection, definitions)
    return {"description": section["description"], "anyOf": [section["properties"]["shape"], section]}
