"""Arrays made of other arrays, read no sooner than they: parts, several side by side, several end to end."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.sources.base import Packing, RawArray

Part: TypeAlias = int | tuple[range, ...]
"""Along an axis either one place, which takes the axis away, or runs of places that follow one another."""
Index: TypeAlias = tuple[int | slice, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Part of an array: one `Part` for each of its axes."""

    array: RawArray
    parts: tuple[Part, ...]

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


@dataclass(frozen=True, slots=True)
class Stacked:
    """Arrays of one shape side by side: a new last axis counts them."""

    arrays: tuple[RawArray, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.arrays[0].shape, len(self.arrays))

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.result_type(*(one.dtype for one in self.arrays))

    def __getitem__(self, index: Index, /) -> npt.NDArray[Any]:
        *rest, last = index
        if isinstance(last, int):
            return self.arrays[last][tuple(rest)]
        return np.stack([one[tuple(rest)] for one in self.arrays[last]], axis=-1)


@dataclass(frozen=True)
class Joined:
    """Arrays end to end along an axis, all of one shape otherwise."""

    arrays: tuple[RawArray, ...]
    axis: int
    _ends: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", tuple(accumulate(one.shape[self.axis] for one in self.arrays)))

    @property
    def shape(self) -> tuple[int, ...]:
        first = self.arrays[0].shape
        return (*first[: self.axis], self._ends[-1], *first[self.axis + 1 :])

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.result_type(*(one.dtype for one in self.arrays))

    def __getitem__(self, index: Index, /) -> npt.NDArray[Any]:
        before, at, after = index[: self.axis], index[self.axis], index[self.axis + 1 :]
        if isinstance(at, int):
            number = bisect_right(self._ends, at)
            return self.arrays[number][(*before, at - self._start(number), *after)]
        pieces = [self.arrays[number][(*before, part, *after)] for number, part in self._parts(at)]
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces, axis=sum(isinstance(one, slice) for one in before))

    def _start(self, number: int) -> int:
        return self._ends[number - 1] if number else 0

    def _parts(self, at: slice) -> Iterator[tuple[int, slice]]:
        places = range(*at.indices(self._ends[-1]))
        first = bisect_right(self._ends, places.start) if places else 0
        found = False
        for number in range(first, len(self.arrays) if places else 0):
            start, end = self._start(number), self._ends[number]
            if start >= places.stop:
                break
            if part := _common(places, start, end):
                found = True
                yield number, part
        if not found:
            yield 0, slice(0, 0)


@dataclass(frozen=True, slots=True)
class Events:
    """Arrays as events: a new first axis counts them. They may differ in length along `time`, an axis of each."""

    arrays: tuple[RawArray, ...]
    time: int

    @property
    def shape(self) -> tuple[int, ...]:
        first = self.arrays[0].shape
        longest = max(one.shape[self.time] for one in self.arrays)
        return (len(self.arrays), *first[: self.time], longest, *first[self.time + 1 :])

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.result_type(*(one.dtype for one in self.arrays))

    def __getitem__(self, index: Index, /) -> npt.NDArray[Any]:
        event, *rest = index
        if isinstance(event, slice):
            return np.stack([one[tuple(rest)] for one in self.arrays[event]])
        return self.arrays[event][tuple(rest)]


@dataclass(frozen=True, slots=True)
class Later:
    """An array whose file is opened when it is read."""

    open: Callable[[], RawArray]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, index: Index, /) -> npt.NDArray[Any]:
        return self.open()[index]


def _runs(part: tuple[range, ...], item: int | slice) -> int | list[slice]:
    """Where the places that `item` asks for lie in the array below."""
    if isinstance(item, int):
        return [place for run in part for place in run][item]
    places, found, start = range(*item.indices(sum(map(len, part)))), [], 0
    for run in part:
        if cut := _common(places, start, start + len(run)):
            found.append(slice(run.start + cut.start, run.start + cut.stop, cut.step))
        start += len(run)
    return found or [slice(0, 0)]


def _common(places: range, start: int, end: int) -> slice | None:
    """Which places from `start` to `end` are asked for, counted from `start`."""
    step = places.step
    skipped = max(0, -(-(start - places.start) // step))
    first = places.start + skipped * step
    last = min(places.stop, end)
    return slice(first - start, last - start, step) if first < last else None


def _read(array: RawArray, wanted: Sequence[int | list[slice]]) -> npt.NDArray[Any]:
    for number, one in enumerate(wanted):
        if isinstance(one, list) and len(one) > 1:
            axis = sum(isinstance(before, list) for before in wanted[:number])
            pieces = [_read(array, [*wanted[:number], [part], *wanted[number + 1 :]]) for part in one]
            return np.concatenate(pieces, axis=axis)
    return array[tuple(one if isinstance(one, int) else one[0] for one in wanted)]
