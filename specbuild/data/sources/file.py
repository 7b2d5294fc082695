"""One file: from its path to its frames, with named axes and times, and errors for anything that does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol

import numpy as np

from specbuild.catalog.shapes import show
from specbuild.catalog.sources import format_of
from specbuild.data.sources.base import Coordinate, FilePart, FrameMetadata, FrameSource, StoredArray
from specbuild.data.sources.coarsen import coarsened
from specbuild.data.sources.description import Description
from specbuild.data.sources.errors import DamagedFileError, FileError, SourceError
from specbuild.data.sources.files import format_at, is_pictures, known_suffixes
from specbuild.data.sources.layout import lay_out
from specbuild.data.sources.lazy_arrays import Places, in_one_packing, stacked, view
from specbuild.data.sources.moments import timed, with_time
from specbuild.data.sources.packing import can_occur
from specbuild.data.sources.remote import AnyFile, RemoteFile
from specbuild.data.sources.unpacking import unpacked
from specbuild.data.time import times as clock
from specbuild.data.time.times import Times
from specbuild.document import did_you_mean, listed
from specbuild.language.dates import Dates
from specbuild.language.sections.data import DataSection


class Container(Protocol):
    """An open file of arrays."""

    def names(self) -> tuple[str, ...]:
        """Return the names of its arrays; none where the format has a single nameless one."""

    def array(self, name: str) -> StoredArray:
        """Return the array, with its header read.

        Raises:
            SourceError: it is damaged.
        """


def open_file(path: AnyFile, data: DataSection) -> FrameSource:
    """Return the frames of a file, or of pictures; nothing but headers and coordinates is read yet.

    Raises:
        SourceError: the file, its arrays or their axes are not what `data.source` says.
    """
    section, file = data.source, path.name
    container = _container(path, data)
    keys = _keys(container, file, data)
    label = f"{file}:{', '.join(keys)}" if keys[0] else file
    stored = [_stored(container, key, f"{file}:{key}" if key else file, data) for key in keys]
    if isinstance(path, RemoteFile) or not is_pictures(path):
        stored = [with_time(variable, section, path, label) for variable in stored]
    first = stored[0]
    for key, other in zip(keys[1:], stored[1:], strict=True):
        _check_alike(other, first, key, keys[0], file)
    parts, axes, coordinates = lay_out(first, section, label)
    views = [view(variable.array, parts) for variable in stored]
    if 0 in views[0].shape:
        raise SourceError("key", f"{label} is empty: its shape is {show(views[0].shape)}")
    arrays, packing = in_one_packing(views, [variable.packing for variable in stored])
    if section.variables is not None:
        axes = (*axes, "C")
    length = views[0].shape[axes.index("T")] if "T" in axes else 1
    clocks = first.clocks
    if not clocks:
        times = _times(container, file, data, coordinates.get("T"), length)
        clocks = () if times is None else (times,)
    if "T" in coordinates:
        coordinates["T"] = timed(coordinates["T"], clocks)
    metadata = FrameMetadata(
        file,
        axes,
        tuple(filter(None, keys)),
        packing,
        clocks,
        coordinates,
        section.variables or _channel_names(coordinates) or tuple(key for key in keys if key and "C" not in axes),
        ", ".join(dict.fromkeys(variable.units for variable in stored if variable.units)),
        {name: part.units for name, part in zip(section.variables or (), stored, strict=False) if part.units},
        first.lengths,
        tuple(FilePart(name, range(n, n + 1), range(length)) for n, name in enumerate(first.events)),
        path.stat().st_size if isinstance(path, Path) and path.is_file() else None,
        first.name_format,
        descriptions=tuple(_described(variable, parts, axes) for variable in stored),
        dtype=first.dtype,
    )
    source = FrameSource(arrays[0] if section.variables is None else stacked(arrays), metadata)
    source = source if section.coarsen is None else coarsened(source, section.coarsen)
    return source if section.dates is None else _between(source, section.dates)


def _described(stored: StoredArray, parts: Sequence[int | Places], axes: Sequence[str]) -> Description:
    """Return what the file says of a variable; of its auxiliary coordinates those along spatial axes alone."""
    left = iter(axes)
    letters = {dim: "" if isinstance(part, int) else next(left) for dim, part in zip(stored.dims, parts, strict=False)}
    places = dict(zip(stored.dims, parts, strict=False))
    auxiliary = []
    for each in stored.description.auxiliary:
        along = tuple(letters[dim] for dim in each.axes if letters[dim])
        if set(along) <= set("LDHW"):
            auxiliary.append(each.on(along, view(each.array, [places[dim] for dim in each.axes])))
    return replace(stored.description, auxiliary=tuple(auxiliary))


def _container(path: AnyFile, data: DataSection) -> Container:
    if isinstance(path, Path) and is_pictures(path):
        from specbuild.data.sources.frame_folder import PictureFiles

        return PictureFiles(path, data.source)
    return array_container(path)


def array_container(path: AnyFile) -> Container:
    """Open a file of arrays; at a URL where it is, if its format can be read so, else a copy of it.

    Raises:
        SourceError: there is no reader for it, or it is damaged.
    """
    if isinstance(path, RemoteFile):
        source_format = format_of(path.url)
        if source_format is None:
            raise FileError(f"no reader knows the suffix of {path.url}", help=f"known are {known_suffixes()}")
        if source_format.remote_reader:
            remote: Container = resolve_name(source_format.remote_reader)(path)
            return remote
        path = path.copy()
    source_format = format_at(path)
    assert source_format is not None
    if path.is_file() and not path.stat().st_size:
        raise FileError(f"{path.name} is empty: it has 0 bytes", help="copy the file again")
    try:
        container: Container = resolve_name(source_format.reader)(unpacked(path))
    except DamagedFileError as error:
        if _is_text(path):
            readable = f"give a file that is what its suffix says, {path.suffix}"
            raise FileError(f"{path.name} is text, not arrays", help=readable) from error
        raise
    return container


def _is_text(path: Path) -> bool:
    """Whether a file begins as text: printable characters, tabs and ends of lines."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(512)
    return all((byte >= 32 and byte != 127) or byte in b"\t\n\r" for byte in start)


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


