"""Several variables: scores of each alone, one rule for their units, and a note where different ones are pooled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray

from specbuild import compare, predict, report
from specbuild.data.survey import survey
from specbuild.document import RunError
from specbuild.evaluation import evaluate
from specbuild.evaluation.result import Evaluation
from specbuild.exporting.physical import PhysicalPlan
from specbuild.pictures.scene import first_channel
from specbuild.reporting.browser import Shown, layers
from specbuild.reporting.windows import Looker, look_at
from specbuild.runs.trained import TrainedRun
from specbuild.training import Run, train
from tests.run.conftest import blobs
from tests.run.report_page import ReportPage, copied

pytestmark = pytest.mark.usefixtures("_blank_pictures")

SPEC = """\
specbuild: 1
name: weather
inputs: {x: [2, 12, 12, 2]}
layers:
  - {id: forecast, layer: Conv3D, filters: 2, kernel_size: 1}
data:
  source: {path: weather.nc, variables: [t2m, wind], layout: {T: time, H: lat, W: lon}}
  units: %s
  windows: {past: 2, future: 2}
  split: {train: 0.7, test: 0.3}
  transform: [standardize]
train: {epochs: 1, steps_per_epoch: 2}
evaluate: {scores: [ssim]}
"""


def _trained(folder: Path, units: dict[str, str], stated: str) -> Run:
    """Return a run on a file whose variables have these units, with a spec that states others for all of them."""
    axes = ("time", "lat", "lon")
    coordinates = {
        "time": np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(1, "h"),
        "lat": ("lat", np.linspace(55, 50, 12), {"units": "degrees_north"}),
        "lon": ("lon", np.linspace(0, 5, 12), {"units": "degrees_east"}),
    }
    frames = blobs(40)
    values = {"t2m": 280 + frames, "wind": frames[::-1].copy() / 10}
    grids = {name: (axes, values[name], {"units": units[name]}) for name in values}
    xarray.Dataset(grids, coordinates).to_netcdf(folder / "weather.nc", engine="netcdf4")
    (folder / "weather.yaml").write_text(SPEC % stated, encoding="utf-8")
    return train(folder / "weather.yaml", out=folder / "runs", quiet=True)


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on variables of different units; what the spec states cannot be the units of both."""
    return _trained(tmp_path_factory.mktemp("weather"), {"t2m": "K", "wind": "m s-1"}, "K")


@pytest.fixture(scope="module")
def restated(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on variables of the same units in the file, and others in the spec."""
    return _trained(tmp_path_factory.mktemp("restated"), {"t2m": "K", "wind": "K"}, "°C")


def shown_units(run: Path, folder: Path) -> dict[str, object]:
    """Return the units that each part of specbuild shows for a run."""
    trained = TrainedRun.open(run)
    looker = Looker(trained)
    looked = look_at(looker, 2)
    predict(run, output=folder / "forecast.nc")
    with xarray.open_dataset(folder / "forecast.nc") as forecast:
        written = [forecast[name].attrs["units"] for name in ("t2m", "wind")]
    plan = PhysicalPlan(trained, trained.dataset)
    alone = [evaluate(run, variable=name) for name in ("t2m", "wind")]
    return {
        "forecast file": written,
        "picture": first_channel(trained.data, trained.dataset.source.metadata)[1],
        "scores of each": [scores.units for scores in alone if isinstance(scores, Evaluation)],
        "report, pictures": [layer.scenes[0].units for layer in layers([Shown(looker, "")], looked.windows[:1])],
        "report, errors": looked.units,
        "exported model": [plan.inputs[0].units, plan.outputs[0].units],
        "survey": survey(trained.dataset.source, {}, units=trained.data.units).units,
    }


def test_the_units_of_the_spec_are_shown_everywhere(restated: Run, tmp_path: Path) -> None:
    assert shown_units(restated.path, tmp_path) == {
        "forecast file": ["°C", "°C"],
        "picture": "°C",
        "scores of each": ["°C", "°C"],
        "report, pictures": ["°C", "°C"],
        "report, errors": "°C",
        "exported model": ["°C", "°C"],
        "survey": "°C",
    }
    assert isinstance(restated.scores, Evaluation)
    assert (restated.scores.units, restated.scores.notes) == ("°C", ())


def test_of_different_units_each_variable_keeps_its_own(weather: Run, tmp_path: Path) -> None:
    assert shown_units(weather.path, tmp_path) == {
        "forecast file": ["K", "m s-1"],
        "picture": "K",
        "scores of each": ["K", "m s-1"],
        "report, pictures": ["K", "m s-1"],
        "report, errors": "",
        "exported model": ["K, m s-1", "K, m s-1"],
        "survey": "K, m s-1",
    }
    page = ReportPage(report(weather.path, tmp_path / "r.html", windows=1))
    assert "Forecasts value 2 frames, +1 h to +2 h," in page.text
    assert "The RMSE pools variables of different units: t2m (K) and wind (m s-1)." in page.text
    copy = copied(weather.path, tmp_path / "copy")
    pooled = "these scores pool variables of different units, t2m (K) and wind (m s-1); name one with --variable"
    assert pooled in compare([weather.path, copy]).notes
    assert compare([weather.path, copy], variable="wind").units == "m s-1"


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
    assert weather.scores.units == ""
    assert weather.scores.notes == (
        "data.units is K, but the variables of weather.nc:t2m, wind have different units, t2m (K) and wind (m s-1): "
        "each is shown in its own",
        "these scores pool variables of different units, t2m (K) and wind (m s-1); to score one alone: "
        f"specbuild evaluate {weather.path} --variable t2m",
    )


def test_a_variable_that_is_not_there_is_named(weather: Run) -> None:
    with pytest.raises(RunError) as error:
        evaluate(weather.path, variable="t2n")
    assert str(error.value).startswith("weather.nc:t2m, wind has no variable t2n")
    assert 'did you mean "t2m"?' in str(error.value)
