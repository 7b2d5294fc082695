"""Forecasts as files, by the suffix: arrays, grids with coordinates, pictures."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from specbuild.data.sources.base import FrameMetadata
from specbuild.pictures import DRAW
from specbuild.prediction.distribution import add_distribution, distribution_arrays
from specbuild.prediction.forecast import Forecast
from specbuild.prediction.past import refused
from specbuild.runs.files import replacing
from specbuild.version import __version__

if TYPE_CHECKING:
    import xarray

Write = Callable[[Forecast, Path], None]

_NAMES = {"D": "z", "H": "y", "W": "x", "L": "x", "C": "channel"}
"""The name of an axis where the data has none."""


def check_output(path: Path) -> None:
    """Refuse a file of a kind that forecasts are not written as.

    Raises:
        SpecError: the suffix is not known.
    """
    if path.suffix not in (*WRITERS, *DRAW):
        raise refused(f"a forecast is written as {', '.join((*WRITERS, *DRAW))}, not as {path}")


def as_xarray(forecast: Forecast) -> xarray.Dataset:
    """Return the forecast as a grid that follows the CF conventions 1.10.

    Each variable has the axes time, space and, where the channels have no names, channel. `time` is when a forecast is
    for; where that is not known the axis is `lead`, in frames. Coordinates of space are those of the data. Members and
    quantiles have a first axis of their own.
    """
    import xarray

    first, coordinates = _time(forecast)
    metadata = forecast.metadata
    known = metadata.coordinates
    space = [known[letter].name if letter in known else _NAMES[letter] for letter in metadata.space]
    for letter, name, length in zip(metadata.space, space, forecast.frames.shape[1:-1], strict=True):
        axis = known.get(letter)
        if axis is not None and axis.values is not None and axis.values.shape == (length,):
            coordinates[name] = (name, axis.values, {"units": axis.units} if axis.units else {})
    names = _variables(forecast)
    together = len(names) < forecast.frames.shape[-1]
    axes = (first, *space, "channel") if together else (first, *space)
    parts = [forecast.frames] if together else np.moveaxis(forecast.frames, -1, 0)
    variables = {
        name: (axes, part, {"long_name": long, **_units(metadata, name)})
        for (name, long), part in zip(names.items(), parts, strict=True)
    }
    about = {"Conventions": "CF-1.10", "title": f"{forecast.variable} forecast", "source": f"specbuild {__version__}"}
    return add_distribution(xarray.Dataset(variables, coordinates, about), forecast, tuple(names))


def _time(forecast: Forecast) -> tuple[str, dict[str, object]]:
    """Return the name of the first axis, and the coordinates along it."""
    if forecast.times is None or forecast.past_times is None:
        attributes = {"long_name": "frames after the last past frame"}
        return "lead", {"lead": ("lead", np.array(forecast.lead_frames), attributes)}
    last = forecast.past_times[-1]
    lead = (forecast.times - last).astype("timedelta64[ns]")
    return "time", {
        "time": ("time", forecast.times.astype("datetime64[ns]"), {"standard_name": "time"}),
        "lead_time": ("time", lead, {"standard_name": "forecast_period"}),
        "forecast_reference_time": (
            (),
            last.astype("datetime64[ns]"),
            {"standard_name": "forecast_reference_time", "long_name": "time of the last past frame"},
        ),
    }


def _variables(forecast: Forecast) -> dict[str, str]:
    """Return the names of the variables in the file, each with its name in words."""
    variables = forecast.metadata.variables
    if len(variables) == forecast.frames.shape[-1]:
        return {name: forecast.variable if len(variables) == 1 else name for name in variables}
    return {re.sub(r"\W+", "_", forecast.variable).strip("_") or "forecast": forecast.variable}


def _units(metadata: FrameMetadata, name: str) -> dict[str, str]:
    """Return units as an attribute: each of several variables has its own, or none."""
    units = metadata.units_of_variable(name)
    return {"units": units} if units else {}


def _write_npz(forecast: Forecast, path: Path) -> None:
    arrays: dict[str, Any] = {
        "forecast": forecast.frames,
        "lead_times": np.array(forecast.lead_labels),
        "variable": np.array(forecast.variable),
        "units": np.array(forecast.metadata.units),
        **distribution_arrays(forecast),
    }
    if forecast.times is not None:
        arrays["time"] = forecast.times
    with replacing(path) as new:
        np.savez_compressed(new, **arrays)


def _write_npy(forecast: Forecast, path: Path) -> None:
    with replacing(path) as new:
        np.save(new, forecast.frames if forecast.members is None else forecast.members)


def _write_netcdf(forecast: Forecast, path: Path) -> None:
    grid = as_xarray(forecast)
    compressed = {name: {"zlib": True, "complevel": 4} for name in grid.data_vars}
    with replacing(path) as new:
        grid.to_netcdf(new, engine="netcdf4", encoding=compressed)


def _write_zarr(forecast: Forecast, path: Path) -> None:
    new = path.with_name(f".{path.name}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(new, ignore_errors=True)
    try:
        as_xarray(forecast).to_zarr(new, mode="w", consolidated=False)
        if path.is_dir() and _is_zarr(path):
            shutil.rmtree(path)
        new.rename(path)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _is_zarr(path: Path) -> bool:
    return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata"))


WRITERS: dict[str, Write] = {
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".nc": _write_netcdf,
    ".zarr": _write_zarr,
}
"""How each kind of file is written."""
