"""Forecasts of other systems as baselines: found by their times, on the pixels of the data, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import yaml

from specbuild.data import Dataset, open_data
from specbuild.document import SpecError
from specbuild.evaluation import evaluate
from specbuild.evaluation.baselines import rivals_of
from specbuild.evaluation.scores import check_scoring
from specbuild.language import Spec, load_spec
from specbuild.prediction import predict
from specbuild.training import train
from tests.data.samples import model, write_spec
from tests.data.test_motion import showers
from tests.run.conftest import CONVOLUTION, SPEC

TIMES = np.datetime64("2020-06-01T00:00", "s") + np.arange(20) * np.timedelta64(300, "s")
LATITUDES, LONGITUDES = np.linspace(50, 53, 12), np.linspace(5, 8, 16)
FRAMES = showers(20, 16, dx=0.5, dy=0)[:, 2:14]
RANDOM = np.random.default_rng(3).random((20, 3, 12, 16), np.float32)
"""The other system's forecast by the frame at which it is made and its lead time."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rain = xarray.DataArray(
        FRAMES, {"time": TIMES, "lat": LATITUDES, "lon": LONGITUDES}, name="rain", attrs={"units": "mm/h"}
    )
    rain["lat"].attrs["units"], rain["lon"].attrs["units"] = "degrees_north", "degrees_east"
    rain.to_netcdf(tmp_path / "rain.nc")
    return tmp_path


def other(**changed: Any) -> xarray.Dataset:
    """The other system's forecasts: made at every frame, for the three that follow."""
    coordinates = {
        "reference_time": ("reference_time", TIMES, {"standard_name": "forecast_reference_time"}),
        "lead_time": (
            "lead_time",
            np.arange(1, 4) * np.timedelta64(300, "s").astype("m8[ns]"),
            {"standard_name": "forecast_period"},
        ),
        "lat": LATITUDES,
        "lon": LONGITUDES,
        **changed,
    }
    return xarray.Dataset(
        {"rr": (("reference_time", "lead_time", "lat", "lon"), RANDOM, {"units": "mm/h"})}, coordinates
    )


def opened(folder: Path, **forecast: Any) -> tuple[Spec, Dataset]:
    """A spec that compares with the file `inca.nc`, and its data."""
    layout = {"T": "time", "H": "lat", "W": "lon"}
    write_spec(
        folder,
        {
            "source": {"path": "rain.nc", "layout": layout},
            "windows": {"past": 2, "future": 3},
            "split": {"train": [0, 6], "test": [10, 20]},
        },
    )
    path = folder / "spec.yaml"
    evaluate = {"forecasts": {"INCA": {"path": "inca.nc", **forecast}}}
    path.write_text(path.read_text("utf-8") + yaml.safe_dump({"evaluate": evaluate}), "utf-8")
    spec = load_spec(path)
    return spec, open_data(spec, model(spec))


def forecast(spec: Spec, data: Dataset, number: int = 0) -> np.ndarray:
    """The other system's forecast of a test window, (F, H, W)."""
    check_scoring(spec, data)
    rule = {one.name: one for one in rivals_of(spec, data)}["INCA"]
    return rule.forecast(data.window(*data.split("test")[number]))[..., 0]


def test_the_forecast_made_at_the_last_past_frame_is_compared(folder: Path) -> None:
    other().to_netcdf(folder / "inca.nc")
    spec, data = opened(folder)
    np.testing.assert_array_equal(forecast(spec, data), RANDOM[11])
    np.testing.assert_array_equal(forecast(spec, data, 2), RANDOM[13])


def test_other_units_are_converted(folder: Path) -> None:
    other().assign(rr=lambda it: (it.rr / 3600).assign_attrs(units="kg m-2 s-1")).to_netcdf(folder / "inca.nc")
    np.testing.assert_allclose(forecast(*opened(folder)), RANDOM[11], rtol=1e-5)


def test_the_latest_forecast_that_was_made_by_then_is_taken(folder: Path) -> None:
    other().isel(reference_time=[9, 12]).to_netcdf(folder / "inca.nc")
    found = forecast(*opened(folder))
    np.testing.assert_array_equal(found[0], RANDOM[9, 2])  # 15 minutes after frame 9 is 5 minutes after frame 11
    assert np.isnan(found[1:]).all()


def test_axes_and_pixels_in_another_order_are_matched_by_their_coordinates(folder: Path) -> None:
    other().isel(lat=slice(None, None, -1), lon=slice(0, 10)).transpose(
        "lon", "lead_time", "lat", "reference_time"
    ).to_netcdf(folder / "inca.nc")
    found = forecast(*opened(folder))
    np.testing.assert_array_equal(found[..., :10], RANDOM[11, ..., :10])
    assert np.isnan(found[..., 10:]).all()


