"""Runs of several inputs and several outputs that feed from data: trained, scored, forecast, resumed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

from specbuild import Forecaster, RunError, SpecError, build_graph, evaluate, export, predict, report, train
from specbuild.cli import main
from specbuild.document import ArgumentError
from specbuild.training import Run
from specbuild.training.batches import for_outputs, with_true_frames
from tests.run.conftest import blobs
from tests.run.report_page import ReportPage

SPEC = """\
specbuild: 1
name: fed
vars: {past: 2, future: 2, size: 12}
inputs:
  rain: [$past, $size, $size, 1]
  terrain: [$size, $size, 1]
  hours: [$future, $size, $size, 2]
  %s
layers:
  - {id: ground, layer: RepeatFrame, from: terrain, times: $past}
  - {layer: Concatenate, from: [rain, ground, hours, %s]}
  - {id: shared, time_distributed: {layer: Conv2D, filters: 4, kernel_size: 3, padding: same, activation: relu}}
  - {id: rate, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
  - {id: wet, from: shared, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1, activation: sigmoid}}
  - {id: end, layer: LastFrame, from: rate}
outputs: %s
data:
  source: {path: rain.nc, key: rain, layout: {T: time, H: lat, W: lon}}
  variable: rain rate
  units: mm/h
  windows: {past: $past, future: $future}
  split: {train: 0.6, validation: 0.2, test: 0.2}
  transform: [standardize]
  inputs:
    rain: past
    terrain: {source: {path: terrain.nc, key: height, layout: {H: lat, W: lon}}, regrid: linear, transform: [minmax]}
    hours: {cycles: [day], frames: future}
    %s
  targets: {amount: future, occurrence: {above: 0.5}, last: {frames: [2]}}
train:
  optimizer: {name: Adam, learning_rate: 0.01}
  loss: {amount: mse, occurrence: bce, last: mae}
  epochs: 2
  seed: 3
evaluate: {thresholds: [1], baselines: [training mean]}
"""
NWP = "{source: {path: nwp.nc, key: rain, layout: {T: time, H: lat, W: lon}}, frames: future, transform: [standardize]}"
TIMES = np.datetime64("2020-05-01T00:00", "ns") + np.arange(66) * np.timedelta64(15, "m")
NAMED = "{amount: rate, occurrence: wet, last: end}"


def write(folder: Path) -> None:
    """The record, 60 frames; a forecast of it that reaches 6 frames further; terrain on a coarser grid."""
    lat, lon = 50 - 0.1 * np.arange(12), 5 + 0.1 * np.arange(12)
    for name, frames in {"rain": blobs(60), "nwp": blobs(66) + 0.1, "short": blobs(61) + 0.1}.items():
        coordinates = {"time": TIMES[: len(frames)], "lat": lat, "lon": lon}
        grid = xr.Dataset({"rain": (("time", "lat", "lon"), frames)}, coordinates)
        grid.lat.attrs["units"], grid.lon.attrs["units"] = "degrees_north", "degrees_east"
        ends = np.stack([grid.time.values - np.timedelta64(15, "m"), grid.time.values], axis=1)
        grid["time_bnds"], grid.time.attrs["bounds"] = (("time", "ends"), ends), "time_bnds"
        grid.to_netcdf(folder / f"{name}.nc", encoding={"time": {"units": "minutes since 2020-01-01"}})
    coarse = {"lat": np.arange(48.0, 51.1, 0.5), "lon": np.arange(4.5, 7.1, 0.5)}
    height = xr.DataArray(np.add.outer(coarse["lat"], coarse["lon"]), coarse, ("lat", "lon"))
    height.lat.attrs["units"], height.lon.attrs["units"] = "degrees_north", "degrees_east"
    height.to_dataset(name="height").to_netcdf(folder / "terrain.nc")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a forecast of another model among its inputs."""
    folder = tmp_path_factory.mktemp("fed")
    write(folder)
    text = SPEC % ("nwp: [$future, $size, $size, 1]", "nwp", NAMED, f"nwp: {NWP}")
    (folder / "fed.yaml").write_text(text, encoding="utf-8")
    return train(folder / "fed.yaml", out=folder / "runs", quiet=True)


def test_every_output_is_scored(run: Run) -> None:
    losses = [row["val_loss"] for row in run.history]
    assert losses[1] < losses[0]
    scores = evaluate(run.path)
    assert [scores.output, *(other.output for other in scores.others)] == ["amount", "occurrence", "last"]
    occurrence, last = scores.others
    assert "terrain is interpolated linearly to the grid of the frames" in scores.notes
    assert last.leads == ("+30 min",)
    model = {name: scores.of("model").column(name).values for name in ("MSE", "MAE")}
    assert model["MSE"][0] > 0
    brier = occurrence.of("model").column("Brier", 0.5)
    np.testing.assert_allclose(brier.values, occurrence.of("model").column("MSE").values, rtol=1e-6)
    assert 0 < brier.overall < 1
    # The climatology of an event is its frequency; persistence is right or wrong.
    assert 0 < occurrence.of("training mean").column("Brier", 0.5).overall < 0.5
    assert (occurrence.units, occurrence.variable) == ("", "probability of rain rate >= 0.5 mm/h")
    written = {path.name for path in run.path.glob("scores*.json")}
    assert written == {"scores.json", "scores-occurrence.json", "scores-last.json"}
    assert json.loads((run.path / "scores-occurrence.json").read_text())["output"] == "occurrence"
    assert {"forecast.png", "forecast-occurrence.png", "forecast-last.png"} <= {p.name for p in run.path.iterdir()}


