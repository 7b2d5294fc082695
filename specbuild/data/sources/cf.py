"""What the attributes of a variable mean by the CF conventions: how it is packed, and which axis it is of."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from specbuild.data.sources.base import Axis, Packing


def packing_of(attributes: Mapping[Hashable, Any]) -> Packing:
    """What `scale_factor`, `add_offset`, `_FillValue`, `missing_value` and `_Unsigned` say."""
    missing = [value for key in ("_FillValue", "missing_value") for value in _numbers(attributes, key)]
    return Packing(
        next(iter(_numbers(attributes, "scale_factor")), 1.0),
        next(iter(_numbers(attributes, "add_offset")), 0.0),
        tuple(dict.fromkeys(value for value in missing if not np.isnan(value))),
    )


def axis_letter(name: str, attributes: Mapping[Hashable, Any], axis: Axis) -> str:
    """Which letter of a layout a dimension is likely to be; empty where nothing tells."""
    said = [
        _AXES.get(str(attributes.get("axis", "")).upper()),
        "T" if axis.values is not None and axis.values.dtype.kind == "M" else None,
        _UNITS.get(axis.units.lower()),
        _NAMES.get(str(attributes.get("standard_name", "")).lower()),
        _NAMES.get(name.lower()),
    ]
    return next((letter for letter in said if letter), "")


def is_longitude(axis: Axis) -> bool:
    """Whether values 360 apart are the same place."""
    return axis_letter(axis.name, {}, axis) == "W" and (axis.units.lower() in _EAST or axis.name.lower() in _LONGITUDE)


_NORTH = ("degrees_north", "degree_north", "degrees_n", "degree_n", "degreesn", "degreen")
_EAST = ("degrees_east", "degree_east", "degrees_e", "degree_e", "degreese", "degreee")
_LONGITUDE = ("lon", "longitude", "long", "nlon")
_AXES = {"T": "T", "X": "W", "Y": "H", "Z": "D"}
_UNITS = dict.fromkeys(_NORTH, "H") | dict.fromkeys(_EAST, "W")
_NAMES = {
    word: letter
    for letter, words in {
        "T": "time t date valid_time",
        "N": "event sample realization member ensemble number",
        "D": "level lev plev pressure depth height altitude z isobaric pressure_level air_pressure model_level_number",
        "H": "lat latitude y nlat rlat grid_latitude projection_y_coordinate south_north row rows",
        "W": "lon longitude long x nlon rlon grid_longitude projection_x_coordinate west_east col column columns",
        "C": "channel band variable",
    }.items()
    for word in words.split()
}


def _numbers(attributes: Mapping[Hashable, Any], key: str) -> list[float]:
    found = np.ravel(attributes.get(key, ()))
    if found.dtype.kind == "i" and str(attributes.get("_Unsigned", "")).lower() == "true":
        found = found.view(f"u{found.dtype.itemsize}")
    return [value.item() for value in found] if found.dtype.kind in "biuf" else []
