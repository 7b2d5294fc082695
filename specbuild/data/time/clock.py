"""Frames on one regular time line, and their phase in a cycle: which hour of the day, which month of the year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from specbuild.data.sources import FrameSource
from specbuild.data.time.intervals import MONTH, median_step
from specbuild.data.time.times import Times

Slots = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Clock:
    """Counts frames from `start`, one slot every `step` seconds; a step of None is a calendar month.

    Without a start no times are known, and the frames of each event are counted from 0.
    """

    start: np.datetime64 | None = None
    step: float | None = None

    @classmethod
    def of(cls, source: FrameSource) -> Clock:
        """Return the clock of a source: from its first frame, in its usual step."""
        times = source.times(0)
        if times is None or len(times) < 2:
            return cls()
        step = median_step(times)
        return cls(times[0].astype("datetime64[s]"), None if MONTH[0] <= step <= MONTH[1] else step)

    def slots(self, times: Times) -> Slots:
        """Return the slots of frames of known times; a clock without a start has none."""
        assert self.start is not None
        if self.step is None:
            months: Slots = (times.astype("datetime64[M]") - self.start.astype("datetime64[M]")).astype(np.int64)
            return months
        seconds = (times - self.start).astype("timedelta64[s]").astype(np.int64)
        return np.rint(seconds / self.step).astype(np.int64)

    def state(self) -> dict[str, Any]:
        """Return the clock as JSON can hold it."""
        return {"start": None if self.start is None else str(self.start), "step": self.step}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Clock:
        """Return the clock of a state."""
        start = state["start"]
        return cls(None if start is None else np.datetime64(start, "s"), state["step"])


@dataclass(frozen=True)
class Phases:
    """Frames on one regular time line of all events, whose cycle has `period` slots.

    Where the source knows times, a frame's slot is its time after the first frame of all in units of the usual step
    (calendar months where that is a month), so that neither a gap nor the start of an event shifts the phase. Without
    times each event begins at slot 0.
    """

    source: FrameSource
    period: int
    _known: dict[int, Slots] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def clock(self) -> Clock:
        return Clock.of(self.source)

    def slots(self, event: int) -> Slots:
        """Return the slot of each frame of an event, rising, (T,)."""
        if event not in self._known:
            times = self.source.times(event)
            if times is None or self.clock.start is None:
                self._known[event] = np.arange(self.source.lengths[event])
            else:
                self._known[event] = self.clock.slots(times)
        return self._known[event]

    def of(self, event: int, frame: int) -> int:
        """Return the phase of a frame, from 0 to below the period."""
        return int(self.slots(event)[frame]) % self.period

    def earlier(self, event: int, frame: int, last: int) -> int | None:
        """Return the latest frame of the event up to `last` with the phase of `frame`; None where there is none."""
        slots = self.slots(event)
        alike = np.flatnonzero((slots[: last + 1] - slots[frame]) % self.period == 0)
        return int(alike[-1]) if alike.size else None
