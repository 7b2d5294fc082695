"""Forecasts in files by the CF conventions: what the file of the data says of itself, they say too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cf_xarray  # noqa: F401  # the accessor .cf of xarray
import cftime
import numpy as np
import pytest
import xarray

from specbuild.data.sources import FrameSource, open_source
from specbuild.data.time.calendars import native, placed
from specbuild.data.time.intervals import times_ahead, usual_step
from specbuild.language import load_spec
from specbuild.prediction.forecast import Forecast
from specbuild.prediction.writing import WRITERS

CRS = {
    "grid_mapping_name": "lambert_conformal_conic",
    "standard_parallel": [30.0, 50.0],
    "longitude_of_central_meridian": 5.0,
    "latitude_of_projection_origin": 45.0,
}


def write(path: Path, calendar: str = "360_day", step: int = 1) -> Path:
    """Daily rain on a projected grid, with its latitudes, bounds, a height and a calendar of its own."""
    lat, lon = np.mgrid[50:53:6j, 3:8:5j]
    space = ("y", "x")
    y, x = np.arange(6) * 10.0, 100 + np.arange(5) * 10.0
    data = xarray.Dataset(
        {
            "pr": (
                ("time", *space),
                np.random.default_rng(0).random((70, 6, 5), np.float32),
                {
                    "units": "mm/h",
                    "standard_name": "rainfall_rate",
                    "long_name": "rain at the ground",
                    "cell_methods": "time: mean area: mean",
                    "grid_mapping": "crs",
                    "coordinates": "lat lon height",
                },
            ),
            "crs": ((), np.int32(0), CRS),
            "lat": (space, lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": (space, lon, {"units": "degrees_east", "standard_name": "longitude"}),
            "height": ((), 2.0, {"units": "m", "standard_name": "height", "positive": "up", "axis": "Z"}),
            "y_bnds": (("y", "nv"), np.stack([y - 5, y + 5], axis=-1)),
            "time": (
                "time",
                np.arange(0.0, 70 * step, step),
                {"units": "days since 2001-01-01", "calendar": calendar, "standard_name": "time", "axis": "T"},
            ),
            "y": (
                "y",
                y,
                {"units": "km", "standard_name": "projection_y_coordinate", "axis": "Y", "bounds": "y_bnds"},
            ),
            "x": ("x", x, {"units": "km", "standard_name": "projection_x_coordinate", "axis": "X"}),
        }
    )
    data.to_netcdf(path, engine="netcdf4")
    return path


def opened(path: Path, **source: str) -> FrameSource:
    return open_source(
        load_spec(
            {
                "specbuild": 1,
                "inputs": {"x": [2, 6, 5, 1]},
                "layers": [{"layer": "Activation", "activation": "relu"}],
                "data": {
                    "source": {"path": str(path), "key": "pr", "layout": {"T": "time", "H": "y", "W": "x"}, **source},
                    "windows": {"past": 2, "future": 2},
                    "split": {"train": 1},
                },
            }
        )
    )


def forecast_of(source: FrameSource) -> Forecast:
    """Persistence after the last frames of a source."""
    past = source.read(0, range(source.length - 2, source.length))
    times = source.times(0)
    assert times is not None
    step = usual_step(times, source.metadata.calendar)
    assert step is not None
    ahead = times_ahead(times[-2:], (1, 2), 1, step.times(1), source.metadata.calendar)
    return Forecast(past, past, ("+1 d", "+2 d"), (1, 2), source.metadata, "rain", times[-2:], ahead)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_what_the_data_say_of_themselves_the_forecast_says(suffix: str, tmp_path: Path) -> None:
    source = opened(write(tmp_path / "rain.nc"))
    assert usual_step(source.times(0), "360_day").times(1) == "1 d"  # type: ignore[union-attr, arg-type]
    WRITERS[suffix](forecast_of(source), tmp_path / f"forecast{suffix}")
    engine = {"engine": "netcdf4"} if suffix == ".nc" else {"engine": "zarr", "consolidated": False}
    with xarray.open_dataset(tmp_path / f"forecast{suffix}", decode_coords="all", **engine) as grid:
        pr = grid.pr
        assert set(grid.data_vars) == {"pr"}
        assert pr.dims == ("time", "y", "x")
        assert {key: pr.attrs[key] for key in ("units", "standard_name", "long_name", "cell_methods")} == {
            "units": "mm/h",
            "standard_name": "rainfall_rate",
            "long_name": "rain at the ground",
            "cell_methods": "time: mean area: mean",
        }
        assert grid.time.values.tolist() == [cftime.Datetime360Day(2001, 3, day) for day in (11, 12)]
        assert grid.forecast_reference_time.item() == cftime.Datetime360Day(2001, 3, 10)
        assert grid.time.encoding["units"] == "days since 2001-01-01"
        assert not any(np.isnan(each.encoding.get("_FillValue", 0)) for each in grid.coords.values())
        assert grid.lead_time.values.astype("timedelta64[h]").astype(int).tolist() == [24, 48]
        # A reader of CF finds what it expects.
        assert grid.cf.axes == {"T": ["time"], "Y": ["y"], "X": ["x"], "Z": ["height"]}
        assert grid.cf.coordinates["latitude"] == ["lat"]
        assert grid.cf.coordinates["longitude"] == ["lon"]
        assert grid.cf["projection_x_coordinate"].attrs["units"] == "km"
        assert grid.cf.standard_names["forecast_reference_time"] == ["forecast_reference_time"]
        assert grid.cf.grid_mapping_names == {"lambert_conformal_conic": ["crs"]}
        np.testing.assert_array_equal(grid.crs.attrs["standard_parallel"], [30, 50])
        assert grid.cf.bounds["y"] == ["y_bounds"]
        np.testing.assert_array_equal(grid.cf.get_bounds("y")[:, 1], grid.y + 5)
        assert (float(grid.height), grid.height.attrs["positive"]) == (2.0, "up")
        assert grid.lat.dims == ("y", "x")


def test_a_part_of_the_grid_has_its_own_coordinates(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "rain.nc", "noleap"), region={"y": [10, 30]})  # type: ignore[arg-type]
    WRITERS[".nc"](forecast_of(source), tmp_path / "forecast.nc")
    with xarray.open_dataset(tmp_path / "forecast.nc", decode_coords="all") as grid:
        np.testing.assert_allclose(grid.lat[:, 0], [50.6, 51.2, 51.8])
        np.testing.assert_array_equal(grid.y_bounds[:, 0], [5, 15, 25])
        assert grid.time.values.tolist() == [cftime.DatetimeNoLeap(2001, 3, day) for day in (12, 13)]
    coarse = opened(tmp_path / "rain.nc", coarsen=2)  # type: ignore[arg-type]
    WRITERS[".nc"](forecast_of(coarse), tmp_path / "coarse.nc")
    with xarray.open_dataset(tmp_path / "coarse.nc", decode_coords="all") as grid:
        np.testing.assert_allclose(grid.lat[:, 0], [50.3, 51.5, 52.7])
        np.testing.assert_array_equal(grid.y_bounds, [[-5, 15], [15, 35], [35, 55]])


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "all_leap"])
def test_dates_of_other_calendars_come_back(calendar: str) -> None:
    dates = cftime.num2date(np.arange(0, 20_000 * 3600, 60 * 3601), "seconds since 2000-01-01", calendar)
    ours = np.array([placed(date) for date in dates])
    difference = [abs((back - date).total_seconds()) for back, date in zip(native(ours, calendar), dates, strict=True)]
    assert max(difference) <= 1


def test_a_forecast_of_another_file_is_found_by_its_calendar(tmp_path: Path) -> None:
    from specbuild.evaluation.forecast_files import _times

    source = opened(write(tmp_path / "rain.nc"))
    forecast = forecast_of(source)
    WRITERS[".nc"](forecast, tmp_path / "forecast.nc")
    with xarray.open_dataset(tmp_path / "forecast.nc") as grid:
        made, valid = _times(grid.pr, tmp_path / "forecast.nc")
        np.testing.assert_array_equal(valid.values.astype("datetime64[s]"), forecast.times)
        assert made.values.astype("datetime64[s]") == forecast.past_times[-1]  # type: ignore[index]
        period = grid.pr.drop_vars("time")
        _, alike = _times(period, tmp_path / "forecast.nc")
        np.testing.assert_array_equal(alike.values, valid.values)


def test_units_of_a_spec_take_the_place_of_those_of_the_file(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "rain.nc"))
    metadata = replace(source.metadata, units="kg m-2 s-1")
    WRITERS[".nc"](replace(forecast_of(source), metadata=metadata), tmp_path / "f.nc")
    with xarray.open_dataset(tmp_path / "f.nc") as grid:
        assert grid.pr.attrs["units"] == "kg m-2 s-1"
