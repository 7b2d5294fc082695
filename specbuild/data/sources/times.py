"""When frames are: numbers, texts and dates of a file as times."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
"""Units of `<unit> since <date>` (CF conventions), in seconds."""


def times_of(values: npt.NDArray[Any], units: str = "") -> npt.NDArray[np.datetime64]:
    """Times in whole seconds, of dates, texts (`2019-06-10T00:02`, `20190610-000200`) or numbers with `units`.

    Numbers whose units are not `<unit> since <date>` count as seconds.

    Raises:
        ValueError: something is no time, or the times do not increase.
    """
    if values.dtype.kind == "M":
        found = values.astype("datetime64[s]")
    elif values.dtype.kind in "US":
        found = np.array([_text(value) for value in values.tolist()], "datetime64[s]")
    elif values.dtype.kind in "iuf":
        found = _numbers(values, units)
    else:
        raise ValueError(f"{values.dtype} is no type of times")
    if np.isnat(found).any() or (np.diff(found) <= np.timedelta64(0, "s")).any():
        raise ValueError("the times do not increase from frame to frame")
    return found


def unbroken(times: npt.NDArray[np.datetime64] | None, length: int) -> tuple[range, ...]:
    """The stretches of frames without a gap, which is a step of more than one and a half times the median step."""
    if times is None or length < 3:
        return (range(length),)
    steps = np.diff(times).astype(np.int64)
    ends = [*(np.flatnonzero(steps > 1.5 * np.median(steps)) + 1).tolist(), length]
    return tuple(range(first, end) for first, end in zip([0, *ends], ends, strict=False))


def _text(value: str | bytes) -> np.datetime64:
    text = value.decode() if isinstance(value, bytes) else str(value)
    digits = re.sub(r"\D", "", text.split(".")[0])
    if len(digits) not in (6, 8, 10, 12, 14):
        raise ValueError(f'"{text}" is no time')
    date, clock = digits[:8], digits[8:].ljust(6, "0")
    day = "-".join(filter(None, (date[:4], date[4:6], date[6:8])))
    return np.datetime64(day, "s") + np.timedelta64(int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:6]), "s")


def _numbers(values: npt.NDArray[Any], units: str) -> npt.NDArray[np.datetime64]:
    if not np.isfinite(values).all():
        raise ValueError("a time is missing")
    unit, _, start = units.partition(" since ")
    seconds = np.round(values * float(UNITS.get(unit.strip(), 1))).astype("timedelta64[s]")
    origin = _text(start.strip()) if unit.strip() in UNITS and start.strip() else np.datetime64(0, "s")
    return origin + seconds
