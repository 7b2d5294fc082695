"""Baselines: forecasts that need no model, which every score stands beside.

Each gives (F, *space, C) in physical units for a window, NaN where it knows nothing. What a baseline learns comes from
the training frames alone; what it looks up lies before the forecast is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.samples.dataset import Dataset, Window
from specbuild.data.samples.windows import WindowSet, future_frames, past_frames
from specbuild.data.sources import FrameSource
from specbuild.data.time.phases import Phases
from specbuild.language.sections.data import WindowsSection


@dataclass(frozen=True, slots=True)
class Baseline:
    """A named rule from a window to its forecast."""

    name: str
    forecast: Callable[[Window], Floats]


def baselines(dataset: Dataset, period: int | None = None, cycle: Climatology | None = None) -> tuple[Baseline, ...]:
    """Persistence and the training mean; with `period`, the frames of one cycle, also those that know its phase.

    Args:
        cycle: the climatology of that period, where it is known already. Training frames are read, once, when the first
            forecast needs them.
    """
    windows, source = dataset.section.windows, dataset.source
    known = cycle or Climatology.of(dataset, period)
    found = (
        Baseline("persistence", persistence),
        Baseline("training mean", lambda w: np.repeat(known.mean[np.newaxis], len(w.future), axis=0)),
    )
    if period is None:
        return found
    return (
        *found,
        Baseline("climatology", lambda w: climatology(w, windows, known)),
        Baseline("same phase", lambda w: same_phase(w, windows, source, known.phases)),
        Baseline("anomaly persistence", lambda w: anomaly_persistence(w, windows, known)),
    )


def persistence(window: Window) -> Floats:
    """The last past frame, unchanged."""
    return np.repeat(window.past[-1:], len(window.future), axis=0)


def climatology(window: Window, windows: WindowsSection, cycle: Climatology) -> Floats:
    """The training mean of each pixel, at the phase of each forecast frame."""
    return cycle.at(window.event, future_frames(window.start, windows))


def same_phase(window: Window, windows: WindowsSection, source: FrameSource, phases: Phases) -> Floats:
    """The last observed frame of the same phase: the same hour yesterday, the same month last year.

    NaN where the event has none before the forecast is made.
    """
    last = past_frames(window.start, windows)[-1]
    frames = np.full_like(window.future, np.nan)
    for number, frame in enumerate(future_frames(window.start, windows)):
        earlier = phases.earlier(window.event, frame, last)
        if earlier is not None:
            frames[number] = source.read(window.event, range(earlier, earlier + 1))[0]
    return frames


def anomaly_persistence(window: Window, windows: WindowsSection, cycle: Climatology) -> Floats:
    """The last past frame's departure from the climatology, added to the climatology of each forecast frame."""
    last = past_frames(window.start, windows)[-1]
    return climatology(window, windows, cycle) + (window.past[-1:] - cycle.at(window.event, range(last, last + 1)))


@dataclass(frozen=True)
class Climatology:
    """What the training frames say of each pixel and channel: its mean at each phase of a cycle, and over all."""

    source: FrameSource
    train: WindowSet
    phases: Phases

    @classmethod
    def of(cls, dataset: Dataset, period: int | None = None) -> Climatology:
        """That of a data set, for a cycle of `period` frames; None knows one phase alone."""
        return cls(dataset.source, dataset.windows("train"), Phases(dataset.source, period or 1))

    @property
    def means(self) -> Floats:
        """(period, *space, C), NaN where no training frame of the phase has a value."""
        return self._found.means

    @property
    def mean(self) -> Floats:
        """The mean over all training frames, (*space, C)."""
        return self._found.mean

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest training value of any pixel; both NaN where there is none."""
        return self._found.least, self._found.greatest

    def at(self, event: int, frames: range) -> Floats:
        """The means at the phases of the frames of an event."""
        return self.means[[self.phases.of(event, frame) for frame in frames]]

    @cached_property
    def _found(self) -> _Found:
        shape = (self.phases.period, *self.source.space, self.source.channels)
        total, count = np.zeros(shape), np.zeros(shape, np.int64)
        least, greatest = np.nan, np.nan
        for stretch in self.train.stretches:
            for frame in stretch.frames:
                values = self.source.read(stretch.event, range(frame, frame + 1))[0]
                phase, known = self.phases.of(stretch.event, frame), ~np.isnan(values)
                total[phase][known] += values[known]
                count[phase] += known
                if known.any():
                    least = float(np.fmin(least, values[known].min()))
                    greatest = float(np.fmax(greatest, values[known].max()))
        return _Found(_quotient(total, count), _quotient(total.sum(axis=0), count.sum(axis=0)), least, greatest)


@dataclass(frozen=True, slots=True)
class _Found:
    means: Floats
    mean: Floats
    least: float
    greatest: float


def _quotient(total: npt.NDArray[np.float64], count: npt.NDArray[np.int64]) -> Floats:
    found: npt.NDArray[np.float64] = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return found.astype(np.float32)
