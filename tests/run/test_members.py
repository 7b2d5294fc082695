"""Ensembles of forecasts: by dropout and noise, from distributions, in files; and models that have none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray

from specbuild import RunError, report
from specbuild.evaluation import evaluate
from specbuild.evaluation.tables import report_text
from specbuild.prediction import Forecaster, predict
from specbuild.training import Run, train
from tests.run.conftest import blobs
from tests.run.report_page import ReportPage
from tests.run.test_heads import with_head
from tests.run.test_pictures import pixels


def test_dropout_makes_members(trained: Run, tmp_path: Path) -> None:
    """The same seed gives the same members, each of its own; the forecast without them stays as it is."""
    run = trained.folder.path
    forecast, members = predict(run), predict(run, members=4, output=tmp_path / "ensemble.nc")
    assert members.shape == (4, *forecast.shape)
    assert (members.std(axis=0).mean(axis=(1, 2, 3)) > 1e-3).all()
    assert 0.1 < abs(members.mean(axis=0) - forecast).mean() / members.std(axis=0).mean() < 3
    np.testing.assert_array_equal(predict(run, members=4), members)
    assert not np.array_equal(predict(run, members=4, seed=1), members)
    np.testing.assert_array_equal(predict(run), forecast)
    with xarray.open_dataset(tmp_path / "ensemble.nc") as grid:
        assert grid.rain_rate.dims == ("realization", "lead", "y", "x")
        assert grid.rain_rate.attrs["units"] == "mm/h"
        assert grid.realization.attrs["standard_name"] == "realization"
        np.testing.assert_allclose(grid.rain_rate, members[..., 0], rtol=1e-6)
    predict(run, members=2, output=tmp_path / "ensemble.npz")
    with np.load(tmp_path / "ensemble.npz") as file:
        assert file["members"].shape == (2, *forecast.shape)
        np.testing.assert_array_equal(file["forecast"], forecast)


def test_each_forecast_of_a_live_sensor_has_members_of_its_own(trained: Run) -> None:
    forecaster, again = (Forecaster(trained.folder.path, members=3, seed=seed) for seed in (5, 6))
    drawn = []
    for frame in [*blobs()[:3], blobs()[2]]:
        if (forecast := forecaster.update(frame)) is not None:
            assert forecaster.last is not None
            assert forecaster.last.members is not None
            assert forecaster.last.members.shape == (3, *forecast.shape)
            drawn.append(forecaster.last.members)
    for frame in blobs()[:3]:
        again.update(frame)
    assert again.last is not None
    first, second = drawn
    assert not np.array_equal(again.last.members, first)
    assert abs(second - first).max() > 1e-3
    missing = [again.update(np.full((12, 12), np.nan)) for _ in range(3)][-1]
    assert np.isnan(missing).all()
    assert np.isnan(again.last.members).all()


def test_normalization_keeps_its_running_statistics(plain: Path, tmp_path: Path) -> None:
    """With a rate that drops nothing to speak of, members are the forecast, in the steps of a recurrence too."""
    text = plain.read_text("utf-8")
    head = text[text.index("  - {id: forecast") : text.index("data:")]
    more = (
        "  - {layer: Conv3D, filters: 2, kernel_size: [1, 3, 3], padding: same}\n"
        "  - {layer: BatchNormalization}\n"
        "  - id: memory\n    recurrent:\n      states: {h: [12, 12, 2]}\n"
        "      do: [{id: both, from: [input, h], layer: Add}, {layer: Dropout, rate: 1.0e-6},"
        " {id: new, layer: BatchNormalization}]\n"
        "      next: {h: new}\n"
    )
    plain.write_text(text.replace(head, more + head), encoding="utf-8")
    run = train(plain, overrides=["train.epochs=1"], out=tmp_path / "runs", quiet=True).folder.path
    forecast, members = predict(run), predict(run, members=3)
    np.testing.assert_allclose(members, np.broadcast_to(forecast, members.shape), rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("drawn")
def test_distributions_make_members_and_quantiles(plain: Path, tmp_path: Path) -> None:
    run = train(
        with_head(plain, "gaussian_nll", 2), overrides=["train.epochs=1"], out=tmp_path / "runs", quiet=True
    ).folder.path
    forecast, members = predict(run, output=tmp_path / "f.nc"), predict(run, members=500, output=tmp_path / "m.zarr")
    with xarray.open_dataset(tmp_path / "f.nc") as grid:
        assert grid.rain_rate.dims == ("lead", "y", "x")
        quantiles = grid.rain_rate_quantile
        assert quantiles.dims == ("quantile", "lead", "y", "x")
        assert quantiles["quantile"].values.tolist() == [0.1, 0.5, 0.9]
        np.testing.assert_allclose(quantiles.sel(quantile=0.5), forecast[..., 0], rtol=1e-4, atol=1e-5)
        spread = float((quantiles[2] - quantiles[0]).mean()) / (2 * 1.2816)
    assert members.std(axis=0).mean() == pytest.approx(spread, rel=0.02)
    with xarray.open_zarr(tmp_path / "m.zarr", consolidated=False) as grid:
        assert grid.rain_rate.sizes["realization"] == 500

    exact = evaluate(run, overrides={"evaluate.thresholds": [1]})
    drawn = evaluate(run, overrides={"evaluate.thresholds": [1], "evaluate.members": 100})
    for score, threshold in (("CRPS", None), ("spread", None), ("Brier", 1)):
        first, second = (scores.of("model").column(score, threshold).values for scores in (exact, drawn))
        np.testing.assert_allclose(first, second, rtol=0.03)
    table = exact.of("persistence")
    assert table.column("CRPS").values == table.column("MAE").values
    assert table.column("spread").overall == 0
    assert [len(each.expected) for each in (*exact.calibration, *drawn.calibration)] == [10, 101]
    written = json.loads((run / "scores-with-thresholds-1-members-100.json").read_text("utf-8"))["calibration"]
    assert [entry["forecast"] for entry in written["forecasts"]] == ["model"]
    assert sum(map(sum, written["forecasts"][0]["ranks"])) == exact.of("model").scored[0] * 2
    assert "of the observations lie outside all members or quantiles" in report_text(exact)
    assert (run / "calibration.png").stat().st_size > 10_000
    page = ReportPage(report(run, windows=1))
    (layer,) = page.payload["forecasts"][0]["layers"]
    names = [panel["name"] for panel in layer["panels"]]
    assert names[:4] == ["observed", "forecast", "10 % quantile", "90 % quantile"]
    line = layer["windows"][0]["line"]
    low, high = (line["rows"][line[end]] for end in ("low", "high"))
    middle = line["rows"]["forecast"]
    assert all(a <= b <= c for a, b, c in zip(low, middle, high, strict=True))
    assert "thresholds-1-members-100" in page.payload["scores"][1]["label"]
    rows = [pixels(run / "forecast.png").shape[0]]
    assert predict(run, members=3, output=run / "members.png").shape[0] == 3
    rows.append(pixels(run / "members.png").shape[0])
    assert rows[0] > 1.4 * rows[1] > 400  # past, observed, forecast, two quantiles, baseline; past, forecast, quantiles


def test_a_model_without_chance_makes_no_members(plain: Path, tmp_path: Path) -> None:
    run = train(plain, overrides=["train.epochs=1"], out=tmp_path / "runs", quiet=True).folder.path
    with pytest.raises(RunError) as error:
        predict(run, members=5)
    assert error.value.message == (
        "the model cannot draw an ensemble: it has no dropout and no noise, and its loss gives one value, not a "
        "distribution"
    )
    assert error.value.help == "add a Dropout layer, or train with loss: pinball, gaussian_nll or censored_gamma"
    with pytest.raises(RunError, match="an ensemble has 2 to 1000 members, 1 were asked for"):
        predict(run, members=1)


MIXED = """\
specbuild: 1
name: mixed
inputs: {rain: [2, 12, 12, 1]}
layers:
  - {id: levels, time_distributed: {layer: Conv2D, filters: 3, kernel_size: 1}}
  - {id: value, from: rain, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
outputs: [levels, value]
data:
  source: {path: blobs.npy, layout: T H W}
  windows: {past: 2, future: 2}
  targets: {levels: future, value: future}
train: {loss: {levels: pinball, value: mse}, epochs: 1}
evaluate: {members: 4}
"""


def test_an_output_that_does_not_differ_by_chance_has_no_members(tmp_path: Path) -> None:
    """Beside an output that is a distribution, one of a plain loss in a model without dropout is forecast once."""
    np.save(tmp_path / "blobs.npy", blobs())
    (tmp_path / "mixed.yaml").write_text(MIXED, encoding="utf-8")
    run = train(tmp_path / "mixed.yaml", out=tmp_path / "runs", quiet=True)
    levels, value = (scores := evaluate(run.path)), *scores.others
    assert [table.name for table in levels.calibration] == ["model"]
    assert value.calibration == ()
    forecaster = Forecaster(run.path, members=3)
    for frame in blobs()[-2:]:
        forecaster.update(frame)
    assert forecaster.last is not None
    assert forecaster.last.members is not None
    assert forecaster.last.others[0].members is None
