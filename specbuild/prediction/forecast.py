"""Past frames, and the forecast made from them: frames with their times, coordinates and units."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from specbuild.data import Dataset
from specbuild.data.arrays import Floats
from specbuild.data.sources.base import FrameMetadata
from specbuild.data.time.intervals import times_ahead
from specbuild.data.time.times import Times
from specbuild.data.units import same_units
from specbuild.prediction.members import forecast_and_members, makes_members
from specbuild.runs.trained import TrainedRun


@dataclass(frozen=True, slots=True)
class Past:
    """The frames before a forecast, (P, *space, C) in physical units, and the data that knows how to read them."""

    frames: Floats
    dataset: Dataset
    times: Times | None = None
    at: tuple[int, int] | None = None
    """Event and number of the first frame in the data set, where its time is known."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The frames of a forecast, in physical units, with what names them.

    Attributes:
        frames: (F, *space, C).
        past: the frames that it is made from, (P, *space, C).
        lead_labels: `+10 min`, or `+5` where the time between frames is not known.
        lead_frames: how many frames each lies after the last past one.
        metadata: of the data, with the units of the forecast: names of the channels, coordinates, spatial axes.
        past_times: when the past frames were; None where that is not known.
        times: when the forecast is for; None where that is not known.
        members: (M, F, *space, C), where members were asked for.
        output: the output of the model that it is of, of several.
        others: the forecasts of its other outputs.
        quantiles: (levels, F, *space, C), where the loss gives a distribution; `levels` are their probabilities.
        of_event: whether it is the probability of an event.
    """

    frames: Floats
    past: Floats
    lead_labels: tuple[str, ...]
    lead_frames: tuple[int, ...]
    metadata: FrameMetadata
    variable: str = "value"
    past_times: Times | None = None
    times: Times | None = None
    members: Floats | None = None
    quantiles: Floats | None = None
    levels: tuple[float, ...] = ()
    of_event: bool = False
    output: str = ""
    others: tuple[Forecast, ...] = ()


def make_forecast(trained: TrainedRun, past: Past, members: int = 0, seed: int = 0) -> Forecast:
    """Return the run's forecast from past frames: all missing where everything in these is.

    Args:
        members: how many members to draw besides.
        seed: of the members.
    """
    past.dataset.check_reach(past.frames, past.at)
    views = list(past.dataset.views.values()) or [past.dataset]
    first, *others = [_of_output(trained, past, view, members, seed) for view in views]
    return replace(first, others=tuple(others))


def _of_output(trained: TrainedRun, past: Past, dataset: Dataset, members: int, seed: int) -> Forecast:
    """Return the forecast of one output, whose view of the data is given, or of the only one."""
    data, metadata = dataset.section, _named(dataset)
    chance = makes_members(trained, dataset)
    drawn = forecast_and_members(trained, dataset, past.frames, past.at, members if chance else 0, seed)
    if np.isnan(past.frames).all():
        drawn = drawn.unknown()
    ahead = dataset.leads
    return Forecast(
        frames=drawn.frames,
        past=dataset.seen(past.frames),
        lead_labels=dataset.lead_labels,
        lead_frames=ahead,
        metadata=metadata,
        variable=data.variable,
        past_times=past.times,
        times=None
        if past.times is None
        else times_ahead(past.times, ahead, data.windows.step, data.interval, metadata.calendar),
        members=drawn.members,
        quantiles=drawn.quantiles,
        levels=drawn.levels,
        of_event=dataset.is_event,
        output=dataset.output,
    )


def _named(dataset: Dataset) -> FrameMetadata:
    """Return what is known of the frames, of one of several outputs with variables called after it.

    Units are spelled as in the file of the data where `data.units` means the same.
    """
    metadata, output = dataset.labels, dataset.output
    file = dataset.source.metadata
    if not file.units_of and same_units(file.units, metadata.units):
        metadata = file
    if not output:
        return metadata
    if dataset.source.channels == 1:
        return replace(metadata, variables=(output,), units_of={})
    units = {f"{output}_{name}": text for name, text in metadata.units_of.items()}
    return replace(metadata, variables=tuple(f"{output}_{name}" for name in metadata.variables), units_of=units)