def test_files_of_one_forecast_each_with_the_times_they_are_for(folder: Path) -> None:
    for made in (9, 11):
        valid = TIMES[made] + np.arange(1, 4) * np.timedelta64(300, "s")
        xarray.Dataset(
            {"rr": (("time", "lat", "lon"), RANDOM[made])},
            {
                "time": valid.astype("M8[ns]"),
                "forecast_reference_time": ((), TIMES[made].astype("M8[ns]")),
                "lat": LATITUDES,
                "lon": LONGITUDES,
            },
        ).to_netcdf(folder / f"inca-{made}.nc")
    np.testing.assert_array_equal(forecast(*opened(folder, path="inca-*.nc")), RANDOM[11])


def test_a_file_none_of_whose_forecasts_is_for_the_windows_is_noted(folder: Path) -> None:
    spec = folder / "nowcast.yaml"
    text = SPEC.replace(SPEC[SPEC.index("layers:") : SPEC.index("data:")], CONVOLUTION)
    for old, new in {
        "12, 12": "12, 16",
        "past: 3": "past: 2",
        "path: blobs.npy": "path: rain.nc",
        "layout: T H W": "layout: {T: time, H: lat, W: lon}",
        "epochs: 3": "epochs: 1",
        "{train: 0.6, validation: 0.2, test: 0.2}": "{train: [0, 6], test: [10, 20]}",
    }.items():
        text = text.replace(old, new)
    spec.write_text(text.replace("evaluate:", "evaluate:\n  forecasts: {INCA: {path: inca.nc}}"), "utf-8")
    other().isel(reference_time=[12, 14]).to_netcdf(folder / "inca.nc")
    run = train(spec, out=folder / "runs", quiet=True)
    assert run.scores is not None
    assert not any("INCA" in note for note in evaluate(run.path).notes)
    other().isel(reference_time=[0, 3]).to_netcdf(folder / "inca.nc")
    assert evaluate(run.path).notes == (
        "no forecast of INCA is for these windows: they were made from 2020-06-01 to 2020-06-01 00:15 for the times "
        "from 2020-06-01 00:05 to 2020-06-01 00:30; the last past frames of the windows are from 2020-06-01 00:55 to "
        "2020-06-01 01:25",
    )
    for last in (12, 14):  # as docs/scores.md tells it
        xarray.load_dataset(folder / "rain.nc").isel(time=slice(last)).to_netcdf(folder / "cut.nc")
        predict(run.path, input=folder / "cut.nc", output=folder / f"mine-{last}.nc")
    scores = evaluate(run.path, overrides={"evaluate.forecasts": {"Mine": {"path": "mine-*.nc"}}})
    (mine,) = (table for table in scores.tables if table.name == "Mine")
    assert mine.coverage > 0


@pytest.mark.parametrize(
    ("file", "given", "message"),
    [
        (None, {}, "there is no file"),
        (other(), {"variable": "r"}, "no variable r"),
        (
            other().assign(rr=lambda it: it.rr.assign_attrs(units="K")),
            {},
            "rr of .* is in K, the data is in mm/h",
        ),
        (other(lat=LATITUDES + 0.1), {}, "none of the pixels of the data along lat: it is on another grid"),
        (other().drop_vars("reference_time"), {}, "does not say when it was made"),
        (other().drop_vars("lead_time"), {}, "does not say when it is valid"),
        (other().drop_vars(["lat", "lon"]).isel(lat=slice(4)), {}, "has 4 pixels along lat, the data 12"),
        (other().expand_dims(member=2), {}, "has 3 axes besides those of time"),
    ],
    ids=["file", "variable", "units", "grid", "reference", "lead", "size", "members"],
)
def test_what_does_not_fit_is_refused_at_its_place(
    file: xarray.Dataset | None, given: dict[str, str], message: str, folder: Path
) -> None:
    if file is not None:
        file.to_netcdf(folder / "inca.nc")
    spec, data = opened(folder, **given)
    with pytest.raises(SpecError, match=message) as error:
        check_scoring(spec, data)
    assert error.value.diagnostics[0].path == "evaluate.forecasts.INCA"


def test_a_file_that_is_none_is_refused(folder: Path) -> None:
    (folder / "inca.nc").write_bytes(b"nothing")
    spec, data = opened(folder)
    with pytest.raises(SpecError, match="cannot be read"):
        check_scoring(spec, data)
