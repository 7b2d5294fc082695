"""Sampler: batches of windows, in an order and with crops that depend on seed, epoch and position alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.sources.base import Region

Sample: TypeAlias = tuple[Floats, Floats, Floats | None]
"""What the model reads, what it must give, and the weight of each pixel of that (None: all count alike)."""


@dataclass(frozen=True)
class Sampler:
    """Batches of one split.

    In training (`shuffle`), every pass over the windows has a new order, new crops and new numbers to augment samples
    with; without it the windows come in their own order, and each window's crop is the same in every epoch, so that
    epochs can be compared. A window comes once per pass. With `steps` an epoch has so many batches, all full: fewer
    than one pass draw a part of it, more go on with a new pass. Without, an epoch is one pass, and its last batch holds
    what is left.

    Nothing changes in a sampler: batches may be made in any order and by several threads.
    """

    windows: int
    batch_size: int
    seed: int
    steps: int | None
    shuffle: bool
    frame: tuple[int, ...]
    crop: tuple[int, ...]
    """Axes of space of whole frames and of the part to read; none where `sample` chooses that part itself."""
    sample: Callable[[int, Region, np.random.Generator | None], Sample]
    """Reads a window, by its number, in a region of its frames, and augments it if it is given random numbers."""

    def __len__(self) -> int:
        """Batches of one epoch."""
        return self.steps or -(-self.windows // self.batch_size)

    def batch(self, epoch: int, index: int) -> Sample:
        """Batch `index` of an epoch: x (B, P, *crop, C), y (B, F, *crop, C) and weight (B, F, *crop) or None."""
        first = index * self.batch_size
        last = first + self.batch_size if self.steps else min(first + self.batch_size, self.windows)
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        drawn = [self._draw(epoch, position) for position in range(first, last)]
        x, y, weight = zip(*(self.sample(*one) for one in drawn), strict=True)
        return np.stack(x), np.stack(y), None if weight[0] is None else np.stack(weight)

    def _draw(self, epoch: int, position: int) -> tuple[int, Region, np.random.Generator | None]:
        """The window, the region and, in training, the random numbers at a position of the epoch."""
        turn, place = divmod(position, self.windows)
        if not self.shuffle:
            return place, self._region(0, place), None
        window = int(_shuffled(self.windows, self.seed, epoch, turn)[place])
        return window, self._region(epoch + 1, position), np.random.default_rng((self.seed, epoch + 1, position, 1))

    def _region(self, epoch: int, position: int) -> Region:
        if self.crop == self.frame:
            return tuple(slice(0, length) for length in self.frame)
        generator = np.random.default_rng((self.seed, epoch, position))
        room = [length - size + 1 for length, size in zip(self.frame, self.crop, strict=True)]
        corner = generator.integers(0, room).tolist()
        return tuple(slice(start, start + size) for start, size in zip(corner, self.crop, strict=True))


@lru_cache(maxsize=4)
def _shuffled(windows: int, seed: int, epoch: int, turn: int) -> npt.NDArray[np.int64]:
    """The order of one pass over so many windows."""
    order = np.random.default_rng((seed, epoch, turn, windows)).permutation(windows)
    order.setflags(write=False)
    return order
