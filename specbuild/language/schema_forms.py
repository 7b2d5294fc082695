"""JSON Schema of nodes: what an item of `layers:` may be, form by form.

A form is told by its key, so the schema asks for one key after the other: an editor then completes and checks a node
as the one form that it is, instead of trying them all.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from specbuild.catalog.application import application_kind
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.catalog.signatures import names
from specbuild.language.forms.blocks import TYPES
from specbuild.language.schema_layers import COMMON, RECURRENT, bidirectional_arguments, having, without_place
from specbuild.language.schema_values import VARIABLE, model_schema, with_variables
from specbuild.language.sections.inputs import InputSection

Schema: TypeAlias = dict[str, Any]

FORMS: dict[str, str] = {
    "layer": "A layer: {layer: Conv3D, filters: 16, …}.",
    "application": "A published image network of keras.applications: {application: MobileNetV2, until: …}.",
    "time_distributed": "A layer, or a list of layers, on every frame: {time_distributed: {layer: Conv2D, …}}.",
    "bidirectional": "A recurrent layer in both directions of time: {bidirectional: {layer: ConvLSTM2D, …}}.",
    "repeat": "The same nodes several times over: {repeat: 3, do: […]}.",
    "for": "The same nodes for each value of a variable: {for: {f: [32, 64]}, do: […]}.",
    "branch": "Parallel paths and the layer that joins them: {branch: {a: […], b: […]}, merge: Concatenate}.",
    "residual": "Nodes with a path around them, which is added to what they give: {residual: […]}.",
    "block": "A block that is declared under blocks: {block: stem, with: {f: 32}}.",
    "model": "The layers of another spec: {model: encoder.yaml, vars: {filters: 64}}.",
    "encoder_decoder": "Levels that read and levels that forecast from their states: "
    "{encoder_decoder: {encoder: […], horizon: 10}}.",
    "autoregressive": "Nodes run over the frames given and then on their own output, one frame at a time: "
    "{autoregressive: {do: […], horizon: 10}}.",
    "reuse": "A node above once more, with the same weights: {reuse: encoder, from: other}.",
}
"""What each form of node is, by the key that marks it."""

_NODES = {"$ref": "#/definitions/nodes"}
_MERGE = {"$ref": "#/definitions/merge"}
_COUNT = with_variables({"type": "integer", "minimum": 0})
_FLAG = with_variables({"type": "boolean"})
_TRAINABLE = {"trainable": {"description": "Whether training changes the weights of everything inside.", **_FLAG}}
_NAME = {"type": "string", "pattern": r"^[A-Za-z_]\w*$"}


def form_definitions(definitions: Schema) -> Schema:
    """`nodes`, `node`, every form under `node:<key>`, and what forms are made of."""
    forms = {f"node:{key}": schema for key, schema in _forms(definitions).items()}
    return {
        "nodes": {"type": "array", "items": {"$ref": "#/definitions/node"}},
        "node": _one_of_the_forms(),
        **forms,
        "layer inside": without_place(),
        "frame layer": _frame_layer(),
        "merge": _merge(),
        "declared block": _declared_block(),
        "input": _input(definitions),
    }


def _one_of_the_forms() -> Schema:
    """The first form whose key is there; without any, the keys to choose from."""
    schema: Schema = {
        "properties": {key: {"description": text} for key, text in FORMS.items()},
        "anyOf": [{"required": [key]} for key in FORMS],
    }
    for key in reversed(FORMS):
        schema = {"if": having(key), "then": {"$ref": f"#/definitions/node:{key}"}, "else": schema}
    return {"type": "object", **schema}


def _forms(definitions: Schema) -> Schema:
    wrapped = {"description": FORMS["bidirectional"], "allOf": [{"$ref": "#/definitions/layer inside"}]}
    both_ways = {"bidirectional": wrapped, **bidirectional_arguments(definitions)}
    definitions["both ways"] = _closed("bidirectional", {"id": COMMON["id"], **both_ways})
    one = {"$ref": "#/definitions/frame layer"}
    on_frames = {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]}
    counter = {"description": "Variable that counts the rounds, from 1.", **_NAME}
    values = {
        "description": "Variables and the values that they take in turn; several go in step.",
        "type": "object",
        "propertyNames": _NAME,
        "minProperties": 1,
        "additionalProperties": {"anyOf": [{"type": "array"}, VARIABLE]},
    }
    paths = {
        "description": "Paths by name; an empty one passes its input on.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": _NODES,
    }
    around = {"description": "What the path around goes through; default: nothing.", "allOf": [_NODES]}
    named = {"description": "Name of a block that is declared under blocks.", "type": "string"}
    given = {"description": "Values of the block's parameters.", "type": "object"}
    file = {"description": "Path of the spec, relative to this file.", "type": "string"}
    changed = {"description": "Variables of that spec to change.", "type": "object"}
    again = {"description": FORMS["reuse"], "type": "string"}
    count = {"description": "How many times.", **_COUNT}
    return {
        "layer": {"$ref": "#/definitions/layer"},
        "application": _application(definitions),
        "time_distributed": _closed("time_distributed", {**RECURRENT, "time_distributed": on_frames}),
        "bidirectional": _closed("bidirectional", {**RECURRENT, **both_ways}),
        "repeat": _composite("repeat", {"repeat": count, "as": counter, "do": _NODES}, "do"),
        "for": _composite("for", {"for": values, "do": _NODES}, "do"),
        "branch": _composite("branch", {"branch": paths, "merge": _MERGE}),
        "residual": _composite("residual", {"residual": _NODES, "shortcut": around, "merge": _MERGE}),
        "block": _composite("block", {"block": named, "with": given}),
        "model": _composite("model", {"model": file, "vars": changed}),
        "encoder_decoder": _composite("encoder_decoder", {"encoder_decoder": _encoder_decoder()}),
        "autoregressive": _composite("autoregressive", {"autoregressive": _autoregressive(definitions)}),
        "reuse": _closed("reuse", {**RECURRENT, "reuse": again}),
    }


def _closed(key: str, properties: Schema, *required: str) -> Schema:
    return {
        "description": FORMS[key],
        "type": "object",
        "properties": properties,
        "required": [key, *required],
        "additionalProperties": False,
    }


def _composite(key: str, properties: Schema, *required: str) -> Schema:
    """A form that holds nodes."""
    return _closed(key, {**COMMON, **_TRAINABLE, **properties}, *required)


def _application(definitions: Schema) -> Schema:
    """Every argument of any network: Keras knows which of them takes which."""
    arguments: Schema = {}
    for name in names("applications"):
        cls = application_kind(name)
        assert cls is not None
        arguments |= model_schema(cls, definitions)["properties"]
    network = {
        "description": "A network of keras.applications.",
        "anyOf": [{"enum": list(names("applications"))}, VARIABLE],
    }
    return _closed("application", {**COMMON, "application": network, **arguments})


def _frame_layer() -> Schema:
    """What may stand on every frame: a layer, or again a wrapper."""
    again = _closed("time_distributed", {"id": COMMON["id"], "time_distributed": {"$ref": "#/definitions/frame layer"}})
    return {
        "type": "object",
        "if": having("time_distributed"),
        "then": again,
        "else": {
            "if": having("bidirectional"),
            "then": {"$ref": "#/definitions/both ways"},
            "else": {
                "if": having("application"),
                "then": {"$ref": "#/definitions/node:application"},
                "else": {"$ref": "#/definitions/layer inside"},
            },
        },
    }


def _autoregressive(definitions: Schema) -> Schema:
    schema = model_schema(Autoregressive, definitions)
    do = {
        "description": "Nodes that carry states; they give frames of the shape of those they read.",
        "allOf": [_NODES],
    }
    own = {name: one for name, one in schema["properties"].items() if name != "trainable"}
    return {
        "description": FORMS["autoregressive"],
        "type": "object",
        "properties": {"do": do, **own},
        "required": ["do", *schema["required"]],
        "additionalProperties": False,
    }


def _encoder_decoder() -> Schema:
    node = {"$ref": "#/definitions/reference"}
    repeated = {"type": "object", "properties": {"repeat": node}, "required": ["repeat"], "additionalProperties": False}
    length = with_variables({"type": "integer", "minimum": 1})
    pairs = {"type": "object", "additionalProperties": {"anyOf": [node, {"type": "null"}]}}
    orders = {"enum": ["mirrored", "in_order", "none"]}
    return {
        "description": FORMS["encoder_decoder"],
        "type": "object",
        "properties": {
            "encoder": {"description": "Nodes; every recurrent one among them is a level.", "allOf": [_NODES]},
            "decoder": {
                "description": "Nodes; every recurrent one takes a state. Default: the mirror image of the encoder.",
                "anyOf": [_NODES, {"const": "mirrored"}, VARIABLE],
            },
            "feed": {
                "description": "What each step of the decoder reads: nothing (none), the encoder's last output (last), "
                "the last frame that the encoder read (last_frame), one frame of another node (repeat), or a sequence.",
                "anyOf": [node, repeated],
                "default": "none",
            },
            "horizon": {"description": "How many frames the decoder gives; not with a sequence.", **length},
            "states": {
                "description": "Which level of the decoder starts from which of the encoder: in reverse order, in the "
                "same order, or by id.",
                "anyOf": [orders, pairs, VARIABLE],
                "default": "mirrored",
            },
            "head": {"description": "Nodes after the decoder.", "allOf": [_NODES]},
            "head_input": {
                "description": "What the head reads: the end of the decoder, or all its levels, joined along channels.",
                "anyOf": [{"enum": ["end", "all"]}, VARIABLE],
                "default": "end",
            },
            "remat": {
                "description": "Whether the backward pass computes the steps of every level anew, which takes time and "
                "saves memory.",
                "default": False,
                **_FLAG,
            },
        },
        "required": ["encoder"],
        "additionalProperties": False,
    }


def _merge() -> Schema:
    return {
        "description": "The layer that joins the paths: its name, or {layer: Concatenate, …}.",
        "anyOf": [{"type": "string"}, {"$ref": "#/definitions/layer inside"}],
    }


def _declared_block() -> Schema:
    types = list(TYPES)
    typed = {
        "type": "object",
        "properties": {"type": {"enum": types}, "default": {}},
        "additionalProperties": False,
    }
    ways = f"a type ({', '.join(types)}), a default, or {{type: …, default: …}}"
    return {
        "type": "object",
        "properties": {
            "parameters": {
                "description": f"Parameters by name: {ways}.",
                "type": "object",
                "propertyNames": _NAME,
                "additionalProperties": {"anyOf": [{"not": {"type": "object"}}, typed]},
            },
            "inputs": {
                "description": "Names of what the block reads, where it reads several; input stands for all of it.",
                "type": "array",
                "items": {"type": "string"},
            },
            "do": {"description": "The nodes of the block.", "allOf": [_NODES]},
            "output": {
                "description": "What the block gives: ids or ports, or names for them. Default: its last node.",
                "anyOf": [
                    {"$ref": "#/definitions/from"},
                    {"type": "object", "additionalProperties": {"$ref": "#/definitions/reference"}},
                ],
            },
        },
        "required": ["do"],
        "additionalProperties": False,
    }


def _input(definitions: Schema) -> Schema:
    section = model_schema(InputSection, definitions)
    return {"description": section["description"], "anyOf": [section["properties"]["shape"], section]}
