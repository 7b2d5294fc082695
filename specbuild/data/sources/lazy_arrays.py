"""Lazy arrays, read only when they are sliced: a part of another array, or several as one.

Our own, because dask or xarray would then have to be imported for plain NumPy files, and neither closes files
while a pattern of many is read.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Array
from specbuild.data.sources.packing import Packing, RawArray

Places: TypeAlias = range | npt.NDArray[np.int64]
"""Indices along an axis: rising, or from the two ends of a grid around the globe."""
Index: TypeAlias = tuple[int | slice, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LazyArray:
    """An array of known shape and type whose numbers are read by a function."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Index], Array]

    def __getitem__(self, index: Index, /) -> Array:
        return self.read(index)


def view(array: RawArray, parts: Sequence[int | Places]) -> LazyArray:
    """Return part of an array: along each axis the places in `parts`; a single index removes the axis."""

    def read(index: Index) -> Array:
        kept = iter(index)
        return _read(array, [part if isinstance(part, int) else _chosen(part, next(kept)) for part in parts])

    return LazyArray(tuple(len(part) for part in parts if not isinstance(part, int)), array.dtype, read)


def unpacked(array: RawArray, packing: Packing) -> LazyArray:
    """Return an array in physical units, as exactly as it is stored; infinite values stay as they are."""
    wide = array.dtype.itemsize > (4 if array.dtype.kind == "f" else 2)
    dtype = np.float64 if wide else np.float32
    return LazyArray(array.shape, np.dtype(dtype), lambda index: packing.decoded(array[index], dtype))


def in_one_packing(arrays: Sequence[RawArray], packings: Sequence[Packing]) -> tuple[Sequence[RawArray], Packing]:
    """Return arrays with the packing that they share; unpacked where they differ in that or in type."""
    if len({(packing, array.dtype) for array, packing in zip(arrays, packings, strict=True)}) == 1:
        return arrays, packings[0]
    alike = [unpacked(array, packing) for array, packing in zip(arrays, packings, strict=True)]
    dtype = np.result_type(*(array.dtype for array in alike))
    return [replace(array, dtype=dtype) for array in alike], Packing()


def stacked(arrays: Sequence[RawArray]) -> LazyArray:
    """Return arrays of one shape and type side by side: a new last axis counts them."""

    def read(index: Index) -> Array:
        return np.stack([array[index[:-1]] for array in arrays], axis=-1)[..., index[-1]]

    return LazyArray((*arrays[0].shape, len(arrays)), arrays[0].dtype, read)


def joined(arrays: Sequence[RawArray], axis: int) -> LazyArray:
    """Return arrays of one type end to end along an axis, all of one shape otherwise."""
    ends = list(accumulate(array.shape[axis] for array in arrays))
    starts = [0, *ends[:-1]]

    def read(index: Index) -> Array:
        before, at, after = index[:axis], index[axis], index[axis + 1 :]
        if isinstance(at, int):
            number = bisect_right(ends, at)
            return arrays[number][(*before, at - starts[number], *after)]
        wanted, pieces = range(*at.indices(ends[-1])), []
        for number in range(bisect_right(ends, wanted.start), bisect_left(ends, wanted.stop) + 1):
            first, end = (len(range(wanted.start, bound, wanted.step)) for bound in (starts[number], ends[number]))
            if part := wanted[first:end]:
                shifted = slice(part.start - starts[number], part.stop - starts[number], part.step)
                pieces.append(arrays[number][(*before, shifted, *after)])
        return _concatenated(pieces or [arrays[0][(*before, slice(0, 0), *after)]], before)

    first = arrays[0].shape
    return LazyArray((*first[:axis], ends[-1], *first[axis + 1 :]), arrays[0].dtype, read)


def events(arrays: Sequence[RawArray], time: int) -> LazyArray:
    """Return arrays of one type as events: a new first axis, read one at a time, counts them.

    They may differ in length along `time`, an axis of each.
    """
    first = arrays[0].shape
    longest = max(array.shape[time] for array in arrays)

    def read(index: Index) -> Array:
        event, *rest = index
        assert isinstance(event, int)
        return arrays[event][tuple(rest)]

    shape = (len(arrays), *first[:time], longest, *first[time + 1 :])
    return LazyArray(shape, arrays[0].dtype, read)


def _chosen(part: Places, index: int | slice) -> int | list[slice]:
    """Return where the places that `index` asks for lie in the array below."""
    return int(part[index]) if isinstance(index, int) else _slices(part[index], index.step or 1)


def _slices(places: Places, step: int) -> list[slice]:
    """Return the slices that read the places in their order: one wherever they are `step` apart, at least one."""
    if len(places) and places[-1] - places[0] == (len(places) - 1) * step:
        return [slice(int(places[0]), int(places[-1]) + 1, step)]
    runs = np.split(places, np.flatnonzero(np.diff(places) != step) + 1)
    return [slice(int(run[0]), int(run[-1]) + 1, step) if len(run) else slice(0, 0) for run in runs]


def _read(array: RawArray, wanted: Sequence[int | list[slice]]) -> Array:
    """Read an index or several slices along each axis."""
    for number, slices in enumerate(wanted):
        if isinstance(slices, list) and len(slices) > 1:
            before, after = wanted[:number], wanted[number + 1 :]
            return _concatenated([_read(array, [*before, [part], *after]) for part in slices], before)
    return array[tuple(part if isinstance(part, int) else part[0] for part in wanted)]


def _concatenated(pieces: list[Array], before: Sequence[object]) -> Array:
    """Return what was read piece by piece along the axis that follows those of `before`."""
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate(pieces, axis=sum(not isinstance(part, int) for part in before))
