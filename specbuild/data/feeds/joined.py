"""Frames of another source, joined to those of the record by time or by number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.feeds.base import FeedContext
from specbuild.data.feeds.grid import Grid
from specbuild.data.feeds.stored import Stored
from specbuild.data.samples.windows import Stretch
from specbuild.data.sources import FrameSource
from specbuild.data.time.clock import Slots
from specbuild.data.time.intervals import median_step
from specbuild.data.time.times import Times, show
from specbuild.data.transforms.step import FrameContext
from specbuild.document import ArgumentError
from specbuild.language import Spec
from specbuild.language.interval import Interval
from specbuild.language.sections.feeds import SourceFeed

NONE = -1
"""The number that stands for a missing frame."""


def open_joined(
    name: str,
    feed: SourceFeed,
    source: FrameSource,
    grid: Grid,
    seen: Spec,
    record_space: tuple[int, ...],
    *,
    record: FrameSource,
) -> JoinedFrames:
    """Return frames that are joined to those of the record.

    Raises:
        SpecError: the two cannot be joined: one has times and the other not, or other events.
    """
    timed = [source.times(0) is not None, record.times(0) is not None]
    code = "data-join"
    if timed[0] != timed[1]:
        with_times, without = (source.name, record.name) if timed[0] else (record.name, source.name)
        raise seen.error(
            ("data", "source"),
            f"{with_times} has times, and {without} has none",
            help="name the array with the times in source.time; or write time: false for both, to join by number",
            code=code,
        )
    if source.events not in (1, record.events):
        message = f"{source.name} has {source.events:,} events, {record.name} has {record.events:,}"
        raise seen.error(("data", "source"), message, help="give the same events, or one record", code=code)
    if not timed[0] and (source.lengths != record.lengths or feed.join != "exact"):
        reason = f"it has {sum(source.lengths):,} frames, {record.name} has {sum(record.lengths):,}"
        message = f"the frames of {source.name} have no times, so they are matched by number"
        help = "give equally many frames, or name the array with their times in source.time"
        raise seen.error(("data", "source"), message, reason=reason, help=help, code=code)
    return JoinedFrames(name, feed, source, grid, seen, record_space, record=record)


@dataclass(frozen=True)
class JoinedFrames(Stored):
    """Frames of another source, one for each frame of the window; missing where none matches.

    For a past frame, only what was known at the time of the last past frame is used.
    """

    record: FrameSource = field(kw_only=True)
    unmatched: set[tuple[int, int]] = field(default_factory=set, compare=False, repr=False, kw_only=True)
    """Event and number of each frame of the record read so far that has no counterpart."""

    def training(self, train: tuple[Stretch, ...]) -> tuple[Stretch, ...]:
        found: set[tuple[int, int]] = set()
        for stretch in train:
            event = self._event(stretch.event)
            times = self.record.times(stretch.event)
            if times is None:
                frames: Iterable[int] = stretch.frames
            else:
                frames = self.partners(event, times[stretch.frames.start : stretch.frames.stop]).tolist()
            found.update((event, frame) for frame in frames if frame != NONE)
        if not found:
            spans = " and ".join(
                f"from {show(times[0])} to {show(times[-1])}"
                for times in (self.source.times(0), self.record.times(0))
                if times is not None
            )
            raise self.seen.error(
                ("data", "source"),
                f"no frame of {self.source.name} matches a training frame of {self.record.name}",
                reason=f"they are {spans}",
                help="check the times of both, or join them with join: nearest and a larger tolerance",
                code="data-join",
            )
        return tuple(_stretches(sorted(found)))

    def partners(self, event: int, times: Times, latest: np.datetime64 | None = None) -> npt.NDArray[np.int64]:
        """Return the frame of an event that matches each time; `NONE` where none does.

        Args:
            latest: no later frame is used; None: any is.
        """
        own = self.source.times(event)
        assert own is not None
        known = len(own) if latest is None else int(np.searchsorted(own, latest, "right"))
        if not known:
            return np.full(len(times), NONE)
        before = np.searchsorted(own[:known], times, "right") - 1
        if self.section.join == "nearest":
            after = np.clip(before + 1, 0, known - 1)
            before = np.clip(before, 0, known - 1)
            nearer = np.abs(own[after] - times) < np.abs(own[before] - times)
            before = np.where(nearer, after, before)
        exists = before >= 0
        distance = np.abs(times - own[np.maximum(before, 0)]).astype("timedelta64[s]").astype(np.int64)
        return np.where(exists & (distance <= self._tolerance(own)), before, NONE)

    def read(self, context: FeedContext) -> Floats:
        physical, slots = self.physical(context)
        values = self.values_of(physical, None if slots is None else FrameContext(slots, context.region))
        return values if self.layout.time else values[0]

    def values_of(self, physical: Floats, context: FrameContext | None = None) -> Floats:
        """Return frames in physical units, (frames, *space, C), as the model reads them, with a time axis."""
        assert self.statistics is not None
        return self.statistics.fill_missing(self.statistics.apply(physical, context))

    def physical(self, context: FeedContext) -> tuple[Floats, Slots | None]:
        """Return the frames in physical units, missing values NaN, and their slots if the transform needs these."""
        frames, times = self._partners_of(context)
        event = self._event(0 if context.at is None else context.at[0])
        shape = (len(frames), *(part.stop - part.start for part in context.region), self.source.channels)
        physical = np.full(shape, np.nan, np.float32)
        for positions, run in _runs(frames):
            physical[positions] = self.grid.read(self.source, event, run, context.region)
        assert self.statistics is not None
        clock = self.statistics.clock
        slots = None
        if clock is not None:
            slots = np.asarray(frames, np.int64) if times is None or clock.start is None else clock.slots(times)
        return physical, slots

    def check_reach(self, context: FeedContext) -> None:
        assert self.section.frames is not None
        numbers, frames = context.numbers(self.section.frames), self._partners_of(context)[0]
        last = context.frames[0][-1]
        future = [frame for number, frame in zip(numbers, frames, strict=True) if number > last]
        if NONE in future:
            raise ArgumentError(
                f"the input {self.name} reads {self.source.name}, which has nothing for {future.count(NONE)} of the "
                f"{len(future)} forecast frames",
                help=f"give a file that reaches further with --input {self.name}=FILE",
            )

    def notes(self) -> tuple[str, ...]:
        if not self.unmatched:
            return super().notes()
        count = len(self.unmatched)
        frames = "1 frame" if count == 1 else f"{count:,} frames"
        note = f"{self.source.name} has nothing for {frames} of {self.record.name}: {self.name} is missing there"
        return (note, *super().notes())

    def _partners_of(self, context: FeedContext) -> tuple[list[int], Times | None]:
        """Return the matching frame for each frame that is read, and their times; None where joined by number."""
        assert self.section.frames is not None
        numbers = context.numbers(self.section.frames)
        event = 0 if context.at is None else context.at[0]
        if self.source.times(0) is None:
            if context.at is None:
                raise self.unknown(
                    "frames of another source by number, and the past frames have none", "give past frames of the data"
                )
            length = self.source.lengths[self._event(event)]
            frames = [number if number < length else NONE for number in numbers]
            times = None
        else:
            times = context.times(self.section.frames)
            if times is None:
                raise self.unknown("frames by time, and the past frames have no times", "give past frames with times")
            past = context.times("past")
            assert past is not None
            own = self._event(event)
            before = times <= past[-1]
            frames = np.where(before, self.partners(own, times, past[-1]), self.partners(own, times)).tolist()
        self.unmatched.update((event, number) for number, frame in zip(numbers, frames, strict=True) if frame == NONE)
        return frames, times

    def _event(self, event: int) -> int:
        """Return the event of this source that goes with an event of the record."""
        return event if self.source.events > 1 else 0

    def _tolerance(self, own: Times) -> float:
        """Return how far apart in time two matching frames may be, in seconds."""
        if self.section.join == "exact":
            return 0.0
        if self.section.tolerance is not None:
            return Interval.parse(self.section.tolerance).mean_seconds
        step = median_step(own) if len(own) > 1 else 0.0
        return step / 2 if self.section.join == "nearest" else step


def _runs(frames: list[int]) -> Iterable[tuple[slice, range]]:
    """Yield the positions and the frames of each run of successive frames, without missing ones."""
    start = 0
    for end in range(1, len(frames) + 1):
        if end == len(frames) or frames[end] != frames[end - 1] + 1 or frames[start] == NONE:
            if frames[start] != NONE:
                yield slice(start, end), range(frames[start], frames[end - 1] + 1)
            start = end


def _stretches(frames: list[tuple[int, int]]) -> Iterable[Stretch]:
    """Yield frames, in order, as stretches of successive ones."""
    start = 0
    for end in range(1, len(frames) + 1):
        event, last = frames[end - 1]
        if end == len(frames) or frames[end] != (event, last + 1):
            yield Stretch(event, range(frames[start][1], last + 1))
            start = end
