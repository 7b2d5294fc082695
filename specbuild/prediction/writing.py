"""Forecasts as files, by the suffix: arrays, grids with coordinates, pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.pictures import DRAW
from specbuild.prediction.distribution import distribution_arrays
from specbuild.prediction.forecast import Forecast
from specbuild.prediction.grids import as_xarray
from specbuild.prediction.past import refused
from specbuild.runs.files import replacing

Write = Callable[[Forecast, Path], None]


def check_output(path: Path) -> None:
    """Refuse a file of a kind that forecasts are not written as.

    Raises:
        SpecError: the suffix is not known.
    """
    if path.suffix not in (*WRITERS, *DRAW):
        raise refused(f"a forecast is written as {', '.join((*WRITERS, *DRAW))}, not as {path}")


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
    for other in forecast.others:
        arrays |= {other.output: other.frames, f"{other.output}_lead_times": np.array(other.lead_labels)}
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
