"""NetCDF (3 and 4) and Zarr, read through xarray: variables whose dimensions have names and coordinates."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import xarray
from xarray import Dataset, Variable

from specbuild.data.sources.base import Coordinate, StoredArray
from specbuild.data.sources.cf import axis_letter, packing_of
from specbuild.data.sources.description import Auxiliary, Description, kept_of_coordinate, kept_of_variable
from specbuild.data.sources.errors import DamagedFileError, FileError, reason_of
from specbuild.data.sources.hdf5_heap import check_heaps
from specbuild.data.sources.lazy_arrays import Index, LazyArray
from specbuild.data.sources.limits import check_chunk, check_memory
from specbuild.data.sources.netcdf3 import check_length
from specbuild.data.sources.packing import RawArray
from specbuild.data.sources.remote import RemoteFile, reaching
from specbuild.data.sources.sparse_file import Result, SparseFile
from specbuild.data.sources.unpacking import unpacked
from specbuild.data.time.cells import TimeCell
from specbuild.data.time.times import decoded
from specbuild.document.extras import install, missing, not_installed


class GridFile:
    """The variables of a file or store by name; those of a group by its path: `group/rain`."""

    def __init__(self, path: Path) -> None:
        self._file = path.name
        self._groups = {"": _open(path)}
        if not self._groups[""].data_vars and path.suffix.lower() != ".zarr":
            with netCDF4.Dataset(path) as file:
                self._groups |= {f"{group}/": _open(path, group) for group in _groups_below(file)}

    def names(self) -> tuple[str, ...]:
        """Return the variables that hold data: no coordinates, no bounds of cells."""
        names = tuple(f"{group}{name}" for group, data in self._groups.items() for name in data_names(data))
        if not names:
            raise FileError(f"{self._file} holds no variable with numbers")
        return names

    def array(self, name: str) -> StoredArray:
        group, _, short = name.rpartition("/")
        data = self._groups[f"{group}/" if group else ""]
        variable = data.variables[short]
        if variable.dtype.kind in "SUO":
            return StoredArray(LazyArray(variable.shape, np.dtype("U1"), lambda index: _texts(variable[index])))
        dims = tuple(str(dim) for dim in variable.dims)
        axes = {dim: _axis(dim, data.variables, self._file) for dim in dims}
        check_chunk(_chunk(variable), variable.dtype, f"{self._file}:{name}")
        units, calendar = (str(variable.attrs.get(key, "")) for key in ("units", "calendar"))
        return StoredArray(
            _raw(variable),
            packing_of(variable.attrs),
            units,
            dims,
            calendar,
            axes,
            description=_description(data, variable),
            moment=_moment(data, dims, self._file),
        )


def _description(data: Dataset, variable: Variable) -> Description:
    """Return what a file says of a variable besides its numbers and its own dimensions."""
    mapping = str(variable.attrs.get("grid_mapping", "")).partition(":")[0].strip()
    listed = str(variable.encoding.get("coordinates", variable.attrs.get("coordinates", ""))).split()
    auxiliary = (
        Auxiliary(name, _raw(other), tuple(map(str, other.dims)), _attributes(other))
        for name in listed
        if name in data.variables and (other := data.variables[name]).dtype.kind in "iuf" and name not in other.dims
    )
    return Description(
        kept_of_variable(variable.attrs),
        (mapping, kept_of_coordinate(data.variables[mapping].attrs)) if mapping in data.variables else None,
        tuple(each for each in auxiliary if set(each.axes) <= set(map(str, variable.dims))),
    )


def _attributes(variable: Variable) -> dict[str, Any]:
    units = variable.attrs.get("units")
    return kept_of_coordinate(variable.attrs) | ({} if units is None else {"units": str(units)})


class RemoteGrid(GridFile):
    """The variables of a store or file at a URL, read where it is: of Zarr the chunks, of NetCDF 4 pieces of the file.

    A file of another kind, or with groups, is read from a copy.
    """

    def __init__(self, file: RemoteFile) -> None:
        self._file, self._pieces = file.name, None if file.is_store else SparseFile(file)
        data = _remote_store(file) if self._pieces is None else _remote_dataset(file, self._pieces)
        if data is None:
            self._pieces = None
            super().__init__(unpacked(file.copy()))
            return
        self._groups = {"": data}
        weakref.finalize(self, data.close)  # also before the program ends: HDF5 would use objects that are gone by then

    def array(self, name: str) -> StoredArray:
        stored = self.complete(lambda: super(RemoteGrid, self).array(name))
        array = stored.array
        return replace(stored, array=LazyArray(array.shape, array.dtype, partial(_complete, self, array)))

    def complete(self, operation: Callable[[], Result]) -> Result:
        """Return the result of an operation that reads the file, of which pieces may have to be fetched."""
        return operation() if self._pieces is None else self._pieces.complete(operation)


def _complete(grid: RemoteGrid, array: RawArray, index: Index) -> npt.NDArray[Any]:
    """Read an array of a file, which stays open as long as this function is there.

    Raises:
        OSError: it is damaged, or can no longer be reached.
    """
    try:
        return grid.complete(lambda: array[index])
    except FileError as error:
        raise OSError(f"{error.message}: {error.reason}") from error


def _remote_store(file: RemoteFile) -> Dataset:
    """Open a Zarr store at a URL."""
    place = file.store()
    try:
        with reaching(file), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of metadata that are not consolidated
            return _dataset(place, None, {"engine": "zarr"})
    except FileError as error:
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError):
            raise
        help = "check the URL; a store that cannot be listed needs consolidated metadata"
        raise FileError(f"{file.url} is not a Zarr store", reason=error.reason, help=help) from error


def _remote_dataset(file: RemoteFile, pieces: SparseFile) -> Dataset | None:
    """Open a NetCDF 4 file at a URL; None where it can only be read from a copy."""
    if pieces.read(len(_HDF5)) != _HDF5:
        return None
    if absent := missing(("h5netcdf",)):
        raise FileError(not_installed("NetCDF at a URL", absent), help=install("remote"))
    try:
        data = pieces.complete(lambda: _dataset(pieces, None, {"engine": "h5netcdf"}))
    except FileError:
        raise
    except Exception as error:  # whatever the libraries below raise over a damaged file
        raise DamagedFileError(f"{file.url} is cut short or not NetCDF", error) from error
    return data if data.data_vars else None


_HDF5 = b"\x89HDF\r\n\x1a\n"
"""How a NetCDF 4 file begins."""


def _dataset(place: Any, group: str | None, options: dict[str, Any]) -> Dataset:
    """Open with xarray: numbers are left where they are, as they are stored."""
    return xarray.open_dataset(
        place,
        group=group,
        mask_and_scale=False,
        decode_times=False,
        cache=False,
        chunks=None,
        create_default_indexes=False,
        **options,
    )


def _raw(variable: Variable) -> LazyArray:
    """Return the numbers of a variable as they are stored."""
    unsigned = variable.dtype.kind == "i" and str(variable.attrs.get("_Unsigned", "")).lower() == "true"
    dtype = np.dtype(f"{variable.dtype.byteorder}u{variable.dtype.itemsize}") if unsigned else variable.dtype
    return LazyArray(tuple(variable.shape), dtype, lambda index: _numbers(variable[index]).view(dtype))


def _numbers(variable: Variable) -> npt.NDArray[Any]:
    """Read a variable.

    Raises:
        OSError: it is damaged.
    """
    try:
        return np.asarray(variable.values)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # whatever the libraries below raise over damaged numbers
        raise OSError(str(error)) from error


def _open(path: Path, group: str | None = None) -> Dataset:
    """Open a file: headers are read, numbers are left where they are.

    Raises:
        SourceError: it is damaged, or of another format.
    """
    place: Any = path
    options: dict[str, Any] = {"engine": "netcdf4"}
    if path.suffix.lower() == ".zarr":
        from specbuild.data.sources.zarr_store import local_store

        place, options = local_store(path), {"engine": "zarr", "consolidated": False}
    else:
        try:
            check_length(path)
        except (OverflowError, ValueError) as error:
            raise DamagedFileError(f"{path.name} is cut short", error) from error
    try:
        if options["engine"] == "netcdf4":
            check_heaps(path)
            stat = path.stat()
            _check_texts(path, group, stat.st_size, stat.st_mtime_ns)
        return _dataset(place, group, options)
    except (FileError, MemoryError):
        raise
    except Exception as error:  # whatever the libraries below raise over a damaged file
        if isinstance(error, KeyError) and any(name in str(error) for name in _DIMENSION_NAMES):
            raise FileError(
                f"the arrays of {path.name} have no dimension names",
                reason="Zarr needs them to tell which axis is which",
                help="name the axes: dimension_names in format 3, the attribute _ARRAY_DIMENSIONS in format 2",
            ) from error
        if type(error).__name__ == "ContainsArrayError":
            help = "put the array into a group, and name its axes"
            raise FileError(f"{path.name} is a single array, not a group of arrays", help=help) from error
        what = "is cut short or not a Zarr store" if options["engine"] == "zarr" else "is cut short or not NetCDF"
        raise DamagedFileError(f"{path.name} {what}", getattr(error, "strerror", None) or error) from error


@lru_cache(maxsize=10_000)
def _check_texts(path: Path, group: str | None, _size: int, _changed: int) -> None:
    """Check that what the NetCDF library takes for texts is text: it crashes on 16-bit floats.

    A file that has not changed is checked once.

    Raises:
        SourceError: it is not.
    """
    with netCDF4.Dataset(path) as file:
        variables = (file[group] if group else file).variables
        texts = [name for name, variable in variables.items() if variable.dtype is str]
    if not texts:
        return
    import h5py

    with h5py.File(path, "r") as stored:
        for name in texts:
            dataset = stored.get(f"{group or ''}/{name}")
            if isinstance(dataset, h5py.Dataset) and not h5py.check_string_dtype(dataset.dtype):
                raise FileError(
                    f"{name} of {path.name} holds {dataset.dtype}, which the NetCDF library does not read",
                    help="save it as float32, or give the file the suffix .h5",
                )


_DIMENSION_NAMES = ("dimension_names", "_ARRAY_DIMENSIONS")
"""Where the two formats of Zarr keep the names of dimensions."""


def _groups_below(group: Any) -> Iterator[str]:
    """Return the paths of all groups inside a group."""
    for inner in group.groups.values():
        yield inner.path.lstrip("/")
        yield from _groups_below(inner)


def data_names(data: Dataset) -> tuple[str, ...]:
    """Return the variables that hold data: no coordinates, no bounds of cells."""
    bounds = {str(variable.attrs.get("bounds")) for variable in data.variables.values()}
    return tuple(
        str(name)
        for name, variable in data.data_vars.items()
        if variable.dtype.kind in "biuf" and variable.ndim and str(name) not in bounds
    )


def _chunk(variable: Variable) -> tuple[int, ...] | None:
    """Return what is unpacked as a whole: a chunk, of Zarr's shards a part."""
    encoding = variable.encoding
    return None if encoding.get("contiguous") else encoding.get("chunksizes") or encoding.get("chunks")


