"""The windows of a report, how their frames are drawn, and the line of its splits."""

from __future__ import annotations

import base64
import math
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from specbuild import build_graph, load_spec
from specbuild.data import Dataset, open_data
from specbuild.data.sources.base import Coordinate
from specbuild.evaluation.ensembles import ScoredForecast
from specbuild.pictures import ColourScale
from specbuild.pictures.pixels import Pixels, edge_ticks, shrunk
from specbuild.pictures.plane import Edge, Plane
from specbuild.reporting.browser import Shown, drawn, layers
from specbuild.reporting.timeline import Bar, timeline
from specbuild.reporting.windows import Looker, ScoredWindow, chosen, look_at, spread


def window(number: int, error: float) -> ScoredWindow:
    return ScoredWindow(number, 0, number, f"frame {number}", {"model": error})


def test_windows_are_chosen_best_median_worst_then_evenly() -> None:
    windows = [window(number, error) for number, error in enumerate([5.0, 1.0, math.nan, 3.0, 9.0, 4.0, 2.0], start=1)]
    assert [(w.number, w.why) for w in chosen(windows, 3)] == [(2, "best"), (5, "worst"), (6, "median")]
    five = chosen(windows, 5)
    assert [w.number for w in five] == [1, 2, 5, 6, 7]
    assert [w.why for w in five] == ["evenly spaced", "best", "worst", "median", "evenly spaced"]
    assert [w.why for w in chosen(windows, 1)] == ["worst"]
    assert len(chosen(windows, 40)) == len(windows)
    assert chosen([], 3) == ()
    assert (spread(10, 4), spread(3, 5), spread(9, 1), spread(9, 0)) == ([0, 3, 6, 9], [0, 1, 2], [4], [])


def test_pictures_are_maps_north_up() -> None:
    y, x = np.linspace(50, 53, 4), np.linspace(-2, 0, 3)

    def plane(rows: np.ndarray) -> Plane:
        edges = (
            Edge.of(Coordinate(name, values, units, attributes={"standard_name": name}), len(values))
            for name, values, units in (("latitude", rows, "degrees_north"), ("longitude", x, "degrees_east"))
        )
        first, second = edges
        assert first is not None
        assert second is not None
        return Plane(first, second)

    frame = np.zeros((4, 3), np.float32)
    frame[3, 0] = 1  # in the north-west, where latitudes rise
    frame[0, 2] = np.nan
    pixels = Pixels.of(ColourScale(0, 1, False))

    def decoded(uri: str) -> np.ndarray:
        return np.asarray(Image.open(BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))

    rising = decoded(pixels.png(frame, plane(y)))
    assert rising[0, 0].tolist() == [253, 231, 37]  # the end of viridis
    assert rising[3, 2].tolist() == [154, 154, 154]
    np.testing.assert_array_equal(rising, decoded(pixels.png(frame[::-1], plane(y[::-1]))))
    below, beside = edge_ticks(plane(y), 4, 3)
    assert below[-1].text == "0°"
    assert below[-1].at == pytest.approx(5 / 6)
    assert beside[0].text == "50°N"
    assert beside[0].at == pytest.approx(7 / 8)
    assert plane(y).place(3, 0) == "53°N, 2°W"
    assert pixels.ticks()[0].at == 0
    assert decoded(pixels.bar()).shape == (1, 256, 3)


def test_large_frames_are_averaged_over_boxes() -> None:
    frames = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    frames[0, 0, 0] = np.nan
    frames[0, 2] = np.nan
    np.testing.assert_allclose(shrunk(frames, 2)[0], [[(1 + 4 + 5) / 3, (2 + 3 + 6 + 7) / 4], [np.nan, np.nan]])
    assert shrunk(frames, 1) is frames


def test_bars_that_are_too_thin_to_see_are_widened_and_joined() -> None:
    from specbuild.reporting.timeline import _merged

    assert _merged([(0, 10), (10, 5), (50, 0.001)]) == (Bar(0, 15), Bar(50, 0.25))


# Frames of other kinds, without a model


class Still(Looker):
    """Forecasts that everything stays as it is."""

    def forecast(self, view: Dataset, event: int, start: int) -> ScoredForecast:
        window = view.window(event, start)
        return ScoredForecast(np.repeat(window.past[-1:], len(window.future), axis=0))


def still(folder: Path, values: np.ndarray, layout: str, data: str = "") -> Still:
    """What forecasts the frames of an array, two from two, of as many axes as its layout."""
    np.save(folder / "x.npy", values)
    shape = [2, *values.shape[1:]] if layout.endswith("C") else [2, *values.shape[1:], 1]
    text = f"""\
specbuild: 1
inputs: {{x: {shape}}}
layers: [{{layer: Activation, activation: linear}}]
data:
  source: {{path: x.npy, layout: {layout}}}
  windows: {{past: 2, future: 2}}
  split: {{train: 0.5, test: 0.5}}
{data}"""
    (folder / "spec.yaml").write_text(text, "utf-8")
    spec = load_spec(folder / "spec.yaml")
    return Still(SimpleNamespace(spec=spec, dataset=open_data(spec, build_graph(spec))))  # type: ignore[arg-type]


