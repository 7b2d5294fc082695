"""The result of an evaluation: the scores of the model and of the baselines, as tables, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from specbuild.catalog.baselines import PERSISTENCE
from specbuild.catalog.scores import SCORES, SHOWN, Units
from specbuild.evaluation.calibration import CALIBRATION, CalibrationTable

MODEL = "model"

ALL = "all"
"""The label of scores that are pooled over all lead times."""

COLUMNS = ("forecast", "lead", "score", "threshold", "window", "value")
"""The columns of scores as a table with a row for each."""

CONVENTION = "pooled over windows, pixels and channels in physical units, missing pixels left out"
EVENTS = "events are values at or above the threshold"
SKILL = "1 - MSE / MSE of the baseline, over the pixels that both know"
BEST = f"{SKILL}; the best baseline at a lead time is the one that leaves the least skill"
DIFFERENCE = "the model's score minus that of the baseline with the best score at that lead time"
INTERVALS = "95 % intervals from a bootstrap over blocks of windows, each as many first frames as a window spans"
LEAST_BLOCKS = 5
"""Blocks of windows from which an interval is computed."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of one split.

    `tables` begins with the model's; the baselines follow, persistence first. `skills` are over each baseline in that
    order. `shown` names the scores that a terminal shows; `conventions` says what each score is.
    """

    name: str
    split: str
    windows: int
    variable: str
    units: str
    tables: tuple[ScoreTable, ...]
    skills: tuple[Skill, ...]
    shown: tuple[str, ...] = tuple(SCORES[name].title for name in SHOWN)
    conventions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Which data was skipped, and why; what was scored other than the data of the run."""
    data: tuple[Mapping[str, Any], ...] = ()
    """The fingerprint of each path of other data than those of the run; empty for those."""
    calibration: tuple[CalibrationTable, ...] = ()
    """The rank histograms and the reliability of the forecasts that are distributions."""
    blocks: int = 0
    """The blocks of windows that intervals are drawn from; 0: none were computed."""

    @property
    def too_few_blocks(self) -> bool:
        """Whether there are too few windows for intervals that can be relied on."""
        return 0 < self.blocks < LEAST_BLOCKS

    output: str = ""
    """The output of the model that is scored, of several."""
    of_event: bool = False
    """Whether it gives the probability of an event."""
    others: tuple[Evaluation, ...] = ()
    """The evaluations of its other outputs."""

    @property
    def leads(self) -> tuple[str, ...]:
        return self.tables[0].leads

    @property
    def on_show(self) -> tuple[ScoreColumn, ...]:
        """The model's scores that a terminal shows and a picture draws, in the order of `shown`."""
        return tuple(column for name in self.shown for column in self.tables[0].columns if column.score == name)

    def of(self, forecast: str) -> ScoreTable:
        """Return the scores of one forecast.

        Raises:
            KeyError: there is none of that name.
        """
        return {table.name: table for table in self.tables}[forecast]

    def skill(self, over: str = PERSISTENCE) -> tuple[float, ...]:
        """Return 1 − MSE / MSE of a baseline at every lead time and then over all; 1 is best, below 0 is worse than it.

        Raises:
            KeyError: there is no such baseline.
        """
        return {skill.baseline: skill.all for skill in self.skills}[over]

    def best(self) -> tuple[Skill | None, ...]:
        """Return the skill over the best baseline, which is the least, at every lead time and then over all.

        None where no baseline can be compared.
        """
        return tuple(hardest(self.skills, position) for position in range(len(self.leads) + 1))

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation for JSON; what is undefined or infinite is null."""
        *best, overall = [
            {
                "baseline": skill and skill.baseline,
                "value": skill and skill.all[position],
                **({"interval": skill.interval(position)} if skill and self.blocks else {}),
            }
            for position, skill in enumerate(self.best())
        ]
        *persistence, over_all = self.skill()
        result = {
            "name": self.name,
            "split": self.split,
            "windows": self.windows,
            **({"notes": list(self.notes)} if self.notes else {}),
            **({"data": list(self.data)} if self.data else {}),
            **({"output": self.output} if self.output else {}),
            **({"outputs": [other.to_dict() for other in self.others]} if self.others else {}),
            "variable": self.variable,
            "units": self.units,
            "convention": f"{CONVENTION}; {EVENTS}",
            "conventions": dict(self.conventions),
            "skill": {"definition": f"{SKILL}, which is persistence", "values": persistence, "overall": over_all},
            "skill over the best baseline": {"definition": BEST, "values": best, "overall": overall},
            "skills": [_without_empty(asdict(skill)) for skill in self.skills],
            **({"intervals": self._intervals()} if self.blocks else {}),
            "forecasts": [table.to_dict() for table in self.tables],
        }
        if self.calibration:
            result["calibration"] = {"definition": CALIBRATION, "forecasts": [t.to_dict() for t in self.calibration]}
        return with_nulls(result)

    def _intervals(self) -> dict[str, Any]:
        """Return what intervals are, and of how many blocks."""
        missing = f"; too few windows: at least {LEAST_BLOCKS} blocks are needed" if self.too_few_blocks else ""
        return {"definition": f"{INTERVALS}{missing}", "blocks": self.blocks, "difference": DIFFERENCE}

    def rows(self) -> Iterator[tuple[str, str, str, float | None, int | None, float]]:
        """Yield every score of every forecast with what `COLUMNS` names."""
        for table in self.tables:
            for column in table.columns:
                for lead, value in zip((*table.leads, ALL), column.all, strict=True):
                    yield table.name, lead, column.score, column.threshold, column.window, value

    def to_csv(self) -> str:
        """Return lines of forecast,lead,score,threshold,window,value; undefined values are empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for *labels, threshold, window, value in self.rows():
            event = "" if threshold is None else f"{threshold:g}"
            writer.writerow((*labels, event, window or "", "" if math.isnan(value) else repr(value)))
        return text.getvalue()

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each score of each forecast at each lead time, and over all.

        Its columns are forecast, lead, score, threshold, window and value; undefined values are NaN.
        """
        import pandas

        frame = pandas.DataFrame(list(self.rows()), columns=list(COLUMNS))
        return frame.astype({"threshold": float, "window": float, "value": float})

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset` with a variable for each score: (forecast, lead), and threshold and window if any.

        The last lead is `all`, over every lead time. Units are attributes.
        """
        import xarray

        frame = self.to_pandas()
        variables = {}
        for column in self.tables[0].columns:
            rows = frame[frame.score == column.score]
            keys = ["forecast", "lead", *(key for key in ("threshold", "window") if rows[key].notna().any())]
            array = rows.set_index(keys)["value"].to_xarray()
            array = array.reindex(forecast=[table.name for table in self.tables], lead=[*self.leads, ALL])
            variables[column.score] = array.assign_attrs(units=column.in_units(self.units))
        return xarray.Dataset(variables, attrs={"name": self.name, "split": self.split, "variable": self.variable})

    def _repr_html_(self) -> str:
        """The tables of `specbuild evaluate`, as a notebook shows them."""
        from specbuild.evaluation.tables import evaluation_html

        return "".join(map(evaluation_html, (self, *self.others)))


