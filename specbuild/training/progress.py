"""Progress display during training: a summary of data and model, then a bar on a terminal or lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from specbuild.data.samples.base import Samples
from specbuild.document.printable import printable, steers
from specbuild.graph import Graph
from specbuild.runs.records import LEARNING_RATE, results_in
from specbuild.training.opened import data_line

if TYPE_CHECKING:
    from specbuild.training.devices import Devices


class Display:
    """Shows the course of a training run: here nothing. Epochs and steps count from 1."""

    _epochs = 0

    def begin(self, epochs: int, steps: int, done: int, /) -> None:  # noqa: ARG002 - a bar needs all of them
        """Training starts: `epochs` in all, `steps` in each, `done` epochs are finished already."""
        self._epochs = epochs

    def step(self, epoch: int, step: int, loss: float) -> None:
        """A step is done; `loss` is the mean of its epoch so far."""

    def epoch(self, row: Mapping[str, float], seconds: float, best: bool) -> None:
        """An epoch is done; `row` is its line of the history."""
        self.note(epoch_line(row, self._epochs, seconds, best))

    def note(self, text: str) -> None:
        """Print a line of text."""

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None: ...


def display(quiet: bool = False, stream: TextIO | None = None) -> Display:
    """Return the display that fits the output: nothing if `quiet`, a bar on a terminal, else plain lines."""
    stream = stream or sys.stdout
    if quiet:
        return Display()
    return Bar(Console(file=stream)) if steers(stream) else Lines(stream)


class Lines(Display):
    """One line of plain ASCII per epoch, for logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def note(self, text: str) -> None:
        print(printable(text), file=self._stream, flush=True)


class Bar(Display):
    """A bar for the running epoch with its loss and the time left to the last epoch, below the lines of past ones."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=24),
            TextColumn("step {task.fields[step]}/{task.fields[steps]}"),
            TextColumn("loss {task.fields[loss]}{task.fields[validation]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
        )
        self._steps = 0

    def begin(self, epochs: int, steps: int, done: int, /) -> None:
        super().begin(epochs, steps, done)
        self._steps = steps
        self._task = self._progress.add_task(
            "",
            total=epochs * steps,
            completed=done * steps,
            epoch=done + 1,
            epochs=epochs,
            step=0,
            steps=steps,
            loss="-",
            validation="",
        )

    def step(self, epoch: int, step: int, loss: float) -> None:
        done = (epoch - 1) * self._steps + step
        self._progress.update(self._task, completed=done, epoch=epoch, step=step, loss=number(loss))

    def epoch(self, row: Mapping[str, float], seconds: float, best: bool) -> None:
        if "val_loss" in row:
            self._progress.update(self._task, validation=f"  val {number(row['val_loss'])}")
        super().epoch(row, seconds, best)

    def note(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def opening_lines(graph: Graph, dataset: Samples, folder: Path, precision: str, devices: Devices) -> list[str]:
    """Return lines of plain ASCII on data, model and several devices, to print first."""
    lines = [
        data_line(dataset),
        f"model: {graph.parameters:,} parameters, {precision} on {devices.label}, into {folder}",
        devices.words(graph.spec.batch_size),
    ]
    return [line for line in lines if line]


def epoch_line(row: Mapping[str, float], epochs: int, seconds: float, best: bool) -> str:
    """`epoch  3/20  loss 0.0123  val_loss 0.0156  lr 0.001  4.2 s  best`."""
    values = [f"{name} {number(row[name])}" for name in results_in(row)]
    values += [f"lr {row[LEARNING_RATE]:.3g}"] if LEARNING_RATE in row else []
    epoch = f"epoch {int(row['epoch']):>{len(str(epochs))}}/{epochs}"
    return "  ".join([epoch, *values, f"{seconds:.1f} s", *(["best"] if best else [])])


def number(value: float) -> str:
    """Return a number with four significant digits."""
    return f"{value:#.4g}".rstrip(".")
