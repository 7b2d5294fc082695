"""Forecasts further than trained, into grids with coordinates, and from frames that come one at a time."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import cftime
import numpy as np
import pytest
import xarray

from specbuild import Forecaster
from specbuild.data.sources.base import FrameMetadata
from specbuild.data.time.intervals import times_ahead
from specbuild.document import RunError, SpecError
from specbuild.evaluation import evaluate
from specbuild.evaluation.result import Evaluation
from specbuild.graph import build_graph
from specbuild.language import load_spec
from specbuild.pictures.scene import first_channel
from specbuild.prediction import predict
from specbuild.prediction.forecast import Forecast
from specbuild.prediction.writing import as_xarray
from specbuild.runs.trained import TrainedRun, horizon_overrides
from specbuild.training import Run, train
from tests.run.conftest import CONVOLUTION, SPEC, blobs

HOURS = np.datetime64("2020-02-28T00", "s") + np.arange(60) * np.timedelta64(6, "h")


@pytest.fixture(scope="module")
def gridded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run trained on a NetCDF file with times, latitudes and longitudes."""
    folder = tmp_path_factory.mktemp("gridded")
    write_grid(folder / "rain.nc")
    text = SPEC.replace("{path: blobs.npy, layout: T H W}", "{path: rain.nc, key: rain, layout: T H W}")
    (folder / "nowcast.yaml").write_text(
        text.replace("interval: 5 min", "interval: 6 h").replace("epochs: 3", "epochs: 1")
    )
    return train(folder / "nowcast.yaml", out=folder / "runs", quiet=True)


def write_grid(path: Path, frames: np.ndarray | None = None) -> None:
    frames = blobs() if frames is None else frames
    coordinates = {
        "time": HOURS[: len(frames)].astype("datetime64[ns]"),
        "lat": ("lat", np.linspace(55, 50, 12), {"units": "degrees_north"}),
        "lon": ("lon", np.linspace(0, 5, 12), {"units": "degrees_east"}),
    }
    grid = xarray.Dataset({"rain": (("time", "lat", "lon"), frames, {"units": "mm/h"})}, coordinates)
    grid.to_netcdf(path, engine="netcdf4")


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_grid_keeps_times_coordinates_and_units(suffix: str, gridded: Run, tmp_path: Path) -> None:
    forecast = predict(gridded.path, output=tmp_path / f"forecast{suffix}")
    engine = {"engine": "netcdf4"} if suffix == ".nc" else {"engine": "zarr", "consolidated": False}
    with xarray.open_dataset(tmp_path / f"forecast{suffix}", **engine) as grid:
        assert grid.rain.dims == ("time", "lat", "lon")
        assert grid.rain.attrs == {"units": "mm/h", "long_name": "rain rate"}
        assert grid.lat.attrs["units"] == "degrees_north"
        np.testing.assert_array_equal(grid.lat, np.linspace(55, 50, 12))
        np.testing.assert_array_equal(grid.lon, np.linspace(0, 5, 12))
        np.testing.assert_array_equal(grid.rain, forecast[..., 0])
        np.testing.assert_array_equal(grid.time, HOURS[-1] + np.array([6, 12]) * np.timedelta64(1, "h"))
        assert grid.forecast_reference_time == HOURS[-1]
        assert grid.attrs["Conventions"] == "CF-1.10"


def test_live_frames_count_time_by_the_calendar_of_the_training(gridded: Run, tmp_path: Path) -> None:
    run = shutil.copytree(gridded.path, tmp_path / "run")
    known = json.loads((run / "frames.json").read_text("utf-8"))
    assert known["calendar"] is None
    (run / "frames.json").write_text(json.dumps({**known, "calendar": "360_day"}), "utf-8")
    day, forecaster = partial(cftime.datetime, 2020, calendar="360_day"), Forecaster(run)
    for hour, frame in zip((6, 12, 18), blobs(3), strict=True):
        forecaster.update(frame, day(2, 30, hour))
    assert forecaster.last is not None
    assert as_xarray(forecaster.last).time.values.tolist() == [day(3, 1, 0), day(3, 1, 6)]


