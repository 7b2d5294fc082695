"""What the pictures of scores and of calibration show, by the titles of their panels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from specbuild.evaluation import calibration_plots, plots
from specbuild.evaluation.calibration import Calibration
from specbuild.evaluation.distributions import Gaussian
from specbuild.evaluation.result import Evaluation
from tests.run.test_bootstrap import evaluation


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would be written."""
    written: list[Figure] = []
    for module in (plots, calibration_plots):
        monkeypatch.setattr(module, "save_figure", lambda figure, _: written.append(figure))
    return written


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.axison]


def wide(scores: int) -> Evaluation:
    """An evaluation with the FSS of that many thresholds on show."""
    scored = evaluation(3)
    tables = tuple(
        replace(table, columns=tuple(replace(table.columns[0], score="FSS", threshold=n) for n in range(scores)))
        for table in scored.tables
    )
    return replace(scored, tables=tables, shown=("FSS",))


def test_scores_that_are_left_out_are_counted(figures: list[Figure]) -> None:
    plots.draw_scores(wide(16), Path("scores.png"))
    plots.draw_scores(wide(30), Path("scores.png"))
    some, many = figures
    assert len(titles(some)) == 17
    assert titles(some)[-1].startswith("FSS ≥ 15 mm")
    assert "more in" not in some.get_suptitle()
    assert len(titles(many)) == 24
    assert many.get_suptitle().endswith("\n7 more in scores.csv")


def test_the_probability_of_an_event_has_no_rank_histogram(figures: list[Figure]) -> None:
    calibration = Calibration(2, [0.5])
    values = np.random.default_rng(1).normal(size=(2, 8, 8, 1))
    calibration.add(Gaussian(values, np.ones_like(values)), values + 0.1, (0, 1))
    table = calibration.table("model")
    assert table is not None
    scored = replace(evaluation(3), calibration=(table,))
    calibration_plots.draw_calibration(scored, Path("calibration.png"))
    calibration_plots.draw_calibration(replace(scored, of_event=True), Path("calibration.png"))
    assert [titles(figure) for figure in figures] == [
        ["rank histogram: model", "reliability of ≥ 0.5 mm"],
        ["reliability"],
    ]
