"""Samples of every combination of packing, gaps, missing values, transforms, mask and crop, computed a second time.

The second computation is written from the documentation alone, frame by frame and in double precision, with xarray.
"""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuild.data import Dataset, open_data
from specbuild.data.climatology import Climatology
from specbuild.document import SpecError
from tests.data.samples import model, write_spec

START = np.datetime64("2019-03-01T00", "s")


def write_record(folder: Path, seed: int, *, gaps: list[int], missing: float, south: bool) -> None:
    """Fifty hourly frames of packed rain and of temperature, on a grid of 4 × 5; the hours of the gaps are left out."""
    random = np.random.default_rng(seed)
    hours = np.delete(np.arange(50 + len(gaps)), gaps)
    lat = np.linspace(50, 53, 4)[:: -1 if south else 1]
    rain = random.gamma(1.0, 3.0, (50, 4, 5))
    rain[random.random(rain.shape) < missing] = np.nan
    if missing:
        rain[20] = np.nan
    warm = 280 + 10 * np.sin(hours / 6 * 2 * np.pi)[:, None, None] + random.normal(size=rain.shape)
    warm[random.random(rain.shape) < missing / 2] = np.nan
    axes = ("time", "lat", "lon")
    data = {"rain": (axes, rain, {"units": "mm"}), "warm": (axes, warm, {"units": "K"})}
    grid = xr.Dataset(data, {"time": START + hours * np.timedelta64(1, "h"), "lat": lat, "lon": np.arange(5.0)})
    encoding = {
        "rain": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 0.5, "_FillValue": -32768},
        "warm": {"dtype": "f8"},
        "time": {"units": "hours since 2019-01-01"},
    }
    grid.to_netcdf(folder / "a.nc", engine="netcdf4", encoding=encoding)


