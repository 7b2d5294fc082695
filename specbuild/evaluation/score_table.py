"""Scores as a result: values that never change, as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from specbuild.catalog.scores import Units

ALL = "all"
"""The label of what is pooled over every lead time."""


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """One score at every lead time, and pooled over them; NaN where undefined.

    `score` is its title. `window` is the width of FSS's box in pixels. `units` is as the catalogue of scores has it.
    """

    score: str
    threshold: float | None
    values: tuple[float, ...]
    overall: float
    window: int | None = None
    units: Units = ""

    @property
    def label(self) -> str:
        """`RMSE`, `CSI ≥ 0.5`, `FSS ≥ 0.5 in 5 × 5`."""
        event = "" if self.threshold is None else f" ≥ {self.threshold:g}"
        return self.score + event + ("" if self.window is None else f" in {self.window} × {self.window}")

    def in_units(self, units: str) -> str:
        """The units of the score, given those of the data; empty where it has none or they are not known."""
        squared = f"({units})²" if "/" in units or " " in units else f"{units}²"
        return {"data": units, "data²": squared if units else ""}.get(self.units, self.units)


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Every score of one kind of forecast: one row per lead time, one column per score and threshold.

    `scored` are the pixels that were scored at each lead time, `observed` those that could have been: where they differ
    the forecast was unknown.
    """

    name: str
    leads: tuple[str, ...]
    columns: tuple[ScoreColumn, ...]
    scored: tuple[int, ...] = ()
    observed: tuple[int, ...] = ()

    @property
    def coverage(self) -> float:
        """The share of the observed pixels that the forecast knew; 1 where nothing was observed."""
        total = sum(self.observed)
        return sum(self.scored) / total if total else 1.0

    def column(self, score: str, threshold: float | None = None, window: int | None = None) -> ScoreColumn:
        """One score.

        Raises:
            KeyError: the table does not have it.
        """
        for column in self.columns:
            if (column.score, column.threshold, column.window) == (score, threshold, window):
                return column
        raise KeyError(f"{score} at {threshold}")

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it: undefined and infinite scores are None."""
        return {
            "forecast": self.name,
            "leads": list(self.leads),
            "pixels": list(self.scored),
            "coverage": self.coverage,
            "scores": [
                {
                    "score": column.score,
                    "threshold": column.threshold,
                    **({} if column.window is None else {"window": column.window}),
                    "values": [finite(value) for value in column.values],
                    "overall": finite(column.overall),
                }
                for column in self.columns
            ],
        }

    def to_csv(self) -> str:
        """One line per lead time and score: forecast,lead,score,threshold,window,value. Undefined scores are empty."""
        return to_csv([self])


def to_csv(tables: Iterable[ScoreTable]) -> str:
    """The tables of several forecasts as one CSV text; see `ScoreTable.to_csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("forecast", "lead", "score", "threshold", "window", "value"))
    for table in tables:
        for column in table.columns:
            threshold = "" if column.threshold is None else f"{column.threshold:g}"
            for lead, value in zip((*table.leads, ALL), (*column.values, column.overall), strict=True):
                written = "" if math.isnan(value) else repr(value)
                writer.writerow((table.name, lead, column.score, threshold, column.window or "", written))
    return text.getvalue()


def finite(value: float) -> float | None:
    """A number as JSON can hold it."""
    return value if math.isfinite(value) else None
