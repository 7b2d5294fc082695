"""When forecasts are for: times beyond the end of the frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from specbuild.data.sources.base import Times
from specbuild.language.interval import Interval


def times_ahead(past: Times, ahead: tuple[int, ...], step: int, interval: str | None) -> Times | None:
    """When forecasts are for, `ahead` frames after the last past one.

    The time between frames is the interval, or else what lies between the last two past frames, which are `step`
    frames apart. Months and years are counted by the calendar. None where neither is known.
    """
    known = Interval.parse(interval) if interval else None
    if known is not None and known.seconds is None:
        return _months_after(past[-1], np.array(ahead) * known.count * (12 if known.unit == "year" else 1))
    if known is None and (months := _whole_months(past)):
        return _months_after(past[-1], np.array(ahead) * months / step)
    if known is not None and known.seconds is not None:
        seconds = known.seconds
    elif len(past) > 1:
        seconds = float((past[-1] - past[-2]) / np.timedelta64(1, "s")) / step
    else:
        return None
    found: Times = past[-1] + np.round(np.array(ahead) * seconds).astype("timedelta64[s]")
    return found


def _whole_months(past: Times) -> int:
    """The months between the last two frames where these are of the same day and hour; else 0."""
    if len(past) < 2:
        return 0
    months = past[-2:].astype("datetime64[M]")
    within = past[-2:].astype("datetime64[s]") - months.astype("datetime64[s]")
    return int((months[1] - months[0]).astype(int)) if within[0] == within[1] else 0


def _months_after(last: np.datetime64, months: npt.NDArray[np.floating]) -> Times:
    """The same day and hour so many months later; the last day of the month where it is shorter."""
    first = last.astype("datetime64[M]")
    within = last.astype("datetime64[s]") - first.astype("datetime64[s]")
    found = []
    for count in np.round(months).astype(int):
        start, end = first + count, first + count + 1
        room = end.astype("datetime64[s]") - start.astype("datetime64[s]") - np.timedelta64(1, "D")
        day, hour = divmod(within, np.timedelta64(1, "D"))
        whole = min(day * np.timedelta64(1, "D"), room)
        found.append(start.astype("datetime64[s]") + whole + hour)
    return np.array(found, "datetime64[s]")