def test_each_of_several_variables_has_its_own_units() -> None:
    frames = np.zeros((1, 2, 3, 3), np.float32)
    known = FrameMetadata("x.nc", ("T", "H", "W", "C"), units="K, m s-1", variables=("t2m", "wind", "mask"))
    own = replace(known, units_of={"t2m": "K", "wind": "m s-1"})
    forecast = Forecast(frames, frames, ("+1",), (1,), own)
    grid = as_xarray(forecast)
    assert {name: one.attrs.get("units") for name, one in grid.items()} == {"t2m": "K", "wind": "m s-1", "mask": None}
    assert all(
        one.attrs["units"] == "mm/h"
        for one in as_xarray(replace(forecast, metadata=replace(known, units="mm/h"))).values()
    )


def test_outputs_of_several_channels_without_names_are_called_after_themselves() -> None:
    """At the lead times of all of them; where one has no frame it is missing."""
    metadata = FrameMetadata("x.npy", ("T", "H", "W", "C"))
    (first, *_), second = parts = [np.full((count, 2, 3, 2), count, np.float32) for count in (1, 2)]
    past, hour = np.datetime64("2020-01-01T00", "s"), np.timedelta64(1, "h")
    forecasts = [
        Forecast(part, part, (), ahead, metadata, "rain", np.array([past]), past + hour * np.array(ahead), output=name)
        for part, ahead, name in zip(parts, ((2,), (1, 2)), ("a", "b"), strict=True)
    ]
    grid = as_xarray(replace(forecasts[0], others=(forecasts[1],)))
    np.testing.assert_array_equal(grid["a"], [np.full_like(first, np.nan), first])
    np.testing.assert_array_equal(grid["b"], second)
    assert grid["lead_time"].values.tolist() == [3600 * 10**9, 7200 * 10**9]


def test_without_times_the_axis_is_the_lead_in_frames(trained: Run, tmp_path: Path) -> None:
    predict(trained.path, output=tmp_path / "forecast.nc")
    with xarray.open_dataset(tmp_path / "forecast.nc") as grid:
        assert grid.rain_rate.dims == ("lead", "y", "x")
        assert grid.lead.values.tolist() == [1, 2]


def test_a_forecast_replaces_the_one_before(trained: Run, tmp_path: Path) -> None:
    for _ in range(2):
        predict(trained.path, output=tmp_path / "f.zarr")
    assert [one.name for one in tmp_path.iterdir()] == ["f.zarr"]


def test_the_last_frames_of_a_file_like_the_data_are_taken(gridded: Run, tmp_path: Path) -> None:
    write_grid(tmp_path / "today.nc", blobs()[:40])
    np.save(tmp_path / "past.npy", blobs()[37:40])
    np.testing.assert_array_equal(
        predict(gridded.path, tmp_path / "today.nc"), predict(gridded.path, tmp_path / "past.npy")
    )
    write_grid(tmp_path / "short.nc", blobs()[:2])
    with pytest.raises(SpecError) as error:
        predict(gridded.path, tmp_path / "short.nc")
    assert error.value.diagnostics[0].message == "short.nc:rain has 2 frames, the model reads 3"


def test_a_horizon_beyond_training_leaves_the_first_frames_as_they_are(trained: Run) -> None:
    near, far = predict(trained.path), predict(trained.path, horizon=5)
    assert far.shape == (5, 12, 12, 1)
    np.testing.assert_allclose(far[:2], near, atol=1e-5)
    np.testing.assert_array_equal(far, predict(trained.path, overrides=["vars.future=5"]))


@pytest.mark.parametrize(
    ("windows", "help"),
    [
        ("$lead", "vars.lead: let the length of the model's output depend on it"),
        ("2", "data.windows.future: write it as a variable, on which the length of the model's output depends as well"),
    ],
)
def test_a_horizon_that_the_model_does_not_follow(windows: str, help: str, plain: Path) -> None:
    text = plain.read_text().replace("future: 2", "lead: 2").replace("future: $future", f"future: {windows}")
    plain.write_text(text)
    run = train(plain, out=plain.parent, overrides=["train.epochs=1"], quiet=True)
    with pytest.raises(RunError) as error:
        predict(run.path, horizon=5)
    assert str(error.value) == (
        f"the model forecasts 2 frames, and --horizon 5 does not change that\n  = help: --horizon sets {help}"
    )


