"""The trials of an Optuna study as results. Imports Optuna."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specbuild.language.tuning import Tuning
from specbuild.tuning.folder import StudyFolder
from specbuild.tuning.result import State, Study, TrialResult
from specbuild.tuning.sampling import drawn
from specbuild.tuning.storage import RETRIED, RETRIES
from specbuild.tuning.trial import Objective

if TYPE_CHECKING:
    import optuna

OUTCOME, REASON, FOLDER = "outcome", "reason", "folder"
"""Attributes of a trial: how it ended, why, and the name of its run folder."""


def trial_result(trial: optuna.trial.FrozenTrial, folder: StudyFolder, tuning: Tuning | None = None) -> TrialResult:
    """Return a trial as values."""
    run = folder.trial(trial.number)
    return TrialResult(
        number=trial.number,
        state=_state(trial),
        value=None if trial.value is None else float(trial.value),
        params=drawn(trial.params, tuning.space if tuning is not None else ()),
        seconds=None if trial.duration is None else trial.duration.total_seconds(),
        reason=_reason(trial),
        folder=run.path if run.manifest_file.is_file() else None,
        epochs=tuple(sorted(trial.intermediate_values.items())),
    )


def _state(trial: optuna.trial.FrozenTrial) -> State:
    import optuna

    states = optuna.trial.TrialState
    outcomes: tuple[State, ...] = ("complete", "pruned", "refused", "failed")
    told = next((outcome for outcome in outcomes if outcome == trial.user_attrs.get(OUTCOME)), None)
    named: dict[optuna.trial.TrialState, State] = {
        states.RUNNING: "running",
        states.WAITING: "waiting",
        states.COMPLETE: "complete",
        states.PRUNED: "refused" if told == "refused" else "pruned",
        states.FAIL: "failed",
    }
    return named[trial.state]


def _reason(trial: optuna.trial.FrozenTrial) -> str:
    told: str = trial.user_attrs.get(REASON, "")
    if told or _state(trial) != "failed":
        return told
    before = trial.user_attrs.get(RETRIED, ())
    return "its process died" + ("; its values are tried again" if len(before) < RETRIES else "")


def collected(study: optuna.Study, folder: StudyFolder, tuning: Tuning, objective: Objective, total: int) -> Study:
    """Return the study as values."""
    trials = study.get_trials(deepcopy=False)
    return Study(
        path=folder.path,
        monitor=objective.monitor,
        larger_is_better=objective.larger_is_better,
        total=total,
        trials=tuple(trial_result(trial, folder, tuning) for trial in trials),
    )
