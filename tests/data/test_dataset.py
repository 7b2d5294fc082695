"""The opened data: samples, forecasts and baselines, and whether they fit the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild.catalog import Shape
from specbuild.data import open_data
from specbuild.document import RunError, SpecError
from specbuild.evaluation.baselines import baselines
from specbuild.graph.model import Graph, Input, Output, Port
from tests.data.samples import RECORDS, dataset, frames, message, model, write_spec


def test_samples_are_past_and_future_of_one_window(tmp_path: Path) -> None:
    values = np.arange(50, dtype=np.uint8).reshape(50, 1, 1)
    data = dataset(
        tmp_path,
        values,
        windows={"past": 2, "future": 2, "lead": 1, "step": 2},
        split={"train": 0.5, "validation": 0.5},
    )
    x, y, weight = data.sampler("validation", 1, seed=0).batch(0, 0)
    first = data.split("validation")[0][1]
    assert weight is None
    assert x.ravel().tolist() == [first, first + 2]
    assert y.ravel().tolist() == [first + 6, first + 8]
    window = next(data.forecasts("validation"))
    np.testing.assert_array_equal(data.prepare(window.past), x[0])
    np.testing.assert_array_equal(window.future, y[0])


def test_target_next(tmp_path: Path) -> None:
    values = np.arange(50, dtype=np.float32).reshape(50, 1, 1)
    data = dataset(tmp_path, values, windows={"past": 3, "future": 2, "target": "next"})
    x, y, _ = data.sampler("train", 1, seed=0, shuffle=False).batch(0, 0)
    assert (x.ravel().tolist(), y.ravel().tolist()) == ([0, 1, 2], [1, 2, 3, 4])
    np.testing.assert_array_equal(data.restore(y).ravel(), [3, 4])


def test_missing_targets_weigh_nothing(tmp_path: Path) -> None:
    values = frames(40, 2, 2)
    values[::3, 0, 0] = np.nan
    data = dataset(tmp_path, values, transform=["log1p", "standardize"])
    x, y, weight = data.sampler("train", 100, seed=0, shuffle=False).batch(0, 0)
    assert weight is not None
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    first = next(data.forecasts("train"))
    np.testing.assert_array_equal(weight[0] == 0, np.isnan(first.future[..., 0]))
    np.testing.assert_allclose(x[0][np.isnan(first.past)], 0, atol=1e-6)


def test_a_model_without_an_axis_of_time(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", frames(20, 4, 4))
    spec = write_spec(tmp_path, {"windows": {"past": 1, "future": 1}, "split": {"train": 1}})
    data = open_data(spec, model(spec, given=(4, 4, 1), read=(4, 4, 1)))
    x, y, weight = data.sampler("train", 3, seed=0).batch(0, 0)
    assert weight is not None
    assert (x.shape, y.shape, weight.shape) == ((3, 4, 4, 1), (3, 4, 4, 1), (3, 4, 4))
    window = next(data.forecasts("train"))
    np.testing.assert_array_equal(data.forecast(window.past, lambda tiles: tiles), window.past)


def test_forecast_tiles_the_whole_frame(tmp_path: Path) -> None:
    data = dataset(
        tmp_path, frames(40, 10, 13), crop=[4, 6], transform=["log1p", "standardize"], windows={"past": 2, "future": 2}
    )
    seen: list[Shape] = []

    def copy(tiles: np.ndarray) -> np.ndarray:
        seen.append(tiles.shape)
        return tiles

    window = next(data.forecasts("test"))
    np.testing.assert_allclose(data.forecast(window.past, copy), window.past, rtol=1e-5, atol=1e-5)
    assert seen == [(9, 2, 4, 6, 1)]


def test_saved_statistics_are_used_as_they_are(tmp_path: Path) -> None:
    data = dataset(tmp_path, frames(40, 3, 3), transform=["standardize"])
    np.save(tmp_path / "rain.npy", frames(40, 3, 3) * 100)
    spec = write_spec(tmp_path, {"transform": ["standardize"]})
    again = open_data(spec, model(spec), transform=data.transform.state())
    assert again.transform == data.transform


def test_lead_labels_and_times(tmp_path: Path) -> None:
    np.savez(tmp_path / "rain.npz", rain=frames(40, 2, 2), time=np.arange(40) * 300)
    source = {"path": "rain.npz", "key": "rain", "layout": "T H W", "time": "time"}
    spec = write_spec(tmp_path, {"source": source, "interval": "5 min"})
    data = open_data(spec, model(spec))
    assert data.lead_labels == ("+5 min", "+10 min", "+15 min")
    window = next(data.forecasts("train"))
    times = data.source.times(window.event)
    assert times is not None
    future = [str(time) for time in times[window.future_frames]]
    assert future == [f"1970-01-01T00:{minute}:00" for minute in (10, 15, 20)]


def test_unknown_split(tmp_path: Path) -> None:
    data = dataset(tmp_path, frames(40, 2, 2), split={"train": 0.5, "test": 0.5})
    with pytest.raises(RunError, match="the data has no validation split"):
        data.sampler("validation", 1, 0)


def test_a_spec_without_data(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", frames(40, 2, 2))
    spec = write_spec(tmp_path, {})
    object.__setattr__(spec, "data", None)
    with pytest.raises(SpecError, match="the spec has no data section"):
        open_data(spec, Graph("test", (), (), (), spec))


REFUSED: list[tuple[dict[str, Any], Shape, Shape, list[str]]] = [
    (
        {},
        (4, 8, 8, 1),
        (3, 8, 8, 1),
        [
            "data.windows.past | the model reads 4 frames, the windows have 2 past | "
            "set data.windows.past: 4, or write rain: [2, 8, 8, 1]"
        ],
    ),
    (
        {},
        (2, 4, 4, 1),
        (3, 4, 4, 1),
        [
            "data.crop | the model reads frames of 4 × 4, whole frames are 8 × 8 | "
            "set data.crop: [4, 4], or write rain: [2, 8, 8, 1]",
        ],
    ),
    (
        {},
        (2, 8, 8, 1),
        (3, 4, 4, 1),
        [
            "outputs | the output forecast has frames of 4 × 4, its target has 8 × 8 | keep the size in every layer "
            "(padding: same), and undo each stride",
        ],
    ),
    (
        {"crop": 9},
        (2, 9, 9, 1),
        (3, 9, 9, 1),
        ["data.crop | the crop 9 × 9 is larger than the frames of rain.npy, 8 × 8"],
    ),
    (
        {},
        (2, None, None, 3),
        (6, None, None, 2),
        [
            "inputs.rain | rain has 3 channels, rain.npy has 1 channel | write rain: [2, null, null, 1]",
            "data.windows.future | the output forecast has 6 frames, the windows have 3 future | set "
            "data.windows.future: 6, or make the model give 3",
            "outputs | the output forecast has 2 channels, its target has 1 channel | end the model with filters: 1",
        ],
    ),
    (
        {"windows": {"past": 2, "future": 1, "target": "next"}},
        (2, 8, 8, 1),
        (4, 8, 8, 1),
        [
            "data.windows.future | the output forecast has 4 frames, with target: next it needs "
            "past 2 + future 1 - 1 = 2 | set data.windows.future: 3, or make the model give 2"
        ],
    ),
    (
        {},
        (8, 8, 1),
        (8, 8, 1),
        [
            "inputs.rain | rain has 3 axes, the data gives 4 | rain is 8 × 8 × 1; "
            "a sample is 2 × 8 × 8 × 1 (past frames, space, channels) | write rain: [2, 8, 8, 1]",
            "outputs | the output forecast has 3 axes, its target has 4 | forecast is 8 × 8 × 1; "
            "the target is 3 × 8 × 8 × 1 (frames, space, channels) | "
            "end the model with one frame for each that it forecasts",
        ],
    ),
]


@pytest.mark.parametrize(("data", "read", "given", "expected"), REFUSED)
def test_refused(tmp_path: Path, data: dict[str, Any], read: Shape, given: Shape, expected: list[str]) -> None:
    np.save(tmp_path / "rain.npy", frames(40, 8, 8))
    spec = write_spec(tmp_path, data)
    with pytest.raises(SpecError) as caught:
        open_data(spec, model(spec, given, read))
    assert message(caught.value).splitlines() == expected


def test_data_feeds_one_input(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", frames(40, 8, 8))
    spec = write_spec(tmp_path, {})
    inputs = tuple(Input(name, (2, 8, 8, 1), "float32", None) for name in ("rain", "wind"))
    output = Output("forecast", Port("forecast"), (3, 8, 8, 1))
    with pytest.raises(SpecError, match="data feeds one input, the model has 2: rain, wind"):
        open_data(spec, Graph("test", inputs, (), (output,), spec))
    with pytest.raises(SpecError, match="data has one target, the model has 2 outputs: forecast, forecast"):
        open_data(spec, Graph("test", inputs[:1], (), (output, output), spec))


def test_baselines_by_hand(tmp_path: Path) -> None:
    """A cycle of four frames on a slope of one per frame."""
    values = np.arange(60, dtype=np.float32) + np.tile([0, 10, 20, 30], 15).astype(np.float32)
    data = dataset(
        tmp_path, values.reshape(60, 1, 1), windows={"past": 2, "future": 5}, split={"train": [0, 20], "test": [40, 60]}
    )
    window = next(data.forecasts("test"))
    assert window.past.ravel().tolist() == [40, 51]
    found = {one.name: one.forecast(window).ravel().tolist() for one in baselines(data, 4)}
    cycle = [8, 19, 30, 41]
    assert found == {
        "persistence": [51] * 5,
        "training mean": [24.5] * 5,
        "climatology": [cycle[phase] for phase in (2, 3, 0, 1, 2)],
        "same phase": [58, 69, 40, 51, 58],
        "anomaly persistence": [51 - 19 + cycle[phase] for phase in (2, 3, 0, 1, 2)],
    }


def test_same_phase_before_the_record_is_missing(tmp_path: Path) -> None:
    data = dataset(tmp_path, frames(40, 1, 1), split={"train": 1})
    same = next(one for one in baselines(data, 10) if one.name == "same phase")
    assert np.isnan(same.forecast(next(data.forecasts("train")))).all()


@pytest.mark.parametrize(
    ("lead", "first", "expected"),
    [
        (1, "2018-12", (1.09, 0.53, 0.38)),
        (3, "2018-10", (2.79, 0.53, 0.57)),
        (6, "2018-07", (3.80, 0.53, 0.64)),
        (12, "2018-01", (0.65, 0.54, 0.65)),
    ],
)
def test_sea_surface_temperature_baselines(tmp_path: Path, lead: int, first: str, expected: tuple[float, ...]) -> None:
    """RMSE in K of 2019-01 … 2020-08, climatology of 2010 … 2017; of 2010 … 2016 where the embargo takes a year."""
    source = {"path": str(RECORDS / "sst.mnmean.nc"), "layout": {"T": "time", "H": "lat", "W": "lon"}}
    windows = {"past": 1, "future": 1, "lead": lead - 1}
    split = {"train": ["2010-01", "2017-12"], "test": [first, "2020-08"]}
    spec = write_spec(tmp_path, {"source": source, "windows": windows, "split": split})
    data = open_data(spec, model(spec))
    windows_of_test = list(data.forecasts("test"))
    assert len(windows_of_test) == 20
    found = {}
    for baseline in baselines(data, 12):
        errors = np.concatenate([baseline.forecast(window) - window.future for window in windows_of_test])
        found[baseline.name] = float(np.sqrt(np.nanmean(np.square(errors, dtype=float))))
    assert [round(found[name], 2) for name in ("persistence", "climatology", "anomaly persistence")] == list(expected)
