"""Which axis of an array is which: the layout by letter or by name, one value of other dimensions, and regions.

`xarray.Dataset.sel` would not do: it knows no region across the end of a grid, and files without xarray have layouts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from specbuild.catalog.shapes import show
from specbuild.data.sources.base import Coordinate, StoredArray
from specbuild.data.sources.cf import is_longitude
from specbuild.data.sources.errors import SourceError
from specbuild.data.sources.lazy_arrays import Places
from specbuild.document import did_you_mean, listed
from specbuild.language.sections.source import LETTERS, SPACES, SourceSection

KNOWN = ", ".join(f"{letter} ({axis})" for letter, axis in LETTERS.items())
"""The axes that a layout can name, for messages."""


def lay_out(
    stored: StoredArray, section: SourceSection, label: str
) -> tuple[list[int | Places], tuple[str, ...], dict[str, Coordinate]]:
    """Match an array's axes with what `data.source` says of them.

    Returns:
        The part of each axis that is read, the letters of the axes that are left, in the array's order, and what is
        known of each by its letter.

    Raises:
        SourceError: a layout that does not fit or is left out, a value or a region that is not there.
    """
    shape = stored.array.shape
    if not stored.dims:
        _check_nameless(stored, section, label)
        return [range(length) for length in shape], section.axes, {}
    selected = {name: _place(stored, name, value, label) for name, value in section.select.items()}
    named = _letters(stored, section, label, [dim for dim in stored.dims if dim not in selected])
    parts, letters, axes = list[int | Places](), list[str](), dict[str, Coordinate]()
    for name, length in zip(stored.dims, shape, strict=True):
        if name not in named:
            parts.append(selected.get(name, 0))
            continue
        parts.append(range(length))
        letters.append(named[name])
        axes[named[name]] = stored.coordinate(name)
        if name in section.region:
            parts[-1], axes[named[name]] = _within(stored.coordinate(name), section.region[name], label)
    for name in section.region:
        if name not in named:
            raise _no_dimension("region", name, stored, label)
    return parts, tuple(letters), axes


def _check_nameless(stored: StoredArray, section: SourceSection, label: str) -> None:
    for key, value in (("select", section.select), ("region", section.region)):
        if value:
            raise SourceError(key, f"the axes of {label} have no names to choose by", help=f"leave {key} out")
    if not isinstance(section.layout, str):
        raise SourceError(
            "layout", f"the axes of {label} have no names", help="name them in their order by letter, such as T H W"
        )
    shape, help = stored.array.shape, f"name each axis in its order, out of {KNOWN}"
    _check_count(section, len(shape), label, f"its shape is {show(shape)}", help)


def _check_count(section: SourceSection, axes: int, label: str, reason: str, help: str) -> None:
    if len(section.axes) != axes:
        message = f"the layout names {len(section.axes)} axes, {label} has {axes}"
        raise SourceError("layout", message, reason=reason, help=help)


def _letters(stored: StoredArray, section: SourceSection, label: str, left: list[str]) -> dict[str, str]:
    """Return the letter of each dimension that is an axis; one of length 1 needs none where the layout goes by name."""
    layout = section.layout
    if layout is None:
        raise SourceError("layout", f"{label} needs a layout", reason=_has(stored), help=_proposal(stored, left))
    if isinstance(layout, str):
        _check_count(section, len(left), label, _has(stored), _proposal(stored, left))
        return dict(zip(left, section.axes, strict=True))
    for name in layout.values():
        if name not in left:
            raise _no_dimension("layout", name, stored, label)
    over = next((name for name in left if name not in layout.values() and stored.sizes[name] > 1), None)
    if over is not None:
        raise SourceError(
            "layout",
            f"{over} ({stored.sizes[over]}) of {label} is in no axis of the layout",
            reason=_has(stored),
            help=f"choose one value of it, such as select: {{{over}: {_values(stored, over)[0]}}}, or give it a letter",
        )
    return {name: letter for letter, name in layout.items()}


def _has(stored: StoredArray) -> str:
    return f"its dimensions are {', '.join(f'{name} ({length})' for name, length in stored.sizes.items())}"


def _proposal(stored: StoredArray, left: list[str]) -> str:
    """Return the layout that the file's own attributes suggest."""
    sizes = stored.sizes
    likely: dict[str, str] = {}
    for name in left:
        letter = stored.coordinate(name).letter
        if letter and letter not in likely and (letter != "D" or sizes[name] > 1):
            likely[letter] = name
    if "D" in likely and not {"H", "W"} <= set(likely):
        del likely["D"]
    fits = "T" in likely and set(likely) - set("TNC") in [set(known) for known in SPACES]
    if not fits or any(sizes[name] > 1 and name not in likely.values() for name in left):
        return f"name the dimension of each axis, such as layout: {{T: {(left or stored.dims)[0]}, …}}, out of {KNOWN}"
    written = ", ".join(f"{letter}: {name}" for letter, name in likely.items())
    proposal = f"write layout: {{{written}}}"
    if "D" in likely:
        name = likely["D"]
        return f"{proposal}; or, without D, one value of it: select: {{{name}: {_values(stored, name)[0]}}}"
    return proposal


