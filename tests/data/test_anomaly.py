"""Anomalies against the climatology of the training frames: by the clock, there and back, wherever frames come from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from specbuild.data import Dataset, Transform, open_data
from specbuild.data.sources.base import FrameMetadata, FrameSource
from specbuild.data.transforms.fit import fit
from specbuild.data.transforms.step import FrameContext, StepError
from specbuild.document import RunError, SpecError
from specbuild.language.sections.transform import transform
from tests.data.samples import dataset, message, model, write_spec

MONTHS = np.arange("2010-01", "2016-01", dtype="datetime64[M]").astype("datetime64[s]")
SEASON = 10 * np.sin(2 * np.pi * np.arange(len(MONTHS)) / 12)


def monthly(folder: Path, **data: object) -> Dataset:
    """Six years of months on a 2 × 3 grid: a season of its own in each pixel, and noise."""
    pixels = np.arange(6).reshape(2, 3)
    noise = np.random.default_rng(0).normal(size=(len(MONTHS), 2, 3))
    frames = (SEASON[:, None, None] * (1 + pixels) + 20 + noise).astype(np.float32)
    np.savez(folder / "sst.npz", sst=frames, time=MONTHS)
    source = {"path": "sst.npz", "key": "sst", "time": "time", "layout": "T H W"}
    spec = write_spec(folder, {"source": source, "transform": [{"name": "anomaly", "period": 12}], **data})
    return open_data(spec, model(spec))


def test_the_season_of_each_pixel_is_taken_away(tmp_path: Path) -> None:
    data = monthly(tmp_path, transform=[{"name": "anomaly", "period": 12}, "standardize"])
    x, y, _ = data.sampler("train", 100, 0, shuffle=False).batch(0, 0)
    assert np.abs(x).max() < 4
    # The noise is all that is left: a pixel with six times the season has no more of it than one without.
    assert np.abs(y).max() < 4
    np.testing.assert_allclose(x.std(axis=(0, 1)), 1, atol=0.4)


def test_the_climatology_is_that_of_the_training_frames(tmp_path: Path) -> None:
    data = monthly(tmp_path, split={"train": [0, 24], "test": [30, 72]})
    raw = np.load(tmp_path / "sst.npz")["sst"]
    (step,) = data.transform.steps
    np.testing.assert_allclose(step.means[3, ..., 0], (raw[3] + raw[15]) / 2, rtol=1e-6)


def test_a_forecast_of_no_anomaly_is_the_climatology_of_its_own_months(tmp_path: Path) -> None:
    data = monthly(tmp_path)
    window = next(data.forecasts("test"))
    forecast = data.forecast(window.past, lambda x: np.zeros((len(x), 3, 2, 3, 1)), (window.event, window.start))
    (step,) = data.transform.steps
    months = (MONTHS[window.start + 2 : window.start + 5].astype("datetime64[M]").astype(int)) % 12
    np.testing.assert_allclose(forecast, step.means[months], rtol=1e-6)


def test_persistence_of_the_anomaly_is_the_baseline_of_that_name(tmp_path: Path) -> None:
    from specbuild.evaluation.baselines import baselines

    data = monthly(tmp_path)
    known = {one.name: one for one in baselines(data, 12)}["anomaly persistence"]
    for window in list(data.forecasts("test"))[:3]:
        forecast = data.forecast(window.past, lambda x: np.repeat(x[:, -1:], 3, axis=1), (window.event, window.start))
        np.testing.assert_allclose(forecast, known.forecast(window), atol=1e-5)


def test_crops_have_the_climatology_of_their_own_pixels(tmp_path: Path) -> None:
    data = monthly(tmp_path, crop=[1, 2])
    window = next(data.forecasts("test"))
    copied = data.forecast(window.past, lambda x: np.repeat(x[:, -1:], 3, axis=1), (window.event, window.start))
    whole = monthly(tmp_path)
    expected = whole.forecast(window.past, lambda x: np.repeat(x[:, -1:], 3, axis=1), (window.event, window.start))
    np.testing.assert_allclose(copied, expected, atol=1e-4)
    x, _, _ = data.sampler("train", 64, 0).batch(0, 0)
    assert np.abs(x).max() < 4


def test_the_state_goes_through_json_and_knows_its_clock(tmp_path: Path) -> None:
    data = monthly(tmp_path)
    again = Transform.from_state(json.loads(json.dumps(data.transform.state())))
    # Frames of another file, which begins in July: the phase follows from their times.
    july = MONTHS[18:24]
    frames = data.source.read(0, range(18, 24))
    other = FrameSource(frames, FrameMetadata("other", ("T", "H", "W", "C"), clocks=(july,)))
    moved = Dataset(data.section, other, {}, again, data.layout)
    context, own = moved.context((0, 0), range(6)), data.context((0, 18), range(18, 24))
    assert context is not None
    assert own is not None
    assert context.slots.tolist() == own.slots.tolist() == list(range(18, 24))
    np.testing.assert_array_equal(again.apply(frames, context), data.transform.apply(frames, own))


def test_frames_without_times_cannot_be_placed(tmp_path: Path) -> None:
    data = monthly(tmp_path)
    past = data.source.read(0, range(2))
    with pytest.raises(RunError, match="the past frames have none"):
        data.forecast(past, lambda x: x)


def test_without_times_frames_are_counted_in_their_event(tmp_path: Path) -> None:
    values = np.tile(np.array([0, 10, 20], np.float32), 20)[:, None, None] * np.ones((1, 2, 2), np.float32)
    data = dataset(tmp_path, values, transform=[{"name": "anomaly", "period": 3}])
    x, y, _ = data.sampler("train", 4, 0).batch(0, 0)
    assert not x.any()
    assert not y.any()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"transform": [{"name": "anomaly", "period": 12}], "fill": 3},
            "data.transform.0 | an anomaly has no one value for what is missing | "
            "leave data.fill out: missing values become the mean anomaly",
        ),
        (
            {"transform": ["standardize", {"name": "anomaly", "period": 200}]},
            "data.transform.1 | no training frame has phase 38 of 200 | "
            "choose a shorter period, or train on at least one whole cycle",
        ),
        (
            {"transform": [{"name": "standardize", "channels": ["sts"]}]},
            'data.transform.0 | no channel of the data is called sts | did you mean "sst"?',
        ),
        (
            {"transform": [{"name": "standardize", "channels": [1]}]},
            "data.transform.0 | there is no channel 1 | the data has 1, counted from 0",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, data: dict[str, object], expected: str) -> None:
    with pytest.raises(SpecError) as error:
        monthly(tmp_path, **data)
    assert message(error.value) == expected


def test_a_step_changes_only_the_channels_that_it_names() -> None:
    values = np.random.default_rng(1).gamma(2, 3, (8, 4, 4, 3)).astype(np.float32)
    sections = [
        transform({"name": "log1p", "channels": ["rain"]}),
        transform({"name": "standardize", "channels": [0, 2]}),
        transform({"name": "scale", "factor": 2, "channels": ["wind"]}),
    ]
    fitted = fit(
        sections, lambda: iter([(values[:3], None), (values[3:], None)]), 3, variables=("rain", "wind", "heat")
    )
    done = fitted.apply(values)
    rain = np.log1p(values[..., 0])
    np.testing.assert_allclose(done[..., 0], (rain - rain.mean()) / rain.std(), atol=1e-4)
    np.testing.assert_allclose(done[..., 1], values[..., 1] * 2, rtol=1e-6)
    np.testing.assert_allclose(done[..., 2], (values[..., 2] - values[..., 2].mean()) / values[..., 2].std(), atol=1e-4)
    np.testing.assert_allclose(fitted.invert(done), values, rtol=1e-4, atol=1e-4)
    again = Transform.from_state(json.loads(json.dumps(fitted.state())))
    np.testing.assert_array_equal(again.apply(values), done)
    with pytest.raises(StepError, match="log1p needs values above -1, found -2"):
        fitted.apply(np.full((1, 1, 1, 3), -2, np.float32))


def test_a_pixel_that_training_never_saw_stays_missing() -> None:
    values = np.ones((6, 2, 2, 1), np.float32)
    values[:, 0, 0] = np.nan
    slots = np.arange(6)
    fitted = fit([transform({"name": "anomaly", "period": 2})], lambda: iter([(values, FrameContext(slots))]), 1)
    done = fitted.apply(np.full_like(values, 3), FrameContext(slots))
    assert np.isnan(done[:, 0, 0]).all()
    assert (done[:, 1, 1] == 2).all()
