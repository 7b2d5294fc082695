"""Attributes of variables according to the CF conventions: packing, and the kind of axis."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from specbuild.data.sources.base import Coordinate, Packing


def packing_of(attributes: Mapping[Hashable, Any]) -> Packing:
    """Return what `scale_factor`, `add_offset`, `_FillValue`, `missing_value` and `_Unsigned` say."""
    missing = [value for key in ("_FillValue", "missing_value") for value in _numbers(attributes, key)]
    return Packing(
        next(iter(_numbers(attributes, "scale_factor")), 1.0),
        next(iter(_numbers(attributes, "add_offset")), 0.0),
        tuple(dict.fromkeys(value for value in missing if not np.isnan(value))),
    )


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
    `y` is not, which counts rows or the metres of a projection; nor `rlat` and `grid_latitude`, degrees on a rotated
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


def _numbers(attributes: Mapping[Hashable, Any], key: str) -> list[float]:
    values = np.ravel(attributes.get(key, ()))
    if values.dtype.kind == "i" and str(attributes.get("_Unsigned", "")).lower() == "true":
        values = values.view(f"u{values.dtype.itemsize}")
    return [value.item() for value in values] if values.dtype.kind in "biuf" else []
