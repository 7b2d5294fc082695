"""The time between frames: the usual one, gaps, and when forecasts are for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from specbuild.data.time.calendars import is_ours, later, native_steps
from specbuild.data.time.times import Times
from specbuild.language.interval import Interval

GAP = 1.5
"""A step of more than this many usual steps is a gap. Months and years differ in length by less."""
MONTH = (28 * 86400, 31 * 86400)
"""Seconds of a month, at least and at most."""
_YEAR = (365 * 86400, 366 * 86400)


def median_step(times: Times) -> float:
    """Return the seconds from one frame to the next, of two frames or more: the median, which no gap changes."""
    return float(np.median(_steps(times)))


def usual_step(times: Times, calendar: str = "") -> Interval | None:
    """Return the usual time between frames, months and years by the calendar; None for fewer than two frames.

    Args:
        calendar: that of the file, by whose days the time is measured.
    """
    if len(times) < 2:
        return None
    seconds = median_step(times) if is_ours(calendar) else float(np.median(native_steps(times, calendar)))
    for unit, (least, most) in (("month", MONTH), ("year", _YEAR)):
        if least <= seconds <= most:
            return Interval(1, unit)
    months = np.unique(np.diff(times.astype("datetime64[M]")).astype(np.int64)).tolist()
    if seconds > MONTH[1] and len(months) == 1:
        return Interval(months[0], "month") if months[0] % 12 else Interval(months[0] // 12, "year")
    return Interval.of(round(seconds))


def differ(interval: Interval, other: Interval) -> bool:
    """Whether two lengths of time are more than a tenth apart; months and years may have any of their lengths."""
    a, b = interval.mean_seconds, other.mean_seconds
    return abs(a - b) > 0.1 * max(a, b)


def is_gap(step: float | npt.NDArray[np.int64], usual: float) -> npt.NDArray[np.bool_]:
    """Whether frames are missing within a step, in seconds, where frames usually are `usual` seconds apart."""
    return np.greater(step, GAP * usual)


def unbroken(times: Times | None, length: int) -> tuple[range, ...]:
    """Return the stretches of frames without a gap."""
    if times is None or length < 3:
        return (range(length),)
    ends = [*(np.flatnonzero(is_gap(_steps(times), median_step(times))) + 1).tolist(), length]
    return tuple(range(first, end) for first, end in zip([0, *ends], ends, strict=False))


def times_ahead(
    past: Times, ahead: tuple[int, ...], step: int, interval: str | None, calendar: str = ""
) -> Times | None:
    """Return when forecasts are for, `ahead` frames after the last past one.

    The time between frames is the interval, or else that between the last two past frames, which are `step` frames
    apart. Months and years are counted by the calendar, and days of another calendar than ours by that. None where
    neither is known.
    """
    between = Interval.parse(interval) if interval else _last_step(past, step)
    if between is None:
        return None
    count = np.array(ahead) * between.count
    if between.seconds is None:
        return _months_after(past[-1], count * (12 if between.unit == "year" else 1))
    if not is_ours(calendar):
        return later(past[-1], calendar, np.array(ahead) * between.seconds)
    times: Times = past[-1] + np.round(np.array(ahead) * between.seconds).astype("timedelta64[s]")
    return times


def _steps(times: Times) -> npt.NDArray[np.int64]:
    """Return the seconds from each frame to the next."""
    return np.diff(times).astype("timedelta64[s]").astype(np.int64)


def _last_step(past: Times, step: int) -> Interval | None:
    """Return the time between frames, of which the last two are `step` apart; in months if of one day and hour."""
    if len(past) < 2:
        return None
    last = past[-2:].astype("datetime64[s]")
    months = last.astype("datetime64[M]")
    count = int((months[1] - months[0]).astype(int))
    if count and last[0] - months[0] == last[1] - months[1]:
        return Interval(count / step, "month")
    return Interval(float((last[1] - last[0]) / np.timedelta64(1, "s")) / step, "s")


def _months_after(last: np.datetime64, months: npt.NDArray[np.floating]) -> Times:
    """Return the same day and hour so many months later; the last day of the month where it is shorter."""
    month, day = last.astype("datetime64[M]"), last.astype("datetime64[D]")
    later = month + np.round(months).astype(int)
    days = np.minimum(later.astype("datetime64[D]") + (day - month), (later + 1).astype("datetime64[D]") - 1)
    times: Times = days.astype("datetime64[s]") + (last.astype("datetime64[s]") - day)
    return times
