"""`.h5` and NetCDF 4 (`.nc`), which is HDF5 inside: named arrays, read by slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from specbuild.data.sources.base import Packing, SourceError, Stored


class Hdf5File:
    """The datasets of a file by their path in it: `vil`, `group/rain`."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            with path.open("rb") as file:
                classic = file.read(3) == b"CDF"
            raise SourceError(
                "path",
                f"{path.name} is of the older NetCDF 3 format" if classic else f"{path.name} is cut short or not HDF5",
                reason="" if classic else str(error),
                help="convert it: nccopy -k nc4 old.nc new.nc" if classic else "copy the file again",
            ) from error

    def names(self) -> tuple[str, ...]:
        found: list[str] = []
        self._file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        return tuple(found)

    def array(self, name: str) -> Stored:
        dataset = self._file[name]
        if h5py.check_string_dtype(dataset.dtype):
            return Stored(np.array(dataset.asstr()[()].tolist()))
        units = dataset.attrs.get("units", b"")
        return Stored(dataset, _packing(dataset), units.decode() if isinstance(units, bytes) else str(units))


def _packing(dataset: Any) -> Packing:
    """What the CF conventions' `scale_factor`, `add_offset`, `_FillValue` and `missing_value` say."""
    missing = [value for key in ("_FillValue", "missing_value") for value in _numbers(dataset, key)]
    return Packing(
        next(iter(_numbers(dataset, "scale_factor")), 1.0),
        next(iter(_numbers(dataset, "add_offset")), 0.0),
        tuple(dict.fromkeys(value for value in missing if not np.isnan(value))),
    )


def _numbers(dataset: Any, attribute: str) -> list[float]:
    found = np.ravel(dataset.attrs.get(attribute, ()))
    return [value.item() for value in found] if found.dtype.kind in "biuf" else []
