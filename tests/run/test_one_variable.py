"""Several variables: scores of each alone, and a word where different units are pooled."""

from __future__ import annotations

import numpy as np
import pytest
import xarray

from specbuild.document import RunError
from specbuild.evaluation import evaluate
from specbuild.evaluation.result import Evaluation
from specbuild.training import Run, train
from tests.run.conftest import blobs

SPEC = """\
specbuild: 1
name: weather
inputs: {x: [2, 12, 12, 2]}
layers:
  - {id: forecast, layer: Conv3D, filters: 2, kernel_size: 1}
data:
  source: {path: weather.nc, variables: [t2m, wind], layout: {T: time, H: lat, W: lon}}
  windows: {past: 2, future: 2}
  split: {train: 0.7, test: 0.3}
  transform: [standardize]
train: {epochs: 1, steps_per_epoch: 2}
evaluate: {scores: [ssim]}
"""


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("weather")
    axes = ("time", "lat", "lon")
    coordinates = {
        "time": np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(1, "h"),
        "lat": ("lat", np.linspace(55, 50, 12), {"units": "degrees_north"}),
        "lon": ("lon", np.linspace(0, 5, 12), {"units": "degrees_east"}),
    }
    frames = blobs(40)
    grids = {"t2m": (axes, 280 + frames, {"units": "K"}), "wind": (axes, frames[::-1].copy() / 10, {"units": "m s-1"})}
    xarray.Dataset(grids, coordinates).to_netcdf(folder / "weather.nc", engine="netcdf4")
    (folder / "weather.yaml").write_text(SPEC, encoding="utf-8")
    return train(folder / "weather.yaml", out=folder / "runs", quiet=True)


def test_each_variable_is_scored_alone(weather: Run) -> None:
    pooled = weather.scores
    heat, wind = (evaluate(weather.path, variable=name) for name in ("t2m", "wind"))
    assert isinstance(pooled, Evaluation)
    assert isinstance(heat, Evaluation)
    assert isinstance(wind, Evaluation)
    assert [(one.variable, one.units) for one in (heat, wind)] == [("t2m", "K"), ("wind", "m s-1")]
    # As many pixels of each: the pooled mean is the mean of both.
    for forecast in ("model", "persistence", "training mean"):
        errors = [one.of(forecast).column("MSE").overall for one in (pooled, heat, wind)]
        assert errors[0] == pytest.approx((errors[1] + errors[2]) / 2)
    assert heat.of("persistence").column("RMSE").overall == pytest.approx(
        10 * wind.of("persistence").column("RMSE").overall, rel=0.2
    )
    assert heat.leads == ("+1 h", "+2 h"), "the file's times, where the spec has no interval"
    assert (weather.path / "scores-t2m.json").exists()
    assert (weather.path / "forecast-wind.png").exists()


def test_what_is_pooled_over_different_units_is_said(weather: Run) -> None:
    assert isinstance(weather.scores, Evaluation)
    assert weather.scores.notes == (
        "these scores pool variables of different units, t2m (K) and wind (m s-1); of one alone: "
        f"specbuild evaluate {weather.path} --variable t2m",
    )


def test_a_variable_that_is_not_there_is_named(weather: Run) -> None:
    with pytest.raises(RunError) as error:
        evaluate(weather.path, variable="t2n")
    assert str(error.value).startswith("weather.nc:t2m, wind has no variable t2n")
    assert 'did you mean "t2m"?' in str(error.value)
