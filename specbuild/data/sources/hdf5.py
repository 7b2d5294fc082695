"""`.h5`, `.hdf5`: named arrays, read by slices."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from specbuild.data.sources.base import StoredArray
from specbuild.data.sources.cf import packing_of
from specbuild.data.sources.errors import DamagedFileError


class Hdf5File:
    """The datasets of a file by their path in it: `vil`, `group/rain`."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise DamagedFileError(f"{path.name} is cut short or not HDF5", error) from error

    def names(self) -> tuple[str, ...]:
        names: list[str] = []
        self._file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        return tuple(names)

    def array(self, name: str) -> StoredArray:
        dataset = self._file[name]
        if h5py.check_string_dtype(dataset.dtype):
            return StoredArray(np.array(dataset.asstr()[()].tolist()))
        units, calendar = (_text(dataset, key) for key in ("units", "calendar"))
        return StoredArray(dataset, packing_of(dataset.attrs), units, calendar=calendar)


def _text(dataset: h5py.Dataset, attribute: str) -> str:
    """Return an attribute that is a text; empty where there is none."""
    value = dataset.attrs.get(attribute, "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
