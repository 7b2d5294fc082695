"""Members and quantiles of a forecast in files: by the CF conventions, and as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.prediction.forecast import Forecast

if TYPE_CHECKING:
    import xarray


def add_distribution(grid: xarray.Dataset, forecast: Forecast, names: Sequence[str]) -> xarray.Dataset:
    """Return the grid of a forecast with its members and its quantiles, where it has any.

    Each of the variables `names` gets a first axis `realization`, for the members; the quantiles of `rate` are
    `rate_quantile`, whose first axis is `quantile`, the probability of a value at or below.
    """
    variables, coordinates = {}, {}
    for position, name in enumerate(names):
        variable = grid[name]
        if forecast.members is not None:
            values = _of(forecast.members, position, len(names))
            variables[name] = (("realization", *variable.dims), values, variable.attrs)
        if forecast.quantiles is not None:
            attributes = {**variable.attrs, "long_name": f"quantiles of {variable.attrs.get('long_name', name)}"}
            attributes.pop("standard_name", None)
            values = _of(forecast.quantiles, position, len(names))
            variables[f"{name}_quantile"] = (("quantile", *variable.dims), values, attributes)
    if forecast.members is not None:
        attributes = {"standard_name": "realization", "long_name": "member of the ensemble", "units": "1"}
        coordinates["realization"] = ("realization", np.arange(len(forecast.members)), attributes)
    if forecast.quantiles is not None:
        attributes = {"long_name": "probability of a value at or below the quantile", "units": "1"}
        coordinates["quantile"] = ("quantile", np.array(forecast.levels), attributes)
    return grid.assign(variables).assign_coords(coordinates)


def distribution_arrays(forecast: Forecast) -> dict[str, Any]:
    """Return `members` (M, F, *space, C), `quantiles` (levels, F, *space, C) and `levels`, of those that there are."""
    arrays: dict[str, Any] = {}
    if forecast.members is not None:
        arrays["members"] = forecast.members
    if forecast.quantiles is not None:
        arrays |= {"quantiles": forecast.quantiles, "levels": np.array(forecast.levels)}
    return arrays


def _of(values: Floats, position: int, names: int) -> Floats:
    """Return the channel of one of several variables, or all channels where they have no names of their own."""
    return values if names < values.shape[-1] else values[..., position]
