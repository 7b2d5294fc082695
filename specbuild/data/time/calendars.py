"""Calendars other than ours (CF conventions 4.4.1): 360 days a year, no leap years. Times are kept in ours throughout.

A calendar may have days that ours has not (30 February of 360 days a year), or lack some. Where one of its months is
longer or shorter than ours, a time is put at the same share of our month: years, months and the order of times stay as
they are, and no gap arises, as it would in xarray's `convert_calendar`, which drops days. `native` undoes that.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

ORDINARY = ("", "standard", "gregorian", "proleptic_gregorian")
"""Calendars whose days since 1582 are ours."""
Dates: TypeAlias = npt.NDArray[np.object_]
"""Dates of any calendar, `cftime.datetime`."""


def is_ours(calendar: str) -> bool:
    """Whether a calendar has the days of ours."""
    return calendar.lower() in ORDINARY


def placed(date: Any) -> np.datetime64:
    """Return a date of any calendar (`cftime.datetime`) as one of ours."""
    month = np.datetime64(f"{date.year:04d}-{date.month:02d}", "M")
    first, days = month.astype("datetime64[s]"), _days(month)
    elapsed = (((date.day - 1) * 24 + date.hour) * 60 + date.minute) * 60 + date.second + date.microsecond / 1e6
    return np.datetime64(first + np.timedelta64(round(elapsed * days / date.daysinmonth), "s"))


def native(times: npt.NDArray[np.datetime64], calendar: str) -> Dates:
    """Return times of ours as dates of a calendar, to the minute where they are within a second of one."""
    return np.array([_native(time, calendar) for time in times.ravel()], object).reshape(times.shape)


def native_steps(times: npt.NDArray[np.datetime64], calendar: str) -> npt.NDArray[np.int64]:
    """Return the seconds of a calendar from each time to the next."""
    dates = native(times, calendar)
    return np.array([round((after - before).total_seconds()) for before, after in pairwise(dates)], np.int64)


def later(last: np.datetime64, calendar: str, seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.datetime64]:
    """Return the times of ours that are so many seconds of a calendar after one."""
    date = _native(last, calendar)
    return np.array([placed(date + timedelta(seconds=round(float(each)))) for each in seconds], "datetime64[s]")


def _native(time: np.datetime64, calendar: str) -> Any:
    import cftime

    month = time.astype("datetime64[M]")
    year, number = (int(part) for part in str(month).split("-"))
    first = cftime.datetime(year, number, 1, calendar=calendar)
    elapsed = int((time.astype("datetime64[s]") - month.astype("datetime64[s]")).astype(np.int64))
    seconds = round(elapsed * first.daysinmonth / _days(month))
    minutes = round(seconds / 60)
    return first + timedelta(seconds=60 * minutes if abs(seconds - 60 * minutes) <= 1 else seconds)


def _days(month: np.datetime64) -> int:
    """Return the days of a month of ours."""
    return int(((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(int))
