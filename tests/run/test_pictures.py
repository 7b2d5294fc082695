from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from specbuild.pictures import ColourScale, Scene, draw_animation, draw_strip
from specbuild.pictures.drawing import _Colours, _spread
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
