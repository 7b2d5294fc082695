"""Climatology: the mean of each pixel at each phase of a cycle, such as each hour of the day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.samples.windows import WindowSet, frames_at_once, pieces
from specbuild.data.sources import FrameSource
from specbuild.data.time.clock import Phases, Slots

if TYPE_CHECKING:
    from specbuild.data.samples.dataset import Dataset


@dataclass(frozen=True, slots=True)
class PhaseMeans:
    """Means of frames over time, missing values left out; NaN where every value is missing."""

    means: Floats
    """The mean at each phase, (period, *space, C)."""
    mean: Floats
    """The mean over all phases, (*space, C)."""
    limits: tuple[float, float]
    """The least and the greatest value of any pixel."""


def phase_means(frames: Iterable[tuple[Floats, Slots]], period: int) -> PhaseMeans:
    """Return the means of frames (T, *space, C), given in pieces with the slot of each frame, (T,)."""
    total: npt.NDArray[np.float64] = np.zeros(0)
    count: npt.NDArray[np.int64] = np.zeros(0, np.int64)
    least, greatest = np.nan, np.nan
    for values, slots in frames:
        if not total.size:
            total, count = np.zeros((period, *values.shape[1:])), np.zeros((period, *values.shape[1:]), np.int64)
        for phase, frame in zip(slots % period, values, strict=True):
            known = ~np.isnan(frame)
            total[phase][known] += frame[known]
            count[phase] += known
        least, greatest = np.fmin(least, np.fmin.reduce(values, None)), np.fmax(greatest, np.fmax.reduce(values, None))
    limits = float(least), float(greatest)
    return PhaseMeans(_quotient(total, count), _quotient(total.sum(axis=0), count.sum(axis=0)), limits)


@dataclass(frozen=True)
class Climatology:
    """The means of the training frames at the phases of a cycle, read once when they are first needed."""

    source: FrameSource
    train: WindowSet
    phases: Phases

    @classmethod
    def of(cls, dataset: Dataset, period: int | None = None) -> Climatology:
        """Return the climatology of a data set for a cycle of `period` frames; None: of a single phase."""
        return cls(dataset.source, dataset.split("train"), Phases(dataset.source, period or 1))

    @cached_property
    def training(self) -> PhaseMeans:
        """The means of the training frames."""
        stretches = pieces(self.train.stretches, None, frames_at_once(self.source))
        frames = ((self.source.read(event, part), self.phases.slots(event)[list(part)]) for event, part in stretches)
        return phase_means(frames, self.phases.period)

    def at(self, event: int, frames: range) -> Floats:
        """Return the means at the phases of the frames of an event."""
        return self.training.means[self.phases.slots(event)[list(frames)] % self.phases.period]


def _quotient(total: npt.NDArray[np.float64], count: npt.NDArray[np.int64]) -> Floats:
    means: npt.NDArray[np.float64] = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means.astype(np.float32)
