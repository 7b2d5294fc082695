"""One file: from its name to its frames, with named axes and times, and what does not fit said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from specbuild.catalog.shapes import show
from specbuild.data.sources.base import Axis, Packing, RawArray, SourceError, Stored, Times
from specbuild.data.sources.frame_folder import PictureFiles, is_pictures
from specbuild.data.sources.layout import lay_out
from specbuild.data.sources.lazy_arrays import Part, Stacked, Unpacked, View
from specbuild.data.sources.npy import NpyFile
from specbuild.data.sources.npz import NpzFile
from specbuild.data.time import times as clock
from specbuild.document import did_you_mean, listed
from specbuild.language.dates import Dates
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.source import GRIDS


class Container(Protocol):
    """An open file of arrays."""

    def names(self) -> tuple[str, ...]:
        """Names of its arrays; none where the format has a single nameless one."""
        ...

    def array(self, name: str) -> Stored:
        """The array, with its header read.

        Raises:
            SourceError: it is damaged.
        """
        ...


def _hdf5(path: Path) -> Container:
    from specbuild.data.sources.hdf5 import Hdf5File

    return Hdf5File(path)


def _grid(path: Path) -> Container:
    from specbuild.data.sources.grids import GridFile

    return GridFile(path)


READERS: dict[str, Callable[[Path], Container]] = {
    ".npy": NpyFile,
    ".npz": NpzFile,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    **dict.fromkeys(GRIDS, _grid),
}
"""From a file's suffix to what reads it."""


@dataclass(frozen=True, slots=True)
class Record:
    """The frames of one file."""

    name: str
    """The file's."""
    label: str
    """The file and its arrays, for messages."""
    array: RawArray
    axes: tuple[str, ...]
    packing: Packing
    coordinates: Mapping[str, Axis]
    clocks: tuple[Times, ...]
    """When the frames are: one for all events, or one for each; none where it is not known."""
    variables: tuple[str, ...]
    units: str
    lengths: tuple[int, ...] | None = None
    """Frames of each event where they differ."""
    events: tuple[str, ...] = ()
    """Names of the events, where they have any."""
    bytes: int | None = None
    """Size of the file; None for a folder."""
    units_of: Mapping[str, str] = field(default_factory=dict)
    """Units of each of several variables that has some."""

    @property
    def frames(self) -> int:
        """Frames of the longest event."""
        return self.array.shape[self.axes.index("T")]

    @property
    def times(self) -> Times | None:
        return self.clocks[0] if self.clocks else None

    def size(self, axis: str) -> int:
        """The length of an axis, 1 where there is none of that letter."""
        return self.array.shape[self.axes.index(axis)] if axis in self.axes else 1


def read_record(path: Path, data: DataSection) -> Record:
    """The frames of a file; nothing but headers and coordinates is read yet.

    Raises:
        SourceError: the file, its arrays or their axes are not what `data.source` says.
    """
    section = data.source
    container = PictureFiles(path, section) if is_pictures(path) else READERS[path.suffix.lower()](path)
    keys = _keys(container, path.name, data)
    label = f"{path.name}:{', '.join(keys)}" if keys[0] else path.name
    stored = [_stored(container, key, f"{path.name}:{key}" if key else path.name, data) for key in keys]
    first = stored[0]
    for key, one in zip(keys[1:], stored[1:], strict=True):
        _check_alike(one, first, key, keys[0], path.name)
    parts, axes, coordinates = lay_out(first, section, label)
    views = [View(one.array, parts) if _is_part(parts, one.array.shape) else one.array for one in stored]
    if 0 in views[0].shape:
        raise SourceError("key", f"{label} is empty: its shape is {show(views[0].shape)}")
    array, packing = _side_by_side(views, [one.packing for one in stored], several=section.variables is not None)
    if section.variables is not None:
        axes = (*axes, "C")
    length = views[0].shape[axes.index("T")]
    times = _times(container, path.name, data, coordinates.get("T"), length)
    record = Record(
        path.name,
        label,
        array,
        axes,
        packing,
        coordinates,
        () if times is None else (times,),
        variables=section.variables
        or _channel_names(coordinates)
        or tuple(key for key in keys if key and "C" not in axes),
        units=", ".join(dict.fromkeys(one.units for one in stored if one.units)),
        lengths=first.lengths,
        events=first.events,
        bytes=path.stat().st_size if path.is_file() else None,
        units_of={name: one.units for name, one in zip(section.variables or (), stored, strict=False) if one.units},
    )
    return record if section.dates is None else _between(record, section.dates)


def suffixes() -> str:
    return ", ".join(READERS)


def _keys(container: Container, file: str, data: DataSection) -> tuple[str, ...]:
    if data.source.variables is None:
        return (_key(container, file, "key", data.source.key),)
    if not container.names():
        raise SourceError("variables", f"{file} holds one array, which has no name", help="leave out the variables")
    return tuple(_key(container, file, "variables", name) for name in data.source.variables)


