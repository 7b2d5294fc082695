"""Base classes of the sections of a spec."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from specbuild.catalog.values import Name, Value, refuse, written
from specbuild.document import did_you_mean


@dataclass(frozen=True, slots=True)
class OnResume:
    """What a change of a key means to a run that is resumed, as a mark in the key's `Annotated` type."""

    effect: str = ""
    """What the change does; empty: it is refused."""
    reason: str = ""
    """Why it is refused; where `effect` is given as well, only if what `kept` returns would change."""
    kept: Callable[[Any], object] | None = None
    """The part of the value that cannot change."""
    between_epochs: bool = False
    """Whether the position within an epoch depends on the key, so that it can change only between two."""

    @classmethod
    def of(cls, field: FieldInfo) -> "OnResume | None":
        """Return the mark of a field."""
        return next((mark for mark in field.metadata if isinstance(mark, cls)), None)

    def allows(self, before: Any, after: Any) -> bool:
        """Return whether a run may be resumed with another value."""
        return bool(self.effect) and (self.kept is None or self.kept(before) == self.kept(after))


class Section(BaseModel):
    """A mapping of a spec whose keys are declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    elsewhere: ClassVar[dict[str, str]] = {}
    """Keys that a user may try here, and what to write instead."""
    unmarked: ClassVar[OnResume | None] = None
    """What a change of a key without a mark means to a run that is resumed; None: sections are changed key by key."""


@dataclass(frozen=True, slots=True)
class ChangedKey:
    """A key that has another value in one spec than in another: `train.epochs`, 3, 5."""

    path: str
    before: Any
    after: Any
    mark: OnResume


def changed_keys(before: Section, after: Section, path: str) -> Iterator[ChangedKey]:
    """Yield the keys of a section at `path` whose values differ, in the order of their declaration."""
    for name, field in type(before).model_fields.items():
        old, new, place = getattr(before, name), getattr(after, name), f"{path}.{name}"
        if old == new:
            continue
        mark = OnResume.of(field) or before.unmarked
        if mark is not None:
            yield ChangedKey(place, old, new, mark)
        elif isinstance(old, Section) and isinstance(new, Section):
            yield from changed_keys(old, new, place)
        else:
            raise AssertionError(f"{place} does not say what a change means to a run that is resumed")


class Short:
    """The JSON Schema of a section, or of one of several, that may be written as one word instead."""

    def __init__(self, word: str) -> None:
        self.word = word

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        schema = handler(core)
        return {"anyOf": [{"const": self.word}, *(schema.get("oneOf") or [schema])]}


class Named(Value):
    """A part by its name alone or with its arguments: `log1p`, `{name: clip, min: 0}`.

    `kinds` are the sections by name, `noun` what they are, and `words` an example of each form. `meant` says what to
    write instead of names that other libraries have.
    """

    def __init__(
        self, noun: str, words: str, kinds: Mapping[str, type[Section]], meant: Mapping[str, str] | None = None
    ) -> None:
        self.noun, self.words, self.kinds, self.meant = noun, words, kinds, meant or {}

    def read(self, value: Any, expected: str = "") -> Section:
        if isinstance(value, Section):
            return value
        arguments = {"name": value} if isinstance(value, str) else value
        if not isinstance(arguments, dict) or not isinstance(arguments.get("name"), str):
            raise self.mismatch(value, expected)
        if (instead := self.meant.get(arguments["name"])) is not None:
            refuse("unknown_name", f"no {self.noun} is called {written(arguments['name'])}; write {instead}")
        name = Name(self.noun, self.kinds).read(arguments["name"])
        section = self.kinds[name]
        known = [key for key in section.model_fields if key != "name"]
        for key in arguments:
            if key not in section.model_fields:
                hint = did_you_mean(str(key), known) or f"it has {', '.join(known)}"
                refuse("argument", f"{name} has no argument {written(key)}; {hint}")
        return section.model_validate(arguments)

    def schema(self) -> dict[str, Any]:
        schemas = [kind.model_json_schema() for kind in self.kinds.values()]
        required = [{**schema, "required": ["name", *schema.get("required", ())]} for schema in schemas]
        return {"anyOf": [{"enum": list(self.kinds)}, *required]}
