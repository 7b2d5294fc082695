"""Tiles: a frame cut into parts of the size that the model reads, and put together again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tiling:
    """Tiles of the size `tile` that cover a frame of the size `frame`, as few as that takes and evenly spread.

    Where the size does not divide the frame, tiles overlap.
    """

    frame: tuple[int, ...]
    tile: tuple[int, ...]

    @cached_property
    def regions(self) -> tuple[tuple[slice, ...], ...]:
        """Where each tile lies in the frame."""
        starts = [_starts(length, size) for length, size in zip(self.frame, self.tile, strict=True)]
        return tuple(
            tuple(slice(start, start + size) for start, size in zip(corner, self.tile, strict=True))
            for corner in product(*starts)
        )

    def __len__(self) -> int:
        return len(self.regions)

    def cut(self, frames: Floats) -> Floats:
        """(T, *frame, C) → (tiles, T, *tile, C)."""
        return np.stack([frames[(slice(None), *region)] for region in self.regions])

    def stitch(self, tiles: npt.NDArray[np.floating]) -> Floats:
        """(tiles, T, *tile, C) → (T, *frame, C), the mean where tiles overlap."""
        _, time, *_, channels = tiles.shape
        total = np.zeros((time, *self.frame, channels))
        count = np.zeros((*self.frame, 1))
        for region, tile in zip(self.regions, tiles, strict=True):
            total[(slice(None), *region)] += tile
            count[region] += 1
        return (total / count).astype(np.float32)


def _starts(length: int, size: int) -> list[int]:
    count = -(-length // size)
    last = length - size
    return [round(last * number / (count - 1)) for number in range(count)] if count > 1 else [0]
