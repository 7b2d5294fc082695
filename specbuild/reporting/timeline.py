"""The timeline of the frames that train, validate and test a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from specbuild.data import Dataset
from specbuild.data.samples.clips import ClipDataset
from specbuild.data.samples.windows import WindowSet
from specbuild.data.time.intervals import median_step, unbroken
from specbuild.data.time.times import show
from specbuild.document.html import html_table
from specbuild.document.text_table import Column

_DAYS = 20 * 86400
"""Length of the data in seconds above which the axis shows dates without hours."""
_THINNEST = 0.25
"""The least width of a bar, and the least gap between two, in per cent of the line."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of the line, in per cent of it."""

    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """One split, or what is in none; `kind` is its class in the page."""

    name: str
    kind: str
    bars: tuple[Bar, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows of bars above one axis with its labels at the left, in the middle and at the right."""

    rows: tuple[Row, ...]
    ticks: tuple[str, str, str]
    axis: str

    @property
    def table(self) -> str:
        """The rows as HTML."""
        columns = [Column("part"), Column("contents")]
        return html_table(columns, [(row.name, row.words) for row in self.rows], "Parts of the data")


@dataclass(frozen=True, slots=True)
class _Line:
    """Where each frame of each event lies, by time or, where times are not known, one event after the other."""

    dataset: Dataset

    @property
    def timed(self) -> bool:
        source = self.dataset.source
        return all(source.times(event) is not None for event in range(source.events))

    def span(self, event: int, frames: range) -> tuple[float, float]:
        """Return the two ends of frames: seconds since 1970, or frames since the first of all."""
        source = self.dataset.source
        times = source.times(event)
        if not self.timed or times is None:
            before = sum(source.lengths[:event])
            return before + frames.start, before + frames.stop
        seconds = times.astype("datetime64[s]").astype(np.int64)
        step = median_step(times) if len(times) > 1 else 1.0
        return float(seconds[frames.start]), float(seconds[frames.stop - 1]) + step

    def ticks(self, first: float, last: float) -> tuple[str, str, str]:
        """Return what is written at the left, in the middle and at the right."""
        places = first, (first + last) / 2, last
        if not self.timed:
            left, middle, right = (f"{round(place):,}" for place in places)
            return left, middle, right
        unit: Literal["m", "D"] = "D" if last - first > _DAYS else "m"
        texts = (
            np.datetime_as_string(np.datetime64(round(place), "s"), unit=unit).replace("T", " ") for place in places
        )
        left, middle, right = texts
        return left, middle, right


def timeline(dataset: Dataset, left_out: Sequence[tuple[int, int]] = ()) -> Timeline:
    """Return the splits of frames.

    Args:
        left_out: the event and the first frame of windows that were left out.
    """
    line, source = _Line(dataset), dataset.source
    wholes = [line.span(event, range(length)) for event, length in enumerate(source.lengths)]
    first, last = min(start for start, _ in wholes), max(end for _, end in wholes)

    def bars(spans: Iterable[tuple[float, float]]) -> tuple[Bar, ...]:
        return _merged(
            (100 * (start - first) / (last - first), 100 * (end - start) / (last - first)) for start, end in spans
        )

    rows = [
        Row(
            name,
            name,
            bars(line.span(stretch.event, stretch.frames) for stretch in windows.stretches if stretch.frames),
            _words(dataset, windows),
        )
        for name, windows in dataset.splits.items()
    ]
    if gaps := list(_gaps(dataset, line)):
        count = f"{len(gaps)} gap{'s' if len(gaps) != 1 else ''} in time, which no window crosses"
        rows.append(Row("gaps", "gap", bars(gaps), count))
    span = dataset.section.windows.span
    if missed := sorted({*left_out, *_unusable(dataset)}):
        spans = [line.span(event, range(start, min(start + span, source.lengths[event]))) for event, start in left_out]
        spans += [line.span(event, range(frame, frame + 1)) for event, frame in _unusable(dataset)]
        frames = len(source.unusable)
        words = [
            f"{len(left_out)} of the windows forecast for this report" if left_out else "",
            f"{frames} frames that cannot be used" if frames else "",
        ]
        rows.append(Row("left out", "missing", bars(spans), " and ".join(filter(None, words)) or f"{len(missed)}"))
    events = f", {source.events} events one after the other" if source.events > 1 and not line.timed else ""
    return Timeline(
        tuple(rows),
        line.ticks(first, last),
        "time" if line.timed else f"frames, counted from 0{events}",
    )


def _merged(spans: Iterable[tuple[float, float]]) -> tuple[Bar, ...]:
    """Return bars that can be seen: none thinner than can be drawn, those that touch joined."""
    bars: list[Bar] = []
    for left, width in sorted(spans):
        width = max(width, _THINNEST)
        if bars and left - (bars[-1].left + bars[-1].width) < 0.02:
            end = max(bars[-1].left + bars[-1].width, left + width)
            bars[-1] = Bar(bars[-1].left, end - bars[-1].left)
        else:
            bars.append(Bar(left, width))
    return tuple(Bar(round(bar.left, 3), round(min(bar.width, 100 - bar.left), 3)) for bar in bars)


def _words(dataset: Dataset, windows: WindowSet) -> str:
    parts = [f"{len(windows):,} windows, {windows.frames:,} frames"]
    if len(windows.events) > 1:
        parts.append(f"{len(windows.events):,} events")
    stretches = [stretch for stretch in windows.stretches if stretch.frames]
    times = [dataset.source.times(stretch.event) for stretch in stretches]
    if stretches and all(each is not None for each in times):
        starts = [
            each[stretch.frames.start] for each, stretch in zip(times, stretches, strict=True) if each is not None
        ]
        ends = [
            each[stretch.frames.stop - 1] for each, stretch in zip(times, stretches, strict=True) if each is not None
        ]
        parts.append(f"{show(min(starts))} to {show(max(ends))}")
    if windows.embargoed:
        parts.append(f"{windows.embargoed:,} frames left out as embargo")
    return ", ".join(parts)


def _gaps(dataset: Dataset, line: _Line) -> Iterable[tuple[float, float]]:
    """Yield the two ends of each gap within an event."""
    if not line.timed:
        return
    for event, length in enumerate(dataset.source.lengths):
        parts = unbroken(dataset.source.times(event), length)
        for before, after in pairwise(parts):
            yield line.span(event, before)[1], line.span(event, after)[0]


def _unusable(dataset: Dataset) -> list[tuple[int, int]]:
    return sorted(dataset.source.unusable)


def clip_table(clips: ClipDataset) -> str:
    """Return the number of clips of each class in each split, as HTML."""
    columns = [Column("class"), *(Column(name, number=True) for name in clips.splits)]
    rows = [
        [name, *(str(sum(clips.labels[clip] == label for clip in numbers)) for numbers in clips.splits.values())]
        for label, name in enumerate(clips.classes)
    ]
    return html_table(columns, rows, "Clips of each class")
