"""At which phase of a cycle each frame is: which hour of the day, which month of the year."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from specbuild.data.sources import FrameSource

Slots = npt.NDArray[np.int64]

_MONTH = (28 * 86400, 31 * 86400)
"""Seconds between frames, at least and at most, that come month by month."""


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

    def slots(self, event: int) -> Slots:
        """The slot of each frame of an event, rising, (T,)."""
        if event not in self._known:
            self._known[event] = self._slots(event)
        return self._known[event]

    def of(self, event: int, frame: int) -> int:
        """The phase of a frame, from 0 to below the period."""
        return int(self.slots(event)[frame]) % self.period

    def earlier(self, event: int, frame: int, last: int) -> int | None:
        """The latest frame of the event up to `last` that has the phase of `frame`; None where there is none."""
        slots = self.slots(event)
        alike = np.flatnonzero((slots[: last + 1] - slots[frame]) % self.period == 0)
        return int(alike[-1]) if alike.size else None

    def _slots(self, event: int) -> Slots:
        times, first = self.source.times(event), self.source.times(0)
        if times is None or first is None or len(first) < 2:
            return np.arange(self.source.lengths[event])
        step = float(np.median(np.diff(first).astype("timedelta64[s]").astype(np.int64)))
        if _MONTH[0] <= step <= _MONTH[1]:
            months: Slots = (times.astype("datetime64[M]") - first[0].astype("datetime64[M]")).astype(np.int64)
            return months
        steps: Slots = np.rint((times - first[0]).astype("timedelta64[s]").astype(np.int64) / step).astype(np.int64)
        return steps
