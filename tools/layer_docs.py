"""Checks `docs/layers.md`, or writes it anew from the catalogue: every layer kind with its arguments and defaults.

python tools/layer_docs.py            exit code 1 and a diff if the page is not what the catalogue says
python tools/layer_docs.py --write    write the page
"""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from specbuild.catalog import KINDS, Bidirectional, Layer, Recurrent, TimeDistributed
from specbuild.catalog.objects import FAMILY
from specbuild.catalog.registry import kind_named, kind_names
from specbuild.language.schema_layers import sentence
from specbuild.language.schema_values import Schema, SchemaGenerator

PAGE = Path(__file__).parent.parent / "docs" / "layers.md"

HEAD = """\
# Layers

<!-- Written by tools/layer_docs.py from the classes in specbuild/catalog; change it there. -->

What `layer:` can name. Names, arguments and defaults are Keras's own. Shapes leave out the batch axis: T is time, H and
W are height and width, C the channels. A shape rule with height and width holds alike for one axis or three.
"""
GROUPS = {
    "conv_lstm": "ConvLSTM: recurrent layers over frames",
    "conv_gru": "ConvGRU: recurrent layers over frames",
    "st_lstm": "ST-LSTM: the recurrence of PredRNN",
    "traj_gru": "TrajGRU: a recurrence along learned paths",
    "recurrent": "Recurrent layers over vectors",
    "convolution": "Convolutions",
    "pooling": "Pooling",
    "core": "Dense layers and markers",
    "activation": "Activations",
    "normalization": "Normalization",
    "regularization": "Dropout, noise and penalties",
    "reshaping": "Reshaping",
    "merging": "Merging",
    "frames": "Frames",
    "plumbing": "Selecting, stacking and rearranging",
    "arithmetic": "Arithmetic",
}
"""Headings of the page by the module that describes the kinds; a module that is not here is headed by its name."""
_STATES = {"Bidirectional": ("forward_…", "backward_…"), "STLSTM2D": ("h1", "c1", "…", "m")}
"""The states of kinds whose arguments decide which there are."""
_OBJECTS = {
    "activations": "activation",
    "constraints": "constraint",
    "initializers": "initializer",
    "regularizers": "regularizer",
}
_ARROW = re.compile(r"`\([^`]*\)`(?:, `\([^`]*\)`)* → `[^`]*`(?:, or `[^`]*`| for `[^`]*`| with `[^`]*`)*")


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_shared(), *_kinds(), *_wrappers(), *_others()]).rstrip() + "\n"


def _shared() -> Iterator[str]:
    yield "Every layer takes, besides its own arguments:\n"
    yield from _table(Layer, {})
    yield "Every recurrent layer takes also:\n"
    yield from _table(Recurrent, Layer.model_fields)


def _kinds() -> Iterator[str]:
    heading = ""
    for name, cls in KINDS.items():
        module = cls.__module__.rpartition(".")[2]
        if module != heading:
            heading = module
            yield f"## {GROUPS.get(module, module.replace('_', ' ').capitalize())}\n"
        yield f"### {name}\n"
        yield from _kind(cls)


def _wrappers() -> Iterator[str]:
    yield "## Wrappers\n"
    yield "They have forms of their own: `time_distributed: {layer: …}` and `bidirectional: {layer: …}`.\n"
    for cls in (TimeDistributed, Bidirectional):
        yield f"### {cls.__name__}\n"
        yield from _kind(cls)


def _others() -> Iterator[str]:
    """Layers that Keras is asked about, and the further names that Keras has for some of those above."""
    kinds = {name: cls for name in kind_names() if (cls := kind_named(name)) is not None and name not in KINDS}
    yield "## The rest of Keras\n"
    yield "Named in the same way, under Keras's argument names. Keras is loaded to work out their shapes and weights.\n"
    yield ", ".join(name for name, cls in kinds.items() if cls.__name__ == name) + "\n"
    yield "Keras has second names for some layers; they mean the same here.\n"
    yield ", ".join(f"{name} ({cls.__name__})" for name, cls in kinds.items() if cls.__name__ != name) + "\n"


