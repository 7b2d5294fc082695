"""Frames on one regular time line, so that a frame's place in a cycle does not depend on where its file begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from specbuild.data.sources import FrameSource
from specbuild.data.sources.base import Times
from specbuild.data.time.times import MONTH, median_step

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
        """That of a source: from its first frame of all, in its usual step."""
        times = source.times(0)
        if times is None or len(times) < 2:
            return cls()
        step = median_step(times)
        return cls(times[0].astype("datetime64[s]"), None if MONTH[0] <= step <= MONTH[1] else step)

    def slots(self, times: Times) -> Slots:
        """The slots of frames of known times; a clock without a start has none."""
        assert self.start is not None
        if self.step is None:
            months: Slots = (times.astype("datetime64[M]") - self.start.astype("datetime64[M]")).astype(np.int64)
            return months
        seconds = (times - self.start).astype("timedelta64[s]").astype(np.int64)
        found: Slots = np.rint(seconds / self.step).astype(np.int64)
        return found

    def state(self) -> dict[str, Any]:
        """The clock as JSON can hold it."""
        return {"start": None if self.start is None else str(self.start), "step": self.step}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Clock:
        """The clock that `state` gave."""
        start = state["start"]
        return cls(None if start is None else np.datetime64(start, "s"), state["step"])
