"""A study as values: its trials, the best of them, and both as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from specbuild.document.html import html_table, paragraph, picture
from specbuild.document.text_table import Column
from specbuild.runs.studies import COLUMNS

if TYPE_CHECKING:
    import pandas

State: TypeAlias = Literal["complete", "pruned", "refused", "failed", "running", "waiting"]
"""How a trial ended: `refused` before it began to train, `pruned` after some of its epochs."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial of a study."""

    number: int
    state: State
    value: float | None
    """The monitored value at the epoch of its model; of a pruned trial that of its last epoch."""
    params: dict[str, Any]
    """The values drawn for it, by path."""
    seconds: float | None
    """The time from its start to its end, including interruptions."""
    reason: str
    """Why it was refused, pruned or failed."""
    folder: Path | None
    """Its run folder; None where training did not begin, or where the run is in another folder of the study."""
    epochs: tuple[tuple[int, float], ...]
    """The monitored value after each epoch."""


@dataclass(frozen=True, slots=True)
class Study:
    """The trials of a study, in the order in which they began."""

    path: Path
    monitor: str
    larger_is_better: bool
    total: int
    """The number of trials that the study is to have."""
    trials: tuple[TrialResult, ...]
    best_spec: Path | None = None
    """The spec with the values of the best trial; None where no trial is complete."""

    @property
    def best(self) -> TrialResult | None:
        """The complete trial with the best value, the earliest among equals."""
        complete = [trial for trial in self.trials if trial.state == "complete" and trial.value is not None]
        sign = -1 if self.larger_is_better else 1
        return min(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)

    @property
    def finished(self) -> bool:
        """Whether all trials have ended."""
        ended = [trial for trial in self.trials if trial.state not in ("running", "waiting")]
        return len(ended) == len(self.trials) and len(ended) >= self.total

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that the trials vary."""
        return tuple(dict.fromkeys(path for trial in self.trials for path in trial.params))

    def count(self, state: State) -> int:
        """Return the number of trials in a state."""
        return sum(trial.state == state for trial in self.trials)

    def to_pandas(self) -> pandas.DataFrame:
        """Return the trials as a table with a row for each."""
        import pandas

        return pandas.DataFrame([_record(trial, self.paths) for trial in self.trials])

    def to_csv(self) -> str:
        """Return the trials as CSV, numbers with every digit."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = [*COLUMNS[:3], *self.paths, *COLUMNS[3:]]
        writer.writerow(names)
        for trial in self.trials:
            values = _record(trial, self.paths)
            writer.writerow(["" if values[name] is None else values[name] for name in names])
        return text.getvalue()

    def table(self) -> tuple[list[Column], list[list[str]]]:
        """Return the columns and rows of the trials for a terminal."""
        tails = short_names(self.paths)
        columns = [
            Column("trial", number=True),
            Column("state"),
            Column(self.monitor, number=True),
            *(Column(tails[path], number=True) for path in self.paths),
            Column("time", number=True),
            Column("reason"),
        ]
        best = self.best
        rows = []
        for trial in self.trials:
            state = "best" if trial is best else trial.state
            value = "" if trial.value is None else f"{trial.value:.4g}"
            params = [_shown(trial.params.get(path)) for path in self.paths]
            seconds = "" if trial.seconds is None else f"{trial.seconds:.0f} s"
            rows.append([str(trial.number), state, value, *params, seconds, trial.reason])
        return columns, rows

    def summary(self) -> str:
        """Return the number of trials in each state: `20 trials: 12 complete, 8 pruned`."""
        states: tuple[State, ...] = ("complete", "pruned", "refused", "failed", "running", "waiting")
        counts = ", ".join(f"{count} {state}" for state in states if (count := self.count(state)))
        return f"{len(self.trials)} trial{'s' if len(self.trials) != 1 else ''}: {counts or 'none'}"

    def _repr_html_(self) -> str:
        columns, rows = self.table()
        return (
            html_table(columns, rows, self.summary())
            + picture(self.path / "history.png", "value by trial")
            + (paragraph(f"best spec: {self.best_spec}") if self.best_spec is not None else "")
        )


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Return the last part of each path, with as many parts before it as it takes to tell them apart."""
    names: dict[str, str] = {}
    for path in paths:
        parts = path.split(".")
        for length in range(1, len(parts) + 1):
            tail = ".".join(parts[-length:])
            if not any(other != path and f".{other}".endswith(f".{tail}") for other in paths):
                break
        names[path] = tail
    return names


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _record(trial: TrialResult, paths: Sequence[str]) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state,
        "value": trial.value,
        **{path: trial.params.get(path) for path in paths},
        "seconds": trial.seconds,
        "epochs": len(trial.epochs),
        "reason": trial.reason,
    }
