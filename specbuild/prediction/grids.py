"""A forecast as a grid by the CF conventions, which says of itself what the file of the data said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from specbuild.data.sources.base import Coordinate
from specbuild.data.sources.description import Description
from specbuild.data.time.calendars import is_ours, native
from specbuild.data.time.times import SECONDS
from specbuild.prediction.distribution import add_distribution
from specbuild.prediction.forecast import Forecast
from specbuild.version import __version__

if TYPE_CHECKING:
    import xarray

_NAMES = {"D": "z", "H": "y", "W": "x", "L": "x", "C": "channel"}
"""The name of an axis where the data has none."""


def as_xarray(forecast: Forecast) -> xarray.Dataset:
    """Return the forecasts of every output as one grid, in which variables are called after their outputs.

    Where an output has no frame at a lead time of another it is missing there. See `of_output` for the rest.
    """
    import xarray

    if not forecast.others:
        return of_output(forecast)
    grids = [of_output(each) for each in (forecast, *forecast.others)]
    return xarray.merge(grids, compat="no_conflicts", join="outer", combine_attrs="override")


def of_output(forecast: Forecast) -> xarray.Dataset:
    """Return the forecast as a grid that follows the CF conventions 1.10.

    Each variable has the axes time, space and, where the channels have no names, channel. `time` is when a forecast is
    for, in the calendar of the data; where that is not known the axis is `lead`, in frames. Coordinates of space, their
    bounds, the projection and attributes such as `standard_name` are those of the data. Members and quantiles have a
    first axis of their own.
    """
    import xarray

    first, coordinates = _time(forecast)
    metadata = forecast.metadata
    known = metadata.coordinates
    space = {letter: known[letter].name if letter in known else _NAMES[letter] for letter in metadata.space}
    sizes = dict(zip(metadata.space, forecast.frames.shape[1:-1], strict=True))
    for letter, name in space.items():
        coordinates |= _axis(name, known.get(letter), sizes[letter])
    names = _variables(forecast)
    together = len(names) < forecast.frames.shape[-1]
    axes = (first, *space.values(), "channel") if together else (first, *space.values())
    parts = [forecast.frames] if together else np.moveaxis(forecast.frames, -1, 0)
    descriptions = [*metadata.descriptions[: len(names)], *[Description()] * (len(names) - len(metadata.descriptions))]
    variables = {
        name: (axes, part, _attributes(forecast, name, long, description))
        for (name, long), part, description in zip(names.items(), parts, descriptions, strict=True)
    }
    for description in descriptions:
        for name, value in _further(description, space, sizes).items():
            if name not in variables:
                coordinates.setdefault(name, value)
    for name, (dims, values, attributes, *encoding) in coordinates.items():  # CF 2.5.1: coordinates are never missing
        coordinates[name] = (dims, values, attributes, {**(encoding[0] if encoding else {}), "_FillValue": None})
    about = {"Conventions": "CF-1.10", "title": f"{forecast.variable} forecast", "source": f"specbuild {__version__}"}
    grid = add_distribution(xarray.Dataset(variables, coordinates, about), forecast, tuple(names))
    # NetCDF and Zarr have groups for what HDF5 calls dataset1/data1/data.
    return grid.rename({name: str(name).replace("/", "_") for name in grid.data_vars if "/" in str(name)})


def _axis(name: str, axis: Coordinate | None, length: int) -> dict[str, Any]:
    """Return the coordinate of an axis and the bounds of its cells, as far as the data has them."""
    if axis is None or axis.values is None or axis.values.shape != (length,):
        return {}
    attributes: dict[str, Any] = dict(axis.attributes)
    if axis.units:
        attributes["units"] = axis.units
    if axis.bounds is None or axis.bounds.shape != (length, 2):
        return {name: (name, axis.values, attributes)}
    bounds = f"{name}_bounds"
    return {
        name: (name, axis.values, {**attributes, "bounds": bounds}),
        bounds: ((name, "bounds"), axis.bounds, {}),
    }


def _attributes(forecast: Forecast, name: str, long: str, description: Description) -> dict[str, Any]:
    """Return the attributes of a variable: each of several has its own units, or none; a probability has 1."""
    attributes: dict[str, Any] = {"long_name": long, **description.attributes}
    if units := "1" if forecast.of_event else forecast.metadata.units_of_variable(name):
        attributes["units"] = units
    if description.grid_mapping is not None:
        attributes["grid_mapping"] = description.grid_mapping[0]
    return attributes


def _further(description: Description, space: dict[str, str], sizes: dict[str, int]) -> dict[str, Any]:
    """Return the projection and the auxiliary coordinates of a variable, those that still have the size of the grid."""
    further: dict[str, Any] = {}
    if description.grid_mapping is not None:
        name, attributes = description.grid_mapping
        further[name] = ((), np.int32(0), dict(attributes))
    for each in description.auxiliary:
        if tuple(each.array.shape) == tuple(sizes.get(letter) for letter in each.axes):
            values = each.array[(slice(None),) * len(each.axes)]
            further[each.name] = (tuple(space[letter] for letter in each.axes), values, dict(each.attributes))
    return further


def _time(forecast: Forecast) -> tuple[str, dict[str, Any]]:
    """Return the name of the first axis, and the coordinates along it."""
    if forecast.times is None or forecast.past_times is None:
        attributes = {"long_name": "frames after the last past frame"}
        return "lead", {"lead": ("lead", np.array(forecast.lead_frames), attributes)}
    times, last = forecast.times.astype("datetime64[ns]"), forecast.past_times[-1:].astype("datetime64[ns]")
    calendar, axis = forecast.metadata.calendar, forecast.metadata.coordinates.get("T")
    encoding: dict[str, Any] = {}
    if axis is not None and axis.units.partition(" since ")[0].strip() in SECONDS and " since " in axis.units:
        encoding = {"units": axis.units, "calendar": calendar or "standard", "dtype": "float64"}
    ends: Any = None
    if encoding and axis is not None and axis.cell is not None:
        ends = axis.cell.around(forecast.times).astype("datetime64[ns]")
    if not is_ours(calendar):
        times, last = native(forecast.times, calendar), native(forecast.past_times[-1:], calendar)
        ends = None if ends is None else native(ends, calendar)
    lead = (times - last[0]).astype("timedelta64[ns]")
    about = {"standard_name": "time", "long_name": "time of the forecast", "axis": "T"}
    coordinates: dict[str, Any] = {"time": ("time", times, about, encoding)}
    if ends is not None:
        about["bounds"] = "time_bounds"
        coordinates["time_bounds"] = (("time", "bounds"), ends, {}, encoding)
    return "time", coordinates | {
        "lead_time": (
            "time",
            lead,
            {"standard_name": "forecast_period", "long_name": "time since the last past frame"},
        ),
        "forecast_reference_time": (
            (),
            last[0],
            {"standard_name": "forecast_reference_time", "long_name": "time of the last past frame"},
            encoding,
        ),
    }


def _variables(forecast: Forecast) -> dict[str, str]:
    """Return the names of the variables in the file, each with its name in words."""
    variables = forecast.metadata.variables
    if len(variables) == forecast.frames.shape[-1]:
        return {name: forecast.variable if len(variables) == 1 else name for name in variables}
    return {forecast.output or re.sub(r"\W+", "_", forecast.variable).strip("_") or "forecast": forecast.variable}
