"""Lazy arrays, made of other arrays and read only when they are sliced: a part of one, or several as one.

Our own, because dask or xarray would then have to be imported for plain NumPy files, and neither closes files
while a pattern of many is read (`Later`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.sources.base import Packing, RawArray

AxisPart: TypeAlias = int | tuple[range, ...]
"""Along an axis either one index, which removes the axis, or runs of consecutive indices."""
Index: TypeAlias = tuple[int | slice, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Part of an array: one `AxisPart` for each of its axes."""

    array: RawArray
    parts: tuple[AxisPart, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(sum(map(len, part)) for part in self.parts if isinstance(part, tuple))

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def __getitem__(self, index: Index, /) -> npt.NDArray[Any]:
        kept = iter(index)
        return _read(self.array, [part if isinstance(part, int) else _runs(part, next(kept)) for part in self.parts])


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An array in physical units."""

    array: RawArray
    packing: Packing

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __getitem__(self, index: Index, /) -> npt.NDArray[Any]:
        return self.packing.unpack(self.array[index])


@dataclass(frozen=True)
class Combined:
    """Several arrays as one."""

    arrays: tuple[RawArray, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.result_type(*(array.dtype for array in self.arrays))


@dataclass(frozen=True)
class Stacked(Combined):
    """Arrays of one shape side by side: a new last axis counts them."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.arrays[0].shape, len(self.arrays))

    def __getitem__(self, index: Index, /) -> npt.NDArray[Any]:
        *rest, last = index
        if isinstance(last, int):
            return self.arrays[last][tuple(rest)]
        return np.stack([array[tuple(rest)] for array in self.arrays[last]], axis=-1)


@dataclass(frozen=True)
class Joined(Combined):
    """Arrays end to end along an axis, all of one shape otherwise."""

    axis: int
    _ends: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", tuple(accumulate(array.shape[self.axis] for array in self.arrays)))

    @property
    def shape(self) -> tuple[int, ...]:
        first = self.arrays[0].shape
        return (*first[: self.axis], self._ends[-1], *first[self.axis + 1 :])

    def __getitem__(self, index: Index, /) -> npt.NDArray[Any]:
        before, at, after = index[: self.axis], index[self.axis], index[self.axis + 1 :]
        if isinstance(at, int):
            number = bisect_right(self._ends, at)
            return self.arrays[number][(*before, at - self._start(number), *after)]
        pieces = [self.arrays[number][(*before, part, *after)] for number, part in self._parts(at)]
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces, axis=sum(isinstance(part, slice) for part in before))

    def _start(self, number: int) -> int:
        return self._ends[number - 1] if number else 0

    def _parts(self, at: slice) -> list[tuple[int, slice]]:
        """Return the number of each array that a slice meets, with the part of it; at least one, perhaps empty."""
        return list(self._met(range(*at.indices(self._ends[-1])))) or [(0, slice(0, 0))]

    def _met(self, indices: range) -> Iterator[tuple[int, slice]]:
        for number in range(bisect_right(self._ends, indices.start), len(self.arrays)):
            start, end = self._start(number), self._ends[number]
            if start >= indices.stop:
                break
            if part := _common(indices, start, end):
                yield number, part


@dataclass(frozen=True)
class Events(Combined):
    """Arrays as events: a new first axis counts them. They may differ in length along `time`, an axis of each."""

    time: int

    @property
    def shape(self) -> tuple[int, ...]:
        first = self.arrays[0].shape
        longest = max(array.shape[self.time] for array in self.arrays)
        return (len(self.arrays), *first[: self.time], longest, *first[self.time + 1 :])

    def __getitem__(self, index: Index, /) -> npt.NDArray[Any]:
        event, *rest = index
        if isinstance(event, slice):
            return np.stack([array[tuple(rest)] for array in self.arrays[event]])
        return self.arrays[event][tuple(rest)]


@dataclass(frozen=True, slots=True)
class Later:
    """An array whose file is opened when it is read."""

    open: Callable[[], RawArray]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, index: Index, /) -> npt.NDArray[Any]:
        return self.open()[index]


def _runs(part: tuple[range, ...], index: int | slice) -> int | list[slice]:
    """Return where the places that `index` asks for lie in the array below."""
    if isinstance(index, int):
        return [place for run in part for place in run][index]
    wanted, slices, start = range(*index.indices(sum(map(len, part)))), [], 0
    for run in part:
        if cut := _common(wanted, start, start + len(run)):
            slices.append(slice(run.start + cut.start, run.start + cut.stop, cut.step))
        start += len(run)
    return slices or [slice(0, 0)]


def _common(indices: range, start: int, end: int) -> slice | None:
    """Return which of the indices lie from `start` to before `end`, counted from `start`."""
    step = indices.step
    skipped = max(0, -(-(start - indices.start) // step))
    first = indices.start + skipped * step
    last = min(indices.stop, end)
    return slice(first - start, last - start, step) if first < last else None


def _read(array: RawArray, wanted: Sequence[int | list[slice]]) -> npt.NDArray[Any]:
    """Read an index or several slices along each axis; several are concatenated."""
    for number, slices in enumerate(wanted):
        if isinstance(slices, list) and len(slices) > 1:
            axis = sum(isinstance(before, list) for before in wanted[:number])
            pieces = [_read(array, [*wanted[:number], [part], *wanted[number + 1 :]]) for part in slices]
            return np.concatenate(pieces, axis=axis)
    return array[tuple(part if isinstance(part, int) else part[0] for part in wanted)]