def _stored(container: Container, key: str, label: str, data: DataSection) -> StoredArray:
    """Return an array, packed as the spec says or else the file."""
    stored = container.array(key)
    dtype = stored.array.dtype
    if dtype.hasobject:
        raise FileError(
            f"{label} holds pickled Python objects, which are never loaded", help="save it as an array of numbers"
        )
    if dtype.kind not in "biuf":
        raise SourceError("key", f"{label} holds {dtype}, not numbers")
    _check_missing(data.missing, dtype, label)
    packing = stored.packing.overridden(data.scale, data.offset, data.missing)
    for part, fault in packing.faults:
        raise SourceError(part, f"{label} does not say how it is packed", reason=fault, help=_SAY[part])
    if stored.in_packing is None:
        return replace(stored, packing=packing)
    array, packing = stored.in_packing(packing)
    return replace(stored, array=array, packing=packing, dtype=dtype)


_SAY = {
    "scale": "write data.scale, the factor from raw to physical values; 1 if there is none",
    "offset": "write data.offset, what is added to the scaled values; 0 if there is none",
    "missing": "write data.missing, the raw values that mark missing data",
}


def _check_missing(missing: Iterable[float], dtype: np.dtype[Any], label: str) -> None:
    if dtype.kind not in "iu":
        return
    bounds = np.iinfo(dtype)
    for value in missing:
        if not can_occur(value, dtype):
            raise SourceError(
                "missing",
                f"missing: {value} cannot occur in {label}",
                reason=f"it holds {dtype}, from {bounds.min} to {bounds.max}; missing is a raw value, before the scale",
            )


