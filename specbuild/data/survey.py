"""What is in the data of a spec: frames, times, windows per split, and how its values are spread. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.samples.windows import Stretch, WindowSet
from specbuild.data.sources import FrameSource
from specbuild.data.time.times import show, usual_step

Counts: TypeAlias = npt.NDArray[np.int64]

SAMPLE = 2**26
"""Numbers that are looked at in each split, unless every frame is asked for."""
BINS = 24
"""Bars of a histogram."""
PIECE = 2**22
"""Numbers read at once."""


@dataclass(frozen=True, slots=True)
class Values:
    """How values in physical units are spread; NaN where none is known.

    `frames` of them were looked at, evenly spread over the split. `missing` is the share of values that are missing.
    """

    frames: int
    missing: float
    min: float
    max: float
    mean: float
    std: float
    counts: Counts = field(repr=False)
    """How many values lie in each of `BINS` bins of equal width between the edges of the survey."""


@dataclass(frozen=True, slots=True)
class SplitSurvey:
    """One split: where its frames are, how many windows they make, and what they hold."""

    name: str
    events: int
    frames: int
    windows: int
    stretches: tuple[Stretch, ...]
    first: str
    """When its first frame is; the frame's number where that is not known."""
    last: str
    values: Values


@dataclass(frozen=True, slots=True)
class Survey:
    """What is in the data. `edges` are the first and last edge of every histogram, in physical units."""

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
    """Frames that lie in no split: the embargo between splits, and what shares leave over."""
    step: str
    """The usual time from one frame to the next, such as `2 min`; empty where it is not known."""
    edges: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; what is unknown is null."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        return own | {
            "splits": [_split_dict(one) for one in self.splits],
            "edges": [_finite(edge) for edge in self.edges],
        }


def survey(
    source: FrameSource,
    splits: dict[str, WindowSet],
    *,
    variable: str = "value",
    units: str = "",
    every_frame: bool = False,
) -> Survey:
    """Looks at the frames of each split.

    Args:
        source: the opened data.
        splits: as `open_splits` gave them.
        variable: what the numbers are.
        units: physical units, where the file does not say them or the spec says others.
        every_frame: whether every frame is read; otherwise at most `SAMPLE` numbers of each split, in frames that are
            evenly spread over it.
    """
    frame = max(1, math.prod(source.space) * source.channels)
    most = max(1, SAMPLE // frame)
    chosen = {
        name: list(_frames(windows.stretches, windows.frames if every_frame else most))
        for name, windows in splits.items()
    }
    edges = _edges(source, [place for places in chosen.values() for place in places], frame)
    found = tuple(_split(source, name, splits[name], chosen[name], edges, frame) for name in splits)
    return Survey(
        source.name,
        str(source.dtype),
        source.lengths,
        source.space,
        source.channels,
        source.metadata.variables,
        variable,
        units or source.metadata.units,
        found,
        sum(source.lengths) - sum(windows.frames for windows in splits.values()),
        _step(source),
        edges,
    )


def _split(
    source: FrameSource,
    name: str,
    windows: WindowSet,
    places: list[tuple[int, int]],
    edges: tuple[float, float],
    frame: int,
) -> SplitSurvey:
    stretches = windows.stretches
    first, last = stretches[0], stretches[-1]
    return SplitSurvey(
        name,
        len(windows.events),
        windows.frames,
        len(windows),
        stretches,
        _when(source, first.event, first.frames[0]),
        _when(source, last.event, last.frames[-1]),
        _values(source, places, edges, frame),
    )


def _values(source: FrameSource, places: list[tuple[int, int]], edges: tuple[float, float], frame: int) -> Values:
    total = known = 0
    low, high, mean, spread = math.inf, -math.inf, 0.0, 0.0
    counts = np.zeros(BINS, np.int64)
    for block in _blocks(source, places, frame):
        total += block.size
        values = block[~np.isnan(block)].astype(np.float64)
        if not values.size:
            continue
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        # Chan, Golub and LeVeque (1983): the moments of two parts as those of the whole.
        step = float(values.mean()) - mean
        spread += float(values.var()) * values.size + step**2 * known * values.size / (known + values.size)
        known += values.size
        mean += step * values.size / known
        counts += np.histogram(values, BINS, edges)[0] if edges[0] < edges[1] else 0
    missing = 1 - known / total if total else math.nan
    if not known:
        return Values(len(places), missing, math.nan, math.nan, math.nan, math.nan, counts)
    return Values(len(places), missing, low, high, mean, math.sqrt(spread / known), counts)


def _edges(source: FrameSource, places: list[tuple[int, int]], frame: int) -> tuple[float, float]:
    """The smallest and the largest value that is known."""
    low, high = math.inf, -math.inf
    for block in _blocks(source, places, frame):
        if not np.isnan(block).all():
            low, high = min(low, float(np.nanmin(block))), max(high, float(np.nanmax(block)))
    return (low, high) if low <= high else (math.nan, math.nan)


def _blocks(source: FrameSource, places: list[tuple[int, int]], frame: int) -> Iterator[npt.NDArray[np.float32]]:
    """The values of the frames at (event, frame), in pieces that take little memory."""
    at_once = max(1, PIECE // frame)
    for first in range(0, len(places), at_once):
        runs = list(_runs(places[first : first + at_once]))
        yield np.concatenate([source.read(event, frames) for event, frames in runs])


def _runs(places: list[tuple[int, int]]) -> Iterator[tuple[int, range]]:
    """Consecutive frames of one event together, so that they are read at once."""
    start = 0
    for index in range(1, len(places) + 1):
        before = places[index - 1]
        if index == len(places) or places[index] != (before[0], before[1] + 1):
            yield before[0], range(places[start][1], before[1] + 1)
            start = index


def _frames(stretches: tuple[Stretch, ...], most: int) -> Iterator[tuple[int, int]]:
    """At most `most` frames, evenly spread over all of them, as (event, frame)."""
    total = sum(len(stretch.frames) for stretch in stretches)
    if not total:
        return
    before, at = 0, 0
    for number in np.unique(np.linspace(0, total - 1, min(most, total)).round().astype(np.int64)).tolist():
        while number >= before + len(stretches[at].frames):
            before += len(stretches[at].frames)
            at += 1
        yield stretches[at].event, stretches[at].frames[number - before]


def _step(source: FrameSource) -> str:
    """The usual time from one frame to the next in words; empty where it is not known."""
    times = source.times(0)
    step = None if times is None else usual_step(times)
    return "" if step is None else step.times(1)


def _when(source: FrameSource, event: int, frame: int) -> str:
    times = source.times(event)
    if times is None:
        return f"frame {frame}" if source.events == 1 else f"event {event}, frame {frame}"
    return show(times[frame])


def _split_dict(split: SplitSurvey) -> dict[str, Any]:
    values = split.values
    numbers = {name: _finite(getattr(values, name)) for name in ("missing", "min", "max", "mean", "std")}
    return {
        "name": split.name,
        "events": split.events,
        "frames": split.frames,
        "windows": split.windows,
        "first": split.first,
        "last": split.last,
        "stretches": [
            {"event": one.event, "frames": [one.frames.start, one.frames.stop]} for one in split.stretches[:1000]
        ],
        "values": {"frames": values.frames, **numbers, "histogram": values.counts.tolist()},
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
