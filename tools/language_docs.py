"""Check the generated tables of `docs/language.md`, or write them: the keys of a spec and of its sections.

python tools/language_docs.py            exit code 1 and a diff if a table is not what the language says
python tools/language_docs.py --write    write the tables

A table stands between `<!-- name -->` and `<!-- /name -->`, under a name of `TABLES`.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from specbuild.catalog import Layer
from specbuild.catalog.objects import KerasObject
from specbuild.catalog.values import Choice, Value, written
from specbuild.language.declarations import EXTENDING, KEYS
from specbuild.language.forms import COMMON, FORMS, form_of
from specbuild.language.forms.autoregressive import Feedback
from specbuild.language.forms.base import PlainForm
from specbuild.language.forms.blocks import Block
from specbuild.language.forms.encoder_decoder.form import EncoderDecoder
from specbuild.language.forms.keys import Keys
from specbuild.language.forms.recurrent_step import Cell
from specbuild.language.schema_layers import sentence
from specbuild.language.sections.augment import AugmentSection
from specbuild.language.sections.base import OnResume
from specbuild.language.sections.coarsen import CoarsenSection
from specbuild.language.sections.data import DataSection, WindowsSection
from specbuild.language.sections.evaluate import EvaluateSection, ForecastFile
from specbuild.language.sections.feeds import FEEDS
from specbuild.language.sections.generator import GENERATORS, GeneratorSection
from specbuild.language.sections.loggers import MLflow, Wandb
from specbuild.language.sections.name_time import NameTime
from specbuild.language.sections.outputs import OutputSection
from specbuild.language.sections.source import SourceSection
from specbuild.language.sections.split import SplitSection
from specbuild.language.sections.target import ClassTarget
from specbuild.language.sections.train import Checkpoints, DeviceGrid, EarlyStopping, TrainSection
from specbuild.language.sections.transform import TRANSFORMS, TransformSection
from specbuild.language.sections.tune import TuneSection

PAGE = Path(__file__).parent.parent / "docs" / "language.md"


def keys() -> Iterator[str]:
    """Yield the table of the keys of a spec."""
    yield from _table(("key", "meaning"), [(f"`{key}`", text) for key, text in {**KEYS, **EXTENDING}.items()])


def section(cls: type[BaseModel], base: type[BaseModel] | None = None) -> Iterator[str]:
    """Yield the table of the keys of a section, without those of `base`."""
    rows = []
    for name, field in cls.model_fields.items():
        if name not in (base.model_fields if base else ()) and not _is_internal(field):
            rows.append((f"`{field.alias or name}`", words(field), _default(field), field.description or ""))
    yield from _table(("key", "value", "default", "meaning"), rows)


def transforms() -> Iterator[str]:
    """Yield the table of the transforms and their keys."""
    rows = []
    for name, cls in TRANSFORMS.items():
        own = {key: field for key, field in cls.model_fields.items() if key not in TransformSection.model_fields}
        arguments = [f"`{key}` ({_default(field)}): {field.description}" for key, field in own.items()]
        rows.append((f"`{name}`", sentence(cls), " ".join(arguments)))
    yield from _table(("step", "what it does", "keys (default)"), rows)


def forms() -> Iterator[str]:
    """Yield the table of the forms of node and the keys that each has besides those that all have."""
    rows = []
    for key in FORMS:
        cls = form_of(key)
        own = {field.alias or name: field for name, field in cls.model_fields.items()}
        layer = cls.arguments()
        own |= {name: field for name, field in (layer.model_fields if layer else {}).items() if name not in COMMON}
        shown = {name: field for name, field in own.items() if name not in (*COMMON, "layer", "trainable", "dtype")}
        keys = [f"`{name}`: {field.description}" for name, field in {key: own[key], **shown}.items()]
        rows.append((f"`{key}`", sentence(cls).partition(": {")[0].rstrip(".") + ".", " ".join(keys)))
    yield from _table(("form", "what it is", "keys"), rows)


def keys_of(cls: type[Keys]) -> Iterator[str]:
    """Yield the table of the keys of a mapping inside a node, with the arguments of its layer."""
    own, layer = section(cls), cls.arguments()
    return own if layer is None else chain(own, islice(section(layer, Layer), 2, None))


def on_resume() -> Iterator[str]:
    """Yield the table of what a change of each key means to a run that is resumed."""
    rows: dict[OnResume, list[str]] = {}
    for path, cls in (("train", TrainSection), ("data", DataSection)):
        for name, field in cls.model_fields.items():
            if mark := OnResume.of(field):
                rows.setdefault(mark, []).append(f"`{path}.{name}`")
        if cls.unmarked is not None:
            rows[cls.unmarked] = [f"the other keys of `{path}`"]
    for mark, keys in rows.items():
        refused = f"refused: {mark.reason}"
        said = "; otherwise ".join([*([mark.effect] if mark.effect else []), *([refused] if mark.reason else [])])
        rows[mark] = [", ".join(keys), said]
    yield from _table(("key", "another value on resume"), [(cells[0], cells[1]) for cells in rows.values()])


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "keys": keys,
    "node": lambda: section(PlainForm),
    "forms": forms,
    "block": lambda: keys_of(Block),
    "encoder_decoder": lambda: keys_of(EncoderDecoder),
    "autoregressive": lambda: keys_of(Feedback),
    "recurrent": lambda: keys_of(Cell),
    "data": lambda: section(DataSection),
    "data.source": lambda: section(SourceSection),
    "data.source.time": lambda: section(NameTime),
    "data.source.coarsen": lambda: section(CoarsenSection),
    "data.source.generator": lambda: section(GeneratorSection),
    **{f"data.source.{name}": lambda cls=cls: section(cls, GeneratorSection) for name, cls in GENERATORS.items()},
    "data.windows": lambda: section(WindowsSection),
    "data.split": lambda: section(SplitSection),
    "data.transform": transforms,
    **{f"data.inputs.{key}": lambda cls=cls: section(cls) for key, cls in FEEDS.items() if key != "frames"},
    "data.targets": lambda: section(OutputSection),
    "data.augment": lambda: section(AugmentSection),
    "data.target": lambda: section(ClassTarget),
    "train": lambda: section(TrainSection),
    "resume": on_resume,
    "train.early_stopping": lambda: section(EarlyStopping),
    "train.checkpoints": lambda: section(Checkpoints),
    "train.loggers.mlflow": lambda: section(MLflow),
    "train.loggers.wandb": lambda: section(Wandb),
    "train.devices": lambda: section(DeviceGrid),
    "evaluate": lambda: section(EvaluateSection),
    "evaluate.forecasts": lambda: section(ForecastFile),
    "tune": lambda: section(TuneSection),
}


def page(text: str) -> str:
    """Return the page with every table as the language says it."""
    for name, table in TABLES.items():
        marks = re.compile(rf"(?<=<!-- {re.escape(name)} -->\n).*?(?=<!-- /{re.escape(name)} -->)", re.S)
        if not marks.search(text):
            raise ValueError(f"docs/language.md has no <!-- {name} --> … <!-- /{name} -->")
        content = "\n" + "\n".join(table()) + "\n\n"
        text = marks.sub(lambda _, content=content: content, text)
    return text


def words(field: FieldInfo) -> str:
    """Return what a value has to be, in words: `positive whole number`."""
    return re.sub(r"^(an?|the) ", "", _words(field.annotation, field.metadata))


def _words(annotation: Any, metadata: Any = ()) -> str:
    value = next((item for item in metadata if isinstance(item, Value)), None)
    if isinstance(value, Choice) and not value.choices:
        value = Choice(*get_args(annotation))
    if isinstance(value, Choice):
        return _choices(value.choices)
    if value is not None:
        return value.words
    if hasattr(annotation, "__metadata__"):
        return _words(annotation.__origin__, annotation.__metadata__)
    if get_origin(annotation) is Literal:
        return _choices(get_args(annotation))
    if get_origin(annotation) is dict:
        return "mapping"
    if get_origin(annotation) is tuple:
        return "list"
    if get_args(annotation):
        kinds = dict.fromkeys(_words(part) for part in get_args(annotation) if part is not NoneType)
        return ", or ".join(kinds)
    return _TYPES.get(annotation, "mapping")


_TYPES = {str: "text", bool: "true or false", float: "number", int: "whole number"}


def _choices(choices: tuple[Any, ...]) -> str:
    return ", ".join(f"`{choice if isinstance(choice, str) else written(choice)}`" for choice in choices)


def _is_internal(field: FieldInfo) -> bool:
    """Tell whether pydantic leaves the field out of the JSON Schema: no key of its own."""
    return any(type(item).__name__ == "SkipJsonSchema" for item in field.metadata)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        given = [f"{key}: {value}" for key, value in default if key in default.model_fields_set]
        return f"`{{{', '.join(given)}}}`" if given else "its defaults"
    if isinstance(default, KerasObject):
        default = default.name
    if (isinstance(default, dict | tuple | list) and not default) or default == "":
        return "none"
    return f"`{default if isinstance(default, str) else written(default)}`"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def main() -> int:
    text = PAGE.read_text("utf-8")
    fresh = page(text)
    if "--write" in sys.argv:
        PAGE.write_text(fresh, "utf-8")
        return 0
    sys.stdout.writelines(
        difflib.unified_diff(text.splitlines(True), fresh.splitlines(True), "docs/language.md", "now")
    )
    return int(text != fresh)


if __name__ == "__main__":
    sys.exit(main())
