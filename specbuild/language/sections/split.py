"""Which frames, events or files train, validate and test a model."""

from itertools import combinations
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from specbuild.catalog.values import NonNegativeInt, Share, Text, Whole, check_length, refuse, written
from specbuild.language.dates import Dates, dates, looks_like_date, whole_of
from specbuild.language.sections.base import Section

NumberRange: TypeAlias = tuple[int, int]
Names: TypeAlias = tuple[str, ...]
MOST = 100_000
"""Files that can be named."""
_TOLERANCE = 1e-9
_EXPECTED = "a share from 0 to 1 or a range [first, end]"


def _part(value: Any) -> float | NumberRange | Names | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value) or None
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) and item for item in value):
        check_length(value, MOST)
        return tuple(value)
    if not isinstance(value, list | tuple) or len(value) != 2:
        refuse("split", f"expected {_EXPECTED}, got {written(value)}")
    if any(isinstance(item, str) for item in value):
        refuse("split", f'expected two dates or two whole numbers, got {written(value)}; a year alone is "2010"')
    first, end = (Whole(0).read(item, f"{_EXPECTED} of whole numbers") for item in value)
    if first >= end:
        refuse("split", f"the range [{first}, {end}] is empty: it ends before its second number")
    return first, end


def _training_part(value: Any) -> float | NumberRange | Names:
    part = _part(value)
    if part is None:
        refuse("split", f"training needs a share above 0 or a range [first, end], got {written(value)}")
    return part


_Range: TypeAlias = tuple[NonNegativeInt, NonNegativeInt]
_Names: TypeAlias = Annotated[tuple[Annotated[str, Text()], ...], Field(min_length=1, max_length=MOST)]
SplitPart: TypeAlias = Annotated[Share | _Range | _Names, BeforeValidator(_training_part)]
OptionalSplitPart: TypeAlias = Annotated[Share | _Range | _Names | None, BeforeValidator(_part)]
"""A share of what there is; the range [first, end] of numbers of frames, events or files, the end excluded; the first
and the last date, both included; or, with `by: file`, names of files or patterns of names."""


class SplitSection(Section):
    """Shares are assigned in the order train, validation, test; ranges may come in any order but must not overlap."""

    elsewhere: ClassVar[dict[str, str]] = dict.fromkeys(("val", "valid", "dev"), "write validation")

    train: SplitPart = Field(0.6, description="Share or range to train on; statistics are computed from it alone.")
    validation: OptionalSplitPart = Field(None, description="Share or range that decides when to stop training.")
    test: OptionalSplitPart = Field(None, description="Share or range used only for the final scores.")
    by: Literal["time", "event", "file"] | None = Field(
        None,
        description="What is split: the frames of each event (time), whole events, or whole files. Default: event if "
        "the layout has N or each file is an event, else time.",
    )
    embargo: NonNegativeInt | None = Field(
        None,
        description="Unused frames between splits. Default and minimum: (past + lead + future - 1) * step.",
    )

    @property
    def parts(self) -> dict[str, float | NumberRange | Names]:
        """The splits that were asked for, in the order train, validation, test."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def ranges(self) -> dict[str, NumberRange]:
        """The splits that are ranges of numbers."""
        return {
            name: (part[0], part[1])
            for name, part in self.parts.items()
            if isinstance(part, tuple) and isinstance(part[0], int) and isinstance(part[1], int)
        }

    @property
    def dates(self) -> dict[str, Dates]:
        """The splits that go from date to date."""
        return {} if self.by == "file" else {name: (part[0], part[1]) for name, part in self._texts.items()}

    @property
    def names(self) -> dict[str, Names]:
        """The splits that name files."""
        return self._texts if self.by == "file" else {}

    @property
    def _texts(self) -> dict[str, Names]:
        return {
            name: tuple(str(text) for text in part)
            for name, part in self.parts.items()
            if isinstance(part, tuple) and isinstance(part[0], str)
        }

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_kinds(self.parts)
        shares = [part for part in self.parts.values() if isinstance(part, float)]
        if sum(shares) > 1 + _TOLERANCE:
            listed = " + ".join(f"{part:g}" for part in shares)
            refuse("split", f"the shares sum to {sum(shares):g} ({listed}), more than there is")
        if self.by != "file":
            for name, texts in self._texts.items():
                _check_dates(name, texts)
            if self.dates and self.by == "event":
                refuse("split", "dates split the frames in time; write by: time, or name events by their numbers")
        lists = {name: list(part) for name, part in self.parts.items() if isinstance(part, tuple)}
        if lists.get("validation") is not None and lists.get("validation") == lists.get("test"):
            refuse(
                "split",
                f"validation and test are the same range {written(lists['test'])}; "
                "what chooses when to stop cannot also give the final scores",
            )
        periods = {name: (whole_of(first)[0], whole_of(last)[1]) for name, (first, last) in self.dates.items()}
        bounds: tuple[tuple[dict[str, Any], str], ...] = ((self.ranges, "frames"), (periods, "dates"))
        for ranges, unit in bounds:
            for (name, (start, end)), (other, (other_start, other_end)) in combinations(ranges.items(), 2):
                if max(start, other_start) < min(end, other_end):
                    refuse("split", f"{name} {written(lists[name])} and {other} {written(lists[other])} share {unit}")
        return self


def _check_kinds(parts: dict[str, float | NumberRange | Names]) -> None:
    kinds = {name: _kind(part) for name, part in parts.items()}
    first = next(iter(kinds))
    for other, kind in kinds.items():
        if kind != kinds[first]:
            share, rest = (first, other) if kinds[first] == "share" else (other, first)
            if "share" in (kind, kinds[first]):
                refuse("split", f"shares and ranges do not mix: {share} is a share, {rest} a range")
            refuse("split", f"numbers and names do not mix: {first} has {kinds[first]}s, {other} has {kind}s")


def _kind(part: float | NumberRange | Names) -> str:
    if isinstance(part, float):
        return "share"
    return "number" if isinstance(part[0], int) else "name"


def _check_dates(split: str, texts: Names) -> None:
    if len(texts) != 2 or not all(map(looks_like_date, texts)):
        refuse(
            "split",
            f"{split}: expected two dates such as [2010-01, 2017-12], got {written(list(texts))}; "
            "names of files need by: file",
        )
    dates(texts)
