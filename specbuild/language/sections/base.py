"""Base classes of the sections of a spec."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from specbuild.catalog.values import Name, Value, refuse, written
from specbuild.document import did_you_mean


class Section(BaseModel):
    """A mapping of a spec whose keys are declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Named(Value):
    """A part by its name alone or with its arguments: `log1p`, `{name: clip, min: 0}`.

    `kinds` are the sections by name, `noun` what they are, and `words` an example of each form.
    """

    def __init__(self, noun: str, words: str, kinds: Mapping[str, type[Section]]) -> None:
        self.noun, self.words, self.kinds = noun, words, kinds

    def read(self, value: Any, expected: str = "") -> Section:
        if isinstance(value, Section):
            return value
        arguments = {"name": value} if isinstance(value, str) else value
        if not isinstance(arguments, dict) or not isinstance(arguments.get("name"), str):
            raise self.mismatch(value, expected)
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
