from __future__ import annotations

import numpy as np
import pytest

from specbuild.run.evaluation import Evaluation
from specbuild.run.scores import Scores
from specbuild.run.table import evaluation_text

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
    return Evaluation("nowcast", "test", 1, "rain rate", units, tuple(tables))


def test_the_tables_as_they_are_printed() -> None:
    assert (
        evaluation_text(evaluation())
        == """\
nowcast: rain rate on the test split, 1 window
Scores are pooled over windows, pixels and channels in physical units, missing pixels left out.

RMSE, mm/h; skill = 1 - MSE / MSE of persistence

| lead time | model | persistence | training mean | skill |
|-----------|-------|-------------|---------------|-------|
|    +5 min | 0.500 |        1.00 |          1.41 |  +75% |
|   +10 min |  1.00 |        2.00 |          2.38 |  +75% |
|       all | 0.837 |        1.67 |          2.05 |  +75% |

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
|       all |  1.00 |       0.333 |          0.00 |"""
    )


def test_without_units_and_thresholds_only_errors_are_shown() -> None:
    text = evaluation_text(evaluation(units="", thresholds=()))
    assert "RMSE; skill = 1 - MSE / MSE of persistence\n" in text
    assert "\nMAE\n" in text
    assert "CSI" not in text


def test_skill_is_undefined_where_persistence_is_perfect() -> None:
    found = evaluation(forecasts=FORECASTS | {"persistence": OBSERVED})
    assert np.isnan(found.skill()).all()
    assert found.to_dict()["skill"] == {
        "definition": "1 - MSE / MSE of persistence",
        "values": [None, None],
        "overall": None,
    }


def test_a_forecast_that_is_not_there_is_a_key_error() -> None:
    assert evaluation().of("persistence").name == "persistence"
    with pytest.raises(KeyError, match="climatology"):
        evaluation().of("climatology")