def test_a_horizon_on_which_weights_depend(plain: Path) -> None:
    layers = """layers:
  - {layer: Permute, dims: [2, 3, 1, 4]}
  - {layer: Reshape, target_shape: [12, 12, $past]}
  - {id: forecast, layer: Conv2D, filters: $lead, kernel_size: 1}
  - {layer: Permute, dims: [3, 1, 2]}
  - {layer: Reshape, target_shape: [$lead, 12, 12, 1]}
"""
    text = plain.read_text().replace("future: 2", "lead: 2").replace("future: $future", "future: $lead")
    plain.write_text(text.replace(CONVOLUTION, layers))
    run = train(plain, out=plain.parent, overrides=["train.epochs=1"], quiet=True)
    with pytest.raises(RunError) as error:
        predict(run.path, horizon=5)
    assert str(error.value).startswith("--horizon 5 changes the weights of the model: forecast.kernel has ")


def test_a_horizon_gives_up_the_weights_of_lead_times(tmp_path: Path) -> None:
    path = tmp_path / "nowcast.yaml"
    path.write_text(SPEC.replace("  loss: mse\n", "  loss: mse\n  lead_weights: [1, 2]\n"))
    longer = load_spec(path, change=lambda document: horizon_overrides(document, 5))
    assert build_graph(longer).outputs[0].shape[0] == 5


def test_a_horizon_may_be_longer_than_the_splits(trained: Run) -> None:
    assert len(predict(trained.path, horizon=50)) == 50


def test_a_longer_horizon_is_scored_in_windows_of_the_same_split(trained: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained.path, run)
    near, far = evaluate(run), evaluate(run, horizon=5)
    assert isinstance(near, Evaluation)
    assert isinstance(far, Evaluation)
    assert far.leads == ("+5 min", "+10 min", "+15 min", "+20 min", "+25 min")
    assert far.windows == near.windows - 3
    assert far.of("persistence").column("MSE").values[4] > far.of("persistence").column("MSE").values[0]
    assert (run / "scores-horizon-5.json").exists()
    assert (run / "forecast-horizon-5.png").exists()
    with pytest.raises(RunError) as error:
        evaluate(run, horizon=50)
    assert str(error.value) == (
        "no window fits into the test split, which has 10 frames\n"
        "  = help: a window spans 53 frames: evaluate a shorter horizon"
    )


def test_an_override_that_changes_weights_is_refused(trained: Run) -> None:
    with pytest.raises(RunError) as error:
        predict(trained.path, overrides={"layers.enc.filters": 4, "layers.dec.filters": 4})
    assert str(error.value).startswith(
        "layers.enc.filters=4, layers.dec.filters=4 changes the weights of the model: "
        "enc.kernel has 3 × 3 × 1 × 12 in the run, 3 × 3 × 1 × 16 now"
    )


def test_frames_come_one_at_a_time(trained: Run) -> None:
    forecaster = Forecaster(trained.path)
    assert forecaster.missing == 3
    given = [forecaster.update(frame) for frame in blobs()[-5:]]
    assert [forecast is None for forecast in given] == [True, True, False, False, False]
    np.testing.assert_array_equal(given[-1], predict(trained.path))
    assert forecaster.last is not None
    assert forecaster.last.lead_labels == ("+5 min", "+10 min")
    forecaster.reset()
    assert forecaster.update(blobs()[0]) is None


def test_a_gap_in_time_begins_anew(gridded: Run) -> None:
    forecaster = Forecaster(gridded.path)
    for frame, time in zip(blobs()[:3], HOURS[:3], strict=True):
        forecast = forecaster.update(frame, time)
    assert forecast is not None
    assert forecaster.last is not None
    assert forecaster.last.times is not None
    assert forecaster.last.times.tolist() == HOURS[3:5].tolist()
    assert forecaster.update(blobs()[5], HOURS[5]) is None
    assert forecaster.missing == 2
    with pytest.raises(RunError, match="came after that of"):
        forecaster.update(blobs()[6], HOURS[2])


def test_a_frame_of_another_size_is_refused(trained: Run) -> None:
    forecaster = Forecaster(trained.path)
    forecaster.update(blobs()[0])
    with pytest.raises(RunError, match="the frame is 12 × 11, those before are 12 × 12"):
        forecaster.update(blobs()[0][:, 1:])