def shown_of(looker: Still, windows: int = 2, budget: int = 10**7) -> list[dict[str, Any]]:
    """The layers of some windows, as the page reads them."""
    looked = look_at(looker)
    picked = chosen(looked.windows, windows)
    return drawn(layers([Shown(looker)], picked), picked, budget)


def test_frames_along_one_axis_are_one_picture_for_all_lead_times(tmp_path: Path) -> None:
    values = np.sin(np.arange(40)[:, None] / 3 + np.arange(7)).astype(np.float32)
    (layer,) = shown_of(still(tmp_path, values, "T L"))
    assert (layer["kind"], layer["leads"]) == ("section", ["all lead times"])
    assert [text for _, text in layer["y"]] == ["+1", "+2"]
    window = layer["windows"][0]
    image = Image.open(BytesIO(base64.b64decode(window["leads"][0]["images"][0].partition(",")[2])))
    assert image.size == (7, 2)
    assert window["line"]["where"].startswith("at position ")


def test_single_values_have_a_line_and_no_pictures(tmp_path: Path) -> None:
    values = np.sin(np.arange(40) / 3)[:, None].astype(np.float32)
    (layer,) = shown_of(still(tmp_path, values, "T C"))
    assert layer["kind"] == "point"
    window = layer["windows"][0]
    assert (window["leads"], window["line"]["where"]) == ([], "")
    first = int(window["label"].removeprefix("frame "))
    np.testing.assert_allclose(window["line"]["rows"]["observed"], values[first + 1 : first + 3, 0])
    np.testing.assert_allclose(window["line"]["before"], values[first - 1 : first + 1, 0])


def test_of_volumes_the_middle_level_is_shown_and_of_channels_each(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((30, 3, 4, 5), np.float32)
    (layer,) = shown_of(still(tmp_path, values, "T D H W"))
    assert layer["kind"] == "map"
    assert layer["aspect"] == pytest.approx(4 / 5)
    (tmp_path / "channels").mkdir()
    found = shown_of(still(tmp_path / "channels", values[:, :, :, :2], "T H W C"), windows=1)
    assert [layer["label"] for layer in found] == ["value, channel 1", "value, channel 2"]


def test_pictures_are_made_smaller_until_they_fit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((20, 96, 96), np.float32)
    looker = still(tmp_path, values, "T H W")
    (large,), (small,) = shown_of(looker), shown_of(looker, budget=60_000)
    assert (large["boxes"], small["boxes"] > 1) == (1, True)
    images = [uri for window in small["windows"] for lead in window["leads"] for uri in lead["images"]]
    assert sum(map(len, images)) <= 60_000
    errors = [[lead["errors"] for lead in each["windows"][0]["leads"]] for each in (large, small)]
    assert errors[0] == errors[1]  # of all pixels


def test_gaps_and_windows_that_are_left_out_are_on_the_line(tmp_path: Path) -> None:
    times = np.datetime64("2020-01-01T00", "s") + np.arange(40) * np.timedelta64(3600, "s")
    times[20:] += np.timedelta64(10 * 3600, "s")
    values = np.random.default_rng(0).random((40, 3, 3), np.float32)
    values[33:35] = np.nan
    np.savez(tmp_path / "x.npz", value=values, time=times.astype("datetime64[s]").astype(str))
    text = """\
specbuild: 1
inputs: {x: [2, 3, 3, 1]}
layers: [{layer: Activation, activation: linear}]
data:
  source: {path: x.npz, key: value, layout: T H W, time: time}
  windows: {past: 2, future: 2}
  split: {train: 0.5, test: 0.5}
"""
    (tmp_path / "spec.yaml").write_text(text, "utf-8")
    spec = load_spec(tmp_path / "spec.yaml")
    looker = Still(SimpleNamespace(spec=spec, dataset=open_data(spec, build_graph(spec))))  # type: ignore[arg-type]
    looked = look_at(looker)
    assert [start for _, start in looked.left_out] == [31, 33]  # nothing is known of the future, of the past
    assert looked.windows[0].label == "2020-01-02 09:00"
    line = timeline(looker.trained.dataset, looked.left_out)
    assert [row.name for row in line.rows] == ["train", "test", "gaps", "left out"]
    (gap,) = line.rows[2].bars
    assert (gap.left, gap.width) == (pytest.approx(40), pytest.approx(20))
    assert line.rows[3].words == "2 of the windows forecast for this report"
    assert line.ticks == ("2020-01-01 00:00", "2020-01-02 01:00", "2020-01-03 02:00")
