"""The loggers of a run, each on a thread of its own: one that is slow or fails does not delay or end training."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from specbuild.runs.folder import RunFolder
from specbuild.training.loggers.base import Beginning, Ending, RunLogger
from specbuild.training.progress import Display

PATIENCE = 60.0
"""Seconds that a finished run waits for its loggers to finish."""
SHORT = 5.0
"""The same for a run that was interrupted."""


class _Worker:
    """A logger on its thread, which does one task after the other until one fails."""

    def __init__(self, logger: RunLogger) -> None:
        self.logger, self.failure, self.given_up = logger, "", False
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"logger {logger.name}", daemon=True)
        self._thread.start()

    def do(self, task: Callable[[], None]) -> None:
        self._tasks.put(task)

    def end(self, seconds: float) -> bool:
        """Wait at most so long for all tasks; return whether they are done."""
        self._tasks.put(None)
        self._thread.join(seconds)
        self.given_up = self._thread.is_alive()
        return not self.given_up

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception as error:  # whatever a package or a server raises
                words = " ".join(str(error).split())
                self.failure = f"{type(error).__name__}: {words[:300]}" if words else type(error).__name__
                return


class Reporter:
    """Reports a run to its loggers.

    Args:
        loggers: none of which has begun.
        folder: of the run; run.json records by what each logger finds its run again.
        note: says that a logger failed.
    """

    def __init__(self, loggers: Sequence[RunLogger], folder: RunFolder, note: Callable[[str], None]) -> None:
        self._folder, self._note = folder, note
        self._workers = [_Worker(logger) for logger in loggers]

    def begin(self, beginning: Callable[[Mapping[str, str]], Beginning]) -> None:
        """Begin to report; `beginning` is given what run.json has of a logger."""
        known = self._folder.manifest().get("loggers", {}) if self._workers else {}
        for worker in self._workers:
            worker.do(self._begun(worker, beginning(known.get(worker.logger.name, {}))))

    def _begun(self, worker: _Worker, beginning: Beginning) -> Callable[[], None]:
        def record(identity: dict[str, str]) -> None:
            if not worker.given_up:  # by now, another process may write the folder
                self._folder.record_logger(worker.logger.name, identity)

        return lambda: worker.logger.begin(beginning, record)

    def epoch(self, row: Mapping[str, float], seconds: float) -> None:
        """Report an epoch by its row of the history."""
        values = {name: value for name, value in row.items() if name != "epoch"} | {"seconds": seconds}
        for worker in self._workers:
            worker.do(lambda logger=worker.logger: logger.epoch(int(row["epoch"]), values))  # type: ignore[misc]
        self._say_failures()

    def end(self, ending: Ending) -> None:
        """Report how the run ended, and wait a limited time for the loggers."""
        for worker in self._workers:
            worker.do(lambda logger=worker.logger: logger.end(ending))  # type: ignore[misc]
        patience = PATIENCE if ending.status == "finished" else SHORT
        deadline = time.monotonic() + patience  # of all together
        for worker in self._workers:
            if not worker.end(max(0.0, deadline - time.monotonic())) and not worker.failure:
                worker.failure = f"it did not finish within {patience:.0f} s"
        self._say_failures()

    def _say_failures(self) -> None:
        """Note each failed logger once, and drop it."""
        failed = [worker for worker in self._workers if worker.failure]
        self._workers = [worker for worker in self._workers if not worker.failure]
        for worker in failed:
            self._note(f"the logger {worker.logger.name} stopped reporting: {worker.failure}; training continues")


class Reported(Display):
    """A display whose epochs are reported to loggers as well."""

    def __init__(self, shown: Display, reporter: Reporter) -> None:
        self._shown, self._reporter = shown, reporter

    def begin(self, epochs: int, steps: int, done: int, /) -> None:
        self._shown.begin(epochs, steps, done)

    def step(self, epoch: int, step: int, loss: float) -> None:
        self._shown.step(epoch, step, loss)

    def epoch(self, row: Mapping[str, float], seconds: float, best: bool) -> None:
        self._shown.epoch(row, seconds, best)
        self._reporter.epoch(row, seconds)

    def note(self, text: str) -> None:
        self._shown.note(text)
