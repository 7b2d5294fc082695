"""From `data.source` to frames: finds the reader, the array and its axes, and says what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from specbuild.catalog.shapes import show
from specbuild.data.sources.base import ArraySource, FrameSource, Packing, RawArray, SourceError, Stored
from specbuild.data.sources.frame_folder import PictureFiles, is_pattern, is_pictures
from specbuild.data.sources.npy import NpyFile
from specbuild.data.sources.npz import NpzFile
from specbuild.data.sources.times import times_of
from specbuild.document import did_you_mean
from specbuild.spec.data_section import DataSection
from specbuild.spec.source_section import LETTERS

if TYPE_CHECKING:
    from specbuild.spec import Spec


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


READERS: dict[str, Callable[[Path], Container]] = {
    ".npy": NpyFile,
    ".npz": NpzFile,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".nc": _hdf5,
}
"""From a file's suffix to what reads it."""


def open_source(spec: Spec) -> FrameSource:
    """The frames of the spec's data section; nothing but headers is read yet.

    Raises:
        SpecError: the file, the array or its axes are not what `data.source` says, located at the key at fault.
    """
    data = spec.data
    assert data is not None
    path = spec.resolve_path(data.source.path)
    try:
        _check_file(path, data.source.path)
        return _open(path, data)
    except SourceError as error:
        place = ("data", error.part) if error.part in DataSection.model_fields else ("data", "source", error.part)
        raise spec.error(place, error.message, reason=error.reason, help=error.help, code="bad-data") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise spec.error(
            ("data", "source", "path"), f"{path.name} cannot be read", reason=reason, code="bad-data"
        ) from error


def _open(path: Path, data: DataSection) -> FrameSource:
    section = data.source
    container = PictureFiles(path, section) if is_pictures(path) else READERS[path.suffix.lower()](path)
    key = _key(container, path.name, "key", section.key)
    stored = container.array(key)
    array, packing = stored.array, stored.packing
    label = f"{path.name}:{key}" if key else path.name
    _check_array(array, label, section.axes)
    packing = Packing(
        packing.scale if data.scale is None else data.scale,
        packing.offset if data.offset is None else data.offset,
        tuple(dict.fromkeys((*packing.missing, *data.missing))),
    )
    _check_missing(data.missing, array.dtype, label)
    times = _times(container, path.name, section.time, array.shape[section.axes.index("T")])
    clocks = () if times is None else (times,)
    return ArraySource(
        label, array, section.axes, section.space, packing, clocks, units=stored.units, uneven=stored.lengths
    )


def _check_file(path: Path, written: str) -> None:
    suffix = path.suffix.lower()
    if is_pictures(path) and (path.exists() or is_pattern(path)):
        return
    if not path.exists():
        folder = path.parent
        if not folder.is_dir():
            raise SourceError("path", f"{written} does not exist", reason=f"there is no folder {folder}")
        hint = did_you_mean(path.name, sorted(one.name for one in folder.iterdir()))
        raise SourceError("path", f"{written} does not exist", reason=f"looked in {folder.resolve()}", help=hint)
    if path.is_dir():
        raise SourceError("path", f"{written} is a folder, not a file", help=f"name a file: {_suffixes()}")
    if suffix not in READERS:
        raise SourceError(
            "path", f'no reader knows the suffix "{path.suffix}" of {written}', help=f"known are {_suffixes()}"
        )


def _key(container: Container, file: str, part: str, key: str | None) -> str:
    names = container.names()
    if not names:
        return key or ""
    listed = _listed(names)
    if key is None:
        if len(names) == 1:
            return names[0]
        raise SourceError(part, f"{file} holds {len(names)} arrays", help=f"say which with {part}: {listed}")
    if key not in names:
        hint = did_you_mean(key, names)
        raise SourceError(part, f'{file} has no array "{key}"', reason=f"it has {listed}", help=hint)
    return key


def _check_array(array: RawArray, label: str, axes: tuple[str, ...]) -> None:
    if array.dtype.hasobject:
        raise SourceError(
            "path",
            f"{label} holds pickled Python objects, which are never loaded",
            help="save it as an array of numbers",
        )
    if array.dtype.kind not in "biuf":
        raise SourceError("key", f"{label} holds {array.dtype}, not numbers")
    if len(array.shape) != len(axes):
        raise SourceError(
            "layout",
            f"the layout names {len(axes)} axes, {label} has {len(array.shape)}",
            reason=f"its shape is {show(array.shape)}",
            help=f"name each axis in its order, out of {', '.join(f'{k} ({v})' for k, v in LETTERS.items())}",
        )
    if 0 in array.shape:
        raise SourceError("key", f"{label} is empty: its shape is {show(array.shape)}")


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


def _times(container: Container, file: str, key: str | None, length: int) -> npt.NDArray[np.datetime64] | None:
    if key is None:
        return None
    key = _key(container, file, "time", key)
    stored = container.array(key)
    array = stored.array
    if array.dtype.hasobject:
        raise SourceError("time", f"{file}:{key} holds pickled Python objects, which are never loaded")
    if array.shape != (length,):
        raise SourceError(
            "time", f"{file}:{key} must hold one time per frame", reason=f"it has {show(array.shape)}, not {length}"
        )
    try:
        return times_of(array[(slice(None),)], stored.units)
    except ValueError as error:
        raise SourceError("time", f"{file}:{key} does not hold times", reason=str(error)) from error


def _listed(names: tuple[str, ...], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _suffixes() -> str:
    return ", ".join(READERS)
