"""The scores of one forecast as a table: by lead time and pooled, with their intervals; to JSON and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

from specbuild.catalog.scores import Units, score_titled

LEAST_BLOCKS = 5
"""Blocks of windows from which an interval is computed."""


def too_few(blocks: int) -> bool:
    """Whether there are too few blocks of windows for intervals that can be relied on."""
    return blocks < LEAST_BLOCKS


class Interval(NamedTuple):
    """An interval that holds a value with a probability of 95 %."""

    low: float
    high: float

    @classmethod
    def from_json(cls, pair: Sequence[float | None] | None) -> Self | None:
        """Return the interval that was written; None where there is none."""
        return None if pair is None else cls(*numbers(pair))


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of the model minus that of a baseline, and its interval where there are enough windows."""

    baseline: str
    value: float
    interval: Interval | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> Self | None:
        """Return the difference that was written; None where there is none."""
        if values is None:
            return None
        return cls(values["baseline"], number(values["value"]), Interval.from_json(values["interval"]))


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """One score at every lead time, and pooled over them; NaN where undefined.

    `score` is its title. `window` is the width of FSS's box in pixels. `units` is as the catalog of scores has it.
    `differences` are those of the model to the best baseline by lead time and then over all; empty without intervals.
    """

    score: str
    threshold: float | None
    values: tuple[float, ...]
    overall: float
    window: int | None = None
    units: Units = ""
    differences: tuple[Difference | None, ...] = ()

    @property
    def all(self) -> tuple[float, ...]:
        """By lead time, then over all."""
        return (*self.values, self.overall)

    def to_dict(self) -> dict[str, Any]:
        """Return the column for JSON, with the differences to the best baseline if there are any."""
        result: dict[str, Any] = {
            "score": self.score,
            "threshold": self.threshold,
            **({} if self.window is None else {"window": self.window}),
            "values": self.values,
            "overall": self.overall,
        }
        if self.differences:
            *values, overall = [difference and asdict(difference) for difference in self.differences]
            result["differences"] = {"values": values, "overall": overall}
        return with_nulls(result)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the column that `to_dict` wrote; its units are those of the catalog.

        Raises:
            KeyError: a key is missing, or no score has the title.
        """
        differences = values.get("differences")
        return cls(
            values["score"],
            values["threshold"],
            numbers(values["values"]),
            number(values["overall"]),
            values.get("window"),
            score_titled(values["score"]).units,
            ()
            if differences is None
            else tuple(map(Difference.from_dict, (*differences["values"], differences["overall"]))),
        )

    @property
    def label(self) -> str:
        """`RMSE`, `CSI ≥ 0.5`, `FSS ≥ 0.5 in 5 × 5`."""
        return self.label_with("")

    def label_with(self, units: str) -> str:
        """Return the label with the units of the data behind the threshold: `FSS ≥ 0.5 mm/h in 5 × 5`."""
        event = "" if self.threshold is None else f" ≥ {self.threshold:g}{f' {units}' if units else ''}"
        return self.score + event + ("" if self.window is None else f" in {self.window} × {self.window}")

    def in_units(self, units: str) -> str:
        """Return the units of the score, given those of the data; empty where it has none or they are not known."""
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
        """Return one score.

        Raises:
            KeyError: the table does not have it.
        """
        for column in self.columns:
            if (column.score, column.threshold, column.window) == (score, threshold, window):
                return column
        raise KeyError(f"{score} at {threshold}")

    def to_dict(self) -> dict[str, Any]:
        """Return the table for JSON: undefined and infinite scores are None."""
        result = {
            "forecast": self.name,
            "leads": self.leads,
            "pixels": self.scored,
            "observed": self.observed,
            "coverage": self.coverage,
            "scores": [column.to_dict() for column in self.columns],
        }
        return with_nulls(result)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the table that `to_dict` wrote; old files do not have `observed`, so their coverage is not known.

        Raises:
            KeyError: a key is missing, or no score has one of the titles.
        """
        columns = tuple(map(ScoreColumn.from_dict, values["scores"]))
        scored, observed = tuple(values.get("pixels", ())), tuple(values.get("observed", ()))
        return cls(values["forecast"], tuple(values["leads"]), columns, scored, observed)


def with_nulls(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return entries as JSON can hold them: None for numbers that are not finite, lists for tuples."""
    return {key: _with_nulls(value) for key, value in entries.items()}


def _with_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return with_nulls(value)
    if isinstance(value, list | tuple):
        return [_with_nulls(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number(value: float | None) -> float:
    """Return a number as `with_nulls` wrote it: NaN where it is None."""
    return math.nan if value is None else float(value)


def numbers(values: Sequence[float | None]) -> tuple[float, ...]:
    """Return numbers as `with_nulls` wrote them: NaN where one is None."""
    return tuple(map(number, values))