def _kind(cls: type[Layer]) -> Iterator[str]:
    yield sentence(cls) + "\n"
    rule = shape_rule(cls)
    facts = [f"Shape: {rule}"] if rule and rule not in sentence(cls) else []
    if issubclass(cls, Recurrent):
        names = _STATES.get(cls.__name__) or getattr(cls, "state_names", ())
        states = [f"`state.{name}`" for name in names]
        facts.append(f"Ports: `sequence` (every step), `last` (the last step), {', '.join(states)}")
    if cls.arity == "many":
        facts.append("Inputs: two or more, `from: [a, b]`")
    if facts:
        yield "\n".join(f"- {fact}" for fact in facts) + "\n"
    yield from _table(cls, Recurrent.model_fields if issubclass(cls, Recurrent) else Layer.model_fields)


def shape_rule(cls: type[Layer]) -> str:
    """The shape rule in the docstring of the class, or of the nearest class that it extends."""
    for one in cls.__mro__[: cls.__mro__.index(Layer)]:
        if found := _ARROW.search(" ".join((inspect.cleandoc(one.__doc__ or "")).split())):
            return found[0]
    return ""


def _table(cls: type[Layer], leave_out: Any) -> Iterator[str]:
    schema = cls.model_json_schema(schema_generator=SchemaGenerator)
    required = schema.get("required", ())
    own = {name: one for name, one in schema["properties"].items() if name not in leave_out and name != "layer"}
    rows = [
        f"| `{name}` | {words(one)} | {_default(name, one, schema)} | {_cell(one.get('description', ''))} |"
        for name, one in sorted(own.items(), key=lambda item: item[0] not in required)
    ]
    if rows:
        yield "\n".join(["| argument | value | default | |", "|---|---|---|---|", *rows]) + "\n"


def _default(name: str, one: Schema, schema: Schema) -> str:
    if name in schema.get("required", ()):
        return "required"
    value = one.get("default")
    if value is None:
        return "null"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def words(schema: Schema) -> str:
    """What a value has to be, in words: `positive whole number, or a list of 2`."""
    if FAMILY in schema:
        return _OBJECTS[schema[FAMILY]]
    if "anyOf" in schema:
        parts = [words(one) for one in schema["anyOf"]]
        return ", or ".join(dict.fromkeys(parts))
    if "enum" in schema:
        return ", ".join(f"`{str(one).lower() if isinstance(one, bool) else one}`" for one in schema["enum"])
    return _WORDS.get(schema.get("type", ""), lambda _: "any value")(schema)


def _integer(schema: Schema) -> str:
    return {1: "positive whole number", 0: "whole number of at least 0"}.get(
        schema.get("minimum", None), "whole number"
    )


def _number(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum", schema.get("exclusiveMaximum"))
    if high is not None:
        return f"number from {low} to {'below ' if 'exclusiveMaximum' in schema else ''}{high}"
    if "exclusiveMinimum" in schema:
        return f"number above {schema['exclusiveMinimum']}"
    return "number" if low is None else f"number of at least {low}"


def _array(schema: Schema) -> str:
    low, high = schema.get("minItems"), schema.get("maxItems")
    return f"list of {low}" if low is not None and low == high else "list"


_WORDS = {
    "boolean": lambda _: "true, false",
    "integer": _integer,
    "number": _number,
    "array": _array,
    "string": lambda _: "text",
    "null": lambda _: "null",
    "object": lambda _: "mapping",
}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    now = page()
    if "--write" in sys.argv:
        PAGE.write_text(now, "utf-8")
        return 0
    written = PAGE.read_text("utf-8") if PAGE.exists() else ""
    sys.stdout.writelines(difflib.unified_diff(written.splitlines(True), now.splitlines(True), "docs/layers.md", "now"))
    return int(written != now)


if __name__ == "__main__":
    sys.exit(main())