def _check_alike(other: StoredArray, first: StoredArray, key: str, first_key: str, file: str) -> None:
    if other.dims != first.dims or other.array.shape != first.array.shape:
        raise SourceError(
            "variables",
            f"{key} and {first_key} of {file} have different axes",
            reason=f"{key} is {_shape(other)}, {first_key} {_shape(first)}",
            help="variables that become channels have the same dimensions in the same order",
        )


def _shape(stored: StoredArray) -> str:
    if not stored.dims:
        return show(stored.array.shape)
    return " × ".join(f"{name} ({length})" for name, length in stored.sizes.items())


def _channel_names(coordinates: Mapping[str, Coordinate]) -> tuple[str, ...]:
    axis = coordinates.get("C")
    return () if axis is None or axis.values is None else tuple(str(value) for value in axis.values.tolist())


def _times(container: Container, file: str, data: DataSection, axis: Coordinate | None, length: int) -> Times | None:
    """Return when the frames are: what `source.time` names, or the coordinate of the axis T where it holds times."""
    if data.source.time is False:
        return None
    key = data.source.time if isinstance(data.source.time, str) else None
    if axis is not None and axis.values is not None and key in (None, axis.name):
        return _axis_times(axis, file)
    if key is None:
        return None
    stored = container.array(_key(container, file, "time", key))
    array = stored.array
    if array.dtype.hasobject:
        raise SourceError("time", f"{file}:{key} holds pickled Python objects, which are never loaded")
    if array.shape != (length,):
        raise SourceError(
            "time", f"{file}:{key} must hold one time per frame", reason=f"it has {show(array.shape)}, not {length}"
        )
    try:
        return clock.times_of(array[(slice(None),)], stored.units, stored.calendar, stored.packing.missing)
    except ValueError as error:
        raise SourceError("time", f"{file}:{key} does not hold times", reason=str(error)) from error


def _axis_times(axis: Coordinate, file: str) -> Times | None:
    """Return the times along an axis; None if its numbers are not times but count evenly spaced frames.

    Raises:
        SourceError: they cannot be decoded, do not increase, or say nothing of how long a gap between frames is.
    """
    assert axis.values is not None
    if axis.fault:
        raise SourceError("time", f"{axis.name} of {file} does not hold times", reason=axis.fault, help=_IGNORE)
    if axis.values.dtype.kind == "M":
        try:
            clock.check_rising(axis.values)
        except ValueError as error:
            raise FileError(
                f"the times of {file} do not increase from frame to frame",
                reason=str(error),
                help="sort the frames of the file, with one frame per time",
            ) from error
        return axis.values
    uneven = clock.uneven(axis.values)
    if uneven is not None:
        known = f'its units are "{axis.units}"' if axis.units else "it has no units"
        raise SourceError(
            "time",
            f"{axis.name} of {file} is not evenly spaced, and not in units such as hours since 2019-03-01",
            reason=f"{known}, and frame {uneven} has {axis.values[uneven]} after {axis.values[uneven - 1]}",
            help=_IGNORE,
        )
    return None


_IGNORE = "correct the file, or write time: false to treat its frames as evenly spaced"


def _between(source: FrameSource, dates: Dates) -> FrameSource:
    """Return the frames from one date to another; there may be none."""
    metadata, times = source.metadata, source.times(0)
    if times is None:
        from_names = metadata.how_to_time and f"write {metadata.how_to_time[:-1]}, dates: […]}}, or "
        raise SourceError(
            "time",
            f"dates select frames by their times, and {source.name} has none",
            help=f"{from_names}leave the dates out, and use data.split with ranges of frame numbers",
        )
    if len(metadata.clocks) > 1:
        message = f"dates select frames of one record, and {source.name} has {source.events} events"
        raise SourceError("time", message, help="leave the dates out, and use data.split with dates")
    frames = slice(*clock.between(times, dates))
    lengths = zip(metadata.axes, source.array.shape, strict=True)
    parts = [range(length)[frames if axis == "T" else slice(None)] for axis, length in lengths]
    clocks = (times[frames],)
    return FrameSource(view(source.array, parts), replace(metadata, clocks=clocks, coordinates=metadata.at(clocks[0])))
