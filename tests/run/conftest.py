"""A tiny forecasting task: blobs of rain that drift over a 12 × 12 grid, and a ConvLSTM that trains in seconds."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from specbuild import report
from specbuild.runs.files import write_text
from specbuild.training import Run, train
from tests.run.report_page import EVIL, copied

SPEC = """\
specbuild: 1
name: tiny nowcast
vars: {past: 3, future: 2}

inputs:
  rain: [$past, 12, 12, 1]

layers:
  - {id: enc, layer: ConvLSTM2D, filters: 3, kernel_size: 3, padding: same, dropout: 0.1}
  - {layer: RepeatFrame, from: enc.last, times: $future}
  - {id: dec, layer: ConvLSTM2D, filters: 3, kernel_size: 3, padding: same, initial_state: enc}
  - {layer: Dropout, rate: 0.1}
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}

data:
  source: {path: blobs.npy, layout: T H W}
  variable: rain rate
  units: mm/h
  interval: 5 min
  windows: {past: $past, future: $future}
  split: {train: 0.6, validation: 0.2, test: 0.2}
  transform: [standardize]

train:
  optimizer: {name: Adam, learning_rate: 0.01}
  loss: mse
  metrics: [mae]
  epochs: 3
  batch_size: 4
  seed: 3
  checkpoints: {keep: 2}

evaluate:
  thresholds: [1, 3]
"""

CONVOLUTION = """\
layers:
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}
"""
"""The layers of a model without recurrence, which is built in no time; it gives as many frames as it reads."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One finished run that many tests look at; none may change it."""
    folder = tmp_path_factory.mktemp("trained")
    np.save(folder / "blobs.npy", blobs())
    (folder / "nowcast.yaml").write_text(SPEC, encoding="utf-8")
    return train(folder / "nowcast.yaml", out=folder / "runs", quiet=True)


@pytest.fixture(scope="session")
def report_file(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of that run."""
    return report(trained.path, tmp_path_factory.mktemp("report") / "one.html", windows=4)


@pytest.fixture(scope="session")
def reports_file(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a copy of that run whose name and variable are hostile, beside the run itself."""
    folder = tmp_path_factory.mktemp("reports")
    copy = copied(trained.path, folder / "copy", name=EVIL)
    spec = (copy / "spec.yaml").read_text("utf-8")
    (copy / "spec.yaml").write_text(spec.replace("variable: rain rate", f"variable: '{EVIL}'"), "utf-8")
    return report([copy, trained.path], folder / "two.html", windows=2)


@pytest.fixture
def drawn() -> None:
    """Marks a test that looks at the pictures of an evaluation."""


@pytest.fixture
def _blank_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures of an evaluation, which take as long as training, are empty files where no test looks at them."""
    if "drawn" in request.fixturenames:
        return
    evaluation = import_module("specbuild.evaluation.evaluate")
    for name in ("draw_scores", "draw_calibration", "draw_strip", "draw_animation"):
        monkeypatch.setattr(evaluation, name, lambda _, path: write_text(path, ""))


@pytest.fixture
def spec(tmp_path: Path, _blank_pictures: None) -> Path:
    """The path of a spec whose data stands beside it."""
    np.save(tmp_path / "blobs.npy", blobs())
    path = tmp_path / "nowcast.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


@pytest.fixture
def plain(spec: Path) -> Path:
    """The same with one convolution for a model, where the test is not about recurrence."""
    text = re.sub(r"layers:\n(  .*\n)+", CONVOLUTION, SPEC).replace("past: 3", "past: 2")
    spec.write_text(text, encoding="utf-8")
    return spec


def blobs(frames: int = 60, size: int = 12) -> np.ndarray:
    """Two blobs that move one pixel per frame and leave the grid to come back on the other side. (T, H, W), mm/h."""
    y, x = np.mgrid[:size, :size]
    found = np.zeros((frames, size, size), np.float32)
    for time in range(frames):
        for centre_y, centre_x, peak in ((3 + time, 4 + 2 * time, 6.0), (8, 2 + time, 3.0)):
            dy = (y - centre_y + size / 2) % size - size / 2
            dx = (x - centre_x + size / 2) % size - size / 2
            found[time] += peak * np.exp(-(dy**2 + dx**2) / 4)
    return found