def test_a_report_shows_every_output(run: Run, tmp_path: Path) -> None:
    page = ReportPage(report(run.path, tmp_path / "r.html", windows=2))
    labels = [group["label"].partition(",")[0] for group in page.payload["scores"]]
    assert labels == [
        "amount: rain rate (mm/h)",
        "occurrence: probability of rain rate >= 0.5 mm/h",
        "last: rain rate (mm/h)",
    ]
    amount, occurrence, last = page.payload["forecasts"][0]["layers"]
    assert occurrence["label"] == "occurrence: probability of rain rate >= 0.5 mm/h"
    assert [occurrence["bars"][0]["ticks"][end] for end in (0, -1)] == [[0.0, "0"], [1.0, "1"]]
    assert (amount["leads"], last["leads"]) == (["+15 min", "+30 min"], ["+30 min"])
    assert amount["windows"][0]["leads"][0]["time"]
    assert page.loaded == []


def test_forecasts_need_the_future_of_what_they_read(run: Run, tmp_path: Path) -> None:
    folder = run.path.parent.parent
    frames = predict(run.path, output=tmp_path / "f.nc")
    assert frames.shape == (2, 12, 12, 1)
    with xr.open_dataset(tmp_path / "f.nc") as grid:
        assert set(grid.data_vars) == {"amount", "occurrence", "last"}
        np.testing.assert_allclose(grid["amount"].values, frames[..., 0])
        assert ((grid["occurrence"] >= 0) & (grid["occurrence"] <= 1)).all()
        assert grid["last"].isnull().mean() == 0.5
        assert grid["time"].values[0] == TIMES[60]
        assert grid["lead_time"].values.tolist() == [15 * 60 * 10**9, 30 * 60 * 10**9]  # of both frames, in ns
        assert grid["occurrence"].attrs["units"] == "1"
        assert grid["time"].attrs["bounds"] == "time_bounds"
        np.testing.assert_array_equal(grid["time_bounds"], np.stack([TIMES[59:61], TIMES[60:62]], axis=1))
    predict(run.path, output=tmp_path / "f.npz")
    with np.load(tmp_path / "f.npz") as arrays:
        assert arrays["last"].shape == (1, 12, 12, 1)
    with pytest.raises(ArgumentError) as caught:
        predict(run.path, sources={"nwp": folder / "short.nc"})
    assert "which has nothing for 1 of the 2 forecast frames" in str(caught.value)
    with pytest.raises(ArgumentError) as caught:
        predict(run.path, sources={"hours": "x.nc"})
    assert "no input hours of the run reads files of its own\n  = help: those are terrain, nwp" in str(caught.value)
    other = shutil.copy(folder / "nwp.nc", tmp_path / "tonight.nc")
    command = ["predict", str(run.path), "--input", f"nwp={other}", "-o", str(tmp_path / "again.npy")]
    assert CliRunner().invoke(main, command).exit_code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), frames)
    with xr.open_dataset(folder / "terrain.nc") as terrain:
        terrain.sel(lat=slice(49.5, None)).to_netcdf(tmp_path / "north.nc")
    notes: list[str] = []
    predict(run.path, sources={"terrain": tmp_path / "north.nc"}, note=notes.append)
    assert any("of the pixels lie outside its own grid and are missing" in note for note in notes)
    with pytest.raises(ArgumentError) as caught:
        predict(run.path, sources={"rain": other})
    assert "it reads the past frames, whose file is given without a name: --input FILE" in str(caught.value)
    with pytest.raises(RunError) as refused:
        Forecaster(run.path)
    assert "the input nwp of the model reads frames of another source" in str(refused.value)


def test_changed_files_of_inputs_are_noticed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(run.path.parent.parent, folder)
    copied = folder / "runs" / run.path.name
    (folder / "nwp.nc").write_bytes((folder / "short.nc").read_bytes())
    place = f"data.inputs.nwp.source.path={folder / 'nwp.nc'}"
    with pytest.raises(SpecError) as caught:
        train(resume=copied, overrides=[place, "train.epochs=3"])
    (fault,) = caught.value.diagnostics
    assert (fault.code, fault.path) == ("changed-data", "data.inputs.nwp.source.path")
    shutil.copy(run.path.parent.parent / "nwp.nc", folder / "moved.nc")
    place = f"data.inputs.nwp.source.path={folder / 'moved.nc'}"
    resumed = train(resume=copied, overrides=[place, "train.epochs=3"], quiet=True)
    assert len(resumed.history) == 3
    with pytest.raises(RunError) as refused:
        train(resume=copied, overrides=["data.inputs.nwp.join=nearest", "train.epochs=4"], quiet=True)
    assert "a resumed run cannot change data.inputs" in str(refused.value)


