"""Windows: which frames a sample reads and which it forecasts.

Frames are counted from 0 within their event. With past P, future F, step s and lead l, the window that starts at frame
t reads t, t + s, … (P frames) and forecasts t + (P + l)s, … (F frames).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.sources import FrameSource
from specbuild.data.time.intervals import unbroken
from specbuild.language.sections.data import WindowsSection

PIECE = 2**22
"""Numbers read at once."""


@dataclass(frozen=True, slots=True)
class Window:
    """Whole frames in physical units, missing values NaN: past (P, *space, C) and future (F, *space, C)."""

    past: Floats
    future: Floats
    event: int
    past_frames: range
    """The past frames by number, counted from 0 within the event."""
    future_frames: Sequence[int]

    @property
    def start(self) -> int:
        """The first past frame."""
        return self.past_frames.start


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames of one event without a gap; no window leaves its stretch."""

    event: int
    frames: range


@dataclass(frozen=True)
class WindowSet:
    """The windows of one split, in the order of its stretches."""

    section: WindowsSection
    stretches: tuple[Stretch, ...]
    embargoed: int = 0
    """Frames that were requested but are too close to the next split."""

    @property
    def events(self) -> tuple[int, ...]:
        """The events that have frames in this split, in order."""
        return tuple(dict.fromkeys(stretch.event for stretch in self.stretches))

    @property
    def frames(self) -> int:
        """The number of frames of the split."""
        return sum(len(stretch.frames) for stretch in self.stretches)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, number: int) -> tuple[int, int]:
        """Return the event and the first frame of a window."""
        if not 0 <= number < len(self):
            raise IndexError(f"window {number} of {len(self)}")
        at = int(np.searchsorted(self._ends, number, side="right"))
        before = int(self._ends[at - 1]) if at else 0
        stretch = self.stretches[at]
        return stretch.event, window_starts(stretch.frames, self.section)[number - before]

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        """The number of windows up to the end of each stretch."""
        counts = [len(window_starts(stretch.frames, self.section)) for stretch in self.stretches]
        return np.cumsum(counts, dtype=np.int64)


def frames_at_once(source: FrameSource) -> int:
    """Return how many frames of a source take little memory."""
    return max(1, PIECE // (math.prod(source.space) * source.channels))


def pieces(stretches: tuple[Stretch, ...], most: int | None, at_once: int) -> Iterator[tuple[int, range]]:
    """Yield the event and the frames of each piece of the stretches to read.

    With more than `most` frames, one is drawn out of each of `most` equal parts: always the same ones, and not at a
    fixed distance, which might be that of a day or a year.
    """
    ends = np.cumsum([len(stretch.frames) for stretch in stretches])
    if most is None or ends[-1] <= most:
        for stretch in stretches:
            for first in range(stretch.frames.start, stretch.frames.stop, at_once):
                yield stretch.event, range(first, min(first + at_once, stretch.frames.stop))
        return
    edges = np.arange(most + 1) * ends[-1] // most
    for number in np.random.default_rng(0).integers(edges[:-1], edges[1:]).tolist():
        at = int(np.searchsorted(ends, number, side="right"))
        stretch = stretches[at]
        frame = stretch.frames.stop - int(ends[at]) + number
        yield stretch.event, range(frame, frame + 1)


def window_starts(stretch: range, section: WindowsSection) -> range:
    """Return the first frames of the windows that are entirely within a stretch of frames."""
    return range(stretch.start, stretch.stop - section.span + 1, section.stride)


def past_frames(start: int, section: WindowsSection) -> range:
    """Return the frames that the model reads."""
    return _frames(start, 0, section.past, section)


def future_frames(start: int, section: WindowsSection) -> range:
    """Return the frames that are forecast and scored."""
    return _frames(start, section.past + section.lead, section.future, section)


def target_frames(start: int, section: WindowsSection) -> range:
    """Return the frames that are the target in training: the future, or with `target: next` each step's next frame."""
    if section.target == "future":
        return future_frames(start, section)
    return _frames(start, 1, section.targets, section)


def lead_frames(section: WindowsSection) -> tuple[int, ...]:
    """Return the distance of each forecast from the last past frame, in frames."""
    return tuple((section.lead + number + 1) * section.step for number in range(section.future))


def latest_frames(source: FrameSource, event: int, last: int, count: int) -> Floats:
    """Return up to so many frames until frame `last`, one frame of the data apart, which no gap parts: (T, *space, C).

    Frames that are missing or damaged part them as well.
    """
    stretches = unbroken(source.times(event), source.lengths[event])
    start = next(part for part in stretches if last in part).start
    frames = range(max(start, last + 1 - count), last + 1)
    values = source.read(event, frames)
    unusable = [frame for frame in frames if (event, frame) in source.unusable]
    return values[max(unusable) + 1 - frames.start :] if unusable else values


def _frames(start: int, first: int, count: int, section: WindowsSection) -> range:
    return range(start + first * section.step, start + (first + count) * section.step, section.step)
