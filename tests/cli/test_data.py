from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from specbuild.cli import main

SPEC = """\
specbuild: 1
name: tiny
inputs: {x: [2, 8, 8, 1]}
layers: [{id: y, layer: Conv3D, filters: 1, kernel_size: 3, padding: same}]
data:
  source: {path: rain.npz, key: rain, time: time, layout: T H W}
  variable: rain
  units: mm/h
  missing: -1
  windows: {past: 2, future: 2}
  split: {train: 0.6, test: 0.4}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    frames = np.arange(20, dtype=np.float32)[:, None, None] * np.ones((8, 8), np.float32)
    frames[0, :4] = -1
    times = np.datetime64("2020-01-01T00:00") + np.arange(20) * np.timedelta64(10, "m")
    np.savez(tmp_path / "rain.npz", rain=frames, time=times)
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path / "spec.yaml"


def test_infinite_values_are_noted(spec: Path) -> None:
    with np.load(spec.parent / "rain.npz") as file:
        rain, times = file["rain"], file["time"]
    rain[3, :2, 0] = np.inf
    np.savez(spec.parent / "rain.npz", rain=rain, time=times)
    note = "infinite values count as missing; found in frame 3 (2020-01-01 00:30) of rain.npz:rain"
    assert f"\nnote: {note}\n" in run(spec).output
    rain[15, 0, 0] = -np.inf
    np.savez(spec.parent / "rain.npz", rain=rain, time=times)
    first = "2 frames, the first of which is frame 3 (2020-01-01 00:30) of rain.npz:rain"
    (told,) = json.loads(run(spec, "--format", "json").output)["notes"]
    assert told == f"infinite values count as missing; found in {first}"
    assert "note: " not in run(spec, "--set", "data.missing=[.inf, -.inf]").output


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


def test_it_shows_frames_windows_and_values_of_each_split(spec: Path) -> None:
    assert run(spec).output == (
        "rain.npz:rain: rain (mm/h), float32 in the file\n"
        "20 frames of 8 × 8, 10 min apart; 1 channel: rain\n"
        "\n"
        "split   frames   windows   first              last               missing   min    mean   max    std\n"
        "───────────────────────────────────────────────────────────────────────────────────────────────────\n"
        "train       10         7   2020-01-01         2020-01-01 01:30     5.0 %     0   4.737     9   2.75\n"
        "test         7         4   2020-01-01 02:10   2020-01-01 03:10         0    13      16    19      2\n"
        "\n"
        "values from 0 to 19, bars by the logarithm of their number:\n"
        "  train  |▇███ ████ ██            |\n"
        "  test   |                ███ ████|\n"
        "3 frames lie in no split: the embargo, and what the splits leave over\n"
    )


def test_json_has_every_number(spec: Path) -> None:
    found = json.loads(run(spec, "--format", "json").output)
    assert found["lengths"] == [20]
    assert found["step"] == "10 min"
    assert found["edges"] == [0.0, 19.0]
    train = found["splits"][0]
    assert (train["windows"], train["frames"], train["stretches"]) == (7, 10, [{"event": 0, "frames": [0, 10]}])
    assert train["values"]["missing"] == pytest.approx(32 / 640)
    assert sum(train["values"]["histogram"]) == 640 - 32
    known = np.concatenate([np.zeros(32), *(np.full(64, number) for number in range(1, 10))])
    assert train["values"]["mean"] == pytest.approx(known.mean())
    assert train["values"]["std"] == pytest.approx(known.std())


def test_large_data_is_sampled_and_says_so(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specbuild.data.survey.SAMPLE", 4 * 64)
    said = "values of train are those of 4 of its 10 frames, evenly spread; --all looks at all"
    assert said in run(spec).output
    assert said not in run(spec, "--all").output


def test_a_sample_is_drawn(spec: Path, tmp_path: Path) -> None:
    for kind in ("png", "gif"):
        result = run(spec, "--output", tmp_path / f"sample.{kind}")
        assert f"a training window is drawn in {tmp_path}/sample.{kind}" in result.output
        with Image.open(tmp_path / f"sample.{kind}") as picture:
            assert picture.format == kind.upper()
    assert run(spec, "--output", tmp_path / "sample.csv").exit_code == 1


def test_an_input_that_does_not_fit_the_frames_is_a_warning(spec: Path) -> None:
    assert "warning" not in run(spec).output
    result = run(spec, "--set", "data.windows.past=3")
    assert result.exit_code == 0
    assert "warning: the model reads 2 frames, the windows have 3 past" in result.stderr
    text = spec.read_text(encoding="utf-8")
    spec.write_text(text.replace("x: [2, 8, 8, 1]", "x: [2, 16, 16, 3]"), encoding="utf-8")
    result = run(spec, "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)["space"]) == (0, [8, 8])
    assert "warning: the model reads frames of 16 × 16, whole frames are 8 × 8" in result.stderr
    assert "warning: x has 3 channels, rain.npz:rain has 1 channel" in result.stderr
    several = text.replace("x: [2, 8, 8, 1]", "x: [2, 16, 16, 3], z: [2, 8, 8, 1]").replace("id: y", "id: y, from: z")
    spec.write_text(several, encoding="utf-8")
    assert "warning" not in run(spec).output


def test_values_that_float32_loses_are_a_warning(spec: Path) -> None:
    np.savez(spec.parent / "rain.npz", rain=1e9 + 1e-3 * np.random.default_rng(0).random((20, 8, 8)))
    result = run(spec, "--set", "data.source.time=null")
    assert result.exit_code == 0
    assert "around 1e+09, which float32 cannot represent" in result.stderr


def test_without_data_it_says_what_to_add(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.split("data:")[0], encoding="utf-8")
    result = run(tmp_path / "spec.yaml")
    assert result.exit_code == 2
    assert "error: the spec has no data section" in result.output


def test_it_loads_no_framework(spec: Path) -> None:
    code = (
        "import sys; from specbuild.cli import main\n"
        f"main(['data', {str(spec)!r}, '--output', {str(spec.with_suffix('.png'))!r}], standalone_mode=False)\n"
        "print([name for name in ('keras', 'tensorflow', 'jax', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
