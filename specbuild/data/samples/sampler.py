"""Batches of samples, in an order and with crops that depend on seed, epoch and position alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.sources.base import Region
from specbuild.data.sources.checked import LESS
from specbuild.document import RunError

Sample: TypeAlias = tuple[Any, Any, Any]
"""What the model reads, its target, and the weight of each pixel of the target (None: all weigh the same).

What the model reads is an array, or with `data.inputs` a dict of arrays by the name of the input.
"""


EVERY = slice(None)
"""All rows of a batch."""


@dataclass(frozen=True)
class Sampler:
    """Batches of one split.

    In training (`shuffle`), every pass over the samples has a new order, new crops and new random numbers for
    augmentation; otherwise the samples keep their order, and each has the same crop in every epoch, so that epochs can
    be compared. A pass reads each sample once. With `steps`, an epoch has that many batches, all full: where these are
    less than a pass the rest is not read, where they are more another pass begins. Without, an epoch is one pass, and
    its last batch may be smaller.

    A sampler keeps no state: batches may be requested in any order and by several threads.
    """

    samples: int
    batch_size: int
    seed: int
    steps: int | None
    shuffle: bool
    frame: tuple[int, ...]
    crop: tuple[int, ...]
    """Axes of space of whole frames and of the region to read."""
    sample: Callable[[int, Region, np.random.Generator | None], Sample]
    """Reads a sample by its number, in a region of its frames; augments it if it is given random numbers."""

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self.steps or -(-self.samples // self.batch_size)

    def batch(self, epoch: int, index: int, rows: slice = EVERY) -> Sample:
        """Return batch `index` of an epoch: x (B, P, *crop, C), y (B, F, *crop, C) and weight (B, F, *crop) or None.

        Where a sample has a dict of arrays, the batch has one as well. Of a part of its rows, only their samples are
        read; that they are has no effect on what they are.

        Raises:
            RunError: memory runs out.
        """
        positions = self._positions(index)[rows]
        try:
            samples = [self.sample(*self._draw(epoch, position)) for position in positions]
            x, y, weight = zip(*samples, strict=True)
            return for_model(x), stacked(y), stacked(weight)
        except MemoryError as error:
            raise RunError(f"there is not enough memory for a batch of {len(positions)} samples", LESS) from error

    def sized(self, batch_size: int) -> Sampler:
        """Return the same samples in batches of another size."""
        return replace(self, batch_size=batch_size)

    def numbers(self, epoch: int, index: int) -> list[int]:
        """Return which samples batch `index` of an epoch has, by number."""
        return [self._draw(epoch, position)[0] for position in self._positions(index)]

    def _positions(self, index: int) -> range:
        """Return which positions of an epoch a batch has."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        first = index * self.batch_size
        return range(first, first + self.batch_size if self.steps else min(first + self.batch_size, self.samples))

    def _draw(self, epoch: int, position: int) -> tuple[int, Region, np.random.Generator | None]:
        """Return the sample, its region and, in training, the random numbers at a position of the epoch."""
        turn, number = divmod(position, self.samples)
        if not self.shuffle:
            return number, self._region(0, number), None
        sample = int(_shuffled(self.samples, self.seed, epoch, turn)[number])
        return sample, self._region(epoch + 1, position), np.random.default_rng((self.seed, epoch + 1, position, 1))

    def _region(self, epoch: int, position: int) -> Region:
        if self.crop == self.frame:
            return tuple(slice(0, length) for length in self.frame)
        generator = np.random.default_rng((self.seed, epoch, position))
        room = [length - size + 1 for length, size in zip(self.frame, self.crop, strict=True)]
        corner = generator.integers(0, room).tolist()
        return tuple(slice(start, start + size) for start, size in zip(corner, self.crop, strict=True))


def stacked(parts: Sequence[Any]) -> Any:
    """Return arrays as one with a first axis more, dicts of arrays by name; None of None."""
    if parts[0] is None:
        return None
    if isinstance(parts[0], dict):
        return {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    return np.stack(parts)


def for_model(parts: Sequence[Any]) -> Any:
    """Return what a model reads of several samples: an array, or dicts of arrays by input where it has several."""
    whole = stacked(parts)
    return next(iter(whole.values())) if isinstance(whole, dict) and len(whole) == 1 else whole


@lru_cache(maxsize=4)
def _shuffled(samples: int, seed: int, epoch: int, turn: int) -> npt.NDArray[np.int64]:
    """Return the order of a pass over the samples."""
    order = np.random.default_rng((seed, epoch, turn, samples)).permutation(samples)
    order.setflags(write=False)
    return order
