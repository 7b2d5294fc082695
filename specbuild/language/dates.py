"""Dates as a spec writes them: `2010`, `2010-01`, `2010-01-31`, `2010-01-31T06`, `2010-01-31T06:30:00`."""

from __future__ import annotations

import re
from calendar import month_name, monthrange
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from specbuild.catalog.values import Value, refuse, written

Dates: TypeAlias = tuple[str, str]
"""From the first to the last date, as written, both meant as a whole."""

EXPECTED = "a date such as 2010, 2010-01, 2010-01-31 or 2010-01-31T06:30"
_WRITTEN = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d))?)?Z?)?)?)?")
_LEAST = {4: timedelta(hours=1), 5: timedelta(minutes=1), 6: timedelta(seconds=1)}
"""How long a date is, by how many of its parts are written."""


def looks_like_date(value: Any) -> bool:
    """Tell whether a value has the form of a date, even of one that no calendar has."""
    return isinstance(value, str) and _WRITTEN.fullmatch(value.strip()) is not None


def whole_of(text: str) -> tuple[datetime, datetime]:
    """Return the period of a date, from its start to the start of the next: `2010-01` is all of January.

    Raises:
        PydanticCustomError: it is not a date, or there is no such day.
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        refuse("date", f"expected {EXPECTED}, got {written(text)}")
    parts = [int(part) for part in match.groups() if part is not None]
    _check(text, parts)
    start = datetime(*[*parts, 1, 1][: max(3, len(parts))])  # type: ignore[arg-type]
    year, month = start.year, start.month
    if len(parts) == 1:
        return start, _first(year + 1, 1)
    if len(parts) == 2:
        return start, _first(year + month // 12, month % 12 + 1)
    try:
        return start, start + _LEAST.get(len(parts), timedelta(days=1))
    except OverflowError:
        return start, datetime.max


def dates(value: Sequence[Any]) -> Dates:
    """Return a list of two as the dates from … to …, both included. A year may be written as a number.

    Raises:
        PydanticCustomError: one is not a date, or the second ends before the first begins.
    """
    first, last = (str(date) if isinstance(date, int) and not isinstance(date, bool) else date for date in value)
    for date in (first, last):
        if not isinstance(date, str):
            refuse("date", f"expected {EXPECTED}, got {written(date)}")
    if whole_of(first)[0] >= whole_of(last)[1]:
        refuse("date", f"{written([first, last])} ends before it begins")
    return first.strip(), last.strip()


class DatePair(Value):
    """A list of two dates."""

    words = "two dates such as [2010-01, 2017-12]"

    def read(self, value: Any, expected: str = "") -> Dates:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise self.mismatch(value, expected)
        return dates(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 2, "maxItems": 2}


def _check(text: str, parts: Sequence[int]) -> None:
    year, month, day, hour, minute, second = [*parts, *[None] * 6][:6]
    if not year:
        refuse("date", f"{text} does not exist: years are counted from 0001")
    if month is not None and not 1 <= month <= 12:
        refuse("date", f"{text} does not exist: a year has 12 months")
    if day is not None and month is not None and not 1 <= day <= monthrange(year, month)[1]:
        days = monthrange(year, month)[1]
        refuse("date", f"{text} does not exist: {month_name[month]} {year} has {days} days")
    if (hour or 0) > 23 or (minute or 0) > 59 or (second or 0) > 59:
        refuse("date", f"{text} does not exist: times of the day run from 00:00:00 to 23:59:59")


def _first(year: int, month: int) -> datetime:
    return datetime(year, month, 1) if year <= 9999 else datetime.max
