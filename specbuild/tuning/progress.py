"""What is shown while a study runs: a bar for the running trial on a terminal, and a line for each that has ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from specbuild.document.printable import printable, steers
from specbuild.training.progress import number
from specbuild.tuning.result import TrialResult

if TYPE_CHECKING:
    from specbuild.tuning.trial import Objective


class Shown:
    """Shows the course of a study: here nothing. Trials count from 0, epochs from 1."""

    def begin(self, trial: int, total: int, changes: Sequence[str], /) -> None:
        """Work on a trial begins, or goes on."""

    def epoch(self, epoch: int, epochs: int, value: float, /) -> None:
        """An epoch of the trial is done."""

    def end(self, trial: TrialResult, objective: Objective, /) -> None:
        """A trial has ended."""

    def note(self, text: str, /) -> None:
        """Print a line of text."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def shown(quiet: bool = False, stream: TextIO | None = None) -> Shown:
    """Return what fits the output: nothing if `quiet`, a bar on a terminal, else plain lines."""
    stream = stream or sys.stdout
    if quiet:
        return Shown()
    return Bar(Console(file=stream)) if steers(stream) else Lines(stream)


class Lines(Shown):
    """A line of plain ASCII per trial, for logs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._changes: Sequence[str] = ()

    def begin(self, _trial: int, _total: int, changes: Sequence[str], /) -> None:
        self._changes = changes

    def end(self, trial: TrialResult, objective: Objective, /) -> None:
        self.note(trial_line(trial, objective, self._changes))

    def note(self, text: str, /) -> None:
        print(printable(text), file=self._stream, flush=True)


class Bar(Lines):
    """A bar for the epochs of the running trial, below the lines of those before."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._progress = Progress(
            TextColumn("trial {task.fields[trial]}/{task.fields[of]}"),
            BarColumn(bar_width=16),
            TextColumn("epoch {task.fields[epoch]}"),
            TextColumn("{task.fields[value]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, trial=0, of=0, epoch="-", value="")

    def begin(self, trial: int, total: int, changes: Sequence[str], /) -> None:
        super().begin(trial, total, changes)
        self._progress.reset(self._task, total=None, trial=trial + 1, of=total, epoch="-", value=" ".join(changes)[:40])

    def epoch(self, epoch: int, epochs: int, value: float, /) -> None:
        self._progress.update(self._task, completed=epoch, total=epochs, epoch=f"{epoch}/{epochs}", value=number(value))

    def note(self, text: str, /) -> None:
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def trial_line(trial: TrialResult, objective: Objective, changes: Sequence[str]) -> str:
    """`trial  3  complete  val_loss 0.0123  12 s  vars.filters=32`."""
    value = f"{objective.monitor} {number(trial.value)}" if trial.value is not None else ""
    seconds = f"{trial.seconds:.0f} s" if trial.seconds is not None else ""
    drawn = " ".join(changes)
    parts = [f"trial {trial.number:>2}", f"{trial.state:<8}", value, seconds, drawn, trial.reason]
    return "  ".join(part for part in parts if part)
