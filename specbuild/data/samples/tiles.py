"""Tiles: cut frames into parts of the size that the model reads, and blend them together again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats


@dataclass(frozen=True)
class Tiling:
    """Tiles of the size `tile` that cover a frame of the size `frame`, evenly spread.

    Along an axis that one tile does not cover, neighbors share at least a quarter of a tile, with as few tiles as
    possible. Near the edge of a tile a model lacks information from beyond it, so tiles are blended: the weight of a
    tile falls linearly where it overlaps a neighbor, to a small value at its edge, and is full at the frame's own
    border. The weights of every pixel add up to 1.
    """

    frame: tuple[int, ...]
    tile: tuple[int, ...]

    @cached_property
    def regions(self) -> tuple[tuple[slice, ...], ...]:
        """The region of each tile in the frame."""
        return tuple(
            tuple(slice(start, start + size) for start, size in zip(corner, self.tile, strict=True))
            for corner in product(*self._starts)
        )

    @cached_property
    def weights(self) -> tuple[npt.NDArray[np.float64], ...]:
        """The weight of each pixel of each tile, of the shape `tile`."""
        along = [
            _weights(starts, length, size)
            for starts, length, size in zip(self._starts, self.frame, self.tile, strict=True)
        ]
        return tuple(reduce(np.multiply.outer, parts, np.ones(())) for parts in product(*along))

    def __len__(self) -> int:
        return len(self.regions)

    def cut(self, frames: Floats) -> Floats:
        """Cut frames (T, *frame, C) into tiles (tiles, T, *tile, C)."""
        return np.stack([frames[(slice(None), *region)] for region in self.regions])

    def stitch(self, tiles: npt.NDArray[np.floating]) -> Floats:
        """Blend tiles (tiles, T, *tile, C) into frames (T, *frame, C): the weighted mean where tiles overlap."""
        _, time, *_, channels = tiles.shape
        total = np.zeros((time, *self.frame, channels))
        for region, weight, tile in zip(self.regions, self.weights, tiles, strict=True):
            total[(slice(None), *region)] += weight[..., np.newaxis] * tile
        return total.astype(np.float32)

    @cached_property
    def _starts(self) -> tuple[tuple[int, ...], ...]:
        return tuple(_starts(length, size) for length, size in zip(self.frame, self.tile, strict=True))


def _starts(length: int, size: int) -> tuple[int, ...]:
    last = length - size
    gaps = -(-last // (size - size // 4))
    return tuple(last * number // gaps for number in range(gaps + 1)) if gaps else (0,)


def _weights(starts: tuple[int, ...], length: int, size: int) -> list[npt.NDArray[np.float64]]:
    """Return the weights of each tile along an axis; they add up to 1 at each of its `length` pixels."""
    pixel = np.arange(1.0, size + 1)
    shared = [size - (after - before) for before, after in pairwise(starts)]
    rises = [np.ones(size), *(np.minimum(1, pixel / (overlap + 1)) for overlap in shared)]
    falls = [*(np.minimum(1, pixel[::-1] / (overlap + 1)) for overlap in shared), np.ones(size)]
    ramps = [np.minimum(rise, fall) for rise, fall in zip(rises, falls, strict=True)]
    total = np.zeros(length)
    for start, ramp in zip(starts, ramps, strict=True):
        total[start : start + size] += ramp
    return [ramp / total[start : start + size] for start, ramp in zip(starts, ramps, strict=True)]
