"""The work of one process on a study: trial after trial, each begun, taken over, trained and told to the study."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from specbuild.document import ArgumentError, RunError, SpecbuildError, SpecError
from specbuild.language import Spec
from specbuild.language.tuning import Tuning
from specbuild.runs.files import write_text
from specbuild.runs.folder import RunFolder
from specbuild.training.interrupt import Interrupted
from specbuild.tuning.collect import FOLDER, OUTCOME, REASON, collected, trial_result
from specbuild.tuning.folder import StudyFolder
from specbuild.tuning.progress import Shown
from specbuild.tuning.result import Study
from specbuild.tuning.sampling import override, suggest
from specbuild.tuning.storage import GONE, RETRIED, StoredStudy, quietly, storage_errors
from specbuild.tuning.trial import Objective, Pruned, Refused, Reports, checked, first_line, run
from specbuild.tuning.workers import WORKER, Heartbeat, Worker, given_up

if TYPE_CHECKING:
    import optuna

ATTEMPTS = "attempts"
"""The attribute of a trial that counts the processes that ended at the same place of it."""
MOST_ATTEMPTS = 10
"""Processes that may end unexpectedly at the same place of a trial before it counts as failed."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a process needs to know to work on a study."""

    folder: StudyFolder
    stored: StoredStudy
    tuning: Tuning
    objective: Objective
    plugins: Sequence[str]
    shown: Shown

    def collected(self, total: int) -> Study:
        """Return the study as values; it is to have `total` trials."""
        return collected(self.stored.study, self.folder, self.tuning, self.objective, total)


def work(given: Work, worker: Worker, total: int, deadline: float | None) -> None:
    """Work on trials until there are `total`, or until no more may begin.

    Args:
        given: the study.
        worker: this process.
        total: the number of trials of the study.
        deadline: the time of the monotonic clock after which no trial begins; None: never.

    Raises:
        SpecbuildError: the study cannot go on: a trial says that the monitor is unknown, a disk is full.
        Interrupted: a signal came; its trial can be taken over.
    """
    while True:
        with worker.alone(), quietly():
            worker.sweep()
            late = deadline is not None and time.monotonic() >= deadline
            trial = _next(given, worker, total, late=late)
        if trial is None:
            return
        try:
            with Heartbeat(given.stored, trial.number):
                _do(given, trial, total)
        except given_up():
            reason = f"another process gave it up after {GONE} s without a heartbeat"
            given.shown.note(f"trial {trial.number:>2}  {reason}")
        write_text(given.folder.table_file, given.collected(total).to_csv())


def _next(given: Work, worker: Worker, total: int, *, late: bool) -> optuna.trial.Trial | None:
    """Return the trial to work on, with its values drawn: one whose process is gone, or a new one; else None."""
    import optuna

    study, states = given.stored.study, optuna.trial.TrialState
    trials = study.get_trials(deepcopy=False)
    left = [each for each in trials if each.state == states.RUNNING and worker.abandoned(each, given.stored)]
    if left:
        trial = given.stored.again(left[0].number)
    else:
        optuna.storages.fail_stale_trials(study)
        trials = study.get_trials(deepcopy=False)
        waiting = any(each.state == states.WAITING for each in trials)
        begun = sum(each.state != states.WAITING and not _is_repeated(each, trials) for each in trials)
        if late or (begun >= total and not waiting):
            return None
        trial = study.ask()
    trial.set_user_attr(WORKER, worker.record)
    for dimension in given.tuning.space:
        suggest(trial, dimension)
    return trial


def _is_repeated(trial: optuna.trial.FrozenTrial, trials: Sequence[optuna.trial.FrozenTrial]) -> bool:
    """Return whether another trial repeats this one, whose process was gone."""
    return any(trial.number in each.user_attrs.get(RETRIED, ()) for each in trials)


def _do(given: Work, trial: optuna.trial.Trial, total: int) -> None:
    """Work on one trial and tell the study how it ended."""
    import optuna

    states, folder = optuna.trial.TrialState, given.folder.trial(trial.number)
    attempts = _attempts(trial, folder)
    changes = tuple(override(dimension, trial.params[dimension.path]) for dimension in given.tuning.space)
    given.shown.begin(trial.number, total, changes)

    def tell(state: optuna.trial.TrialState, outcome: str, reason: str = "", value: float | None = None) -> None:
        trial.set_user_attr(OUTCOME, outcome)
        if reason:
            trial.set_user_attr(REASON, reason)
        if folder.manifest_file.is_file():
            trial.set_user_attr(FOLDER, folder.path.name)
        ended = given.stored.study.tell(trial, value, state)
        given.shown.end(trial_result(ended, given.folder), given.objective)

    try:
        if attempts > MOST_ATTEMPTS:
            raise RunError(f"its process ended {MOST_ATTEMPTS} times at the same place")
        spec = _spec(given, changes)
        checked(spec, given.tuning.options)
        reports = Reports(trial, given.objective, spec)
        epochs = spec.train.epochs
        value = run(
            spec,
            folder,
            reports,
            given.objective,
            lambda epoch, value: given.shown.epoch(epoch, epochs, value),
            given.plugins,
        )
    except Refused as refused:
        tell(states.PRUNED, "refused", str(refused))
    except Pruned:
        tell(states.PRUNED, "pruned", f"worse than the median after epoch {max(reports.reported)}")
    except Interrupted:
        with suppress(given_up()):  # or the signal would be lost
            trial.set_user_attr(ATTEMPTS, {"reached": "", "count": 0})
        raise
    except ArgumentError as error:  # of the study, such as a monitor that no trial reports
        tell(states.FAIL, "failed", first_line(error))
        raise
    except SpecError as error:
        # Without a run folder nothing was trained: the values do not fit the data or the memory of the device.
        trained = folder.manifest_file.is_file()
        tell(states.FAIL if trained else states.PRUNED, "failed" if trained else "refused", first_line(error))
    except SpecbuildError as error:
        if isinstance(error.__cause__, storage_errors()):
            raise error.__cause__ from None
        if isinstance(error.__cause__, OSError):  # a full disk is no fault of the trial, which can go on later
            raise
        tell(states.FAIL, "failed", first_line(error))
    except Exception as error:
        tell(states.FAIL, "failed", f"{type(error).__name__}: {first_line(error)}")
        raise
    else:
        tell(states.COMPLETE, "complete", value=value)


def _attempts(trial: optuna.trial.Trial, folder: RunFolder) -> int:
    """Return how many processes have begun at this place of the trial, this one included."""
    reached = str(folder.reached)
    before: dict[str, Any] = trial.user_attrs.get(ATTEMPTS, {"reached": "", "count": 0})
    count = before["count"] + 1 if before["reached"] == reached else 1
    trial.set_user_attr(ATTEMPTS, {"reached": reached, "count": count})
    return count


def _spec(given: Work, changes: tuple[str, ...]) -> Spec:
    """Return the spec of a trial."""
    try:
        return given.folder.spec(changes)
    except SpecError as error:
        raise Refused(first_line(error)) from error
