"""Which frames, or which events, train, validate and test a model."""

from collections.abc import Callable
from itertools import combinations
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from specbuild.catalog.checks import LARGEST, refuse, whole, written
from specbuild.catalog.fields import NonNegativeInt

Span: TypeAlias = tuple[int, int]
SPLITS = ("train", "validation", "test")
_TOLERANCE = 1e-9
_EXPECTED = "a share from 0 to 1 or a range [first, end]"


def _part(value: Any) -> float | Span | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value) or None
    if not isinstance(value, list | tuple) or len(value) != 2:
        refuse("split", f"expected {_EXPECTED}, got {written(value)}")
    first, end = (whole(item, f"{_EXPECTED} of whole numbers", 0) for item in value)
    if first >= end:
        refuse("split", f"the range [{first}, {end}] is empty: it ends before its second number")
    return first, end


def _required(check: Callable[[Any], float | Span | None]) -> Callable[[Any], float | Span]:
    def checked(value: Any) -> float | Span:
        part = check(value)
        if part is None:
            refuse("split", f"training needs a share above 0 or a range [first, end], got {written(value)}")
        return part

    return checked


_INDEX = {"type": "integer", "minimum": 0, "maximum": LARGEST}
_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "array", "items": _INDEX, "minItems": 2, "maxItems": 2},
    ]
}
Part: TypeAlias = Annotated[float | Span, PlainValidator(_required(_part)), WithJsonSchema(_SCHEMA)]
OptionalPart: TypeAlias = Annotated[
    float | Span | None, PlainValidator(_part), WithJsonSchema({"anyOf": [*_SCHEMA["anyOf"], {"type": "null"}]})
]
"""A share of what there is, or the range [first, end] of frame (or event) numbers, the end excluded."""


class SplitSection(BaseModel):
    """Shares are laid out in the order train, validation, test; ranges may stand in any order, but never overlap."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    train: Part = Field(0.6, description="Share or range of frames to learn from; statistics come from these alone.")
    validation: OptionalPart = Field(None, description="Share or range of frames that choose when to stop.")
    test: OptionalPart = Field(None, description="Share or range of frames that nothing but the final scores sees.")
    by: Literal["time", "event"] | None = Field(
        None,
        description="What is split: each event's frames, or whole events. Default: event where the layout names N.",
    )
    embargo: NonNegativeInt | None = Field(
        None,
        description="Frames between splits that lie in no split. Default and least: (past + lead + future - 1) * step.",
    )

    @property
    def parts(self) -> dict[str, float | Span]:
        """The splits that were asked for, in the order train, validation, test."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in found.items() if part is not None}

    @property
    def ranges(self) -> dict[str, Span]:
        """The splits that are ranges."""
        return {name: part for name, part in self.parts.items() if isinstance(part, tuple)}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ranges = self.ranges
        shares = {name: part for name, part in self.parts.items() if isinstance(part, float)}
        if ranges and shares:
            share, other = next(iter(shares)), next(iter(ranges))
            refuse("split", f"shares and ranges do not mix: {share} is a share, {other} a range")
        if sum(shares.values()) > 1 + _TOLERANCE:
            listed = " + ".join(f"{part:g}" for part in shares.values())
            refuse("split", f"the shares sum to {sum(shares.values()):g} ({listed}), more than there is")
        if ranges.get("validation") is not None and ranges.get("validation") == ranges.get("test"):
            refuse(
                "split",
                f"validation and test are the same range {list(ranges['test'])}; "
                "what chooses when to stop cannot also give the final scores",
            )
        for (one, a), (other, b) in combinations(ranges.items(), 2):
            if max(a[0], b[0]) < min(a[1], b[1]):
                refuse("split", f"{one} {list(a)} and {other} {list(b)} share frames")
        return self
