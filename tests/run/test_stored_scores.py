"""Evaluations are written and read by the same module, and come back as they were."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from specbuild.evaluation.calibration import Calibration
from specbuild.evaluation.classes import ClassScores
from specbuild.evaluation.distributions import Ensemble
from specbuild.evaluation.forecast_scores import LEAST_BLOCKS, Difference, Interval, ScoreColumn, ScoreTable
from specbuild.evaluation.result import Evaluation, Skill
from specbuild.evaluation.scores import Frame
from specbuild.evaluation.scores.errors import ERRORS
from specbuild.reporting.windows import rmse
from specbuild.training import Run


def _evaluation() -> Evaluation:
    """An evaluation in which everything that can be written has a value."""
    interval = Interval(-0.5, 0.25)
    columns = (
        ScoreColumn(
            "RMSE", None, (1.0, math.nan), 1.5, None, "data", (Difference("persistence", -0.25, interval), None, None)
        ),
        ScoreColumn("FSS", 2.0, (0.5, 0.75), 0.625, 5),
    )
    members = np.random.default_rng(1).normal(size=(4, 2, 6, 6, 1)).astype(np.float32)
    calibration = Calibration(2, [0.5, 99.0])
    calibration.add(Ensemble(members), members[0], (0, 0))
    counted = calibration.table("model")
    assert counted is not None
    skills = Skill("persistence", (0.5, math.nan), 0.25, (interval, None, interval)), Skill("mean", (0.1, 0.2), 0.1)
    labels = "+1", "+2"
    event = Evaluation(
        "m", "test", 1, "probability of rain", "", (ScoreTable("model", labels, ()),), skills, of_event=True
    )
    return Evaluation(
        "probabilistic",
        "validation",
        7,
        "rain",
        "mm/h",
        (ScoreTable("model", labels, columns, (30, 20), (30, 40)),),
        skills,
        conventions={"RMSE": "root of the mean"},
        notes=("a note",),
        data=({"path": "other.nc"},),
        calibration=(counted,),
        blocks=6,
        output="rain",
        others=(event,),
    )


def test_what_is_written_is_read_back() -> None:
    evaluation = _evaluation()
    evaluation = replace(
        evaluation, others=tuple(replace(other, skills=evaluation.skills) for other in evaluation.others)
    )
    written = json.loads(json.dumps(evaluation.to_dict()))
    read = Evaluation.from_dict(written)
    assert json.loads(json.dumps(read.to_dict())) == written
    assert read.others[0].of_event
    assert not read.of_event
    assert read.tables[0].coverage == evaluation.tables[0].coverage == 50 / 70
    assert read.tables[0].columns[0].units == "data"
    assert read.tables[0].columns[0].differences == evaluation.tables[0].columns[0].differences
    assert repr(read.calibration) == repr(evaluation.calibration)
    assert read.skills[0].interval(1) is None


def test_the_variable_does_not_decide_whether_an_event_is_scored() -> None:
    named = replace(_evaluation(), variable="probability of precipitation", others=())
    assert not Evaluation.from_dict(named.to_dict()).of_event
    old = {key: value for key, value in _evaluation().to_dict().items() if key not in ("of_event", "intervals")}
    for table in old["forecasts"]:
        del table["observed"]
    read = Evaluation.from_dict(old)
    assert (read.blocks, read.too_few_blocks, read.tables[0].observed) == (0, True, ())


def test_scores_of_a_run_are_read_back(trained: Run) -> None:
    assert isinstance(trained.scores, Evaluation)
    written = json.loads((trained.path / "scores.json").read_text("utf-8"))
    assert json.loads(json.dumps(Evaluation.from_dict(written).to_dict())) == written
    assert written == json.loads(json.dumps(trained.scores.to_dict()))


def test_scores_of_classes_are_read_back() -> None:
    scores = ClassScores("m", "test", ("dry", "wet", "snow"), ((3, 1, 0), (0, 4, 0), (0, 0, 0)), 1, ({"path": "o.nc"},))
    written = json.loads(json.dumps(scores.to_dict()))
    assert ClassScores.are_in(written)
    assert ClassScores.from_dict(written) == scores
    del written["majority"]
    assert ClassScores.from_dict(written) == replace(scores, majority=0), "which is as frequent"
    assert not ClassScores.are_in(_evaluation().to_dict())


@pytest.mark.parametrize("blocks", [0, LEAST_BLOCKS - 1, LEAST_BLOCKS])
def test_one_rule_says_how_many_blocks_are_too_few(blocks: int) -> None:
    assert replace(_evaluation(), blocks=blocks).too_few_blocks == (blocks < LEAST_BLOCKS)


def test_the_error_of_a_window_is_the_score() -> None:
    rng = np.random.default_rng(0)
    forecast, observed = (rng.normal(size=(3, 4, 4, 2)).astype(np.float32) for _ in range(2))
    forecast[0, 0], observed[1, 1] = np.nan, np.nan
    sums = sum(np.array(ERRORS.measure(Frame(*pair))) for pair in zip(forecast, observed, strict=True))
    assert rmse(forecast, observed) == pytest.approx(float(ERRORS.formulas["rmse"](sums)), rel=1e-12)
    assert math.isnan(rmse(np.full_like(forecast, np.nan), observed))
