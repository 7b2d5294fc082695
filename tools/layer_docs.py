"""Check `docs/layers.md`, or write it from the catalog: every layer kind with its arguments and defaults.

python tools/layer_docs.py            exit code 1 and a diff if the page is not what the catalog says
python tools/layer_docs.py --write    write the page
"""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from specbuild.catalog import KINDS, Bidirectional, Layer, Recurrent, TimeDistributed
from specbuild.catalog.objects import FAMILY
from specbuild.catalog.recurrent import PlainCell
from specbuild.catalog.registry import MODULES, kind_named, kind_names
from specbuild.language.schema_layers import sentence
from specbuild.language.schema_values import Schema, SchemaGenerator

PAGE = Path(__file__).parent.parent / "docs" / "layers.md"

HEAD = """\
# Layers

<!-- Written by tools/layer_docs.py from the classes in specbuild/catalog; change it there. -->

What `layer:` can name. Names, arguments and defaults are Keras's own. Shapes leave out the batch axis: T is time, H and
W are height and width, C the channels. Layers over one, two and three axes share a section: its shapes have height and
width, and stand for one axis or three alike. "For each axis" is one for the 1D layer, two for the 2D layer, and so on.
"""
_OBJECTS = {
    "activations": "activation",
    "constraints": "constraint",
    "initializers": "initializer",
    "regularizers": "regularizer",
}
_ARROW = re.compile(r"`\([^`]*\)`(?:, `\([^`]*\)`)* → `[^`]*`(?:, or `[^`]*`| for `[^`]*`| with `[^`]*`)*")


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *_shared(), *_modules(), *_wrappers(), *_others()]).rstrip() + "\n"


class Row(NamedTuple):
    """An argument in a table; `kinds` are those of a family that have it, where not all do."""

    name: str
    value: str
    default: str
    text: str
    kinds: tuple[str, ...] = ()

    def __str__(self) -> str:
        only = f" ({', '.join(self.kinds)})" if self.kinds else ""
        text = self.text.replace("|", "\\|")
        return f"| `{self.name}` | {self.value} | {self.default} | {text}{only} |"


def _shared() -> Iterator[str]:
    yield "Every layer takes, besides its own arguments:\n"
    yield from _table(_rows(Layer))
    yield "Every recurrent layer takes also:\n"
    yield from _table(row for row in _rows(Recurrent) if row not in _rows(Layer))
    yield "And every one but the wrapper `bidirectional`, unless its own table says otherwise:\n"
    yield from _table(row for row in _rows(PlainCell) if row not in _rows(Recurrent))


def _modules() -> Iterator[str]:
    for module, kinds in MODULES.items():
        yield f"## {_heading(module)}\n"
        families: dict[str, list[type[Layer]]] = {}
        for kind in kinds.split():
            families.setdefault(re.sub(r"\dD", "", kind), []).append(KINDS[kind])
        tables = {name: _family(family) for name, family in families.items()}
        common = [row for row in next(iter(tables.values())) if all(row in table for table in tables.values())]
        if len(tables) == 1 or len(common) < 3:
            common = []
        if common:
            yield "All of them take:\n"
            yield from _table(common)
        for name, family in families.items():
            yield f"### {', '.join(cls.__name__ for cls in family)}\n"
            yield from _section(family, [row for row in tables[name] if row not in common])


def _heading(module: str) -> str:
    """Return what a module of the catalog describes: its docstring up to the first colon or full stop."""
    text = import_module(f"specbuild.catalog.{module}").__doc__ or module
    return re.split(r"[:.]", text, maxsplit=1)[0]


def _wrappers() -> Iterator[str]:
    yield "## Wrappers\n"
    yield "They have forms of their own: `time_distributed: {layer: …}` and `bidirectional: {layer: …}`.\n"
    for cls in (TimeDistributed, Bidirectional):
        yield f"### {cls.__name__}\n"
        yield from _section([cls], _family([cls]))


