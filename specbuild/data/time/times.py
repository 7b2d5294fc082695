"""When frames are: numbers, texts and dates of a file as times.

pandas and cftime read such times as well, and xarray has both; but files of NumPy and HDF5 are read without importing
any of them. Only calendars other than ours are decoded by xarray (`cf_times`).
"""

from __future__ import annotations

import re
import warnings
from bisect import bisect_left
from collections.abc import Collection
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.time.calendars import is_ours, placed
from specbuild.language.dates import Dates, whole_of

Times: TypeAlias = npt.NDArray[np.datetime64]
"""When each frame of an event is, to the second."""

SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
"""Units of `<unit> since <date>` (CF conventions), in seconds."""
_FIRST, _LAST = np.datetime64("0001-01-01", "s"), np.datetime64("9999-12-31", "s")
"""The times that a date can be written of."""


def times_of(values: npt.NDArray[Any], units: str = "", calendar: str = "", missing: Collection[float] = ()) -> Times:
    """Return times in whole seconds, of dates, texts (`2019-06-10T00:02`, `20190610-000200`) or numbers with `units`.

    Numbers whose units are not `<unit> since <date>` count as seconds.

    Args:
        missing: numbers that mean that a time is missing.

    Raises:
        ValueError: something is not a time, or the times do not increase; naming the first frame where that is so.
    """
    times = decoded(values, units, calendar, missing)
    check_rising(times)
    return times


def decoded(values: npt.NDArray[Any], units: str = "", calendar: str = "", missing: Collection[float] = ()) -> Times:
    """Return times as `times_of` does, in whatever order they are; a date that is missing stays so (NaT).

    Raises:
        ValueError: something is not a time; naming the first frame where that is so.
    """
    if values.dtype.kind == "M":
        return _known(values.astype("datetime64[s]"), values, str(values.dtype))
    if values.dtype.kind in "US":
        return np.array([_text_of(*item) for item in enumerate(values.tolist())], "datetime64[s]")
    if values.dtype.kind not in "iuf":
        raise ValueError(f"{values.dtype} is not a type of times")
    lacking = ~np.isfinite(values) | np.isin(values, list(missing))
    if lacking.any():
        frame = int(np.flatnonzero(lacking)[0])
        raise ValueError(f"the time of frame {frame} is missing: it is {values[frame]}")
    unit, since, _ = units.partition(" since ")
    if since and (unit.strip() not in SECONDS or not is_ours(calendar)):
        return cf_times(values, units, calendar)
    return _known(_numbers(values, units), values, units)


def cf_times(values: npt.NDArray[Any], units: str, calendar: str = "standard") -> Times:
    """Return times in whole seconds of numbers in `<unit> since <date>` of a calendar (CF conventions 4.4).

    Those of other calendars are put at the same share of our months (`calendars.placed`).

    Raises:
        ValueError: units or calendar are none that CF knows, such as `months since …` of ordinary months, or a number
            is not a time in them; naming the first frame where that is so.
    """
    try:
        return _known(_by_calendar(values, units, calendar or "standard"), values, units)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        reason = _first_fault(values, units, calendar or "standard")
        raise ValueError(reason or str(error)) from error


def check_rising(times: Times) -> None:
    """Check that every frame is later than the one before it.

    Raises:
        ValueError: naming the first frame that is not, counted from 0.
    """
    if np.isnat(times).any():
        raise ValueError(f"the time of frame {int(np.flatnonzero(np.isnat(times))[0])} is missing")
    late = np.flatnonzero(np.diff(times) <= np.timedelta64(0, "s"))
    if late.size:
        frame = int(late[0]) + 1
        raise ValueError(f"frame {frame} ({show(times[frame])}) is not later than frame {frame - 1}")


_JITTER = 0.1
"""The part of the usual step by which the steps of evenly spaced frames may differ."""


