"""Which epoch is the best, and whether to go on: by the history alone, so that a resumed run decides alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from specbuild.language import TrainSection

Row = Mapping[str, float]
"""One epoch of the history: `{"epoch": 1, "loss": …, "val_loss": …}`."""

_LARGER_IS_BETTER = ("accuracy", "auc", "precision", "recall", "iou", "io_u", "f1", "fbeta", "r2", "similarity")


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched, and when watching it ends training. `patience` None: never."""

    monitor: str
    larger_is_better: bool = False
    patience: int | None = None
    min_delta: float = 0.0
    keep_best: bool = True

    @classmethod
    def of(cls, train: TrainSection, validated: bool) -> Watch:
        """The watch that `train:` asks for; without `early_stopping`, val_loss where there is validation data."""
        early = train.early_stopping
        if early is None:
            return cls("val_loss" if validated else "loss", keep_best=validated)
        by_name = any(word in early.monitor for word in _LARGER_IS_BETTER)
        larger = by_name if early.mode == "auto" else early.mode == "max"
        return cls(early.monitor, larger, early.patience, early.min_delta, early.restore_best)

    def best(self, history: Sequence[Row]) -> int | None:
        """The epoch with the best value, the earliest among equals; None before the first."""
        values = [(self._cost(row), int(row["epoch"])) for row in history]
        return min(values)[1] if values else None

    def is_over(self, history: Sequence[Row]) -> bool:
        """Whether the last `patience` epochs brought no improvement of more than `min_delta`."""
        if self.patience is None:
            return False
        lowest, waited = math.inf, 0
        for row in history:
            cost = self._cost(row)
            improved = cost < lowest - self.min_delta
            lowest, waited = (cost, 0) if improved else (lowest, waited + 1)
        return waited >= self.patience

    def _cost(self, row: Row) -> float:
        return -row[self.monitor] if self.larger_is_better else row[self.monitor]
