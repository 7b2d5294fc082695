"""`.h5`, `.hdf5`: named arrays, read by slices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from specbuild.data.sources.base import StoredArray
from specbuild.data.sources.cf import packing_of
from specbuild.data.sources.errors import DamagedFileError, FileError
from specbuild.data.sources.hdf5_heap import check_heaps
from specbuild.data.sources.lazy_arrays import LazyArray
from specbuild.data.sources.limits import check_chunk, check_regular
from specbuild.data.sources.radar import as_radar, data_names


class Hdf5File:
    """The datasets of a file by their path in it: `vil`, `group/rain`."""

    def __init__(self, path: Path) -> None:
        try:
            check_heaps(path)
            self._file = h5py.File(path, "r")
        except (OSError, ValueError) as error:
            raise DamagedFileError(f"{path.name} is cut short or not HDF5", error) from error
        self._path = path

    def names(self) -> tuple[str, ...]:
        names: list[str | bytes] = []
        with self._damage("it"):
            self._file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        if not names:
            raise FileError(f"{self._path.name} holds no arrays")
        texts = tuple(name.decode(errors="replace") if isinstance(name, bytes) else name for name in names)
        with self._damage("its layout"):
            return data_names(texts, self._file)

    def array(self, name: str) -> StoredArray:
        with self._damage(f'"{name}" of it'):
            return self._array(name)

    def _array(self, name: str) -> StoredArray:
        dataset = self._file[name]
        check_chunk(dataset.chunks, dataset.dtype, f"{self._path.name}:{name}")
        self._check_elsewhere(dataset)
        if h5py.check_string_dtype(dataset.dtype):
            self._check_texts(dataset)
            texts = dataset.asstr(errors="replace")
            return StoredArray(LazyArray(dataset.shape, np.dtype("U1"), lambda index: np.array(texts[index].tolist())))
        units, calendar = (_text(dataset, key) for key in ("units", "calendar"))
        stored = StoredArray(dataset, packing_of(dataset.attrs), units, calendar=calendar)
        return as_radar(stored, self._file, name)

    @contextmanager
    def _damage(self, what: str) -> Iterator[None]:
        """Turn what h5py raises over damaged headers into an error over the file."""
        try:
            yield
        except (KeyError, OSError, OverflowError, RuntimeError, TypeError, ValueError) as error:
            raise DamagedFileError(f"{self._path.name} is damaged", f"{what} cannot be read: {error}") from error

    def _check_texts(self, dataset: h5py.Dataset) -> None:
        """Check that no text is longer than the file: HDF5 takes as much memory as a reference to it says.

        References are 4 bytes of length and 12 of a place (File Format Specification, III.E, IV.A.2.d).
        """
        start = dataset.id.get_offset()
        if start is None or h5py.check_string_dtype(dataset.dtype).length is not None:
            return
        with self._path.open("rb") as file:
            file.seek(start)
            references = file.read(16 * dataset.size)
        lengths = np.frombuffer(references, "<u4", len(references) // 16 * 4)[::4]
        if (lengths > self._path.stat().st_size).any():
            raise ValueError("a text is longer than the file")

    def _check_elsewhere(self, dataset: h5py.Dataset) -> None:
        """Check that the files that hold the numbers of a dataset in place of its own are there.

        HDF5 reads zeros where they are not.
        """
        virtual = [source.file_name for source in dataset.virtual_sources()] if dataset.is_virtual else []
        for name in {*virtual, *(name for name, *_ in dataset.external or ())} - {"."}:
            path = self._path.parent / name
            if not path.exists():
                raise FileError(
                    f"{self._path.name} reads {name}, which does not exist", help="copy it next to the file"
                )
            check_regular(path, name)


def _text(dataset: h5py.Dataset, attribute: str) -> str:
    """Return an attribute that is a text; empty where there is none."""
    value = dataset.attrs.get(attribute, "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
