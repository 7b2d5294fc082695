"""Regions of an input that the values of a port depend on, and how layers carry them on.

A region has a field for every input axis; a value depends on an entry of the input if the fields of one region hold it
on all axes. A single region cannot say that a recurrence spreads further the further it looks back, so a port has one
for each delay: the frames that are read that many steps before, and how far those have spread in space.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from itertools import product
from typing import TypeAlias

from specbuild.catalog.receptive_field import AxisField, Ends, ReceptiveField, at_the_end, is_empty

Region: TypeAlias = tuple[AxisField, ...]
Regions: TypeAlias = tuple[Region, ...]
EMPTY: Ends = (1 << 62, -1)
"""A first entry beyond every axis, a last one before it."""
MOST = 128
"""Regions of a port that are told apart; more become one that holds them all."""


def hull(spans: Iterable[Ends]) -> Ends:
    """Return the span from the first entry of all to the last."""
    lows, highs = zip(EMPTY, *spans, strict=True)
    return min(lows), max(highs)


def through(regions: Regions, layer: ReceptiveField) -> Regions:
    """Return the regions of a layer's output, of which those of its input and its own receptive field are given."""
    if is_empty(layer):
        return ()
    carried = (tuple(_axis_through(axis, layer) for axis in region) for region in regions)
    return tuple(region for region in carried if not any(all(map(is_nothing, axis.spans)) for axis in region))


def _axis_through(field: AxisField, layer: ReceptiveField) -> AxisField:
    along: AxisField | None = None if field.axis is None else layer[field.axis]
    if along is None:
        return AxisField(None, (hull(field.spans),))
    return AxisField(along.axis, _spans_through(field.spans, along.spans))


@lru_cache(maxsize=256)
def _spans_through(inner: tuple[Ends, ...], outer: tuple[Ends, ...]) -> tuple[Ends, ...]:
    """For each of `outer`, the hull of those spans of `inner` whose positions it holds.

    Height and width are often alike, and so are the delays of a recurrence; hence the cache.
    """
    if not inner:
        return (EMPTY,) * len(outer)
    lows, highs = map(list, zip(*inner, strict=True))
    end = len(inner) - 1
    ranges = [(first if first > 0 else 0, last if last < end else end) for first, last in outer]
    if lows == sorted(lows) and highs == sorted(highs):
        return tuple([(lows[first], highs[last]) if first <= last else EMPTY for first, last in ranges])
    longest = max((last - first for first, last in ranges), default=-1) + 1
    least, most = _over_powers(min, lows, longest), _over_powers(max, highs, longest)
    spans = []
    for first, last in ranges:
        if first > last:
            spans.append(EMPTY)
            continue
        power = (last - first + 1).bit_length() - 1
        again = last + 1 - (1 << power)
        spans.append((min(least[power][first], least[power][again]), max(most[power][first], most[power][again])))
    return tuple(spans)


def _over_powers(of_two: Callable[[int, int], int], values: list[int], longest: int) -> list[list[int]]:
    """For each power of two up to `longest` the least or greatest of so many values, from each position on."""
    powers = [values]
    while 2 ** len(powers) <= longest:
        half = 2 ** (len(powers) - 1)
        powers.append(list(map(of_two, powers[-1], powers[-1][half:])))
    return powers


def gated(regions: Regions, gates: Sequence[bool]) -> Regions:
    """Return the regions with nothing in them at those positions of the first output axis where `gates` is False.

    A region that does not go along with that axis is tied to it by one of its axes that goes along with none.
    """
    return tuple(region for region in (_gated(region, gates) for region in regions) if region is not None)


def _gated(region: Region, gates: Sequence[bool]) -> Region | None:
    tied = next((at for at, field in enumerate(region) if field.axis == 0), None)
    free = next((at for at, field in enumerate(region) if field.axis is None), None)
    at = free if tied is None else tied
    if at is None:
        return region  # More than there is, as nothing can hold the gates.
    spans = region[at].spans if tied is not None else region[at].spans * len(gates)
    kept = tuple(span if gate else EMPTY for span, gate in zip(spans, gates, strict=True))
    return None if all(map(is_nothing, kept)) else (*region[:at], AxisField(0, kept), *region[at + 1 :])


def is_nothing(span: Ends) -> bool:
    return span[1] < span[0]