class Naive:
    """The samples of a data section, by the documentation."""

    def __init__(self, folder: Path, data: dict[str, Any], train: list[int]) -> None:
        self.data, self.windows = data, {"step": 1, "lead": 0, "stride": 1, **data["windows"]}
        with xr.open_dataset(folder / "a.nc", engine="netcdf4") as grid:
            names = data["source"].get("variables") or [data["source"]["key"]]
            for name, (low, high) in data["source"].get("region", {}).items():
                grid = grid.isel({name: np.flatnonzero((grid[name] >= low) & (grid[name] <= high))})
            self.frames = np.stack([grid[name].values for name in names], axis=-1).astype(np.float64)
            self.frames = self.coarse(self.frames)
            self.hours = ((grid.time.values - grid.time.values[0]) / np.timedelta64(1, "h")).round().astype(int)
        self.fit(self.frames[train], self.hours[train], names)

    def coarse(self, frames: np.ndarray) -> np.ndarray:
        """Boxes of pixels, one by one: of their known values, where at least half are."""
        coarsen = self.data["source"].get("coarsen")
        if coarsen is None:
            return frames
        (high, wide), method = coarsen["factor"], coarsen["method"]
        coarse = np.full((len(frames), frames.shape[1] // high, frames.shape[2] // wide, frames.shape[3]), np.nan)
        for t, i, j, c in np.ndindex(coarse.shape):
            box = frames[t, i * high : (i + 1) * high, j * wide : (j + 1) * wide, c]
            known = box[~np.isnan(box)]
            if 2 * known.size >= box.size:
                values = {"mean": known.mean(), "max": known.max(), "sum": known.mean() * box.size}
                coarse[t, i, j, c] = values[method]
        return coarse

    def fit(self, frames: np.ndarray, hours: np.ndarray, names: list[str]) -> None:
        self.steps: list[tuple[str, np.ndarray, tuple[Any, ...]]] = []
        for entry in self.data.get("transform", []):
            step = {"name": entry} if isinstance(entry, str) else entry
            chosen = np.isin(names, step.get("channels", names))
            each = frames.reshape(-1, frames.shape[-1])
            numbers: tuple[Any, ...] = ()
            if step["name"] == "standardize":
                numbers = np.nanmean(each, axis=0), np.nanstd(each, axis=0)
            elif step["name"] == "minmax":
                numbers = np.nanmin(each, axis=0), np.nanmax(each, axis=0)
            elif step["name"] == "clip":
                numbers = (step["min"],)
            elif step["name"] == "scale":
                numbers = (step["factor"], step["offset"])
            elif step["name"] == "anomaly":
                with np.errstate(invalid="ignore"):
                    cycle = [frames[hours % step["period"] == phase] for phase in range(step["period"])]
                    known = [(~np.isnan(part)).sum(axis=0) for part in cycle]
                    means = [np.nansum(part, axis=0) / count for part, count in zip(cycle, known, strict=True)]
                numbers = (np.stack(means),)
            self.steps.append((step["name"], chosen, numbers))
            frames = self.apply(frames, hours, self.steps[-1:])
        fill = self.data.get("fill")
        if fill is None:
            self.fill = np.nanmean(frames.reshape(-1, frames.shape[-1]), axis=0)
        else:
            self.fill = self.apply(np.full((1, 1, 1, len(names)), fill), hours[:1], self.steps)[0, 0, 0]

    def apply(self, frames: np.ndarray, hours: np.ndarray, steps: list[Any]) -> np.ndarray:
        for name, chosen, numbers in steps:
            changed = {
                "standardize": lambda x, mean, std: (x - mean) / std,
                "minmax": lambda x, least, greatest: (x - least) / (greatest - least),
                "log1p": np.log1p,
                "clip": np.maximum,
                "scale": lambda x, factor, offset: x * factor + offset,
                "anomaly": lambda x, means, hours=hours: x - means[hours % len(means)],
            }[name](frames, *numbers)
            frames = np.where(chosen, changed, frames)
        return frames

    def starts(self, first: int, stop: int) -> list[int]:
        """The first frames of the windows in a range: from each gap on, every `stride` frames."""
        w = self.windows
        span = (w["past"] + w["lead"] + w["future"] - 1) * w["step"] + 1
        breaks = [first, *(t for t in range(first + 1, stop) if self.hours[t] - self.hours[t - 1] > 1), stop]
        return [t for low, high in pairwise(breaks) for t in range(low, high - span + 1, w["stride"])]

    def sample(self, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        w = self.windows
        past = [start + i * w["step"] for i in range(w["past"])]
        future = [start + (w["past"] + w["lead"] + i) * w["step"] for i in range(w["future"])]
        x, y = (self.apply(self.frames[part], self.hours[part], self.steps) for part in (past, future))
        given = np.where(np.isnan(x), self.fill, x)
        if self.data.get("mask"):
            given = np.concatenate([given, ~np.isnan(x).any(axis=-1, keepdims=True)], axis=-1)
        weight = (~np.isnan(y).any(axis=-1)).astype(float)
        if np.isnan(self.frames[past]).all() or np.isnan(self.frames[future]).all():
            weight[:] = 0
        return given, np.where(np.isnan(y), self.fill, y), weight


TRANSFORMS = [
    [],
    ["standardize"],
    ["minmax"],
    [{"name": "clip", "min": 0}, "log1p", "standardize"],
    [{"name": "scale", "factor": -2, "offset": 3}],
    [{"name": "anomaly", "period": 6}, "standardize"],
    [{"name": "scale", "factor": 0.5, "offset": 1}, {"name": "anomaly", "period": 3}, {"name": "clip", "min": -0.5}],
]


@st.composite
def sections(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """How a record is written, and the data section that reads it."""
    both = draw(st.booleans())
    record = {
        "gaps": sorted(draw(st.sets(st.integers(2, 48), max_size=2))),
        "missing": draw(st.sampled_from([0, 0.02, 0.4])),
        "south": draw(st.booleans()),
        "seed": draw(st.integers(0, 3)),
    }
    source: dict[str, Any] = {"path": "a.nc", "layout": {"T": "time", "H": "lat", "W": "lon"}}
    source |= {"variables": ["warm", "rain"]} if both else {"key": "rain"}
    if draw(st.booleans()):
        source["region"] = {"lat": [50.5, 53], "lon": draw(st.sampled_from([[0, 4], [1, 3]]))}
    if draw(st.booleans()):
        factor = draw(st.sampled_from([[2, 2], [1, 2], [3, 1]]))
        source["coarsen"] = {"factor": factor, "method": draw(st.sampled_from(["mean", "max", "sum"]))}
    transform = draw(st.sampled_from(TRANSFORMS))
    if both and transform and draw(st.booleans()):
        first = transform[0] if isinstance(transform[0], dict) else {"name": transform[0]}
        transform = [{**first, "channels": [draw(st.sampled_from(["warm", "rain"]))]}, *transform[1:]]
    windows = {
        "past": draw(st.integers(1, 3)),
        "future": draw(st.integers(1, 2)),
        "step": draw(st.integers(1, 2)),
        "lead": draw(st.integers(0, 1)),
        "stride": draw(st.integers(1, 2)),
    }
    data: dict[str, Any] = {"source": source, "windows": windows, "transform": transform, "mask": draw(st.booleans())}
    if not any(isinstance(step, dict) and step["name"] == "anomaly" for step in transform) and draw(st.booleans()):
        data["fill"] = draw(st.sampled_from([0, 2.5]))
    return record, data


def opened(folder: Path, data: dict[str, Any]) -> Dataset | None:
    """The opened data; None where too few frames are left, or no phase of a cycle has one."""
    w, channels = data["windows"], len(data["source"].get("variables", "x"))
    shape = (None, None, channels)
    spec = write_spec(folder, data)
    graph = model(spec, (w["future"], *shape), (w["past"], None, None, channels + int(data.get("mask", False))))
    try:
        return open_data(spec, graph)
    except SpecError as error:
        if any("no window fits" in one.message or "has phase" in one.message for one in error.diagnostics):
            return None
        raise


@given(sections(), st.booleans())
@settings(max_examples=60)
def test_samples_are_those_of_a_naive_computation(drawn: tuple[dict[str, Any], dict[str, Any]], shares: bool) -> None:
    record, data = drawn
    w = data["windows"]
    reach = (w["past"] + w["lead"] + w["future"] - 1) * w["step"]
    if shares:
        usable = 50 - reach
        middle = int(0.6 * usable + 0.5)
        parts = {"train": (0, middle), "test": (middle + reach, 50)}
        split: dict[str, Any] = {"train": 0.6, "test": 0.4}
    else:
        parts = {"train": (3, 27), "test": (27 + reach, 50)}
        split = {name: list(part) for name, part in parts.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_record(folder, **record)
        dataset = opened(folder, {**data, "split": split})
        if dataset is None:
            return
        naive = Naive(folder, data, list(range(*parts["train"])))
        for split_name, part in parts.items():
            starts = naive.starts(*part)
            windows = dataset.splits[split_name]
            assert [windows[number] for number in range(len(windows))] == [(0, start) for start in starts]
            x, y, weight = dataset.sampler(split_name, len(starts), 0, shuffle=False).batch(0, 0)
            wanted = [np.stack(part) for part in zip(*map(naive.sample, starts), strict=True)]
            np.testing.assert_allclose(x, wanted[0], rtol=2e-4, atol=2e-4)
            np.testing.assert_allclose(y, wanted[1], rtol=2e-4, atol=2e-4)
            np.testing.assert_array_equal(np.ones(wanted[2].shape) if weight is None else weight, wanted[2])
        _check_whole_frames(dataset, naive)
        _check_climatology(dataset, naive, parts["train"])


def _check_whole_frames(dataset: Dataset, naive: Naive) -> None:
    """A model that repeats what it reads last forecasts that, in physical units and at the phase of its own time."""
    data, w = naive.data, naive.windows
    channels = naive.frames.shape[-1]
    for window in list(dataset.forecasts("test"))[:3]:
        at = (window.event, window.start)

        def repeat(x: np.ndarray) -> np.ndarray:
            return np.repeat(x[:, -1:, ..., :channels], w["future"], axis=1)

        forecast = dataset.forecast(window.past, repeat, at)
        given = naive.sample(window.start)[0][-1][..., :channels]
        physical = np.stack([given] * w["future"])
        hours = naive.hours[window.past_frames[0]] + (np.array(window.future_frames) - window.past_frames[0])
        for name, chosen, numbers in reversed(naive.steps):
            restored = {
                "standardize": lambda y, mean, std: y * std + mean,
                "minmax": lambda y, least, greatest: y * (greatest - least) + least,
                "log1p": np.expm1,
                "clip": np.maximum,
                "scale": lambda y, factor, offset: (y - offset) / factor,
                "anomaly": lambda y, means, hours=hours: y + means[hours % len(means)],
            }[name](physical, *numbers)
            physical = np.where(chosen, restored, physical)
        np.testing.assert_allclose(forecast, physical, rtol=1e-3, atol=2e-3)
        assert data["windows"]["past"] == len(window.past)


def _check_climatology(dataset: Dataset, naive: Naive, train: tuple[int, int]) -> None:
    frames, hours = naive.frames[slice(*train)], naive.hours[slice(*train)]
    means = Climatology.of(dataset, 6).training.means
    for phase in range(6):
        part = frames[hours % 6 == phase]
        count = (~np.isnan(part)).sum(axis=0)
        with np.errstate(invalid="ignore"):
            wanted = np.nansum(part, axis=0) / count
        np.testing.assert_allclose(means[phase], wanted, rtol=1e-5)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
def test_crops_are_parts_of_what_is_read_whole(tmp_path: Path, transform: list[Any]) -> None:
    write_record(tmp_path, 0, gaps=[10], missing=0.1, south=True)
    layout = {"T": "time", "H": "lat", "W": "lon"}
    data = {
        "source": {"path": "a.nc", "layout": layout, "variables": ["warm", "rain"]},
        "windows": {"past": 2, "future": 2},
        "split": {"train": [0, 30], "test": [33, 50]},
        "transform": transform,
        "mask": True,
    }
    whole, crops = opened(tmp_path, data), opened(tmp_path, {**data, "crop": [3, 2]})
    assert whole is not None
    assert crops is not None
    full = whole.sampler("test", 5, 0).batch(0, 0)
    sampler = crops.sampler("test", 5, 0)
    for number in range(5):
        rows, columns = sampler._region(0, number)
        for part, wanted in zip(sampler.batch(0, 0), full, strict=True):
            assert part is not None
            assert wanted is not None
            np.testing.assert_array_equal(part[number], wanted[number][:, rows, columns])

    def repeat(x: np.ndarray) -> np.ndarray:
        return np.repeat(x[:, -1:, ..., :2], 2, axis=1)

    for window in list(whole.forecasts("test"))[:4]:
        at = (window.event, window.start)
        np.testing.assert_allclose(
            crops.forecast(window.past, repeat, at), whole.forecast(window.past, repeat, at), rtol=1e-4, atol=1e-4
        )
