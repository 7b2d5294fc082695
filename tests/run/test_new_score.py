"""The worked example of adding a score: a declaration and a formula are all that tables, files and pictures need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from specbuild.catalog.scores import SCORES, Score
from specbuild.evaluation.plots import _skill, draw_scores
from specbuild.evaluation.result import Evaluation, Skill
from specbuild.evaluation.scores import Comparison, Scores
from specbuild.evaluation.scores.base import Values, ratio
from specbuild.evaluation.scores.events import FORMULAS
from specbuild.evaluation.tables import evaluation_text

GSS = Score(
    "GSS",
    "Gilbert skill score (H − E) / (H + M + F − E), E hits by chance",
    "(H - E) / (H + M + F - E), E = (H + M)(H + F) / n; 0 is chance",
    (-1 / 3, 1),
    1,
    computed="with thresholds",
    needs=("thresholds",),
    source="Gilbert (1884), *Am. Meteorol. J.* 1, 166",
)


def gss(counts: Values) -> Values:
    """Gilbert skill score, also called equitable threat score, −1/3 to 1, 1 is best."""
    h, m, f, _ = counts
    chance = ratio((h + m) * (h + f), counts.sum(axis=0))
    return ratio(h - chance, h + m + f - chance)


def test_a_declared_score_is_in_tables_files_and_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Finley's tornado forecasts: 28 hits, 23 misses, 72 false alarms, 2680 correct negatives; Wilks (2011): 0.216."""
    monkeypatch.setitem(SCORES, "gss", GSS)
    monkeypatch.setitem(FORMULAS, "gss", gss)
    numbers = [28, 23, 72, 2680]
    forecast, observed = (np.repeat(events, numbers)[np.newaxis] for events in ([1.0, 0, 1, 0], [1.0, 1, 0, 0]))
    scores, comparison = Scores(1, (1.0,)), Comparison(1, ["persistence"])
    scores.add(forecast, observed)
    comparison.add(forecast, {"persistence": forecast}, observed)
    tables = tuple(scores.table(name, ("+1 h",)) for name in ("model", "persistence"))
    conventions = {title: text for family in scores.families for title, text in family.conventions.items()}
    evaluation = Evaluation(
        "finley", "test", 1, "tornado", "", tables, comparison.skills(), ("RMSE", "GSS"), conventions
    )
    assert tables[0].column("GSS", 1).values == pytest.approx((0.216,), abs=5e-4)
    text = evaluation_text(evaluation, 100)
    assert "GSS of tornado >= 1" in text
    assert f"GSS: {GSS.convention}." in text
    assert evaluation.to_dict()["conventions"]["GSS"] == GSS.convention
    assert "model,+1 h,GSS,1," in evaluation.to_csv()
    draw_scores(evaluation, tmp_path / "scores.png")
    with Image.open(tmp_path / "scores.png") as picture:
        assert picture.width > 500


@pytest.mark.parametrize(
    ("values", "least", "said"),
    [
        ((0.4, 0.1), 0.1, ""),
        ((-5.0, -3.0), -5.0, ""),  # all of them far below 0: none is cut off
        ((-9.0, 0.5), -2.0, "1 value lies below the axis, to -900%"),
    ],
)
def test_the_axis_of_the_skill_says_what_it_leaves_out(values: tuple[float, ...], least: float, said: str) -> None:
    axes, skill = Figure().subplots(), Skill("persistence", values, 0.0)
    _skill(axes, Evaluation("x", "test", 1, "rain", "", (), (skill,), (), {}))
    low, high = axes.get_ylim()
    assert low < high
    assert low == least if said else low <= least
    assert [text.get_text() for text in axes.texts] == ([said] if said else [])


def test_a_score_that_is_computed_and_not_declared_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMULAS, "gss", gss)
    with pytest.raises(KeyError, match="gss"):
        Scores(1, (1.0,)).table("model", ("+1 h",))