@dataclass
class _OneBatch:
    """A batch of one sample of each part."""

    x: dict[str, np.ndarray]
    y: dict[str, np.ndarray]

    def __len__(self) -> int:
        return 1

    def batch(self, _epoch: int, _index: int, _rows: object = None) -> tuple[Any, Any, Any]:
        return self.x, self.y, None

    def numbers(self, _epoch: int, _index: int) -> list[int]:
        return [0]

    def sized(self, _batch_size: int) -> _OneBatch:
        return self


FEEDBACK = """\
specbuild: 1
inputs: {rain: [3, 6, 6, 1], terrain: [6, 6, 1]}
layers:
  - {id: ground, layer: RepeatFrame, from: terrain, times: 3}
  - {id: mixed, layer: Add, from: [rain, ground]}
  - id: forecast
    autoregressive:
      horizon: 2
      sampling: {schedule: linear, steps: 20}
      do: [{id: next, layer: ConvLSTM2D, filters: 1, kernel_size: 3, padding: same}]
  - {id: wet, layer: Activation, activation: sigmoid}
outputs: [wet, forecast]
data:
  source: {path: rain.npy, layout: T H W}
  windows: {past: 3, future: 2}
  inputs: {rain: past, terrain: {source: {path: terrain.npy, layout: H W}}}
  targets: {wet: {above: 1}, forecast: future}
"""


def test_scheduled_sampling_shows_the_frames_of_the_output_that_is_them() -> None:
    graph = build_graph(FEEDBACK)
    x = {"terrain": np.zeros((1, 6, 6, 1)), "rain": np.ones((1, 3, 6, 6, 1))}
    y = {"forecast": np.full((1, 2, 6, 6, 1), 5.0), "wet": np.zeros((1, 2, 6, 6, 1))}
    given, targets, _ = for_outputs(graph, with_true_frames(graph, _OneBatch(x, y))).batch(0, 0)
    assert [part.shape[1:] for part in given] == [(3, 6, 6, 1), (6, 6, 1), (2, 6, 6, 1)]
    np.testing.assert_array_equal(given[2], y["forecast"])
    assert [part is y[name] for part, name in zip(targets, ("wet", "forecast"), strict=True)] == [True, True]
    with pytest.raises(SpecError) as caught:
        with_true_frames(
            build_graph(FEEDBACK.replace("forecast: future", "forecast: {frames: [1, 2]}")), _OneBatch(x, y)
        )
    assert "scheduled sampling reads the true future frames, and no target is all of them" in str(caught.value)


def test_a_live_sensor_gives_the_times(tmp_path: Path) -> None:
    write(tmp_path)
    place = "place: {coordinates: [latitude, longitude]}"
    text = SPEC % ("place: [$size, $size, 3]", "places", "[rate, wet, end]", place)
    repeated = "  - {id: places, layer: RepeatFrame, from: place, times: $past}\n"
    text = text.replace("  - {layer: Concatenate", f"{repeated}  - {{layer: Concatenate")
    text = text.replace("amount:", "rate:").replace("occurrence:", "wet:").replace("last:", "end:")
    (tmp_path / "fed.yaml").write_text(text, encoding="utf-8")
    run = train(tmp_path / "fed.yaml", out=tmp_path / "runs", quiet=True)
    expected = predict(run.path)
    forecaster = Forecaster(run.path)
    frames = blobs(60)
    assert forecaster.update(frames[-2], TIMES[58]) is None
    np.testing.assert_allclose(forecaster.update(frames[-1], TIMES[59]), expected, rtol=1e-4, atol=1e-5)
    assert forecaster.last is not None
    assert [other.output for other in forecaster.last.others] == ["wet", "end"]
    np.save(tmp_path / "past.npy", frames[-2:])
    with pytest.raises((SpecError, RunError)) as caught:
        predict(run.path, tmp_path / "past.npy")
    assert "cycles depend on the times of the frames" in str(caught.value)


def test_it_is_exported_with_every_input_and_output(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx", reason="needs specbuild[onnx]: pip install 'specbuild[onnx]'")
    result = export(run.path, format="onnx", output=tmp_path / "fed.onnx")
    assert result.difference.relative < 1e-5
    (graph,) = json.loads(result.manifest.read_text("utf-8"))["graphs"]
    assert {each["name"]: each["shape"] for each in graph["inputs"]} == {
        "rain": [None, 2, 12, 12, 1],
        "hours": [None, 2, 1],
        "nwp": [None, 2, 12, 12, 1],
    }
    rain, hours, nwp = graph["inputs"]
    assert (rain["steps"], nwp["steps"]) == (["-15 min", "0 min"], ["+15 min", "+30 min"])
    assert (hours["role"], hours["channels"]) == ("time", ["day"])
    assert [each["name"] for each in graph["outputs"]] == ["amount", "occurrence", "last"]
    assert [each.get("units", "") for each in graph["outputs"]] == ["mm/h", "", "mm/h"]
    assert graph["outputs"][2]["steps"] == ["+30 min"]
