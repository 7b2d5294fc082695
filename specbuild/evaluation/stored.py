"""Scores read back from their files."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from specbuild.evaluation.classes import ClassScores
from specbuild.evaluation.result import Evaluation
from specbuild.runs.records import damaged, read_json

Scored: TypeAlias = Evaluation | ClassScores
"""The result of an evaluation: scores of forecasts, or of classes."""


def read_scores(path: Path) -> Scored:
    """Return the scores in a file that `evaluate` wrote.

    Raises:
        RunError: it is missing or damaged, or does not hold scores.
    """
    values = read_json(path)
    try:
        return ClassScores.from_dict(values) if ClassScores.are_in(values) else Evaluation.from_dict(values)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise damaged(path, f"it does not hold scores: {type(error).__name__} {error}") from error
