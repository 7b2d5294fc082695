"""Base class of data to train on: samples of each split, and the transform between physical and model units."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np

from specbuild.data.samples.augment import Augmentation
from specbuild.data.samples.layout import SampleLayout
from specbuild.data.samples.sampler import Sample, Sampler
from specbuild.data.sources.base import FrameSource, Region
from specbuild.data.transforms.pipeline import Transform
from specbuild.document import ArgumentError, did_you_mean
from specbuild.language.sections.data import DataSection


class _Split(Protocol):
    def __len__(self) -> int: ...
    def __getitem__(self, number: int, /) -> Any: ...


Split = TypeVar("Split", bound=_Split)


@dataclass(frozen=True)
class SampleSet(ABC, Generic[Split]):
    """Samples of each split: windows of frames, or clips with their classes."""

    section: DataSection
    source: FrameSource
    splits: dict[str, Split]
    transform: Transform
    layout: SampleLayout

    def state(self) -> dict[str, Any]:
        """Return the statistics of all transforms, as JSON can hold them."""
        return self.transform.state()

    @property
    def transforms(self) -> Mapping[str, Transform]:
        """The transform of the target of each output that has one of its own, by its name."""
        return {}

    @property
    def counted(self) -> str:
        """What samples are called in counts, in the plural."""
        return "windows"

    def split(self, name: str) -> Split:
        """Return a split.

        Raises:
            ArgumentError: the spec has no such split.
        """
        if name not in self.splits:
            hint = did_you_mean(name, self.splits) or f"the data has {', '.join(self.splits)}"
            raise ArgumentError(f"the data has no {name} split", f"{hint}; splits are set under data.split")
        return self.splits[name]

    def sampler(
        self, split: str, batch_size: int, seed: int, steps: int | None = None, *, shuffle: bool | None = None
    ) -> Sampler:
        """Return batches of a split, shuffled (by default) and augmented if it is the one for training."""
        samples = self.split(split)

        def sample(number: int, region: Region, random: np.random.Generator | None) -> Sample:
            return self._sample(samples[number], region, random)

        shuffled = split == "train" if shuffle is None else shuffle
        return Sampler(len(samples), batch_size, seed, steps, shuffled, self.source.space, self.layout.crop, sample)

    def notes(self) -> tuple[str, ...]:
        """Return notes for the user on the data read so far."""
        return ()

    @cached_property
    def augmentation(self) -> Augmentation | None:
        """How training samples are varied, if they are."""
        section = self.section.augment
        return None if section is None else Augmentation(section, self.section.source.space)

    @abstractmethod
    def _sample(self, item: Any, region: Region, random: np.random.Generator | None) -> Sample:
        """Read an item of a split, in a region of its frames; with random numbers, as in training."""


Samples: TypeAlias = SampleSet[Any]
"""Samples of either kind."""
