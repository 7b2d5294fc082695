"""Scores as a result: values that never change, as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ALL = "all"
"""The label of what is pooled over every lead time."""


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """One score at every lead time, and pooled over them; NaN where undefined."""

    score: str
    threshold: float | None
    values: tuple[float, ...]
    overall: float

    @property
    def label(self) -> str:
        """`RMSE`, `CSI ≥ 0.5`."""
        return self.score if self.threshold is None else f"{self.score} ≥ {self.threshold:g}"


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Every score of one kind of forecast: one row per lead time, one column per score and threshold."""

    name: str
    leads: tuple[str, ...]
    columns: tuple[ScoreColumn, ...]

    def column(self, score: str, threshold: float | None = None) -> ScoreColumn:
        """One score.

        Raises:
            KeyError: the table does not have it.
        """
        for column in self.columns:
            if (column.score, column.threshold) == (score, threshold):
                return column
        raise KeyError(f"{score} at {threshold}")

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it: undefined scores are None."""
        return {
            "forecast": self.name,
            "leads": list(self.leads),
            "scores": [
                {
                    "score": column.score,
                    "threshold": column.threshold,
                    "values": [_json(value) for value in column.values],
                    "overall": _json(column.overall),
                }
                for column in self.columns
            ],
        }

    def to_csv(self) -> str:
        """One line per lead time and score: forecast,lead,score,threshold,value. Undefined scores are empty."""
        return to_csv([self])


def to_csv(tables: Iterable[ScoreTable]) -> str:
    """The tables of several forecasts as one CSV text; see `ScoreTable.to_csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("forecast", "lead", "score", "threshold", "value"))
    for table in tables:
        for column in table.columns:
            threshold = "" if column.threshold is None else f"{column.threshold:g}"
            for lead, value in zip((*table.leads, ALL), (*column.values, column.overall), strict=True):
                writer.writerow((table.name, lead, column.score, threshold, "" if math.isnan(value) else repr(value)))
    return text.getvalue()


def _json(value: float) -> float | None:
    return None if math.isnan(value) else value
