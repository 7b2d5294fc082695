"""The evaluations that a run folder holds, read back from their files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from specbuild.catalog.scores import SCORES
from specbuild.document import RunError
from specbuild.evaluation.result import Difference, Evaluation, Interval, ScoreColumn, ScoreTable, Skill
from specbuild.runs.folder import RunFolder
from specbuild.runs.records import damaged, read_json

_UNITS = {score.title: score.units for score in SCORES.values()}


@dataclass(frozen=True, slots=True)
class Stored:
    """What one file of scores holds: the evaluations of forecasts, one for each output, or those of classes."""

    file: str
    evaluations: tuple[Evaluation, ...] = ()
    classes: Mapping[str, Any] | None = None
    """The content of the file where it scores a classifier."""


def stored_scores(folder: RunFolder) -> tuple[Stored, ...]:
    """Return the evaluations in a run folder, that of the training first.

    A file that repeats an output of another is left out.

    Raises:
        RunError: a file of scores is damaged.
    """
    paths = sorted(folder.path.glob("scores*.json"), key=lambda path: (path != folder.scores_file, path.name))
    found: list[Stored] = []
    for path in paths:
        values = read_json(path)
        try:
            if "confusion" in values:
                found.append(Stored(path.name, classes=values))
                continue
            read = tuple(_evaluations(values))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise damaged(path, f"it does not hold scores: {type(error).__name__} {error}") from error
        known = {_key(evaluation) for stored in found for evaluation in stored.evaluations}
        kept = tuple(evaluation for evaluation in read if not evaluation.output or _key(evaluation) not in known)
        if kept:
            found.append(Stored(path.name, kept))
    return tuple(found)


def main_evaluation(stored: Sequence[Stored]) -> Evaluation | None:
    """Return the evaluation to speak of first: of the first output, in the first file that scores forecasts."""
    return next((each.evaluations[0] for each in stored if each.evaluations), None)


def _key(evaluation: Evaluation) -> tuple[Any, ...]:
    files = tuple(str(each.get("path")) for each in evaluation.data)
    overall = evaluation.tables[0].columns[0].all if evaluation.tables[0].columns else ()
    return evaluation.output, evaluation.variable, evaluation.split, evaluation.leads, files, repr(overall)


def _evaluations(values: Mapping[str, Any]) -> Iterator[Evaluation]:
    yield _evaluation(values)
    for other in values.get("outputs", ()):
        yield _evaluation(other)


def _evaluation(values: Mapping[str, Any]) -> Evaluation:
    """Return an evaluation as `Evaluation.to_dict` wrote it; what is null there is NaN."""
    variable = values["variable"]
    return Evaluation(
        name=values["name"],
        split=values["split"],
        windows=values["windows"],
        variable=variable,
        units=values["units"],
        tables=tuple(_table(entry) for entry in values["forecasts"]),
        skills=tuple(
            Skill(
                entry["baseline"],
                _numbers(entry["values"]),
                _number(entry["overall"]),
                tuple(_interval(pair) for pair in entry.get("intervals", ())),
            )
            for entry in values["skills"]
        ),
        conventions=values.get("conventions", {}),
        notes=tuple(values.get("notes", ())),
        data=tuple(values.get("data", ())),
        blocks=values.get("intervals", {}).get("blocks", 0),
        output=values.get("output", ""),
        of_event=variable.startswith("probability of "),
    )


def _table(values: Mapping[str, Any]) -> ScoreTable:
    columns = tuple(
        ScoreColumn(
            entry["score"],
            entry["threshold"],
            _numbers(entry["values"]),
            _number(entry["overall"]),
            entry.get("window"),
            _UNITS.get(entry["score"], ""),
            _differences(entry.get("differences")),
        )
        for entry in values["scores"]
    )
    return ScoreTable(values["forecast"], tuple(values["leads"]), columns)


def _differences(entry: Mapping[str, Any] | None) -> tuple[Difference | None, ...]:
    if entry is None:
        return ()
    return tuple(
        None if each is None else Difference(each["baseline"], _number(each["value"]), _interval(each["interval"]))
        for each in (*entry["values"], entry["overall"])
    )


def _interval(pair: Sequence[float | None] | None) -> Interval | None:
    return None if pair is None else Interval(*map(_number, pair))


def _numbers(values: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(map(_number, values))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def scores_or_fault(folder: RunFolder) -> tuple[tuple[Stored, ...], str]:
    """Return the evaluations in a run folder, and why they cannot be read; empty where they can."""
    try:
        return stored_scores(folder), ""
    except RunError as error:
        return (), str(error)
