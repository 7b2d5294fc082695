"""Which checkpoints of a run are kept, and a thread that writes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType

from specbuild.document import RunError
from specbuild.runs.checkpoint import Position, Snapshot
from specbuild.runs.faults import explained
from specbuild.runs.files import write_text
from specbuild.runs.folder import RunFolder
from specbuild.runs.records import EpochTime
from specbuild.training.history import EpochRow, Watch, history_csv, history_lines


@dataclass(frozen=True, slots=True)
class Keeping:
    """Writes the checkpoints of a run, and what follows from the last one: its history and which others to keep."""

    folder: RunFolder
    watch: Watch
    keep: int
    """How many epochs to keep besides the best."""
    writes: bool = True
    """Whether this process writes; of several that train together, one does."""
    times: dict[int, EpochTime] = field(default_factory=dict)
    """When each epoch ended."""

    def write(self, snapshot: Snapshot) -> None:
        """Write a checkpoint. The run has reached it once its file is in place, whatever happens afterwards.

        Raises:
            RunError: it cannot be written, as on a full disk.
        """
        position = snapshot.progress.position
        path = self.folder.checkpoint(*position)
        try:
            with explained(self.folder.path):
                snapshot.write(path)
                self.folder.last_good_file.unlink(missing_ok=True)
                self.follow(position, snapshot.progress.history)
        except OSError as error:
            raise RunError(
                f"cannot write the checkpoint after {position}, {error.filename or path}: {error.strerror or error}",
                help=f"once that is fixed, resume with: specbuild train --resume {self.folder.path}",
            ) from error

    def follow(self, position: Position, history: tuple[EpochRow, ...]) -> None:
        """Write the history and remove the checkpoints that are not kept, given that training is at a position."""
        if not self.writes:
            return
        if history:
            write_text(self.folder.history_file, history_csv(history))
            write_text(self.folder.lines_file, history_lines(history, self.times))
        else:
            self.folder.history_file.unlink(missing_ok=True)
            self.folder.lines_file.unlink(missing_ok=True)
        checkpoints = self.folder.checkpoints()
        reached = [each for each in checkpoints if each <= position]
        best = self.watch.best(history, among={each.epoch for each in reached if not each.step})
        kept = kept_positions(reached, self.keep, best if self.watch.keep_best else None)
        for each, path in checkpoints.items():
            if each not in kept:
                path.unlink(missing_ok=True)


def kept_positions(positions: Iterable[Position], keep: int, best: int | None) -> set[Position]:
    """Return what to keep: the last `keep` finished epochs, the best, and the last `keep` of the running one."""
    ordered = sorted(positions)
    epochs = [each for each in ordered if not each.step]
    finished = epochs[-1].epoch if epochs else 0
    running = [each for each in ordered if each.step and each.epoch >= finished]
    return {*epochs[-keep:], *running[-keep:], *(each for each in epochs if each.epoch == best)}


class Background:
    """Runs one task at a time on a thread, while training goes on. What a task raises is raised here, later.

    The end of the block waits for the task that is running.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.wait()

    def start(self, task: Callable[[], None]) -> None:
        """Run a task once the one before has ended."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(task,), name="checkpoint", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the running task."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def check(self) -> None:
        """Raise what a task raised, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:
            self._failure = error
