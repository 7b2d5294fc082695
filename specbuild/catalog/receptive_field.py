"""Receptive fields of layers: the part of each input that one value of the output depends on, axis by axis.

All lengths are known numbers: if a spec leaves one open, the caller substitutes a trial length.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from specbuild.catalog.shapes import Dim, Shape

Ends: TypeAlias = tuple[int, int]
"""First and last position seen. Beyond the axis there is nothing, nor in a span whose last comes before its first."""


@dataclass(frozen=True, slots=True)
class AxisField:
    """The field along an input axis: the output value at position p of an axis depends on `spans[p]` of the input."""

    axis: int | None
    """The output axis, counted from 0 without the batch axis; None: every output value depends on `spans[0]`."""
    spans: tuple[Ends, ...]


ReceptiveField: TypeAlias = tuple[AxisField | None, ...]
"""The field of an output value along each axis of an input; None: every output value depends on the whole axis."""


def whole_input(shape: Shape) -> ReceptiveField:
    """Return the receptive field of a layer that mixes all its input."""
    return (None,) * len(shape)


def no_input(shape: Shape) -> ReceptiveField:
    """Return the receptive field of a layer that does not read its input."""
    return (AxisField(None, ((0, -1),)),) * len(shape)


def is_empty(field: ReceptiveField) -> bool:
    """Whether some axis has an empty field, so that nothing of the input is read."""
    return any(axis is not None and all(last < first for first, last in axis.spans) for axis in field)


def in_place(shape: Shape, *, lead: int = 0, mixed: Collection[int] = ()) -> ReceptiveField:
    """Depend on the same position, and all of the axes `mixed`; `lead` new axes come before those of the input."""
    return tuple(None if axis in mixed else same(axis + lead, length) for axis, length in enumerate(shape))


def same(axis: int, length: Dim) -> AxisField:
    """Position p depends on position p."""
    return shifted(axis, length, 0)


def shifted(axis: int, length: Dim, by: int) -> AxisField:
    """Position p of `length` depends on position p + by: a crop of `by` entries, or padding if negative."""
    return picked(axis, range(by, by + known(length)))


def picked(axis: int, places: Iterable[int]) -> AxisField:
    """Position p depends on the p-th of `places`."""
    return AxisField(axis, tuple([(place, place) for place in places]))


def at_position(place: int) -> AxisField:
    """Every output value depends on one position."""
    return AxisField(None, ((place, place),))


def at_the_end(field: AxisField) -> AxisField:
    """Return the field of the last position of the first output axis, without that axis."""
    if field.axis is None:
        return field
    return AxisField(None, field.spans[-1:]) if field.axis == 0 else replace(field, axis=field.axis - 1)


def windows(axis: int, length: Dim, positions: Dim, span: int, stride: int, padding: str) -> AxisField:
    """Slide a window of `span` entries that moves by `stride`, over an axis of `length`, to so many positions.

    Padding `same` puts the smaller half of what is missing in front, `causal` all of it, `valid` nothing.
    """
    count = known(positions)
    missing = max((count - 1) * stride + span - known(length), 0)
    front = {"valid": 0, "same": missing // 2, "causal": span - 1}[padding]
    firsts = range(-front, count * stride - front, stride)
    lasts = range(span - 1 - front, count * stride + span - 1 - front, stride)
    return AxisField(axis, tuple(zip(firsts, lasts, strict=True)))


def spread(axis: int, length: Dim, positions: Dim, span: int, stride: int, padding: str) -> AxisField:
    """The reverse of `windows`: input q spreads over `span` outputs from q · stride on, less what `same` cuts off."""
    count = known(positions)
    front = max((known(length) - 1) * stride + span - count, 0) // 2 if padding == "same" else 0
    ends = (p + front for p in range(count))
    return AxisField(axis, tuple((-((span - 1 - end) // stride), end // stride) for end in ends))


def interpolated(axis: int, positions: Dim, factor: int, radius: int) -> AxisField:
    """Enlarged by `factor` from the inputs less than `radius` from (p + ½) / factor − ½; radius 0: from the nearest."""
    count = known(positions)
    if radius == 0:
        return picked(axis, (p // factor for p in range(count)))
    # |q − x| < radius with x = (2p + 1 − factor) / (2 factor), in whole numbers.
    centres = ((2 * p + 1 - factor, 2 * factor) for p in range(count))
    return AxisField(axis, tuple(((x - radius * d) // d + 1, -(-(x + radius * d) // d) - 1) for x, d in centres))


def widened(field: AxisField, before: int, after: int) -> AxisField:
    """Position p depends on the fields of positions p − before to p + after, as far as those exist."""
    spans, last = field.spans, len(field.spans) - 1
    ends = ((max(p - before, 0), min(p + after, last)) for p in range(len(spans)))
    return AxisField(field.axis, tuple((spans[first][0], spans[end][1]) for first, end in ends))


def moved(field: ReceptiveField, by: int) -> ReceptiveField:
    """Return the receptive field of a layer whose output has `by` more axes in front."""
    return tuple(seen if seen is None or seen.axis is None else replace(seen, axis=seen.axis + by) for seen in field)


def known(length: Dim) -> int:
    assert length is not None, "receptive fields are asked with known lengths"
    return length