def _texts(variable: Variable) -> npt.NDArray[np.str_]:
    return np.array([str(text) for text in _numbers(variable).ravel()]).reshape(variable.shape)


def _moment(data: Dataset, dims: tuple[str, ...], file: str) -> np.datetime64 | None:
    """Return the one time of a file, which a coordinate without dimensions says; None where there is none."""
    for name in ("valid_time", "time"):
        variable = data.variables.get(name)
        if variable is not None and not variable.ndim and name not in dims:
            single = {name: Variable((name,), variable.values.reshape(1), variable.attrs)}
            values = _axis(name, single, file).values
            if values is not None and values.dtype.kind == "M" and not np.isnat(values[0]):
                return np.datetime64(values[0], "s")
    return None


def _axis(name: str, variables: Mapping[Any, Variable], file: str) -> Coordinate:
    """Read the coordinate of a dimension, if any; times are times where their units and calendar can be read.

    Raises:
        SourceError: times that do not increase, or damaged numbers.
    """
    variable = variables.get(name)
    if variable is None or variable.ndim != 1:
        return Coordinate(name, letter=axis_letter({}, Coordinate(name)))
    attributes: Mapping[Hashable, Any] = variable.attrs
    units = str(attributes.get("units", ""))
    check_memory(8 * variable.size, f"{name} of {file}, {variable.size:,} numbers,")
    try:
        values: npt.NDArray[Any] = _texts(variable) if variable.dtype.kind in "SUO" else _numbers(variable)
    except OSError as error:
        raise FileError(f"{name} of {file} cannot be read", reason=reason_of(error)) from error
    packing, fault = packing_of(attributes), ""
    if packing.faults:
        raise FileError(f"{name} of {file} cannot be read", reason=packing.faults[0][1])
    missing = np.array([value for value in packing.missing if value])  # Zarr 2 gives 0 to what has none; 0 is a time
    if values.dtype.kind in "iuf" and (packing.scale != 1 or packing.offset):
        values, missing = (part * packing.scale + packing.offset for part in (values, missing))
    if values.dtype.kind in "MmU" or " since " in units:
        try:
            values = decoded(values, units, str(attributes.get("calendar", "")), missing.tolist())
        except ValueError as error:
            fault = str(error)
    calendar, kept = str(attributes.get("calendar", "")), kept_of_coordinate(attributes)
    cell, timed = None, values.dtype.kind == "M"
    readable = timed or values.dtype.kind in "iuf"
    bounds = _bounds(variables.get(str(attributes.get("bounds"))), variable) if readable else None
    if timed:
        bounds, cell = None, _cell(values, bounds, units, calendar)
    axis = Coordinate(name, values, units, fault=fault, calendar=calendar, bounds=bounds, cell=cell, attributes=kept)
    return replace(axis, letter=axis_letter(attributes, axis))


def _cell(times: npt.NDArray[Any], bounds: npt.NDArray[Any] | None, units: str, calendar: str) -> TimeCell | None:
    """Return the interval that each frame stands for; None where the file has none that can be read."""
    if bounds is None:
        return None
    try:
        ends = decoded(bounds.ravel(), units, calendar).reshape(bounds.shape)
    except ValueError:
        return None
    return TimeCell.of(times.astype("datetime64[s]"), ends)


def _bounds(bounds: Variable | None, axis: Variable) -> npt.NDArray[Any] | None:
    """Return the ends of the cells of an axis, (length, 2); None where the file has none that can be read."""
    if bounds is None or bounds.shape != (*axis.shape, 2) or bounds.dtype.kind not in "iuf":
        return None
    try:
        return _numbers(bounds)
    except OSError:
        return None
