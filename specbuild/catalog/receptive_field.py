"""Receptive fields of layers: the part of each input that one value of the output depends on, axis by axis.

Lengths are known numbers throughout: where a spec leaves one open, the caller asks with a length that stands in for it.
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
    """An input axis that an output axis goes along with: a value at position p there sees `spans[p]` of the input."""

    axis: int | None
    """The output axis, counted from 0 without the batch axis; None: every output value sees `spans[0]`."""
    spans: tuple[Ends, ...]


ReceptiveField: TypeAlias = tuple[AxisField | None, ...]
"""For each axis of an input what an output value sees of it; None: every output value sees all of the axis."""


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
    """Let a value see its own place, and all of the axes `mixed`; `lead` new axes stand before those of the input."""
    return tuple(None if axis in mixed else same(axis + lead, length) for axis, length in enumerate(shape))


def same(axis: int, length: Dim) -> AxisField:
    """Let position p see position p."""
    return shifted(axis, length, 0)


def shifted(axis: int, length: Dim, by: int) -> AxisField:
    """Let position p of `length` see position p + by: a crop of `by` entries, or with a negative one padding."""
    return picked(axis, range(by, by + known(length)))


def picked(axis: int, places: Iterable[int]) -> AxisField:
    """Let position p see the p-th of `places`."""
    return AxisField(axis, tuple((place, place) for place in places))


def at_position(place: int) -> AxisField:
    """Let every output value see the one position."""
    return AxisField(None, ((place, place),))


def windows(axis: int, length: Dim, positions: Dim, span: int, stride: int, padding: str) -> AxisField:
    """Slide a window of `span` entries that moves by `stride`, over an axis of `length`, to so many positions.

    Padding `same` puts the smaller half of what is missing in front, `causal` all of it, `valid` nothing.
    """
    count = known(positions)
    missing = max((count - 1) * stride + span - known(length), 0)
    front = {"valid": 0, "same": missing // 2, "causal": span - 1}[padding]
    return AxisField(axis, tuple((p * stride - front, p * stride - front + span - 1) for p in range(count)))


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
    """Let position p see what positions p − before to p + after saw, as far as those exist."""
    spans, last = field.spans, len(field.spans) - 1
    ends = ((max(p - before, 0), min(p + after, last)) for p in range(len(spans)))
    return AxisField(field.axis, tuple((spans[first][0], spans[end][1]) for first, end in ends))


def moved(field: ReceptiveField, by: int) -> ReceptiveField:
    """Return the receptive field of a layer whose output has `by` more axes in front."""
    return tuple(seen if seen is None or seen.axis is None else replace(seen, axis=seen.axis + by) for seen in field)


def known(length: Dim) -> int:
    assert length is not None, "receptive fields are asked with known lengths"
    return length
