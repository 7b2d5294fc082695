"""Frames of boxes of pixels: the mean, the maximum or the sum of the known values of each box."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from specbuild.data.arrays import Array
from specbuild.data.sources.base import Coordinate, FrameSource
from specbuild.data.sources.description import Description
from specbuild.data.sources.errors import SourceError
from specbuild.data.sources.lazy_arrays import Index, LazyArray
from specbuild.data.sources.missing import SHARE
from specbuild.data.sources.packing import Packing, RawArray
from specbuild.language.sections.coarsen import CoarsenSection


def coarsened(source: FrameSource, section: CoarsenSection) -> FrameSource:
    """Return frames of boxes, in physical units; a box of which less than half is known is missing.

    Raises:
        SourceError: a box is larger than a frame, or the factors are not one for each spatial axis.
    """
    metadata, space = source.metadata, source.metadata.space
    if len(section.factor) not in (1, len(space)) or not space:
        message = f"{len(section.factor)} factors, and {source.name} has {len(space)} spatial axes"
        raise SourceError("coarsen", message, help="write one number, or one for each spatial axis")
    factors = dict(zip(space, section.factors(len(space)), strict=True))
    for letter, factor in factors.items():
        if factor > source.size(letter):
            message = f"a box has {factor} pixels along {letter}, a frame of {source.name} has {source.size(letter)}"
            raise SourceError("coarsen", message, help=f"coarsen by {source.size(letter)} at most")
    boxes = [factors.get(axis, 1) for axis in metadata.axes]
    array = _Boxes(source.array, metadata.packing, boxes, section.method)
    coordinates = {
        letter: _centres(axis, factors[letter]) if letter in factors else axis
        for letter, axis in metadata.coordinates.items()
    }
    described = tuple(_described(each, factors) for each in metadata.descriptions)
    left = [
        f"{source.size(letter) % factor} of {source.size(letter)} along {letter}"
        for letter, factor in factors.items()
        if source.size(letter) % factor
    ]
    remark = (f"coarsen leaves out the last pixels: {', '.join(left)}",) if left else ()
    return replace(
        source,
        array=LazyArray(array.shape, np.dtype(np.float32), lambda index: array[index].astype(np.float32)),
        metadata=replace(
            metadata,
            packing=Packing(),
            coordinates=coordinates,
            remarks=(*metadata.remarks, *remark),
            descriptions=described,
            dtype=source.stored_dtype,
        ),
    )


class _Boxes:
    """An array of boxes of so many numbers along each axis of another, in double precision."""

    dtype = np.dtype(np.float64)

    def __init__(self, array: RawArray, packing: Packing, boxes: list[int], method: str) -> None:
        self._array, self._packing, self._boxes, self._method = array, packing, boxes, method
        self.shape = tuple(length // box for length, box in zip(array.shape, boxes, strict=True))

    def __getitem__(self, index: Index, /) -> Array:
        ranges = [
            range(*part.indices(length)) if isinstance(part, slice) else part
            for part, length in zip(index, self.shape, strict=True)
        ]
        below: list[int | slice] = []
        sides, steps = [], []
        for part, written, box in zip(ranges, index, self._boxes, strict=True):
            if isinstance(part, int) or box == 1:
                below.append(part * box if isinstance(part, int) and box > 1 else written)
            else:
                below.append(slice(part.start * box, part.stop * box))
            if isinstance(part, range):
                sides.append(box)
                steps.append(slice(None, None, part.step) if box > 1 else slice(None))
        values = self._packing.unpack(self._array[tuple(below)], np.float64)
        return reduced(values, sides, self._method)[tuple(steps)]


def reduced(values: Array, boxes: list[int], method: str) -> Array:
    """Return what boxes of `values` become, of so many numbers along each axis; NaN is missing."""
    split: list[int] = []
    inside: list[int] = []
    for length, box in zip(values.shape, boxes, strict=True):
        split.append(length // box)
        if box > 1:
            inside.append(len(split))
            split.append(box)
    within = tuple(inside)
    known = ~np.isnan(values)
    count, size = known.reshape(split).sum(axis=within), prod(boxes)
    if method == "max":
        result = np.where(known, values, -np.inf).reshape(split).max(axis=within)
    else:
        result = np.where(known, values, 0).reshape(split).sum(axis=within) / np.maximum(count, 1)
        result *= size if method == "sum" else 1
    return np.where(count >= SHARE * size, result, np.nan)


def _centres(axis: Coordinate, factor: int) -> Coordinate:
    """Return the coordinate of boxes: the mean of those of their pixels; without values where they are no numbers."""
    if axis.values is None or axis.values.dtype.kind not in "iuf":
        return replace(axis, values=None, bounds=None)
    end = len(axis.values) // factor * factor
    centres = axis.values[:end].astype(np.float64).reshape(-1, factor).mean(axis=1)
    bounds = axis.bounds
    if bounds is not None:
        bounds = np.stack([bounds[:end:factor, 0], bounds[factor - 1 : end : factor, 1]], axis=1)
    return replace(axis, values=centres, bounds=bounds)


def _described(description: Description, factors: dict[str, int]) -> Description:
    """Return a description whose further coordinates are those of boxes."""
    auxiliary = (
        each.on(each.axes, _Boxes(each.array, Packing(), [factors.get(axis, 1) for axis in each.axes], "mean"))
        for each in description.auxiliary
    )
    return replace(description, auxiliary=tuple(auxiliary))
