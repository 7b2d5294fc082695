"""The result of an evaluation: the scores of the model and of the baselines, as tables, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from specbuild.catalog.baselines import PERSISTENCE
from specbuild.catalog.scores import SCORES, SHOWN
from specbuild.evaluation.calibration import CALIBRATION, CalibrationTable
from specbuild.evaluation.forecast_scores import (
    LEAST_BLOCKS,
    Interval,
    ScoreColumn,
    ScoreTable,
    number,
    numbers,
    too_few,
    with_nulls,
)

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
    """The blocks of windows that intervals are drawn from; 0 in files from before there were any."""

    @property
    def too_few_blocks(self) -> bool:
        """Whether there are too few windows for intervals that can be relied on."""
        return too_few(self.blocks)

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
            **({"of_event": True} if self.of_event else {}),
            **({"outputs": [other.to_dict() for other in self.others]} if self.others else {}),
            "variable": self.variable,
            "units": self.units,
            "convention": f"{CONVENTION}; {EVENTS}",
            "conventions": dict(self.conventions),
            "skill": {"definition": f"{SKILL}, which is persistence", "values": persistence, "overall": over_all},
            "skill over the best baseline": {"definition": BEST, "values": best, "overall": overall},
            "skills": [skill.to_dict() for skill in self.skills],
            **({"intervals": self._intervals()} if self.blocks else {}),
            "forecasts": [table.to_dict() for table in self.tables],
        }
        if self.calibration:
            result["calibration"] = {"definition": CALIBRATION, "forecasts": [t.to_dict() for t in self.calibration]}
        return with_nulls(result)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the evaluation that `to_dict` wrote.

        Null is read as NaN, so infinite numbers are lost. `shown` is the default. Files from before `of_event` was
        written are read as scores of a value.

        Raises:
            KeyError: a key is missing, or a title is that of no score.
            TypeError, ValueError, AttributeError: a value is of another type.
        """
        return cls(
            name=values["name"],
            split=values["split"],
            windows=values["windows"],
            variable=values["variable"],
            units=values["units"],
            tables=tuple(map(ScoreTable.from_dict, values["forecasts"])),
            skills=tuple(map(Skill.from_dict, values["skills"])),
            conventions=values.get("conventions", {}),
            notes=tuple(values.get("notes", ())),
            data=tuple(values.get("data", ())),
            calibration=tuple(map(CalibrationTable.from_dict, values.get("calibration", {}).get("forecasts", ()))),
            blocks=values.get("intervals", {}).get("blocks", 0),
            output=values.get("output", ""),
            of_event=values.get("of_event", False),
            others=tuple(map(cls.from_dict, values.get("outputs", ()))),
        )

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

    def to_dict(self) -> dict[str, Any]:
        """Return the skill for JSON; without intervals where there are none."""
        entries = asdict(self)
        return with_nulls(entries if self.intervals else {key: entries[key] for key in entries if key != "intervals"})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the skill that `to_dict` wrote.

        Raises:
            KeyError: a key is missing.
        """
        intervals = tuple(map(Interval.from_json, values.get("intervals", ())))
        return cls(values["baseline"], numbers(values["values"]), number(values["overall"]), intervals)

    def interval(self, position: int) -> Interval | None:
        """Return the interval at a position of `all`; None where it is not known."""
        return self.intervals[position] if self.intervals else None


def hardest(skills: Sequence[Skill], position: int) -> Skill | None:
    """Return the baseline with the least skill at a position of `Skill.all`; None where every skill is unknown."""
    known = [skill for skill in skills if not math.isnan(skill.all[position])]
    return min(known, key=lambda skill: skill.all[position], default=None)