def uneven(numbers: npt.NDArray[Any]) -> int | None:
    """Return the first frame whose number is not one usual step after the one before; None where all are.

    A step may be a tenth longer or shorter; of whole numbers, which may be rounded, by 1 and by less than half.
    """
    if len(numbers) < 2 or numbers.dtype.kind not in "iuf":
        return None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        steps = np.diff(numbers.astype(np.float64))
        share = steps / np.median(steps)
        rounded = (numbers.dtype.kind in "iu") & (np.abs(steps - np.median(steps)) <= 1) & (np.abs(share - 1) < 0.5)
        wrong = ~((np.abs(share - 1) <= _JITTER) | rounded)
    return int(np.flatnonzero(wrong)[0]) + 1 if wrong.any() else None


def between(times: Times, dates: Dates) -> tuple[int, int]:
    """Return the first frame in a range of dates, and the frame after its last."""
    start, end = (np.datetime64(moment, "s") for moment in (whole_of(dates[0])[0], whole_of(dates[1])[1]))
    return int(np.searchsorted(times, start, "left")), int(np.searchsorted(times, end, "left"))


def show(time: np.datetime64) -> str:
    """Return a time as messages write it, no finer than it is: `2019-03-01`, `2019-03-01 06:30`."""
    text = np.datetime_as_string(time, unit="s").replace("T", " ")
    return text.removesuffix(":00").removesuffix(" 00:00")


def _by_calendar(values: npt.NDArray[Any], units: str, calendar: str) -> Times:
    import xarray

    stored = xarray.Dataset({"time": ("time", values, {"units": units, "calendar": calendar})})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = xarray.decode_cf(stored)["time"].values
    if times.dtype.kind == "M":
        return (times + np.timedelta64(500, "ms")).astype("datetime64[s]")
    return np.array([placed(date) for date in times.ravel()], "datetime64[s]").reshape(times.shape)


def _first_fault(values: npt.NDArray[Any], units: str, calendar: str) -> str:
    """Return why numbers cannot be decoded, naming the first that cannot; empty where each of them can."""

    def fails(part: npt.NDArray[Any]) -> bool:
        try:
            _known(_by_calendar(part, units, calendar), part, units)
        except (ArithmeticError, KeyError, TypeError, ValueError):
            return True
        return False

    if fails(np.zeros(1, np.int64)):
        return f'"{units}" in the calendar "{calendar}" are not units of time known to the CF conventions'
    frame = bisect_left(range(1, len(values) + 1), x=True, key=lambda count: fails(values[:count]))
    return f'the time of frame {frame}, {values[frame]} "{units}", cannot be decoded' if frame < len(values) else ""


def _known(times: Times, values: npt.NDArray[Any], units: str) -> Times:
    """Return the times, if every one of them can be written as a date.

    Raises:
        ValueError: naming the first frame where that is not so.
    """
    outside = np.flatnonzero((times < _FIRST) | (times > _LAST))
    if outside.size:
        frame = int(outside[0])
        raise ValueError(f'the time of frame {frame}, {values[frame]} "{units}", is outside the years 1 to 9999')
    return times


def _text_of(frame: int, value: str | bytes) -> np.datetime64:
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    try:
        return _text(text)
    except ValueError as error:
        raise ValueError(f'the time of frame {frame}, "{text}", is not a time') from error


def _text(text: str) -> np.datetime64:
    digits = re.sub(r"\D", "", text.split(".")[0])
    if len(digits) not in (6, 8, 10, 12, 14):
        raise ValueError(f'"{text}" is not a time')
    date, clock = digits[:8], digits[8:].ljust(6, "0")
    day = "-".join(filter(None, (date[:4], date[4:6], date[6:8])))
    return np.datetime64(day, "s") + np.timedelta64(int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:6]), "s")


def _numbers(values: npt.NDArray[Any], units: str) -> Times:
    unit, _, start = units.partition(" since ")
    with np.errstate(over="ignore"):
        exact = values.astype(np.float64) * SECONDS.get(unit.strip(), 1)
    seconds = np.clip(np.round(exact), -_BEYOND, _BEYOND)
    origin = _text(start.strip()) if unit.strip() in SECONDS and start.strip() else np.datetime64(0, "s")
    return origin + seconds.astype("timedelta64[s]")


_BEYOND = 10**12
"""Seconds from any date to a year that cannot be written."""
