from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuild.language.sections.train import TrainSection
from specbuild.training.history import Watch


def history(*values: float, name: str = "val_loss") -> list[dict[str, float]]:
    return [{"epoch": float(number), name: value} for number, value in enumerate(values, start=1)]


def test_the_best_epoch_is_the_earliest_of_the_lowest() -> None:
    assert Watch("val_loss").best(history(3, 1, 2, 1)) == 2
    assert Watch("val_loss").best([]) is None


def test_larger_can_be_better() -> None:
    assert Watch("val_auc", larger_is_better=True).best(history(0.5, 0.9, 0.7, name="val_auc")) == 2


@pytest.mark.parametrize(
    ("values", "over"),
    [
        ((3, 2, 1), False),
        ((1, 2), False),
        ((1, 2, 2), True),
        ((1, 2, 0.5, 2), False),
        ((1, 0.95, 0.91), True),
    ],
)
def test_training_ends_after_patience_without_an_improvement(values: tuple[float, ...], over: bool) -> None:
    assert Watch("val_loss", patience=2, min_delta=0.1).is_over(history(*values)) is over


def test_without_patience_training_never_ends_early() -> None:
    assert not Watch("val_loss").is_over(history(*range(100)))


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30), st.integers(1, 5), st.floats(0, 1))
def test_it_decides_as_keras_does(values: list[float], patience: int, min_delta: float) -> None:
    best, waited = float("inf"), 0
    for value in values:
        waited += 1
        if value < best - min_delta:
            best, waited = value, 0
    assert Watch("val_loss", patience=patience, min_delta=min_delta).is_over(history(*values)) is (waited >= patience)


@pytest.mark.parametrize(
    ("early", "validated", "monitor", "larger", "keep_best"),
    [
        (None, True, "val_loss", False, True),
        (None, False, "loss", False, False),
        ({"monitor": "val_binary_accuracy"}, True, "val_binary_accuracy", True, True),
        ({"monitor": "val_binary_accuracy", "mode": "min"}, True, "val_binary_accuracy", False, True),
        ({"monitor": "loss", "restore_best": False}, True, "loss", False, False),
    ],
)
def test_what_is_watched_follows_the_spec(
    early: dict[str, object] | None, validated: bool, monitor: str, larger: bool, keep_best: bool
) -> None:
    watch = Watch.of(TrainSection.model_validate({"early_stopping": early}), validated)
    assert (watch.monitor, watch.larger_is_better, watch.keep_best) == (monitor, larger, keep_best)
