"""Attributes of variables according to the CF conventions: packing, and the kind of axis."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from specbuild.data.sources.base import Coordinate
from specbuild.data.sources.packing import Packing


def packing_of(attributes: Mapping[Hashable, Any]) -> Packing:
    """Return what `scale_factor`, `add_offset`, `_FillValue`, `missing_value` and `_Unsigned` say.

    An attribute that is not as the conventions have it (CF 2.5.1 and 8.1) is among the faults of what is returned:
    text, several numbers, or a scale of 0.
    """
    read = {
        name: _Attribute(attributes, name) for name in ("scale_factor", "add_offset", "_FillValue", "missing_value")
    }
    scale, offset = (read[name].numbers for name in ("scale_factor", "add_offset"))
    missing = (*read["_FillValue"].numbers, *read["missing_value"].numbers)
    return Packing(
        scale[0] if scale else 1.0,
        offset[0] if offset else 0.0,
        tuple(dict.fromkeys(value for value in missing if not np.isnan(value))),
        tuple((_REPLACED_BY[name], fault) for name, attribute in read.items() if (fault := attribute.fault)),
    )


_REPLACED_BY = {"scale_factor": "scale", "add_offset": "offset", "_FillValue": "missing", "missing_value": "missing"}
"""The key of `data` that says in place of an attribute what it should say."""


def axis_letter(attributes: Mapping[Hashable, Any], axis: Coordinate) -> str:
    """Return which letter of a layout a dimension is likely to be; empty where nothing tells."""
    letters = (
        _AXES.get(str(attributes.get("axis", "")).upper()),
        "T" if axis.values is not None and axis.values.dtype.kind == "M" else None,
        _DEGREES.get(_plain(axis.units)),
        _NAMES.get(str(attributes.get("standard_name", "")).lower()),
        _NAMES.get(axis.name.lower()),
    )
    return next(filter(None, letters), "")


def is_latitude(axis: Coordinate) -> bool:
    """Whether values are geographical latitudes.

    CF conventions 4.1: a latitude has the units degrees_north or one of their spellings. Files that say plain degrees
    or nothing are taken at their word where the name is that of a latitude (`lat`, `latitude`, and NEMO's `nav_lat`).
    `y` is not, which counts rows or the meters of a projection; nor `rlat` and `grid_latitude`, degrees on a rotated
    globe (CF 5.6); nor `nlat`, the number of a row of a curvilinear grid (POP).
    """
    return _DEGREES.get(_plain(axis.units)) == "H" or (
        axis.name.lower() in _LATITUDES and _plain(axis.units) in ("", "degrees", "degree")
    )


def is_longitude(axis: Coordinate) -> bool:
    """Whether values 360 apart are the same place: by the units degrees_east (CF conventions 4.2), or by name."""
    return axis_letter({}, axis) == "W" and (
        _DEGREES.get(_plain(axis.units)) == "W" or axis.name.lower() in _LONGITUDES
    )


_LATITUDES = ("lat", "latitude", "nav_lat")
_LONGITUDES = ("lon", "longitude", "long", "nlon", "nav_lon")
_AXES = {"T": "T", "X": "W", "Y": "H", "Z": "D"}
_DEGREES = dict.fromkeys(("degreesnorth", "degreenorth", "degreesn", "degreen"), "H") | dict.fromkeys(
    ("degreeseast", "degreeeast", "degreese", "degreee"), "W"
)
"""The spellings of degrees_north and degrees_east without underscores."""
_NAMES = {
    word: letter
    for letter, words in {
        "T": "time t date valid_time",
        "N": "event sample realization member ensemble number",
        "D": "level lev plev pressure depth height altitude z isobaric pressure_level air_pressure model_level_number",
        "H": "lat latitude nav_lat y nlat rlat grid_latitude projection_y_coordinate south_north row rows",
        "W": "lon longitude long nav_lon x nlon rlon grid_longitude projection_x_coordinate west_east col column "
        "columns",
        "C": "channel band variable",
    }.items()
    for word in words.split()
}


def _plain(units: str) -> str:
    return units.lower().replace("_", "")


class _Attribute:
    """An attribute that should be a number, or for `missing_value` several: what it says, or why it is not."""

    def __init__(self, attributes: Mapping[Hashable, Any], name: str) -> None:
        self.numbers: tuple[float, ...] = ()
        self.fault = ""
        if attributes.get(name) is None:
            return
        values = np.ravel(attributes[name])
        if values.dtype.kind == "i" and str(attributes.get("_Unsigned", "")).lower() == "true":
            values = values.view(f"u{values.dtype.itemsize}")
        wanted = "numbers" if name == "missing_value" else "a number"
        if values.dtype.kind not in "iuf" or (values.size != 1 and name != "missing_value"):
            self.fault = f"its attribute {name} is {_shown(attributes[name])}, not {wanted}"
        elif name in ("scale_factor", "add_offset") and not np.isfinite(values[0]):
            self.fault = f"its attribute {name} is {values[0]}, not {wanted}"
        elif name == "scale_factor" and not values[0]:
            self.fault = "its attribute scale_factor is 0, which makes every value the same"
        else:
            self.numbers = tuple(value.item() for value in values)


def _shown(value: Any) -> str:
    """Return a value of an attribute in at most forty characters."""
    text = " ".join(repr(value.tolist() if isinstance(value, np.ndarray | np.generic) else value).split())
    return text if len(text) <= 40 else f"{text[:39]}…"