def at_last(regions: Regions, *, keep_axis: bool = False) -> Regions:
    """Return the regions of the last position of the first output axis, without that axis unless `keep_axis`."""
    ends = (tuple(_last_kept(field) if keep_axis else at_the_end(field) for field in region) for region in regions)
    return tuple(region for region in ends if not any(f.axis is None and is_nothing(f.spans[0]) for f in region))


def _last_kept(field: AxisField) -> AxisField:
    return AxisField(None, field.spans[-1:]) if field.axis == 0 else field


def first_as_last(regions: Regions) -> Regions:
    """Return the regions with the first output axis reversed."""
    return tuple(tuple(AxisField(0, f.spans[::-1]) if f.axis == 0 else f for f in region) for region in regions)


def merged(regions: Iterable[Region], apart: Collection[int], most: int = MOST) -> Regions:
    """Return fewer regions, with one in place of all that differ on no input axis in `apart`.

    Those whose axes go along with different output axes stay apart as well, unless there are more than `most`.
    """
    groups: dict[object, list[Region]] = {}
    for region in regions:
        ties = tuple((field.axis, len(field.spans)) for field in region)
        spans = tuple(region[at].spans for at in apart if region[at].axis is not None)
        groups.setdefault((ties, spans), []).append(region)
    if len(groups) > most:
        return (one_region([region for group in groups.values() for region in group]),)
    return tuple(group[0] if len(group) == 1 else one_region(group) for group in groups.values())


def one_region(regions: Sequence[Region]) -> Region:
    """Return the region that holds all of several."""
    return tuple(_axis_union(fields) for fields in zip(*regions, strict=True))


def _axis_union(fields: Sequence[AxisField]) -> AxisField:
    first = fields[0]
    if all(field is first or field == first for field in fields):
        return first
    if len({(field.axis, len(field.spans)) for field in fields}) == 1:
        return AxisField(first.axis, tuple(hull(spans) for spans in zip(*(f.spans for f in fields), strict=True)))
    return AxisField(None, (hull(span for field in fields for span in field.spans),))


def extents(regions: Regions, apart: Collection[int]) -> tuple[int, ...]:
    """Return for each input axis the most entries, from the first to the last, that one output value depends on."""
    together = [[regions[index] for index in indices] for indices in _together(regions, apart)]
    axes = range(len(regions[0])) if regions else ()
    return tuple(max((_longest([region[at] for region in group]) for group in together), default=0) for at in axes)


def _together(regions: Regions, apart: Collection[int]) -> list[frozenset[int]]:
    """The largest sets of regions that one output value may depend on together."""
    by_position: dict[tuple[int, int], set[int]] = {}
    for index, region in enumerate(regions):
        for at in apart:
            field = region[at]
            if field.axis is not None:
                for position, span in enumerate(field.spans):
                    missing = by_position.setdefault((field.axis, position), set())
                    if is_nothing(span):
                        missing.add(index)
    every = frozenset(range(len(regions)))
    choices = [
        _largest({every - missing for (axis, _), missing in by_position.items() if axis == chosen})
        for chosen in sorted({axis for axis, _ in by_position})
    ]
    return _largest({every.intersection(*sets) for sets in product(*choices)})


def _largest(sets: Iterable[frozenset[int]]) -> list[frozenset[int]]:
    """Those sets that are in no other."""
    largest: list[frozenset[int]] = []
    for indices in sorted(sets, key=len, reverse=True):
        if not any(indices <= other for other in largest):
            largest.append(indices)
    return largest


def _longest(fields: Sequence[AxisField]) -> int:
    """The most entries of an input axis in one output value's fields.

    Fields along the same output axis are at the same position of it, others at any two.
    """
    along: dict[int | None, list[AxisField]] = {}
    for field in fields:
        along.setdefault(field.axis, []).append(field)
    spans = [[span for span in _axis_union(group).spans if span[1] >= span[0]] for group in along.values()]
    spans = [group for group in spans if group]
    longest = max((high - low + 1 for group in spans for low, high in group), default=0)
    firsts = [min(low for low, _ in group) for group in spans]
    lasts = [max(high for _, high in group) for group in spans]
    pairs = ((i, j) for i in range(len(spans)) for j in range(len(spans)) if i != j)
    return max([longest, *(lasts[i] - firsts[j] + 1 for i, j in pairs)])
