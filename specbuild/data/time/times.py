"""When frames are: numbers, texts and dates of a file as times.

pandas and cftime read such times as well, and xarray has both; but files of NumPy and HDF5 are read without importing
any of them. Only calendars other than ours are decoded by xarray (`cf_times`).
"""

from __future__ import annotations

import re
import warnings
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.language.dates import Dates, whole_of

Times: TypeAlias = npt.NDArray[np.datetime64]
"""When each frame of an event is, to the second."""

_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
"""Units of `<unit> since <date>` (CF conventions), in seconds."""


def times_of(values: npt.NDArray[Any], units: str = "") -> Times:
    """Return times in whole seconds, of dates, texts (`2019-06-10T00:02`, `20190610-000200`) or numbers with `units`.

    Numbers whose units are not `<unit> since <date>` count as seconds.

    Raises:
        ValueError: something is not a time, or the times do not increase.
    """
    if values.dtype.kind == "M":
        times = values.astype("datetime64[s]")
    elif values.dtype.kind in "US":
        times = np.array([_text(value) for value in values.tolist()], "datetime64[s]")
    elif values.dtype.kind in "iuf":
        times = _numbers(values, units)
    else:
        raise ValueError(f"{values.dtype} is not a type of times")
    check_rising(times)
    return times


def cf_times(values: npt.NDArray[Any], units: str, calendar: str) -> Times | None:
    """Return times in whole seconds of numbers in `<unit> since <date>` of a calendar (CF conventions 4.4).

    A calendar may have days that ours has not (30 February of 360 days a year), or lack some. Where one of its months
    is longer or shorter than ours, a time is put at the same share of our month: years, months and the order of times
    stay as they are, and no gap arises, as it would in xarray's `convert_calendar`, which drops days.

    Returns:
        The times; None where units or calendar are none that CF knows, such as `months since …` of ordinary months.
    """
    import xarray

    stored = xarray.Dataset({"time": ("time", values, {"units": units, "calendar": calendar})})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decoded = xarray.decode_cf(stored)["time"].values
    except (ValueError, OverflowError, KeyError):
        return None
    if decoded.dtype.kind == "M":
        return (decoded + np.timedelta64(500, "ms")).astype("datetime64[s]")
    return np.array([_placed(date) for date in decoded.ravel()], "datetime64[s]").reshape(decoded.shape)


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


def between(times: Times, dates: Dates) -> tuple[int, int]:
    """Return the first frame in a range of dates, and the frame after its last."""
    start, end = (np.datetime64(moment, "s") for moment in (whole_of(dates[0])[0], whole_of(dates[1])[1]))
    return int(np.searchsorted(times, start, "left")), int(np.searchsorted(times, end, "left"))


def show(time: np.datetime64) -> str:
    """Return a time as messages write it, no finer than it is: `2019-03-01`, `2019-03-01 06:30`."""
    text = np.datetime_as_string(time, unit="s").replace("T", " ")
    return text.removesuffix(":00").removesuffix(" 00:00")


def _placed(date: Any) -> np.datetime64:
    """Return a date of any calendar (`cftime.datetime`) as one of ours."""
    month = np.datetime64(f"{date.year:04d}-{date.month:02d}", "M")
    first, days = month.astype("datetime64[s]"), int(((month + 1).astype("datetime64[D]") - month).astype(int))
    elapsed = (((date.day - 1) * 24 + date.hour) * 60 + date.minute) * 60 + date.second + date.microsecond / 1e6
    return np.datetime64(first + np.timedelta64(round(elapsed * days / date.daysinmonth), "s"))


def _text(value: str | bytes) -> np.datetime64:
    text = value.decode() if isinstance(value, bytes) else str(value)
    digits = re.sub(r"\D", "", text.split(".")[0])
    if len(digits) not in (6, 8, 10, 12, 14):
        raise ValueError(f'"{text}" is not a time')
    date, clock = digits[:8], digits[8:].ljust(6, "0")
    day = "-".join(filter(None, (date[:4], date[4:6], date[6:8])))
    return np.datetime64(day, "s") + np.timedelta64(int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:6]), "s")


def _numbers(values: npt.NDArray[Any], units: str) -> Times:
    if not np.isfinite(values).all():
        raise ValueError("a time is missing")
    unit, _, start = units.partition(" since ")
    seconds = np.round(values * float(_UNITS.get(unit.strip(), 1))).astype("timedelta64[s]")
    origin = _text(start.strip()) if unit.strip() in _UNITS and start.strip() else np.datetime64(0, "s")
    return origin + seconds
