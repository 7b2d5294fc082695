from __future__ import annotations

import numpy as np
import pytest

from specbuild.evaluation.result import Evaluation
from specbuild.evaluation.scores import Comparison, Scores
from specbuild.evaluation.tables import evaluation_text

OBSERVED = np.array([[[0.0, 2.0, np.nan]], [[0.0, 4.0, 1.0]]])[..., np.newaxis]
FORECASTS = {
    "model": OBSERVED + np.reshape([0.5, 1.0], (2, 1, 1, 1)),
    "persistence": np.nan_to_num(OBSERVED) + np.reshape([1.0, 2.0], (2, 1, 1, 1)),
    "training mean": np.zeros_like(OBSERVED),
}


def evaluation(units: str = "mm/h", thresholds: tuple[float, ...] = (3,), forecasts: dict = FORECASTS) -> Evaluation:
    tables = []
    for name, forecast in forecasts.items():
        scores = Scores(2, thresholds)
        scores.add(forecast, OBSERVED)
        tables.append(scores.table(name, ("+5 min", "+10 min")))
    model, *rivals = forecasts.items()
    comparison = Comparison(2, [name for name, _ in rivals])
    comparison.add(model[1], dict(rivals), OBSERVED)
    conventions = {title: text for family in scores.families for title, text in family.conventions.items()}
    return Evaluation(
        "nowcast", "test", 1, "rain rate", units, tuple(tables), comparison.skills(), conventions=conventions
    )


def test_the_tables_as_they_are_printed() -> None:
    assert (
        evaluation_text(evaluation(), 100)
        == """\
nowcast: rain rate on the test split, 1 window
Scores are pooled over windows, pixels and channels in physical units, missing pixels left out.

RMSE, mm/h

| lead time | model | persistence | training mean |
|-----------|-------|-------------|---------------|
|    +5 min | 0.500 |        1.00 |          1.41 |
|   +10 min |  1.00 |        2.00 |          2.38 |
|       all | 0.837 |        1.67 |          2.05 |

Skill, 1 - MSE / MSE of the baseline

| lead time | over persistence | over the best | the best baseline |
|-----------|------------------|---------------|-------------------|
|    +5 min |             +75% |          +75% |       persistence |
|   +10 min |             +75% |          +75% |       persistence |
|       all |             +75% |          +75% |       persistence |

MAE, mm/h

| lead time | model | persistence | training mean |
|-----------|-------|-------------|---------------|
|    +5 min | 0.500 |        1.00 |          1.00 |
|   +10 min |  1.00 |        2.00 |          1.67 |
|       all | 0.800 |        1.60 |          1.40 |

CSI of rain rate >= 3 mm/h

| lead time | model | persistence | training mean |
|-----------|-------|-------------|---------------|
|    +5 min |     - |        0.00 |             - |
|   +10 min |  1.00 |       0.500 |          0.00 |
|       all |  1.00 |       0.333 |          0.00 |

RMSE: root of the mean of e^2 over all windows.
MAE: mean of |e|.
CSI: H / (H + M + F): hits, misses and false alarms in pixels, pooled over windows.
skill: 1 - MSE / MSE of the baseline, over the pixels that both know; the best baseline at a lead
time is the one that leaves the least skill."""
    )


def test_a_narrow_terminal_continues_a_table_below() -> None:
    text = evaluation_text(evaluation(thresholds=()), width=50)
    assert max(len(line) for line in text.splitlines()) <= 50
    assert (
        """\
RMSE, mm/h

| lead time | model | persistence |
|-----------|-------|-------------|
|    +5 min | 0.500 |        1.00 |
|   +10 min |  1.00 |        2.00 |
|       all | 0.837 |        1.67 |

| lead time | training mean |
|-----------|---------------|
|    +5 min |          1.41 |
|   +10 min |          2.38 |
|       all |          2.05 |

Skill"""
        in text
    )


def test_a_baseline_that_knows_less_is_named() -> None:
    partial = np.where(np.arange(3).reshape(1, 1, 3, 1) == 1, np.nan, 0.0) + np.zeros_like(OBSERVED)
    text = evaluation_text(evaluation(forecasts={**FORECASTS, "same phase": partial}), 100)
    assert (
        "same phase knows 60.0% of the observed pixels: its scores are of these, skill over it compares the\n"
        "model there.\n" in text
    )
    assert text.count(" knows ") == 1


def test_without_units_and_thresholds_only_errors_are_shown() -> None:
    text = evaluation_text(evaluation(units="", thresholds=()))
    assert "\nRMSE\n" in text
    assert "\nMAE\n" in text
    assert "CSI" not in text


def test_skill_is_undefined_where_persistence_is_perfect() -> None:
    found = evaluation(forecasts=FORECASTS | {"persistence": OBSERVED})
    assert found.skill() == (-np.inf,) * 3
    assert [skill.baseline for skill in found.best() if skill] == ["persistence"] * 3
    assert "|    +5 min |                - |             - |       persistence |" in evaluation_text(found)
    assert found.to_dict()["skill"] == {
        "definition": "1 - MSE / MSE of the baseline, over the pixels that both know, which is persistence",
        "values": [None, None],
        "overall": None,
    }


def test_a_forecast_that_is_not_there_is_a_key_error() -> None:
    assert evaluation().of("persistence").name == "persistence"
    with pytest.raises(KeyError, match="climatology"):
        evaluation().of("climatology")
