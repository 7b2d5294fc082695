"""Climatology: the mean of each pixel at each phase of a cycle, such as each hour of the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from specbuild.data.arrays import Floats
from specbuild.data.samples.dataset import Dataset
from specbuild.data.samples.windows import WindowSet, frames_at_once, pieces
from specbuild.data.sources import FrameSource
from specbuild.data.time.clock import Phases
from specbuild.data.transforms.running_statistics import PhaseMeans, phase_means


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

    def at(self, event: int, frames: Sequence[int]) -> Floats:
        """Return the means at the phases of the frames of an event."""
        return self.training.means[self.phases.slots(event)[list(frames)] % self.phases.period]
