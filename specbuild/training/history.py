"""The history of a run: which epoch is the best, when to stop, and the history as CSV and as a picture.

Every decision follows from the history alone, so that a resumed run decides alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from specbuild.language.sections.train import TrainSection
from specbuild.runs.records import EpochTime

EpochRow = Mapping[str, float]
"""One epoch of the history: `{"epoch": 1, "loss": …, "val_loss": …}`."""

_LARGER_IS_BETTER = ("accuracy", "auc", "precision", "recall", "iou", "io_u", "f1", "fbeta", "r2", "similarity")


@dataclass(frozen=True, slots=True)
class Watch:
    """The monitored value, and when it ends training. `patience` None: never."""

    monitor: str
    larger_is_better: bool = False
    patience: int | None = None
    min_delta: float = 0.0
    keep_best: bool = True

    @classmethod
    def of(cls, train: TrainSection, validated: bool) -> Watch:
        """Return what `train:` asks for; without `early_stopping`, val_loss where there is validation data."""
        early = train.early_stopping
        if early is None:
            return cls("val_loss" if validated else "loss", keep_best=validated)
        by_name = any(word in early.monitor for word in _LARGER_IS_BETTER)
        larger = by_name if early.mode == "auto" else early.mode == "max"
        return cls(early.monitor, larger, early.patience, early.min_delta, early.restore_best)

    def best(self, history: Sequence[EpochRow], among: Container[int] | None = None) -> int | None:
        """Return the epoch with the best value, the earliest among equals; None before the first.

        Args:
            history: all epochs.
            among: those to choose from; None: all.
        """
        rows = [row for row in history if among is None or int(row["epoch"]) in among]
        values = [(self._cost(row), int(row["epoch"])) for row in rows]
        return min(values)[1] if values else None

    def is_over(self, history: Sequence[EpochRow]) -> bool:
        """Return whether the last `patience` epochs brought no improvement of more than `min_delta`."""
        if self.patience is None:
            return False
        lowest, waited = math.inf, 0
        for row in history:
            cost = self._cost(row)
            improved = cost < lowest - self.min_delta
            lowest, waited = (cost, 0) if improved else (lowest, waited + 1)
        return waited >= self.patience

    def _cost(self, row: EpochRow) -> float:
        value = row.get(self.monitor, math.nan)
        if math.isnan(value):
            return math.inf
        return -value if self.larger_is_better else value


def history_csv(history: Sequence[EpochRow]) -> str:
    """Return the history as CSV, numbers with every digit; empty where an epoch did not report a value."""
    names = list(dict.fromkeys(name for row in history for name in row))

    def cell(row: EpochRow, name: str) -> str:
        if name == "epoch":
            return str(int(row[name]))
        return repr(row[name]) if name in row else ""

    lines = [",".join(cell(row, name) for name in names) for row in history]
    return "\n".join([",".join(names), *lines]) + "\n"


def history_lines(history: Sequence[EpochRow], times: Mapping[int, EpochTime]) -> str:
    """Return the history as JSON lines: an epoch a line, and when it ended; null where a value is not finite."""

    def line(row: EpochRow) -> str:
        epoch = int(row["epoch"])
        values = {name: value if math.isfinite(value) else None for name, value in row.items()}
        time = times[epoch].model_dump() if epoch in times else {}
        return json.dumps({**values, "epoch": epoch, **time}, ensure_ascii=False)

    return "".join(f"{line(row)}\n" for row in history)


def read_times(path: Path) -> dict[int, EpochTime]:
    """Return when the epochs in a file of JSON lines ended; of lines that are damaged or missing, nothing."""
    times = {}
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        with suppress(ValueError, KeyError, TypeError):
            values = json.loads(line)
            times[values["epoch"]] = EpochTime(seconds=values["seconds"], ended=values["ended"])
    return times


def draw_history(history: Sequence[EpochRow], path: Path, best: int | None = None) -> None:
    """Write a PNG of the loss, and the validation loss where there is one, by epoch; `best` marks an epoch."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from specbuild.pictures import save_figure

    figure = Figure((6.0, 3.4), layout="constrained")
    axes = figure.add_subplot()
    epochs = [row["epoch"] for row in history]
    marker = "o" if len(history) <= 30 else ""
    for name, colour, label in (("loss", "#3b6fb6", "training"), ("val_loss", "#d1662c", "validation")):
        if all(name in row for row in history):
            axes.plot(epochs, [row[name] for row in history], color=colour, label=label, marker=marker, markersize=3)
    if best is not None:
        axes.axvline(best, color="#333333", linewidth=0.8, linestyle=":", label=f"best epoch, {best}")
    losses = [row[name] for row in history for name in ("loss", "val_loss") if name in row]
    if losses and min(losses) > 0 and max(losses) > 20 * min(losses):
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save_figure(figure, path)