def _others() -> Iterator[str]:
    """Yield the layers resolved through Keras, and Keras's aliases for some of the layers above."""
    kinds = {name: cls for name in kind_names() if (cls := kind_named(name)) is not None and name not in KINDS}
    yield "## The rest of Keras\n"
    yield "Named in the same way, under Keras's argument names. Keras is loaded to work out their shapes and weights.\n"
    yield ", ".join(name for name, cls in kinds.items() if cls.__name__ == name) + "\n"
    yield "Keras has second names for some layers; they mean the same here.\n"
    yield ", ".join(f"{name} ({cls.__name__})" for name, cls in kinds.items() if cls.__name__ != name) + "\n"


def _section(family: list[type[Layer]], rows: list[Row]) -> Iterator[str]:
    """Yield what the layers of a family are, their shapes and ports, and a table of their arguments."""
    if len(family) == 1:
        yield sentence(family[0]) + "\n"
    else:
        yield "\n".join(f"- `{cls.__name__}`: {sentence(cls)}" for cls in family) + "\n"
    cls = family[0]
    rule = shape_rule(cls)
    facts = [f"Shape: {rule}"] if rule and rule not in sentence(cls) else []
    if issubclass(cls, Recurrent):
        states = [f"`state.{name}`" for name in cls.documented_states or getattr(cls, "state_names", ())]
        facts.append(f"Ports: `sequence` (every step), `last` (the last step), {', '.join(states)}")
    if cls.arity == "many":
        facts.append(f"Inputs: {'one' if cls.joins_one else 'two'} or more, `from: [a, b]`")
    if facts:
        yield "\n".join(f"- {fact}" for fact in facts) + "\n"
    yield from _table(rows)


def shape_rule(cls: type[Layer]) -> str:
    """Return the shape rule in the docstring of the class, or of the nearest class that it extends."""
    for base in cls.__mro__[: cls.__mro__.index(Layer)]:
        if rule := _ARROW.search(" ".join((inspect.cleandoc(base.__doc__ or "")).split())):
            return rule[0]
    return ""


def _family(family: list[type[Layer]]) -> list[Row]:
    """Return the arguments of several layers that differ in the number of axes, required ones first.

    What every recurrent layer takes, or every layer, is left out.
    """
    known = [*_rows(PlainCell), *_rows(Recurrent)] if issubclass(family[0], Recurrent) else _rows(Layer)
    rows: dict[Row, list[str]] = {}
    for cls in family:
        for row in _rows(cls, getattr(cls, "spatial", 0) if len(family) > 1 else 0):
            rows.setdefault(row, []).append(cls.__name__)
    own = [
        row._replace(kinds=() if len(kinds) == len(family) else tuple(kinds))
        for row, kinds in rows.items()
        if row not in known
    ]
    names = {name: at for at, name in enumerate(dict.fromkeys(row.name for row in own))}
    return sorted(own, key=lambda row: (row.default != "required", names[row.name]))


def _rows(cls: type[Layer], axes: int = 0) -> list[Row]:
    """Return the arguments of a layer; `axes` are those that a list has an entry for, in a family of layers."""
    schema = cls.model_json_schema(schema_generator=SchemaGenerator)
    rows = []
    for name, value in schema["properties"].items():
        if name != "layer":
            text = re.sub(rf"list of {axes}\b", "one for each axis", words(value))
            rows.append(Row(name, text, _default(name, value, schema), value.get("description", "")))
    return rows


def _table(rows: Iterable[Row]) -> Iterator[str]:
    if lines := list(map(str, rows)):
        yield "\n".join(["| argument | value | default | |", "|---|---|---|---|", *lines]) + "\n"


def _default(name: str, value: Schema, schema: Schema) -> str:
    if name in schema.get("required", ()):
        return "required"
    default = value.get("default")
    if default is None:
        return "null"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def words(schema: Schema) -> str:
    """Return what a value has to be, in words: `positive whole number, or a list of 2`."""
    if FAMILY in schema:
        return _OBJECTS[schema[FAMILY]]
    if "anyOf" in schema:
        parts = [words(option) for option in schema["anyOf"]]
        return ", or ".join(dict.fromkeys(parts))
    if "enum" in schema:
        return ", ".join(f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in schema["enum"])
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
