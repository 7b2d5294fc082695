"""The runs in a folder, with how far they are and how good: what `specbuild runs` lists. Loads no framework."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from specbuild.catalog.scores import SCORES
from specbuild.document import ArgumentError, RunError, SpecbuildError, did_you_mean
from specbuild.evaluation.forecast_scores import ScoreColumn, ScoreTable
from specbuild.runs.clock import now
from specbuild.runs.folder import RunFolder, runs_below
from specbuild.runs.records import read_json
from specbuild.runs.studies import Trial, studies_below, trials_in

CLASS_SCORES = ("accuracy", "macro_f1")
RMSE = SCORES["rmse"].title


@dataclass(frozen=True, slots=True)
class ListedRun:
    """One run. What is not known is None, or an empty text."""

    run: str
    """The path of its folder, below the folder that was listed."""
    state: str
    spec: str = ""
    epochs: int | None = None
    """Epochs that are finished."""
    score: str = ""
    """Which score `value` is: a title and, with a threshold, that."""
    value: float | None = None
    """The score of the test split, pooled over lead times."""
    units: str = ""
    """Those of the score."""
    skill: float | None = None
    """1 − MSE / MSE of the best baseline."""
    baseline: str = ""
    """The best baseline."""
    started: str = ""
    """When it began, in UTC."""
    seconds: float | None = None
    """From its beginning to its end, or while it runs until now; None where it was continued or killed."""
    device: str = ""
    precision: str = ""
    seed: int | None = None
    data: str = ""
    """The files that it was trained on."""
    overrides: tuple[str, ...] = ()
    monitor: str = ""
    """Of a trial of a study: the value that its trials are compared by."""
    judged: float | None = None
    """That value of the trial."""
    problem: str = ""
    """Why nothing else is known: a file of the run is damaged, or the trial was refused."""

    def to_dict(self) -> dict[str, Any]:
        """Return the run for JSON."""
        return asdict(self)


def listed_runs(folder: str | Path, score: str | None = None) -> tuple[ListedRun, ...]:
    """Return the runs in a folder and the folders in it, in the order in which they began.

    A run that is a trial of a study has the state of the trial, such as `pruned`. Trials that were refused before they
    got a run folder are listed after the runs.

    Args:
        folder: where to look.
        score: the score to list, such as `CSI` or `CSI ≥ 0.5`; None: RMSE, or accuracy of a classifier.

    Raises:
        SpecError: there is no such folder.
        ArgumentError: no run has the score.
    """
    runs, folder = runs_below(Path(folder)), Path(folder)
    studies = {path: trials_in(path) for path in studies_below(folder)}
    found = [_listed(run, str(run.path.relative_to(folder)), score) for run in runs]
    found = [(_as_trial(run, studies.get((folder / run.run).parent, {})), labels) for run, labels in found]
    if score is not None and found and not any(run.score for run, _ in found):
        known = list(dict.fromkeys(label for _, labels in found for label in labels))
        raise ArgumentError(
            f"no run in {folder} has the score {score}",
            help=did_you_mean(score, known) or (f"there are {', '.join(known)}" if known else "none is scored yet"),
        )
    refused = [each for path, trials in studies.items() for each in _refused(path.relative_to(folder), trials)]
    return (*sorted((run for run, _ in found), key=lambda run: (run.started, run.run)), *refused)


def _as_trial(run: ListedRun, trials: Mapping[str, Trial]) -> ListedRun:
    """Return a run with what its study records of it, if it is a trial of one."""
    trial = trials.get(Path(run.run).name)
    if trial is None or run.state == "damaged":
        return run
    state = trial.state if run.state == "finished" and trial.state in ("pruned", "failed") else run.state
    return replace(run, state=state, monitor=trial.monitor, judged=trial.value)


def _refused(study: Path, trials: Mapping[str, Trial]) -> Iterator[ListedRun]:
    for name, trial in trials.items():
        if trial.state == "refused":
            yield ListedRun(str(study / name), "refused", overrides=trial.params, problem=trial.reason)


def _listed(folder: RunFolder, name: str, wanted: str | None) -> tuple[ListedRun, list[str]]:
    """Return a run, and the scores that it has."""
    try:
        manifest = folder.manifest()
        state = folder.status().state
    except SpecbuildError as error:
        return ListedRun(name, "damaged", problem=str(error)), []
    scores: Mapping[str, Any] = {}
    with suppress(RunError):
        scores = read_json(folder.scores_file)
    columns = {column.label: column for column in _scores(scores)}
    label = next((each for each in columns if wanted is None or _is(each, wanted)), "")
    column = columns.get(label)
    best = scores.get("skill over the best baseline", {}).get("overall") or {}
    return ListedRun(
        name,
        state,
        manifest["name"],
        folder.finished or manifest.get("epochs"),
        label,
        None if column is None or math.isnan(column.overall) else column.overall,
        "" if column is None else column.in_units(str(scores.get("units", ""))),
        best.get("value"),
        best.get("baseline") or "",
        manifest["started"],
        _seconds(manifest, state),
        manifest["machine"]["device"],
        manifest["precision"],
        manifest["seed"],
        ", ".join(Path(each["path"]).name for each in manifest["data"]),
        tuple(manifest["overrides"]),
    ), list(columns)


def _is(label: str, wanted: str) -> bool:
    same = label.casefold().replace(" ", ""), wanted.casefold().replace(">=", "≥").replace(" ", "")
    return same[0] == same[1] or same[0].partition("≥")[0] == same[1]


def _scores(scores: Mapping[str, Any]) -> Iterator[ScoreColumn]:
    """Yield the pooled scores of a model, RMSE first."""
    for name in CLASS_SCORES:
        if name in scores:
            yield ScoreColumn(name.replace("_", " "), None, (), scores[name])
    for table in scores.get("forecasts", ())[:1]:
        yield from sorted(ScoreTable.from_dict(table).columns, key=lambda column: bool(column.score != RMSE))


def _seconds(manifest: Mapping[str, Any], state: str) -> float | None:
    ended = manifest.get("finished") or (now() if state == "running" else None)
    if ended is None or manifest.get("resumed"):
        return None
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(manifest["started"])).total_seconds()


def chosen(runs: Iterable[ListedRun], conditions: Iterable[str]) -> tuple[ListedRun, ...]:
    """Return the runs for which every condition `KEY=TEXT` holds: the text is somewhere in the value.

    Raises:
        ArgumentError: a condition is not of that form, or names no key.
    """
    kept = list(runs)
    for condition in conditions:
        key, sign, text = condition.partition("=")
        if not sign:
            raise ArgumentError(f"{condition} is not a condition", help="write one as in state=finished")
        check_key(key)
        kept = [run for run in kept if text.casefold() in _text(getattr(run, key)).casefold()]
    return tuple(kept)


def in_order(runs: Iterable[ListedRun], key: str, *, reverse: bool = False) -> tuple[ListedRun, ...]:
    """Return the runs by a value, the smallest first unless `reverse`; those without the value are last.

    Raises:
        ArgumentError: there is no such value.
    """
    check_key(key)
    known: list[ListedRun] = []
    unknown: list[ListedRun] = []
    for run in runs:
        (unknown if getattr(run, key) in (None, "") else known).append(run)
    return (*sorted(known, key=lambda run: getattr(run, key), reverse=reverse), *unknown)


def check_key(key: str) -> None:
    """Raise an ArgumentError unless a run has a value of that name."""
    names = list(ListedRun.__dataclass_fields__)
    if key not in names:
        raise ArgumentError(
            f"a run has no {key or 'empty key'}", help=did_you_mean(key, names) or f"it has {', '.join(names)}"
        )


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
