"""Frames that are given to a trained model: refused or converted where they are not like those of the training, and
forecasts that are missing where nothing was ever known."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray
from click.testing import CliRunner

from specbuild import Forecaster
from specbuild.cli import main
from specbuild.data.samples.coverage import Coverage
from specbuild.data.sources.base import FrameMetadata, FrameSource
from specbuild.data.units import Conversion, UnitsError, _registry, conversion, converted, same_units
from specbuild.document import ArgumentError, RunError
from specbuild.evaluation import evaluate
from specbuild.evaluation.result import Evaluation
from specbuild.prediction import predict
from specbuild.runs.frames import KnownPixels
from specbuild.runs.trained import TrainedRun
from specbuild.training import Run, train
from tests.run.conftest import CONVOLUTION, SPEC, blobs

TIMES = np.datetime64("2020-02-28T00", "s") + np.arange(60) * np.timedelta64(5, "m")
NEVER = (slice(None), slice(9, 12), slice(0, 4))
"""Pixels that no frame knows."""
TEXT = (
    re.sub(r"layers:\n(  .*\n)+", CONVOLUTION, SPEC)
    .replace("past: 3", "past: 2")
    .replace("{path: blobs.npy, layout: T H W}", "{path: rain.nc, layout: T H W}")
    .replace("  interval: 5 min\n", "")
    .replace("  units: mm/h\n", "")
    .replace("epochs: 3", "epochs: 1")
)


@pytest.mark.parametrize("shape", [(2,), (5, 1), (2, 3, 4, 1)])
def test_known_pixels_of_frames_with_and_without_space_are_kept(shape: tuple[int, ...]) -> None:
    known = np.arange(np.prod(shape)).reshape(shape) % 3 > 0
    np.testing.assert_array_equal(KnownPixels.pack(Coverage(known)).unpack().known, known)


def write(
    path: Path,
    *,
    times: np.ndarray = TIMES,
    lat: np.ndarray | None = None,
    units: str = "mm/h",
    factor: float = 1.0,
    seen: bool = False,
) -> Path:
    frames = blobs()[: len(times)]
    if not seen:
        frames[NEVER] = np.nan
    coordinates = {
        "time": times.astype("datetime64[ns]"),
        "lat": ("lat", np.linspace(55, 50, 12) if lat is None else lat, {"units": "degrees_north"}),
        "lon": ("lon", np.linspace(0, 5, 12), {"units": "degrees_east"}),
    }
    rain = (("time", "lat", "lon"), frames * np.float32(factor), {"units": units} if units else {})
    xarray.Dataset({"rain": rain}, coordinates).to_netcdf(path, engine="netcdf4")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("likeness")
    write(folder / "rain.nc")
    (folder / "nowcast.yaml").write_text(TEXT, encoding="utf-8")
    return train(folder / "nowcast.yaml", out=folder / "runs", quiet=True)


def refusal(run: Run, path: Path) -> tuple[str, str]:
    with pytest.raises(ArgumentError) as error:
        predict(run.path, path)
    assert error.value.exit_code == 2
    return error.value.message, error.value.help


def test_forecasts_are_missing_where_nothing_was_ever_known(run: Run, tmp_path: Path) -> None:
    forecast = predict(run.path, output=tmp_path / "f.npy")
    assert np.isnan(forecast[NEVER]).all()
    assert np.isfinite(forecast).sum() == forecast.size - 2 * 12
    past = blobs()[-2:]
    forecaster = Forecaster(run.path)
    past[:, 5, 5] = np.nan  # known to the training: the model fills in
    past[NEVER] = np.nan
    past[1, 10, 2] = 1.0  # known now
    (_, live) = (forecaster.update(frame) for frame in past)
    assert live is not None
    assert np.isfinite(live[:, [5, 10], [5, 2]]).all()
    assert np.isnan(live).sum() == 2 * 11
    trained = TrainedRun.open(run.path)
    window = next(trained.dataset.forecasts("test"))
    scored = trained.dataset.forecast(window.past, trained.predict, (window.event, window.start))
    np.testing.assert_array_equal(np.isnan(scored), np.isnan(window.future))


def test_the_coverage_is_that_of_the_frames_that_are_read() -> None:
    frames = np.full((6, 3, 2), np.nan, np.float32)
    frames[1, 0], frames[4, 1] = 1, 2
    source = FrameSource(frames, FrameMetadata("x.npy", ("T", "H", "W")))
    from specbuild.data.samples.windows import Stretch

    coverage = Coverage.of(source, (Stretch(0, range(4)),))
    np.testing.assert_array_equal(coverage.known[..., 0], [[True, True], [False, False], [False, False]])
    np.testing.assert_array_equal(KnownPixels.pack(coverage).unpack().known, coverage.known)
    forecast, past = np.ones((2, 3, 2, 1), np.float32), np.full((1, 3, 2, 1), np.nan, np.float32)
    past[0, 2, 0] = 0
    np.testing.assert_array_equal(np.isnan(coverage.masked(forecast, past))[0, ..., 0], [[0, 0], [1, 1], [0, 1]])
    larger = np.full((1, 4, 2, 1), np.nan, np.float32)
    larger[0, 3] = 0
    assert np.isnan(coverage.masked(np.ones((1, 4, 2, 2), np.float32), larger))[0, :, :, 1].tolist() == [
        [True, True]
    ] * 3 + [[False, False]]


def test_frames_that_are_not_like_those_of_the_training_are_refused(run: Run, tmp_path: Path) -> None:
    later = TIMES + np.timedelta64(1, "D")
    slower = later[0] + np.arange(20) * np.timedelta64(10, "m")
    assert refusal(run, write(tmp_path / "slow.nc", times=slower)) == (
        "the frames of slow.nc:rain are 10 min apart, those of the training data 5 min",
        "give frames that are 5 min apart",
    )
    assert refusal(run, write(tmp_path / "gap.nc", times=np.delete(later, 58))) == (
        "the past frames of gap.nc:rain are not 5 min apart: 2020-02-29 04:45 and 2020-02-29 04:55 are 10 min",
        "give 2 frames without a gap, each 5 min after the one before",
    )
    assert np.isfinite(predict(run.path, write(tmp_path / "early.nc", times=np.delete(later, 40)))).any()
    grid = "put the frames on the grid of the training data; past frames in a .npy file are used as they are"
    assert refusal(run, write(tmp_path / "north.nc", lat=np.linspace(65, 60, 12))) == (
        "north.nc:rain is on another grid than the training data: lat runs from 65 to 60 in steps of -0.4545, "
        "there from 55 to 50 in steps of -0.4545",
        grid,
    )
    assert refusal(run, write(tmp_path / "up.nc", lat=np.linspace(50, 55, 12)))[1] == grid
    assert refusal(run, write(tmp_path / "kelvin.nc", units="K")) == (
        "kelvin.nc:rain is in K, the run was trained on mm/h",
        "convert the data to the units of the training data",
    )


def test_units_are_converted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, notes = predict(run.path), []
    path = write(tmp_path / "slow.nc", units="mm s-1", factor=1 / 3600)
    np.testing.assert_allclose(predict(run.path, path, note=notes.append), expected, rtol=1e-4)
    assert notes == ["slow.nc:rain is in mm s-1 and was converted to mm/h"]
    assert np.array_equal(
        predict(run.path, write(tmp_path / "other.nc", units="mm h-1"), note=notes.append), expected, equal_nan=True
    )
    assert len(notes) == 1
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["evaluate", str(run.path), "--data", "slow.nc"]).exit_code == 0
    assert (run.path / "scores-on-slow.json").is_file()
    scores = evaluate(run.path, overrides={"data.source.path": str(path)})
    assert isinstance(scores, Evaluation)
    assert run.scores is not None
    assert "slow.nc:rain is in mm s-1 and was converted to mm/h" in scores.notes
    assert scores.units == "mm/h"
    ours, theirs = ([column.values for column in each.tables[0].columns][:3] for each in (scores, run.scores))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_the_coverage_of_the_training_says_nothing_of_another_place(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "north.nc", lat=np.linspace(65, 60, 12))
    trained = TrainedRun.open(run.path, overrides={"data.source.path": str(path)})
    coverage = trained.dataset.coverage
    assert coverage is not None
    assert not coverage.known.any()


def test_the_forecaster_knows_the_interval_of_the_training(run: Run) -> None:
    past, forecaster = blobs()[:3], Forecaster(run.path)
    assert forecaster.update(past[0], TIMES[0]) is None
    assert forecaster.update(past[1], TIMES[2]) is None  # the frame between is missing
    assert forecaster.update(past[2], TIMES[3]) is not None
    assert forecaster.last is not None
    assert forecaster.last.lead_labels == ("+5 min", "+10 min")
    with pytest.raises(RunError) as error:
        forecaster.update(past[2], TIMES[3] + np.timedelta64(1, "m"))
    assert error.value.help == "give frames that are 5 min apart, as those of the training are"


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "--set", "train.epochs=4"),
        ("predict", "-o", "f.mp4"),
        ("predict", "--input", "gone.nc"),
        ("evaluate", "--set", "train.epochs=4"),
        ("evaluate", "--variable", "snow"),
        ("predict", "--horizon", "9"),
    ],
)
def test_arguments_that_do_not_fit_the_run_end_with_exit_code_2(arguments: tuple[str, ...], run: Run) -> None:
    verb, *further = arguments
    result = CliRunner().invoke(main, [verb, str(run.path), *further])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")


def test_a_run_without_its_statistics_says_what_to_do(run: Run) -> None:
    path, before = run.folder.transforms_file, run.folder.transforms_file.read_text()
    path.unlink()
    try:
        with pytest.raises(RunError, match=r"transforms\.json cannot be read: No such file") as error:
            predict(run.path)
        assert error.value.help.startswith("restore it from a copy, or train again")
    finally:
        path.write_text(before)


def test_damage_to_what_is_kept_of_the_frames_is_named(run: Run) -> None:
    path, before = run.folder.frames_file, run.folder.frames_file.read_text()
    state = json.loads(before)
    assert (state["interval"], state["space"]["H"]["units"]) == ("5 min", "degrees_north")
    try:
        for edit, told in (
            ({"interval": 5}, "frames.json is damaged: interval: expected text, got 5"),
            ({"coverage": state["coverage"] | {"shape": [99, 12, 1]}}, "they do not have the shape that is written"),
            ({"coverage": state["coverage"] | {"bits": "?"}}, "frames.json is damaged: coverage.bits: "),
        ):
            path.write_text(json.dumps(state | edit))
            with pytest.raises(RunError) as error:
                predict(run.path)
            assert told in error.value.message
            assert error.value.help
        path.unlink()
        assert np.isfinite(predict(run.path)).all()  # a run of an earlier version
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("mm/h", "mm h-1", None),
        ("mm s-1", "mm/h", Conversion(3600, 0)),
        ("kg m-2 s-1", "mm/h", Conversion(3600, 0, water=True)),
        ("kg m**-2", "m", Conversion(0.001, 0, water=True)),
        ("degC", "K", Conversion(1, 273.15)),
        ("K", "degrees_Celsius", Conversion(1, -273.15)),
        ("mb", "Pa", Conversion(100, 0)),
        ("%", "1", Conversion(0.01, 0)),
    ],
)
def test_conversions(old: str, new: str, expected: Conversion | None) -> None:
    step = conversion(old, new)
    assert (step is None) == (expected is None)
    if step is not None and expected is not None:
        assert (step.factor, step.offset, step.water) == (
            pytest.approx(expected.factor),
            pytest.approx(expected.offset),
            expected.water,
        )


def test_converting_without_pint_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    conversion.cache_clear()
    _registry.cache_clear()
    monkeypatch.setitem(sys.modules, "pint", None)
    source = FrameSource(np.zeros((2, 3, 2), np.float32), FrameMetadata("x.nc", ("T", "H", "W"), units="mm/s"))
    with pytest.raises(ArgumentError) as error:
        converted(source, "mm/h")
    assert error.value.message == (
        "x.nc is in mm/s, the run was trained on mm/h; converting units needs the package pint"
    )
    assert error.value.help == "pip install 'specbuild[units]', or convert the data to the units of the training data"
    assert converted(source, "mm/s") is source


def test_units_in_other_letters() -> None:
    assert same_units("degC", "°C")
    assert same_units("mm h-1", "mm/h")
    assert not any(same_units(*pair) for pair in (("", ""), ("K", ""), ("K", "°C"), ("dBZ", "mm")))


@pytest.mark.parametrize(("old", "new"), [("dBZ", "mm/h"), ("K", "mm/h"), ("kg m-2", "kg"), ("dB", "1"), ("m^", "m")])
def test_what_cannot_be_converted(old: str, new: str) -> None:
    with pytest.raises(UnitsError):
        conversion(old, new)


def test_a_scale_of_the_spec_is_no_part_of_the_units() -> None:
    source = FrameSource(np.zeros((2, 3, 2), np.int16), FrameMetadata("x.nc", ("T", "H", "W"), units="degC"))
    with pytest.raises(ArgumentError, match="in degC, the run was trained on K"):
        converted(source, "K", rescaled=True)
    assert converted(source, "K").read(0, range(1))[0, 0, 0, 0] == np.float32(273.15)


def test_each_variable_is_converted_by_itself() -> None:
    frames = np.arange(24, dtype=np.int16).reshape(2, 3, 2, 2)
    metadata = FrameMetadata("x.nc", ("T", "H", "W", "C"), variables=("t", "p"), units_of={"t": "degC", "p": "hPa"})
    source = converted(FrameSource(frames, metadata), {"t": "K", "p": "hPa"})
    np.testing.assert_allclose(source.read(0, range(1, 2)), frames[1:2] + np.array([273.15, 0]), rtol=1e-6)
    assert source.metadata.units_of == {"t": "K", "p": "hPa"}
    assert source.metadata.remarks == ("x.nc is in t (degC), p (hPa) and was converted to t (K), p (hPa)",)
