"""Frames of boxes of pixels: the mean, the maximum or the sum of the known values of each box."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod

import numpy as np

from specbuild.data.arrays import Array, Floats
from specbuild.data.sources.base import Coordinate, FrameSource, Packing, RawArray
from specbuild.data.sources.errors import SourceError
from specbuild.data.sources.lazy_arrays import Index, LazyArray
from specbuild.data.sources.missing import SHARE
from specbuild.language.sections.coarsen import CoarsenSection


def coarsened(source: FrameSource, section: CoarsenSection) -> FrameSource:
    """Return frames of boxes, in physical units; a box of which less than half is known is missing.

    Raises:
        SourceError: a box is larger than a frame, or the factors are not one for each axis of space.
    """
    metadata, space = source.metadata, source.metadata.space
    if len(section.factor) not in (1, len(space)) or not space:
        message = f"{len(section.factor)} factors, and {source.name} has {len(space)} axes of space"
        raise SourceError("coarsen", message, help="write one number, or one for each axis of space")
    factors = dict(zip(space, section.factors(len(space)), strict=True))
    for letter, factor in factors.items():
        if factor > source.size(letter):
            message = f"a box has {factor} pixels along {letter}, a frame of {source.name} has {source.size(letter)}"
            raise SourceError("coarsen", message, help=f"coarsen by {source.size(letter)} at most")
    boxes = [factors.get(axis, 1) for axis in metadata.axes]
    shape = tuple(length // box for length, box in zip(source.array.shape, boxes, strict=True))
    read = partial(_read, source.array, metadata.packing, boxes, section.method)
    coordinates = {
        letter: _centres(axis, factors[letter]) if letter in factors else axis
        for letter, axis in metadata.coordinates.items()
    }
    left = [
        f"{source.size(letter) % factor} of {source.size(letter)} along {letter}"
        for letter, factor in factors.items()
        if source.size(letter) % factor
    ]
    remark = (f"coarsen leaves out the last pixels: {', '.join(left)}",) if left else ()
    return replace(
        source,
        array=LazyArray(shape, np.dtype(np.float32), read),
        metadata=replace(metadata, packing=Packing(), coordinates=coordinates, remarks=(*metadata.remarks, *remark)),
    )


def _read(array: RawArray, packing: Packing, boxes: list[int], method: str, index: Index) -> Floats:
    below = tuple(
        slice(part.indices(length // box)[0] * box, part.indices(length // box)[1] * box)
        if isinstance(part, slice) and box > 1
        else part
        for part, box, length in zip(index, boxes, array.shape, strict=True)
    )
    sides = [box for part, box in zip(index, boxes, strict=True) if isinstance(part, slice)]
    coarse = reduced(packing.unpack(array[below], np.float64), sides, method)
    steps = [
        slice(None, None, part.step) if box > 1 else slice(None)
        for part, box in zip(index, boxes, strict=True)
        if isinstance(part, slice)
    ]
    return coarse[tuple(steps)]


def reduced(values: Array, boxes: list[int], method: str) -> Floats:
    """Return what boxes of `values` become, of so many numbers along each axis; NaN is missing."""
    split = [number for length, box in zip(values.shape, boxes, strict=True) for number in (length // box, box)]
    inside = tuple(range(1, 2 * values.ndim, 2))
    values = values.reshape(split)
    known = ~np.isnan(values)
    count, size = known.sum(axis=inside), prod(boxes)
    if method == "max":
        result = np.where(known, values, -np.inf).max(axis=inside)
    else:
        result = np.where(known, values, 0).sum(axis=inside) / np.maximum(count, 1)
        result *= size if method == "sum" else 1
    coarse: Floats = np.where(count >= SHARE * size, result, np.nan).astype(np.float32)
    return coarse


def _centres(axis: Coordinate, factor: int) -> Coordinate:
    """Return the coordinate of boxes: the mean of those of their pixels; without values where they are no numbers."""
    if axis.values is None or axis.values.dtype.kind not in "iuf":
        return replace(axis, values=None)
    whole = axis.values[: len(axis.values) // factor * factor].astype(np.float64)
    bounds = None
    if axis.bounds is not None:
        ends = axis.bounds[: len(whole)].reshape(-1, factor, 2)
        bounds = np.stack([ends[:, 0, 0], ends[:, -1, 1]], axis=-1)
    return replace(axis, values=whole.reshape(-1, factor).mean(axis=1), bounds=bounds)