@pytest.mark.parametrize(
    ("past", "step", "interval", "expected"),
    [
        (["2020-01-01", "2020-02-01"], 1, None, ["2020-03-01", "2020-04-01"]),
        (["2020-01-31T12", "2020-02-29T12"], 1, "1 month", ["2020-03-29T12", "2020-04-29T12"]),
        (["2019-11-30", "2019-12-31"], 1, "1 month", ["2020-01-31", "2020-02-29"]),
        (["2020-01-01T00", "2020-01-01T06"], 2, None, ["2020-01-01T09", "2020-01-01T12"]),
        (["2020-01-01T00"], 1, "10 min", ["2020-01-01T00:10", "2020-01-01T00:20"]),
        (["2019-12-31"], 1, "1 year", ["2020-12-31", "2021-12-31"]),
    ],
)
def test_times_ahead_are_counted_by_the_calendar(
    past: list[str], step: int, interval: str | None, expected: list[str]
) -> None:
    found = times_ahead(np.array(past, "datetime64[s]"), (1, 2), step, interval)
    assert found is not None
    assert found.tolist() == np.array(expected, "datetime64[s]").tolist()


def test_scores_and_pictures_have_the_units_of_the_file(gridded: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(gridded.path, run)
    for name in ("spec.yaml", "resolved.yaml"):
        (run / name).write_text((run / name).read_text().replace("  units: mm/h\n", ""))
    found = evaluate(run)
    assert isinstance(found, Evaluation)
    assert found.units == "mm/h"
    trained = TrainedRun.open(run)
    assert first_channel(trained.data, trained.dataset.source.metadata) == ("rain rate", "mm/h")


def test_a_picture_of_several_variables_names_the_first(gridded: Run) -> None:
    data = TrainedRun.open(gridded.path).data.model_copy(update={"units": ""})
    own = {"t2m": "K", "wind": "m s-1"}
    both = FrameMetadata("x.nc", ("T", "H", "W", "C"), units="K, m s-1", variables=("t2m", "wind"), units_of=own)
    assert first_channel(data, both) == ("t2m", "K")


MOVING = """\
specbuild: 1
name: live
inputs: {rain: [2, 12, 12, 1], flow: [12, 12, 2], hours: [2, 12, 12, 2]}
layers:
  - {id: flows, layer: RepeatFrame, from: flow, times: 2}
  - {layer: Concatenate, from: [rain, flows, hours]}
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}
data:
  source: {path: rain.nc, key: rain, layout: {T: time, H: lat, W: lon}}
  windows: {past: 2, future: 2, step: 2}
  inputs: {rain: past, flow: {motion: true, latest: 5}, hours: {cycles: [year], frames: %s}}
  transform: [standardize]
train: {loss: mse, epochs: 1, seed: 3}
"""


@pytest.mark.parametrize("frames", ["past", "future"])
def test_inputs_of_live_frames_are_those_of_a_file(frames: str, tmp_path: Path) -> None:
    """Motions and times are those of the frames just given, every one of them, though the model reads each second."""
    back_and_forth = blobs(60)[[*range(30), *range(29, -1, -1)]]
    write_grid(tmp_path / "rain.nc", back_and_forth)
    (tmp_path / "live.yaml").write_text(MOVING % frames, encoding="utf-8")
    run = train(tmp_path / "live.yaml", out=tmp_path / "runs", quiet=True)
    expected = predict(run.path)
    forecaster = Forecaster(run.path)
    assert forecaster.missing == 3
    for number in range(25, 60):
        forecast = forecaster.update(back_and_forth[number], HOURS[number])
        if number == 30:
            early = forecast
    assert early is not None
    assert np.abs(early - expected).max() > 0.01
    np.testing.assert_allclose(forecast, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_past_frames_at_a_url(gridded: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.data.test_remote import Ranges

    monkeypatch.setenv("SPECBUILD_CACHE", str(tmp_path / "cache"))
    shutil.copy(gridded.path.parent.parent / "rain.nc", tmp_path / "rain.nc")
    np.save(tmp_path / "past.npy", blobs()[-3:])
    expected = predict(gridded.path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(tmp_path))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{served.server_port}"
        for name in ("rain.nc", "past.npy"):
            np.testing.assert_allclose(predict(gridded.path, f"{url}/{name}"), expected, rtol=1e-4, atol=1e-5)
        for name in ("gone.nc", "gone.npy"):
            with pytest.raises(SpecError, match=f"{name} does not exist"):
                predict(gridded.path, f"{url}/{name}")
        served.shutdown()
