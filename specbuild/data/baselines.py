"""Baselines: forecasts that need no model, which every score stands beside.

Each gives (F, *space, C) in physical units for a window, NaN where it knows nothing. What a baseline learns comes from
the training frames alone; what it looks up lies before the forecast is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from specbuild.data.dataset import Dataset, Window
from specbuild.data.sources import FrameSource
from specbuild.data.windows import WindowSet, future_frames, past_frames
from specbuild.spec.data_section import WindowsSection

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A named rule from a window to its forecast."""

    name: str
    forecast: Callable[[Window], Floats]


def baselines(dataset: Dataset, period: int | None = None) -> tuple[Baseline, ...]:
    """Persistence and the training mean; with `period`, the frames of one cycle, also those that know its phase.

    Training frames are read when the first forecast needs them.
    """
    windows, source = dataset.section.windows, dataset.source
    mean = Climatology(source, dataset.windows("train"), 1)
    found = (Baseline("persistence", persistence), Baseline("training mean", lambda w: climatology(w, windows, mean)))
    if period is None:
        return found
    cycle = Climatology(source, dataset.windows("train"), period)
    return (
        *found,
        Baseline("climatology", lambda w: climatology(w, windows, cycle)),
        Baseline("same phase", lambda w: same_phase(w, windows, source, period)),
        Baseline("anomaly persistence", lambda w: anomaly_persistence(w, windows, cycle)),
    )


def persistence(window: Window) -> Floats:
    """The last past frame, unchanged."""
    return np.repeat(window.past[-1:], len(window.future), axis=0)


def climatology(window: Window, windows: WindowsSection, cycle: Climatology) -> Floats:
    """The training mean of each pixel, at the phase of each forecast frame."""
    return cycle.at(future_frames(window.start, windows))


def same_phase(window: Window, windows: WindowsSection, source: FrameSource, period: int) -> Floats:
    """The last observed frame of the same phase: the same hour yesterday, the same month last year.

    NaN where that lies before the first frame of the event.
    """
    last = past_frames(window.start, windows)[-1]
    frames = np.full_like(window.future, np.nan)
    for number, frame in enumerate(future_frames(window.start, windows)):
        earlier = frame - -(-(frame - last) // period) * period
        if earlier >= 0:
            frames[number] = source.read(window.event, range(earlier, earlier + 1))[0]
    return frames


def anomaly_persistence(window: Window, windows: WindowsSection, cycle: Climatology) -> Floats:
    """The last past frame's departure from the climatology, added to the climatology of each forecast frame."""
    last = past_frames(window.start, windows)[-1]
    return climatology(window, windows, cycle) + (window.past[-1:] - cycle.at((last,)))


@dataclass(frozen=True)
class Climatology:
    """The mean of each pixel and channel over the training frames, for each phase of a cycle of `period` frames."""

    source: FrameSource
    train: WindowSet
    period: int

    @cached_property
    def means(self) -> Floats:
        """(period, *space, C), NaN where no training frame of the phase has a value."""
        shape = (self.period, *self.source.space, self.source.channels)
        total, count = np.zeros(shape), np.zeros(shape, np.int64)
        for stretch in self.train.stretches:
            for frame in stretch.frames:
                values = self.source.read(stretch.event, range(frame, frame + 1))[0]
                known = ~np.isnan(values)
                total[frame % self.period][known] += values[known]
                count[frame % self.period] += known
        means: npt.NDArray[np.float64] = np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)
        return means.astype(np.float32)

    def at(self, frames: Iterable[int]) -> Floats:
        """The means at the phases of the frames."""
        return self.means[[frame % self.period for frame in frames]]
