"""Motion extrapolation as a baseline: on by default where a field moves, causal, and as strong as it is known to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from specbuild.catalog.baselines import BASELINES, by_default
from specbuild.data import Dataset, Window, open_data
from specbuild.document import SpecError
from specbuild.evaluation import pysteps_baselines
from specbuild.evaluation.baselines import RULES, baselines, mean_of
from specbuild.evaluation.distributions import Ensemble
from specbuild.evaluation.scores import check_scoring
from specbuild.language import Spec, load_spec
from tests.data.samples import MRMS, dataset, model, write_spec
from tests.data.test_motion import showers

RADAR = {
    "source": {"path": str(MRMS), "key": "precip_rate_x100", "time": "time", "layout": "T H W"},
    "scale": 0.01,
    "missing": 65535,
}


def forecast_of(data: Dataset, name: str = "extrapolation", number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The forecast of a test window by a baseline, and what was observed."""
    event, start = data.split("test")[number]
    window = data.window(event, start)
    return {one.name: one for one in baselines(data)}[name].forecast(window), window.future


def test_every_baseline_of_the_catalogue_has_a_rule() -> None:
    assert list(RULES) == list(BASELINES)


def test_extrapolation_is_computed_where_a_field_moves() -> None:
    assert by_default(None, plane=True) == ("persistence", "training mean", "extrapolation")
    assert "extrapolation" not in by_default(None, plane=False)
    assert "extrapolation" not in by_default(24, plane=True)


@pytest.mark.parametrize(
    ("starts", "past", "leads", "expected"),
    [
        ((24, 25, 26), 4, range(1, 7), [0.331, 0.434, 0.490, 0.503, 0.509, 0.549]),
        ((18, 19, 20), 1, range(5, 20, 5), [0.553, 0.758, 0.878]),
    ],
    ids=["two minutes apart", "ten minutes apart"],
)
def test_radar_rain_is_nearer_than_optical_flow_is_known_to_come(
    starts: tuple[int, ...], past: int, leads: range, expected: list[float], tmp_path: Path
) -> None:
    """RMSE in mm/h by lead time.

    Farneback's flow with the mean of the last three pairs in log-rain, measured elsewhere, has 0.345, 0.449, 0.516,
    0.526, 0.548 and 0.598; and 0.609, 0.825 and 0.957.
    """
    spec = write_spec(tmp_path, {**RADAR, "split": {"train": 0.5, "test": 0.5}})
    data = open_data(spec, model(spec))
    rule = next(one for one in baselines(data) if one.name == "extrapolation")
    errors = []
    for start in starts:
        read, last = range(start, start + past), start + past - 1
        given = range(last + leads.start, last + leads.stop, leads.step)
        window = Window(data.source.read(0, read), data.source.read(0, given), 0, read, given)
        errors.append(rule.forecast(window) - window.future)
    rmse = np.sqrt(np.nanmean(np.square(errors, dtype=float), axis=(0, 2, 3, 4)))
    np.testing.assert_allclose(rmse, expected, rtol=0.01)


def test_only_frames_before_the_forecast_are_read(tmp_path: Path) -> None:
    frames = showers(20)
    data = dataset(tmp_path, frames, split={"train": [0, 6], "test": [12, 20]})
    forecast, _ = forecast_of(data)
    frames[14:] = 0
    changed, _ = forecast_of(dataset(tmp_path, frames, split={"train": [0, 6], "test": [12, 20]}))
    assert (forecast == changed).all()


def test_a_shower_is_where_it_goes(tmp_path: Path) -> None:
    data = dataset(tmp_path, showers(17, dx=1), split={"train": [0, 5], "test": [9, 17]})
    moved, observed = forecast_of(data)
    still, _ = forecast_of(data, "persistence")
    errors = [float(np.sqrt(np.mean((each - observed) ** 2))) for each in (moved, still)]
    assert errors[0] < 0.15 * errors[1]


def test_every_variable_has_a_motion_of_its_own(tmp_path: Path) -> None:
    both = np.stack([showers(17, dx=1), showers(17, dx=0, dy=0)], axis=-1)
    np.save(tmp_path / "rain.npy", both)
    spec = write_spec(
        tmp_path, {"source": {"path": "rain.npy", "layout": "T H W C"}, "split": {"train": [0, 5], "test": [9, 17]}}
    )
    graph = model(spec, (3, None, None, 2), (2, None, None, 2))
    moved, observed = forecast_of(open_data(spec, graph))
    np.testing.assert_allclose(moved[..., 1], observed[..., 1], atol=1e-3)
    assert np.abs(moved[..., 0] - observed[..., 0]).max() < 1


