"""Survey of a spec's data: frames, times, windows per split, and the distribution of values. NumPy only."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import starmap
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.samples.windows import Stretch, WindowSet, frames_at_once, pieces
from specbuild.data.sources import FrameSource
from specbuild.data.time.intervals import usual_step
from specbuild.data.time.times import show
from specbuild.data.transforms.running_statistics import RunningStatistics, running_statistics
from specbuild.data.units import labelled

Counts: TypeAlias = npt.NDArray[np.int64]
Parts: TypeAlias = list[tuple[int, range]]
"""Frames to read, as events and their frames."""

SAMPLE = 2**26
"""Numbers read from each split, unless every frame is requested."""
BINS = 24
"""Bars of a histogram."""
LISTED = 1000
"""Stretches of a split that are listed."""


@dataclass(frozen=True, slots=True)
class Values:
    """The distribution of values in physical units; NaN if none is known.

    They are those of `frames` frames, spread over the split. `missing` is the share of values that are missing.
    """

    frames: int
    missing: float
    min: float
    max: float
    mean: float
    std: float
    histogram: Counts = field(repr=False)
    """Number of values in each of `BINS` bins of equal width between the edges of the survey."""


@dataclass(frozen=True, slots=True)
class SplitSurvey:
    """One split: where its frames are, how many windows they make, and what they hold."""

    name: str
    events: int
    frames: int
    windows: int
    first: str
    """When its first frame is; the frame's number where that is not known."""
    last: str
    stretches: tuple[Stretch, ...]
    values: Values


@dataclass(frozen=True, slots=True)
class Survey:
    """A survey of the data. `edges` are the first and last edge of every histogram, in physical units."""

    source: str
    dtype: str
    lengths: tuple[int, ...]
    space: tuple[int, ...]
    channels: int
    variables: tuple[str, ...]
    variable: str
    units: str
    splits: tuple[SplitSurvey, ...]
    unused: int
    """Frames in no split: the embargo between splits, and frames not covered by the shares."""
    step: str
    """The usual time from one frame to the next, such as `2 min`; empty where it is not known."""
    edges: tuple[float, float]
    notes: tuple[str, ...] = ()
    """Sentences on what else was seen in the frames that were read, such as infinite values."""

    def to_dict(self) -> dict[str, Any]:
        """Return the survey as JSON can hold it; what is unknown is null."""
        content: dict[str, Any] = _json(self)
        return content


def survey(
    source: FrameSource,
    splits: dict[str, WindowSet],
    *,
    variable: str = "value",
    units: str = "",
    every_frame: bool = False,
) -> Survey:
    """Return a survey of the frames of each split.

    Args:
        source: the opened data.
        splits: as `open_splits` gave them.
        variable: what the numbers are.
        units: physical units, where the file does not say them or the spec says others.
        every_frame: whether every frame is read; otherwise at most `SAMPLE` numbers of each split, in frames that are
            spread over it.
    """
    most = None if every_frame else max(1, SAMPLE // (math.prod(source.space) * source.channels))
    parts = {name: list(pieces(split.stretches, most, frames_at_once(source))) for name, split in splits.items()}
    statistics = {name: running_statistics(starmap(source.read, parts[name]), 1)[0] for name in splits}
    known = [running for running in statistics.values() if running.count]
    edges = min((s.least for s in known), default=math.nan), max((s.greatest for s in known), default=math.nan)
    times = source.times(0)
    step = None if times is None else usual_step(times, source.metadata.calendar)
    return Survey(
        source.name,
        str(source.stored_dtype),
        source.lengths,
        source.space,
        source.channels,
        source.metadata.variables,
        variable,
        labelled(source.metadata, units).units,
        tuple(_split(source, name, splits[name], parts[name], statistics[name], edges) for name in splits),
        sum(source.lengths) - sum(windows.frames for windows in splits.values()),
        "" if step is None else step.times(1),
        edges,
        source.notes(),
    )


def _split(
    source: FrameSource,
    name: str,
    windows: WindowSet,
    parts: Parts,
    statistics: RunningStatistics,
    edges: tuple[float, float],
) -> SplitSurvey:
    first, last = windows.stretches[0], windows.stretches[-1]
    frames = sum(len(part) for _, part in parts)
    missing = 1 - statistics.count / (frames * math.prod(source.space) * source.channels)
    histogram = np.zeros(BINS, np.int64)
    if edges[0] < edges[1]:
        for values in starmap(source.read, parts):
            histogram += np.histogram(values[~np.isnan(values)].astype(np.float64), BINS, edges)[0]
    mean, std = (statistics.mean, statistics.std) if statistics.count else (math.nan, math.nan)
    return SplitSurvey(
        name,
        len(windows.events),
        windows.frames,
        len(windows),
        _when(source, first.event, first.frames[0]),
        _when(source, last.event, last.frames[-1]),
        windows.stretches[:LISTED],
        Values(frames, missing, statistics.least, statistics.greatest, mean, std, histogram),
    )


def _when(source: FrameSource, event: int, frame: int) -> str:
    times = source.times(event)
    if times is None:
        return f"frame {frame}" if source.events == 1 else f"event {event}, frame {frame}"
    return show(times[frame])


def _json(value: Any) -> Any:
    if is_dataclass(value):
        return {entry.name: _json(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, range):
        return [value.start, value.stop]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
