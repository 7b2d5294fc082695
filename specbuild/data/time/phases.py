"""At which phase of a cycle each frame is: which hour of the day, which month of the year."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from specbuild.data.sources import FrameSource
from specbuild.data.time.clock import Clock, Slots


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
        """The slot of each frame of an event, rising, (T,)."""
        if event not in self._known:
            times = self.source.times(event)
            if times is None or self.clock.start is None:
                self._known[event] = np.arange(self.source.lengths[event])
            else:
                self._known[event] = self.clock.slots(times)
        return self._known[event]

    def of(self, event: int, frame: int) -> int:
        """The phase of a frame, from 0 to below the period."""
        return int(self.slots(event)[frame]) % self.period

    def earlier(self, event: int, frame: int, last: int) -> int | None:
        """The latest frame of the event up to `last` that has the phase of `frame`; None where there is none."""
        slots = self.slots(event)
        alike = np.flatnonzero((slots[: last + 1] - slots[frame]) % self.period == 0)
        return int(alike[-1]) if alike.size else None
