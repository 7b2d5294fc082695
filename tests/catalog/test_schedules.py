"""Lengths of learning-rate schedules in epochs."""

from __future__ import annotations

from typing import Any

import pytest

from specbuild.catalog import KerasObject
from specbuild.catalog.objects import keras_object
from specbuild.catalog.schedules import counts_epochs, in_steps, schedule_of


def optimizer(**schedule: Any) -> KerasObject:
    return keras_object("optimizers", {"name": "Adam", "learning_rate": schedule})


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ({"decay_steps": "20 epochs"}, {"decay_steps": 200}),
        ({"decay_steps": " 1 epoch "}, {"decay_steps": 10}),
        ({"decay_steps": "2.25epochs"}, {"decay_steps": 22}),
        ({"decay_steps": "0.01 epochs"}, {"decay_steps": 1}),
        ({"decay_steps": 7}, {"decay_steps": 7}),
        (
            {"decay_steps": 7, "warmup_steps": "3 epochs", "warmup_target": 1.0},
            {"decay_steps": 7, "warmup_steps": 30, "warmup_target": 1.0},
        ),
    ],
)
def test_epochs_become_steps(written: dict[str, Any], steps: dict[str, Any]) -> None:
    schedule = {"name": "CosineDecay", "initial_learning_rate": 0.0}
    inner = optimizer(**schedule, **written)
    for given in (inner, KerasObject("LossScaleOptimizer", {"inner_optimizer": inner})):
        found = schedule_of(in_steps(given, 10))
        assert found is not None
        assert found.arguments == {"initial_learning_rate": 0.0, **steps}
        assert counts_epochs(given) == (written["decay_steps"] != 7 or "warmup_steps" in written)


def test_boundaries_in_epochs() -> None:
    given = optimizer(name="PiecewiseConstantDecay", boundaries=["2 epochs", "3.5 epochs"], values=[3, 2, 1])
    found = schedule_of(in_steps(given, 10))
    assert found is not None
    assert found.arguments == {"boundaries": [20, 35], "values": [3, 2, 1]}


def test_a_number_is_no_schedule() -> None:
    given = keras_object("optimizers", {"name": "Adam", "learning_rate": 0.1})
    assert schedule_of(given) is None
    assert not counts_epochs(given)
    assert in_steps(given, 10) == given
