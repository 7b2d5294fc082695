from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from specbuild.data.sources.base import Coordinate, FrameMetadata
from specbuild.pictures import ColourScale, Scene, draw_animation, draw_strip
from specbuild.pictures.drawing import _Colours, _spread
from specbuild.pictures.plane import Plane
from specbuild.pictures.scene import _written
from specbuild.training.history import draw_history

RAIN = np.abs(np.random.default_rng(0).normal(size=(9, 10, 14))) * (np.arange(14) > 11)
SCENE = Scene(
    past=RAIN[:3],
    truth=RAIN[3:],
    forecast=RAIN[2:8],
    baseline=np.repeat(RAIN[2:3], 6, axis=0),
    past_labels=("-10 min", "-5 min", "0 min"),
    lead_labels=tuple(f"+{5 * lead} min" for lead in range(1, 7)),
    variable="rain rate",
    units="mm/h",
    title="a test",
)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_the_strip_is_the_same_file_every_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_strip(SCENE, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert pixels(tmp_path / "a.png").std() > 10


def test_missing_pixels_are_grey(tmp_path: Path) -> None:
    draw_strip(SCENE, tmp_path / "full.png")
    past = SCENE.past.copy()
    past[:, :5] = np.nan
    draw_strip(replace(SCENE, past=past), tmp_path / "missing.png")
    grey = (0x9A, 0x9A, 0x9A)
    assert (pixels(tmp_path / "full.png") == grey).all(-1).sum() < 100
    assert (pixels(tmp_path / "missing.png") == grey).all(-1).sum() > 10_000


def test_a_forecast_without_a_truth_is_drawn(tmp_path: Path) -> None:
    alone = replace(SCENE, truth=None, baseline=None)
    assert list(alone.futures) == ["forecast"]
    draw_strip(alone, tmp_path / "alone.png")
    draw_animation(alone, tmp_path / "alone.gif")
    assert pixels(tmp_path / "alone.png").shape[0] < 500


def test_the_animation_shows_every_frame_and_pauses_at_the_end(tmp_path: Path) -> None:
    draw_animation(SCENE, tmp_path / "forecast.gif")
    with Image.open(tmp_path / "forecast.gif") as animation:
        assert animation.n_frames == 9
        assert animation.info["loop"] == 0
        durations = []
        for frame in range(animation.n_frames):
            animation.seek(frame)
            durations.append(animation.info["duration"])
    assert durations == [450] * 8 + [1350]


@pytest.mark.parametrize("missing", [False, True])
def test_a_field_without_contrast_is_drawn(missing: bool, tmp_path: Path) -> None:
    flat = np.full((2, 4, 4), np.nan if missing else 3.0)
    draw_strip(Scene(flat, flat, ("-1", "0"), ("+1", "+2"), truth=flat), tmp_path / "flat.png")
    assert (tmp_path / "flat.png").read_bytes().startswith(b"\x89PNG")


def test_rain_gets_a_scale_for_rain_and_temperature_an_even_one() -> None:
    assert type(_Colours.of(SCENE).norm).__name__ == "PowerNorm"
    warm = replace(SCENE, past=SCENE.past + 280, truth=None, forecast=SCENE.forecast + 280)
    assert type(_Colours.of(warm).norm).__name__ == "Normalize"


@pytest.mark.parametrize(("low", "high", "extend"), [(0, 1, "neither"), (-2, 1, "min"), (0, 9, "max"), (-2, 9, "both")])
def test_arrows_show_what_lies_outside_the_scale(low: float, high: float, extend: str) -> None:
    forecast = np.zeros_like(SCENE.forecast)
    forecast[0, 0, :2] = low, high
    even = np.broadcast_to(np.linspace(0, 1, 14), SCENE.past.shape)
    scene = replace(SCENE, past=even, truth=None, baseline=None, forecast=forecast)
    assert _Colours.of(replace(scene, scale=ColourScale(0, 1, False))).extend == extend


def test_a_wild_forecast_does_not_change_the_scale() -> None:
    wild = replace(SCENE, forecast=SCENE.forecast * 1e6)
    assert _Colours.of(wild).norm.vmax == _Colours.of(SCENE).norm.vmax


@pytest.mark.parametrize(("count", "shown"), [(3, [0, 1, 2]), (8, list(range(8))), (20, [0, 3, 5, 8, 11, 14, 16, 19])])
def test_a_long_forecast_is_shown_by_evenly_spaced_frames(count: int, shown: list[int]) -> None:
    assert _spread(count, 8) == shown


def test_the_loss_is_drawn_with_and_without_validation(tmp_path: Path) -> None:
    rows = [{"epoch": float(epoch), "loss": 100.0 / epoch**3, "val_loss": 2.0} for epoch in range(1, 6)]
    draw_history(rows, tmp_path / "both.png", best=3)
    draw_history([{"epoch": 1.0, "loss": 0.0}], tmp_path / "one.png")
    assert pixels(tmp_path / "both.png").std() > 10


def map_of(y: np.ndarray, x: np.ndarray, y_units: str = "degrees_north", x_units: str = "degrees_east") -> Plane | None:
    names = ("lat", "lon") if "deg" in y_units else ("y", "x")
    coordinates = {"H": Coordinate(names[0], y, y_units), "W": Coordinate(names[1], x, x_units)}
    return Plane.of(FrameMetadata("x.nc", ("T", "H", "W"), coordinates=coordinates), len(y), len(x))


def test_a_map_is_north_up_and_east_to_the_right_in_whatever_order_it_is_stored(tmp_path: Path) -> None:
    y, x = np.linspace(50, 52, 10), np.linspace(3, 6, 14)
    stored = {
        "a": (slice(None, None, -1), slice(None)),
        "b": (slice(None), slice(None)),
        "c": (slice(None), slice(None, None, -1)),
    }
    for name, (rows, columns) in stored.items():
        frames = {key: getattr(SCENE, key)[:, rows, columns] for key in ("past", "truth", "forecast", "baseline")}
        scene = replace(SCENE, **frames, map=map_of(y[rows], x[columns]))
        draw_strip(scene, tmp_path / f"{name}.png")
        draw_animation(scene, tmp_path / f"{name}.gif")
    for suffix in ("png", "gif"):
        first = (tmp_path / f"a.{suffix}").read_bytes()
        assert all((tmp_path / f"{name}.{suffix}").read_bytes() == first for name in "bc")
    draw_strip(SCENE, tmp_path / "plain.png")
    assert pixels(tmp_path / "plain.png").shape != pixels(tmp_path / "a.png").shape


def test_the_edges_of_a_map_have_coordinates() -> None:
    globe = map_of(np.linspace(-60, 60, 13), np.linspace(0, 330, 12))
    assert globe is not None
    assert globe.y.ticks(4) == ([0.0, 3.0, 6.0, 9.0, 12.0], ["60°S", "30°S", "0°", "30°N", "60°N"])
    assert globe.x.ticks(4)[1] == ["0°", "90°E", "180°", "90°W"]
    assert (globe.aspect, globe.words) == (pytest.approx(130 / 360), "")
    radar = map_of(np.linspace(4e5, 0, 5), np.linspace(0, 2e5, 5), "m", "m")
    assert radar is not None
    assert radar.y.ticks(2) == ([4.0, 2.0, 0.0], ["0", "200", "400"])
    assert radar.x.ticks(2, inside=0.1) == ([2.0], ["100"])
    assert (radar.aspect, radar.words) == (2.0, "x and y in km")
    uk = map_of(np.linspace(49, 59, 11), np.linspace(-8, 2, 11))
    assert uk is not None
    assert uk.aspect == pytest.approx(1 / np.cos(np.radians(54)))
    assert map_of(np.arange(5.0), np.arange(5.0), "", "") is None  # counts rows: the first is on top
    assert map_of(np.array([50.0, 52, 51]), np.arange(3.0)) is None


def test_times_are_written_in_few_letters() -> None:
    def written(first: str, count: int, unit: str) -> tuple[str, ...]:
        times = (np.datetime64(first) + np.arange(4) * np.timedelta64(count, unit)).astype("datetime64[s]")
        return _written(times[:2], times[2:])

    assert written("2020-02-28T23:50", 5, "m") == ("23:50", "23:55")
    assert written("2020-02-28T12:00", 12, "h") == ("02-28 12:00", "02-29 00:00")
    assert written("2020-02-28", 1, "D") == ("2020-02-28", "2020-02-29")
    assert written("2020-02", 1, "M") == ("2020-02", "2020-03")
