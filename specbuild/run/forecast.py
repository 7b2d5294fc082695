"""What a forecast is made from, and what it is: frames with their times, their place on earth and their units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data import Dataset
from specbuild.data.sources.base import Axis
from specbuild.data.windows import lead_frames
from specbuild.run.inference import TrainedRun
from specbuild.spec.interval import Interval

Floats: TypeAlias = npt.NDArray[np.float32]
Times: TypeAlias = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Past:
    """The frames before a forecast, (P, *space, C) in physical units, and the data that knows how to read them."""

    frames: Floats
    dataset: Dataset
    times: Times | None = None
    at: tuple[int, int] | None = None
    """Event and number of the first frame in the data set, where it is known when that is."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Frames that a model gave, in physical units, with what names them.

    Attributes:
        frames: (F, *space, C).
        past: the frames that it is made from, (P, *space, C).
        lead_labels: `+10 min`, or `+5` where the time between frames is not known.
        lead_frames: how many frames each lies after the last past one.
        axes: letters of the axes of space: H and W, or L, or D, H and W.
        past_times: when the past frames were; None where that is not known.
        times: when the forecast is for; None where that is not known.
        coordinates: of the axes of space and of the channels, by letter, where the data has them.
        variables: the name of each channel; none where the data has no names.
    """

    frames: Floats
    past: Floats
    lead_labels: tuple[str, ...]
    lead_frames: tuple[int, ...]
    axes: tuple[str, ...]
    variable: str = "value"
    units: str = ""
    past_times: Times | None = None
    times: Times | None = None
    coordinates: Mapping[str, Axis] = field(default_factory=dict)
    variables: tuple[str, ...] = ()


def make_forecast(trained: TrainedRun, past: Past) -> Forecast:
    """The run's forecast from past frames."""
    data, source = trained.data, past.dataset.source
    frames = past.dataset.forecast(past.frames, trained.predict, past.at)
    ahead = lead_frames(data.windows)
    return Forecast(
        frames=frames,
        past=past.frames,
        lead_labels=past.dataset.lead_labels,
        lead_frames=ahead,
        axes=data.source.space,
        variable=data.variable,
        units=data.units or source.units,
        past_times=past.times,
        times=None if past.times is None else times_ahead(past.times, ahead, data.windows.step, data.interval),
        coordinates=source.coordinates,
        variables=source.variables,
    )


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
