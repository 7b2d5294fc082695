"""GRIB, read through cfgrib (ecCodes): variables whose dimensions have names and coordinates."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

from xarray import Dataset

from specbuild.data.sources.errors import DamagedFileError, FileError
from specbuild.data.sources.grids import GridFile, data_names
from specbuild.document.extras import install


class GribFile(GridFile):
    """The variables of a file by name; where several levels have one, by level: `isobaricInhPa/t`."""

    def __init__(self, path: Path) -> None:
        try:
            import cfgrib
        except (ImportError, RuntimeError) as error:  # RuntimeError: ecCodes itself is not there
            raise FileError(f"{path.name} is GRIB, which needs cfgrib and ecCodes", help=install("grib")) from error
        logging.getLogger("cfgrib").setLevel(logging.CRITICAL)  # what it tells of a fault is raised as well
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                parts = cfgrib.open_datasets(str(path), backend_kwargs={"indexpath": "", "errors": "raise"})
        except Exception as error:  # whatever ecCodes raises over a damaged file
            raise DamagedFileError(f"{path.name} is cut short or not GRIB", error) from error
        self._file, self._groups = path.name, _by_level([_timed(part) for part in parts])


def _by_level(parts: list[Dataset]) -> dict[str, Dataset]:
    """Return the parts of a file by group; those whose names occur once are in none."""
    names = [name for part in parts for name in data_names(part)]
    groups: dict[str, Dataset] = {}
    for part in parts:
        twice = [name for name in data_names(part) if names.count(name) > 1]
        once = part.drop_vars(twice)
        if data_names(once):
            alone = "" if "" not in groups else f"{_level(once)}/"
            groups[alone] = once
        for name in twice:
            groups[f"{_level(part)}/"] = part.drop_vars([other for other in part.data_vars if other != name])
    return groups


def _level(part: Dataset) -> str:
    kinds = [str(variable.attrs.get("GRIB_typeOfLevel", "")) for variable in part.data_vars.values()]
    return kinds[0] or "level"


def _timed(part: Dataset) -> Dataset:
    """Return a part with times that are valid times along a dimension of steps as well."""
    valid = part.variables.get("valid_time")
    if valid is None:
        return part
    if valid.dims == ("step",):
        return part.assign_coords(step=("step", valid.values, {"axis": "T"}))
    return part
