"""A short run of `tools/train_search.py`, and proof that it notices what is wrong."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from specbuild.catalog.schedules import in_steps
from specbuild.language import load_spec
from specbuild.model.backend import keras
from specbuild.model.objects import to_keras
from tests.tools import tool

search = tool("train_search")
cases = tool("train_cases")


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    tool("data_search").leave_out_pictures(monkeypatch.setattr)


def test_what_is_drawn_trains_resumes_and_forecasts() -> None:
    findings = search.Findings()
    search.try_case(1, 3, findings)
    assert {where: f"{what}\n{case.text()}" for where, (_, case, what) in findings.found.items()} == {}
    assert findings.counts["trained"] == 1
    assert findings.forms["interrupted"] == 1


def test_every_option_is_drawn() -> None:
    trees = [cases.generate(Random(number)).tree for number in range(80)]
    sections = [tree["train"] for tree in trees]
    assert {key for section in sections for key in section} >= {
        *("callbacks", "devices", "early_stopping", "lead_weights", "loggers", "loss_weights", "metrics", "precision"),
        *("steps_per_epoch", "workers"),
    }
    optimizers = [section["optimizer"] for section in sections]
    assert {each["name"] for each in optimizers} == {*cases.OPTIMIZERS, "LossScaleOptimizer"}
    assert {"use_ema", "global_clipnorm", "gradient_accumulation_steps"} <= {key for each in optimizers for key in each}
    assert "auto" in [section["batch_size"] for section in sections]
    assert sum("tune" in tree for tree in trees) > 15


def test_the_second_calculation_of_a_schedule_is_that_of_keras() -> None:
    drawn: dict[str, Any] = {}
    for number in range(200):
        rate = cases.TrainDrawing(Random(number)).rate()
        if isinstance(rate, dict):
            drawn[" ".join([rate["name"], *sorted(rate)])] = rate
    assert len(drawn) > 7
    for schedule in drawn.values():
        model = {"specbuild": 1, "inputs": {"x": [2]}, "layers": [{"layer": "ReLU"}]}
        spec = load_spec({**model, "train": {"optimizer": {"name": "SGD", "learning_rate": schedule}}})
        made = to_keras(in_steps(spec.train.optimizer, 4), "optimizers")
        for step in range(12):
            made.iterations.assign(step)
            theirs = float(keras.ops.convert_to_numpy(made.learning_rate))
            np.testing.assert_allclose(
                cases.scheduled(schedule, step, 4), theirs, rtol=1e-5, atol=1e-9, err_msg=str(schedule)
            )


@pytest.mark.parametrize(("rate", "told"), [(0.01, "learning rates differ"), (float("nan"), "not finite")])
def test_a_wrong_history_is_found(rate: float, told: str) -> None:
    section = {"optimizer": {"name": "SGD", "learning_rate": cases.DECAY}}
    search.check_history(section, [{"epoch": 1.0, "loss": 1.0, "learning_rate": 0.005}], 3)
    with pytest.raises(search.Wrong, match=told):
        search.check_history(section, [{"epoch": 1.0, "loss": 1.0, "learning_rate": rate}], 3)