def test_frames_before_a_gap_have_no_part_in_the_motion(tmp_path: Path) -> None:
    minutes = [*range(0, 45, 5), *range(120, 170, 5)]
    times = np.datetime64("2020-01-01", "s") + np.array(minutes) * np.timedelta64(60, "s")
    np.savez(tmp_path / "rain.npz", rain=showers(len(minutes), dx=1), time=times)
    spec = write_spec(
        tmp_path,
        {
            "source": {"path": "rain.npz", "key": "rain", "time": "time", "layout": "T H W"},
            "windows": {"past": 1, "future": 3},
            "split": {"train": [0, 6], "test": [9, 19]},
        },
    )
    data = open_data(spec, model(spec))
    (first, _), (last, _) = forecast_of(data, number=0), forecast_of(data, "persistence", number=0)
    assert (first == last).all()
    assert not np.allclose(forecast_of(data, number=3)[0], forecast_of(data, "persistence", number=3)[0])


def test_a_spec_chooses_its_baselines(tmp_path: Path) -> None:
    data = dataset(tmp_path, showers(17), split={"train": [0, 5], "test": [9, 17]})
    assert [one.name for one in baselines(data, names=["extrapolation"])] == ["persistence", "extrapolation"]
    assert [one.name for one in baselines(data, names=[])] == ["persistence"]
    assert "extrapolation" in [one.name for one in baselines(data, 4, names=["extrapolation", "climatology"])]


def test_profiles_have_no_extrapolation(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", np.ones((16, 9), np.float32))
    (tmp_path / "spec.yaml").write_text(
        "specbuild: 1\n"
        "inputs: {x: [2, 9, 1]}\n"
        "layers: [{id: forecast, time_distributed: {layer: Conv1D, filters: 1, kernel_size: 1}}]\n"
        "data:\n"
        "  source: {path: rain.npy, layout: T L}\n"
        "  windows: {past: 2, future: 2}\n"
        "  split: {train: 0.5, test: 0.5}\n"
        "evaluate: {baselines: [extrapolation]}\n",
        encoding="utf-8",
    )
    from specbuild import build_graph
    from specbuild.data.samples.opening import open_samples

    graph = build_graph(tmp_path / "spec.yaml")
    data = open_samples(graph.spec, graph)
    assert isinstance(data, Dataset)
    with pytest.raises(SpecError, match="extrapolation needs frames with height and width alone") as error:
        check_scoring(graph.spec, data)
    assert error.value.diagnostics[0].path == "evaluate.baselines.0"


def test_pysteps_needs_its_package_and_rain_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(tmp_path, showers(17), split={"train": [0, 5], "test": [9, 17]}, units="mm/h")
    asked = data_spec(tmp_path, baselines=["pysteps"])
    monkeypatch.setattr(pysteps_baselines, "installed", lambda: False)
    with pytest.raises(SpecError, match="pysteps needs the package pySTEPS") as missing:
        check_scoring(asked, data)
    assert missing.value.diagnostics[0].help == "pip install 'specbuild[pysteps]'"
    without_units = replace(data, section=data.section.model_copy(update={"units": ""}))
    with pytest.raises(SpecError, match=r"pysteps forecasts rain rates in mm/h, rain\.npy has no units"):
        check_scoring(asked, without_units)


@pytest.mark.skipif(not pysteps_baselines.installed(), reason="pySTEPS is not installed")
def test_pysteps_moves_a_shower(tmp_path: Path) -> None:
    data = dataset(tmp_path, showers(17, dx=1), split={"train": [0, 5], "test": [9, 17]}, interval="5 min")
    made = {one.name: one for one in baselines(data, names=["pysteps", "pysteps ensemble"])}
    rules = {name: one.forecast for name, one in made.items()}
    window = data.window(*data.split("test")[0])
    inner = (slice(None), slice(8, -8), slice(8, -8))
    errors = {name: float(np.nanmean(np.abs(rule(window) - window.future)[inner])) for name, rule in rules.items()}
    assert errors["pysteps"] < 0.25 * errors["persistence"]
    np.testing.assert_array_equal(*(rules["pysteps ensemble"](window) for _ in range(2)))
    assert errors["pysteps ensemble"] < 2 * errors["persistence"]
    members = made["pysteps ensemble"].members
    assert members is not None
    drawn = members(window)
    assert drawn.shape == (20, *window.future.shape)
    np.testing.assert_allclose(mean_of(drawn), rules["pysteps ensemble"](window), atol=1e-5)
    assert np.nanmean(Ensemble(drawn).crps(window.future)[inner]) < errors["pysteps ensemble"]


def data_spec(folder: Path, **evaluate: object) -> Spec:
    """The spec in a folder with a section `evaluate`."""
    path = folder / "spec.yaml"
    path.write_text(path.read_text("utf-8") + yaml.safe_dump({"evaluate": evaluate}), "utf-8")
    return load_spec(path)