def _values(stored: StoredArray, name: str) -> list[Any]:
    """Return the values along a dimension, which are the indices where it has no coordinate."""
    values = stored.coordinate(name).values
    return list(range(stored.sizes[name])) if values is None else values.tolist()


def _no_dimension(part: str, name: str, stored: StoredArray, label: str) -> SourceError:
    hint = did_you_mean(name, stored.dims)
    return SourceError(part, f'{label} has no dimension "{name}"', reason=_has(stored), help=hint)


def _place(stored: StoredArray, name: str, value: float | str, label: str) -> int:
    """Return the index of a value along a dimension; where that has no coordinate, `value` is the index, from 0."""
    if name not in stored.dims:
        raise _no_dimension("select", name, stored, label)
    values = _values(stored, name)
    index = next((index for index, known in enumerate(values) if _same(known, value)), None)
    if index is None:
        raise SourceError("select", f"{name} of {label} has no value {value}", reason=f"it has {listed(values)}")
    return index


def _same(known: Any, value: float | str) -> bool:
    if isinstance(known, int | float) and isinstance(value, int | float):
        return bool(np.isclose(known, value, rtol=1e-6, atol=1e-9))
    return bool(str(known) == str(value))


def _within(axis: Coordinate, ends: tuple[float, float], label: str) -> tuple[Places, Coordinate]:
    """Return the places on an axis between two values, both included, in the file's order.

    Longitudes count modulo 360. A region that crosses the end of the grid is read as one piece: its western part comes
    first (its eastern part, where the file goes westward), and longitudes are shifted so that they rise throughout.

    Raises:
        SourceError: no coordinate of numbers, or nothing between the two values.
    """
    values = axis.values
    if values is None or values.dtype.kind not in "iuf":
        raise SourceError("region", f"{axis.name} of {label} has no coordinate of numbers to choose by")
    low, high = min(ends), max(ends)
    if is_longitude(axis):
        low, high = ends
        width = 360.0 if high - low >= 360 else (high - low) % 360
        shifted = low + (values.astype(np.float64) - low) % 360
        inside = shifted <= low + width + 1e-9
    else:
        shifted = values
        inside = (values >= low) & (values <= high)
    places = np.flatnonzero(inside)
    if not places.size:
        least, greatest = values.min(), values.max()
        raise SourceError(
            "region",
            f"no {axis.name} of {label} lies from {ends[0]:g} to {ends[1]:g}",
            reason=f"it runs from {least:g} to {greatest:g}",
        )
    gaps = np.flatnonzero(np.diff(places) > 1) + 1
    if is_longitude(axis) and len(gaps) == 1:  # the two ends of a grid around the globe, read as they meet
        rises = np.median(np.diff(values.astype(np.float64))) > 0
        ahead = shifted[places[gaps[0]]] < shifted[places[0]]
        places = np.roll(places, -gaps[0]) if ahead == rises else places
    chosen = shifted[places]
    if chosen.dtype.kind == "f":
        chosen = chosen.astype(values.dtype)
    bounds = None if axis.bounds is None else axis.bounds[places] + (chosen - values[places])[:, np.newaxis]
    return places, replace(axis, values=chosen, bounds=bounds)
