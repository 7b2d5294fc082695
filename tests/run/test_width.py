"""The tables of runs fit a terminal of 80 columns, and show where they cut a name."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from specbuild.cli import main
from specbuild.document.render import text_width
from specbuild.evaluation.classes import ClassScores
from specbuild.training import Run
from specbuild.tuning import Study, TrialResult
from tests.run.test_table import FORECASTS, evaluation

LONG = "a_name_that_is_much_longer_than_any_that_a_person_would_want_to_read_twice"


def printed(*arguments: object) -> list[str]:
    """Return the lines that a verb prints, none of which is too wide."""
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line for line in lines if text_width(line) > 80] == []
    return lines


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def scored(trained: Run, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `evaluate` prints where scores are given to it."""

    def scored_as(result: object) -> list[str]:
        monkeypatch.setattr(import_module("specbuild.evaluation.evaluate"), "evaluate", lambda *_, **__: result)
        return printed("evaluate", trained.path)

    return scored_as


def test_runs(trained: Run, tmp_path: Path) -> None:
    folder = tmp_path / LONG
    folder.mkdir()
    (folder / "checkpoints").mkdir()
    for file in ("run.json", "spec.yaml", "scores.json"):
        shutil.copy(trained.path / file, folder)
    lines = printed("runs", tmp_path)
    assert any(line.startswith(LONG[:30]) for line in lines)
    assert "left out because the terminal is too narrow: data, device" in " ".join(lines)


def test_scores_are_continued_below(scored: Any) -> None:
    baselines = {f"baseline {number} of many": FORECASTS["persistence"] for number in range(8)}
    lines = scored(evaluation(forecasts=FORECASTS | baselines))
    headings = " ".join(line for line in lines if line.startswith("| lead time |"))
    assert all(name in headings for name in baselines)


def test_long_classes_are_cut_where_it_shows(scored: Any) -> None:
    counts = tuple(tuple(int(x == y) for x in range(6)) for y in range(6))
    lines = scored(ClassScores("clips", "test", tuple(f"{x} {LONG}" for x in range(6)), counts, 0))
    assert sum("…" in line for line in lines if line.startswith("| 0 a_name")) >= 2
    assert sum(line.startswith("| true ") for line in lines) > 1


def test_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    params = {f"layers.{LONG}.filters": 16, "vars.kernel": 3, "train.optimizer.learning_rate": 1.234567e-4}
    trial = TrialResult(0, "refused", None, params, None, f"{LONG}: {LONG}", None, ())
    study = Study(Path("runs/study"), "val_loss", False, 1, (trial,))
    monkeypatch.setattr("specbuild.tuning.tune", lambda *_, **__: study)
    lines = printed("tune", "spec.yaml")
    assert any("…" in line for line in lines)
