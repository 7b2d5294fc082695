"""The one time of a file: in its name, or among its attributes; and its frame as an array with a time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from specbuild.data.arrays import Array
from specbuild.data.sources.base import Coordinate, StoredArray
from specbuild.data.sources.errors import SourceError
from specbuild.data.sources.lazy_arrays import Index, LazyArray
from specbuild.data.sources.remote import AnyFile
from specbuild.data.time.times import Times
from specbuild.language.sections.name_time import NameTime, guessed_format
from specbuild.language.sections.source import SourceSection


def time_in_name(path: AnyFile, section: NameTime) -> np.datetime64:
    """Return the time in the name of a file.

    Raises:
        SourceError: there is none in this format.
    """
    moment = section.time_in(path.as_posix())
    if moment is None:
        guess = guessed_format([path.name])
        raise SourceError(
            "time",
            f'the name {path.name} has no time in the format "{section.format}"',
            help=f'write format: "{guess}"' if guess else "write the format that the names use",
        )
    return np.datetime64(moment, "s")


def times_in_names(files: Sequence[AnyFile], section: NameTime) -> Times:
    """Return the times in the names of files.

    Raises:
        SourceError: one has none, or two have the same.
    """
    seen: dict[np.datetime64, AnyFile] = {}
    for file in files:
        time = time_in_name(file, section)
        if time in seen:
            message = f"{seen[time].name} and {file.name} have the same time in their names"
            help = "write a format that covers the whole time, or exclude one kind of file with a narrower pattern"
            raise SourceError("time", message, reason=f'the format is "{section.format}"', help=help)
        seen[time] = file
    return np.array(list(seen), "datetime64[s]")


def with_time(stored: StoredArray, section: SourceSection, path: AnyFile, label: str) -> StoredArray:
    """Return the array with its time where the name of its file or its attributes say it.

    An array without a time axis is one frame, and gets the axis where the layout has it.

    Raises:
        SourceError: the name has no time, or the array has several frames.
    """
    named = section.time if isinstance(section.time, NameTime) else None
    one_frame = named is not None or stored.moment is not None or section.time is False
    if not one_frame or "T" not in section.axes:
        return stored
    moment = stored.moment if named is None else time_in_name(path, named)
    clock = () if moment is None or section.time is False else (np.array([moment], "datetime64[s]"),)
    place = _place(stored, section)
    if place is None:
        length = _frames(stored, section)
        if length != 1 and named is not None:
            raise SourceError(
                "time",
                f"{label} holds {length} frames, and its name gives one time",
                help="leave time out, or name the array with the time of each frame",
            )
        return replace(stored, clocks=clock) if length == 1 and (named is not None or not stored.dims) else stored
    shape = list(stored.array.shape)
    shape.insert(place, 1)
    dims = stored.dims
    if dims:
        dims = (*dims[:place], _dimension(section), *dims[place:])
    return replace(stored, array=_expanded(stored, place, tuple(shape)), dims=dims, clocks=clock)


def _place(stored: StoredArray, section: SourceSection) -> int | None:
    """Return where the time axis is to be inserted; None where the array has one."""
    if isinstance(section.layout, dict):
        return None if not stored.dims or section.layout["T"] in stored.dims else 0
    left = [dim for dim in stored.dims if dim not in section.select] or [""] * len(stored.array.shape)
    if len(left) != len(section.axes) - 1:
        return None
    at = section.axes.index("T")
    if at == len(left):
        return len(stored.array.shape)
    return stored.dims.index(left[at]) if stored.dims else at


def _dimension(section: SourceSection) -> str:
    return section.layout["T"] if isinstance(section.layout, dict) else "frame"


def _frames(stored: StoredArray, section: SourceSection) -> int | None:
    """Return the length of the time axis; None where the layout does not fit."""
    if isinstance(section.layout, dict):
        return stored.sizes.get(section.layout["T"])
    lengths = [
        length
        for number, length in enumerate(stored.array.shape)
        if not stored.dims or stored.dims[number] not in section.select
    ]
    return lengths[section.axes.index("T")] if len(lengths) == len(section.axes) else None


def _expanded(stored: StoredArray, place: int, shape: tuple[int, ...]) -> LazyArray:
    array = stored.array

    def read(index: Index) -> Array:
        frame = array[(*index[:place], *index[place + 1 :])]
        axis = sum(isinstance(part, slice) for part in index[:place])
        part = index[place]
        return np.expand_dims(frame, axis)[(*(slice(None),) * axis, part)]

    return LazyArray(shape, array.dtype, read)


def timed(axis: Coordinate, clocks: tuple[Times, ...]) -> Coordinate:
    """Return a coordinate of time with the one clock there is."""
    return replace(axis, values=clocks[0]) if len(clocks) == 1 else axis
