"""Lengths of time as a spec writes them: `2 min`, `1 h`, `1 month`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from specbuild.catalog.values import refuse, written
from specbuild.document import did_you_mean

SECONDS: dict[str, float | None] = {"s": 1, "min": 60, "h": 3600, "d": 86400, "month": None, "year": None}
"""Each unit in seconds; None where its length varies."""
_MEAN_DAYS = {"month": 30.4, "year": 365.2}
"""Days of the units whose length varies. These are words, not symbols, and have a plural."""
_PLURALS = {f"{unit}s": unit for unit in _MEAN_DAYS}

_MEANT = {
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
}
"""Other names of units, too far from them to be suggested as misspellings."""
_WRITTEN = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([^\W\d]+)\s*")


@dataclass(frozen=True, slots=True)
class Interval:
    """The time between two frames."""

    count: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read `2 min`, `1 month` or `3 months`.

        Raises:
            PydanticCustomError: the text is not a positive number followed by a unit.
        """
        match = _WRITTEN.fullmatch(text)
        if match is None or float(match[1]) <= 0:
            refuse("interval", f"expected a number and a unit such as 2 min or 1 h, got {written(text)}")
        count, unit = float(match[1]), _PLURALS.get(match[2], match[2])
        if unit not in SECONDS:
            meant = _MEANT.get(unit.lower())
            near = f'did you mean "{meant}"?' if meant else did_you_mean(unit, SECONDS)
            hint = near or f"known are {', '.join(SECONDS)}"
            refuse("interval", f"{written(unit)} is not a unit of time; {hint}")
        return cls(count, unit)

    @classmethod
    def of(cls, seconds: int) -> Interval:
        """Return so many seconds in the largest unit of fixed length that divides them."""
        fixed = {unit: int(size) for unit, size in SECONDS.items() if size is not None}
        unit = next(unit for unit in reversed(fixed) if seconds % fixed[unit] == 0)
        return cls(seconds // fixed[unit], unit)

    @property
    def seconds(self) -> float | None:
        """Length in seconds, None for months and years."""
        unit = SECONDS[self.unit]
        return None if unit is None else self.count * unit

    @property
    def mean_seconds(self) -> float:
        """Length in seconds, for months and years that of a mean one."""
        return self.count * (SECONDS[self.unit] or _MEAN_DAYS[self.unit] * 86400)

    def times(self, frames: int) -> str:
        """Return how long `frames` intervals take: `30 min`, `12 months`."""
        count = self.count * frames
        plural = "s" if self.unit in _MEAN_DAYS and abs(count) != 1 else ""
        return f"{count:.15g} {self.unit}{plural}"


def interval(value: Any) -> str:
    """Return the value of a spec as the text of an interval, or raise the error that a user reads."""
    if not isinstance(value, str):
        refuse("interval", f"expected a number and a unit such as 2 min or 1 h, got {written(value)}")
    parsed = Interval.parse(value)
    return parsed.times(1)