def _key(container: Container, file: str, part: str, key: str | None) -> str:
    names = container.names()
    if not names:
        return key or ""
    known = listed(names)
    if key is None:
        if len(names) == 1:
            return names[0]
        raise SourceError(part, f"{file} holds {len(names)} arrays", help=f"say which with {part}: {known}")
    if key not in names:
        hint = did_you_mean(key, names)
        raise SourceError(part, f'{file} has no array "{key}"', reason=f"it has {known}", help=hint)
    return key


def _stored(container: Container, key: str, label: str, data: DataSection) -> Stored:
    """An array, packed as the spec says or else the file."""
    stored = container.array(key)
    array, packing = stored.array, stored.packing
    if array.dtype.hasobject:
        raise SourceError(
            "path",
            f"{label} holds pickled Python objects, which are never loaded",
            help="save it as an array of numbers",
        )
    if array.dtype.kind not in "biuf":
        raise SourceError("key", f"{label} holds {array.dtype}, not numbers")
    _check_missing(data.missing, array.dtype, label)
    packed = Packing(
        packing.scale if data.scale is None else data.scale,
        packing.offset if data.offset is None else data.offset,
        tuple(dict.fromkeys((*packing.missing, *data.missing))),
    )
    return replace(stored, packing=packed)


def _check_missing(missing: Iterable[float], dtype: np.dtype[Any], label: str) -> None:
    if dtype.kind not in "iu":
        return
    bounds = np.iinfo(dtype)
    for value in missing:
        if value != int(value) or not bounds.min <= value <= bounds.max:
            raise SourceError(
                "missing",
                f"missing: {value} cannot occur in {label}",
                reason=f"it holds {dtype}, from {bounds.min} to {bounds.max}; missing is a raw value, before the scale",
            )


def _check_alike(one: Stored, first: Stored, key: str, first_key: str, file: str) -> None:
    if one.dims != first.dims or one.array.shape != first.array.shape:
        raise SourceError(
            "variables",
            f"{key} and {first_key} of {file} have different axes",
            reason=f"{key} is {_shape(one)}, {first_key} {_shape(first)}",
            help="variables that become channels have the same dimensions in the same order",
        )


def _shape(stored: Stored) -> str:
    pairs = zip(stored.dims or ("",) * 99, stored.array.shape, strict=False)
    return " × ".join(f"{name} ({length})" if name else str(length) for name, length in pairs)


def _is_part(parts: tuple[Part, ...], shape: tuple[int, ...]) -> bool:
    return parts != tuple((range(length),) for length in shape)


def _side_by_side(arrays: list[Any], packings: list[Packing], *, several: bool) -> tuple[RawArray, Packing]:
    """One array whose last axis counts the variables, and its packing; where they are packed differently, unpacked."""
    if not several:
        return arrays[0], packings[0]
    if len(set(packings)) == 1 and len({one.dtype for one in arrays}) == 1:
        return Stacked(tuple(arrays)), packings[0]
    return Stacked(tuple(Unpacked(*pair) for pair in zip(arrays, packings, strict=True))), Packing()


def _channel_names(coordinates: Mapping[str, Axis]) -> tuple[str, ...]:
    axis = coordinates.get("C")
    return () if axis is None or axis.values is None else tuple(str(value) for value in axis.values.tolist())


def _times(container: Container, file: str, data: DataSection, axis: Axis | None, length: int) -> Times | None:
    """When the frames are: what `source.time` names, or the coordinate of the axis T where it holds times."""
    key = data.source.time if isinstance(data.source.time, str) else None
    known = axis is not None and axis.values is not None and axis.values.dtype.kind == "M"
    if axis is not None and known and key in (None, axis.name):
        assert axis.values is not None
        try:
            clock.check_rising(axis.values)
        except ValueError as error:
            raise SourceError(
                "path",
                f"the times of {file} do not increase from frame to frame",
                reason=str(error),
                help="sort the frames of the file, and keep one of each time",
            ) from error
        return axis.values
    if key is None:
        return None
    if key not in container.names():
        _key(container, file, "time", key)
    stored = container.array(key)
    array = stored.array
    if array.dtype.hasobject:
        raise SourceError("time", f"{file}:{key} holds pickled Python objects, which are never loaded")
    if array.shape != (length,):
        raise SourceError(
            "time", f"{file}:{key} must hold one time per frame", reason=f"it has {show(array.shape)}, not {length}"
        )
    try:
        return clock.times_of(array[(slice(None),)], stored.units)
    except ValueError as error:
        raise SourceError("time", f"{file}:{key} does not hold times", reason=str(error)) from error


def _between(record: Record, dates: Dates) -> Record:
    """The frames from one date to another; there may be none."""
    if record.times is None:
        raise SourceError(
            "time",
            f"dates choose frames by their times, and {record.label} has none",
            help="leave the dates out, and use data.split with ranges of frame numbers",
        )
    first, end = clock.between(record.times, dates)
    place = record.axes.index("T")
    parts = tuple((range(first, end) if n == place else range(length),) for n, length in enumerate(record.array.shape))
    coordinates = dict(record.coordinates)
    axis = coordinates.get("T")
    if axis is not None and axis.values is not None:
        coordinates["T"] = replace(axis, values=axis.values[first:end])
    clocks = (record.times[first:end],)
    return replace(record, array=View(record.array, parts), coordinates=coordinates, clocks=clocks)
