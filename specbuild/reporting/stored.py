"""The evaluations that a run folder holds, read back from their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from specbuild.document import RunError
from specbuild.evaluation.classes import ClassScores
from specbuild.evaluation.result import Evaluation
from specbuild.evaluation.stored import read_scores
from specbuild.runs.folder import RunFolder


@dataclass(frozen=True, slots=True)
class Stored:
    """What one file of scores holds: the evaluations of forecasts, one for each output, or those of classes."""

    file: str
    evaluations: tuple[Evaluation, ...] = ()
    classes: ClassScores | None = None
    """The scores of a classifier."""


def stored_scores(folder: RunFolder) -> tuple[Stored, ...]:
    """Return the evaluations in a run folder, that of the training first.

    A file that repeats an output of another is left out.

    Raises:
        RunError: a file of scores is damaged.
    """
    paths = sorted(folder.path.glob("scores*.json"), key=lambda path: (path != folder.scores_file, path.name))
    found: list[Stored] = []
    for path in paths:
        scores = read_scores(path)
        if isinstance(scores, ClassScores):
            found.append(Stored(path.name, classes=scores))
            continue
        read = (replace(scores, others=()), *scores.others)
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


def scores_or_fault(folder: RunFolder) -> tuple[tuple[Stored, ...], str]:
    """Return the evaluations in a run folder, and why they cannot be read; empty where they can."""
    try:
        return stored_scores(folder), ""
    except RunError as error:
        return (), str(error)