class Interval(NamedTuple):
    """An interval that holds a value with a probability of 95 %."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of the model minus that of a baseline, and its interval where there are enough windows."""

    baseline: str
    value: float
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """One score at every lead time, and pooled over them; NaN where undefined.

    `score` is its title. `window` is the width of FSS's box in pixels. `units` is as the catalogue of scores has it.
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

    def differences_to_dict(self) -> dict[str, Any]:
        """Return the differences to the best baseline at every lead time, and over all."""
        *values, overall = [difference and asdict(difference) for difference in self.differences]
        return {"values": values, "overall": overall}

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
            "coverage": self.coverage,
            "scores": [
                {
                    "score": column.score,
                    "threshold": column.threshold,
                    **({} if column.window is None else {"window": column.window}),
                    "values": column.values,
                    "overall": column.overall,
                    **({"differences": column.differences_to_dict()} if column.differences else {}),
                }
                for column in self.columns
            ],
        }
        return with_nulls(result)


def with_nulls(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return entries as JSON can hold them: None for numbers that are not finite, lists for tuples."""
    return {key: _with_nulls(value) for key, value in entries.items()}


def _without_empty(entries: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if value != ()}


def _with_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return with_nulls(value)
    if isinstance(value, list | tuple):
        return [_with_nulls(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True, slots=True)
class Skill:
    """1 − MSE of the model / MSE of one baseline, at every lead time and over all of them.

    1 is best, below 0 the model is worse. Where the baseline has no error it is −∞, or NaN if the model has none
    either; where the baseline knows nothing it is NaN.
    """

    baseline: str
    values: tuple[float, ...]
    overall: float
    intervals: tuple[Interval | None, ...] = ()
    """By lead time, then over all; empty where there are too few windows."""

    @property
    def all(self) -> tuple[float, ...]:
        """By lead time, then over all."""
        return (*self.values, self.overall)

    def interval(self, position: int) -> Interval | None:
        """Return the interval at a position of `all`; None where it is not known."""
        return self.intervals[position] if self.intervals else None


def hardest(skills: Sequence[Skill], position: int) -> Skill | None:
    """Return the baseline with the least skill at a position of `Skill.all`; None where every skill is unknown."""
    known = [skill for skill in skills if not math.isnan(skill.all[position])]
    return min(known, key=lambda skill: skill.all[position], default=None)
