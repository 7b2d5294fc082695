"""The numbers of a report's charts, as JSON holds them, and the tables that say the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from specbuild.catalog.baselines import BASELINES
from specbuild.catalog.scores import SCORES, score_titled
from specbuild.document.html import html_table
from specbuild.document.text_table import Column
from specbuild.evaluation.forecast_scores import ScoreColumn, ScoreTable, with_nulls
from specbuild.evaluation.result import ALL, MODEL, SKILL, Evaluation
from specbuild.reporting.opened import ReportedRun
from specbuild.runs.records import EPOCH, LEARNING_RATE, read_history, results_in

SKILL_LABEL = "skill over each baseline"
_RMSE = SCORES["rmse"].title


@dataclass(frozen=True, slots=True)
class Line:
    """One forecast in a chart: its values by lead time, and the ends of their intervals where they are known.

    `place` is its place in the legend, which fixes its color; `solid` tells models from baselines.
    """

    name: str
    leads: tuple[str, ...]
    values: tuple[float, ...]
    overall: float
    place: int
    solid: bool
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the line for JSON; what is undefined is null."""
        return with_nulls(
            {
                "name": self.name,
                "leads": self.leads,
                "values": self.values,
                "low": self.low,
                "high": self.high,
                "place": self.place,
                "solid": self.solid,
            }
        )


@dataclass(frozen=True, slots=True)
class ScoreChart:
    """One score of all forecasts, and the same as a table."""

    label: str
    units: str
    better: str
    about: str
    lines: tuple[Line, ...]
    zero: bool = False
    """Whether the line at 0 matters."""

    @property
    def table(self) -> str:
        """The values as HTML: rows are lead times, columns forecasts, with the intervals that are known."""
        leads = list(dict.fromkeys(lead for line in self.lines for lead in line.leads))
        columns, cells = [Column("lead time")], [[*leads, ALL]]
        for line in self.lines:
            values = dict(zip(line.leads, line.values, strict=True))
            columns.append(Column(line.name, number=True))
            cells.append(
                [_cell(values.get(lead, math.nan), self.units) for lead in leads] + [_cell(line.overall, self.units)]
            )
            if line.low:
                ends = dict(zip(line.leads, zip(line.low, line.high, strict=True), strict=True))
                columns.append(Column(f"{line.name}, 95 %", number=True))
                cells.append([_pair(ends.get(lead), self.units) for lead in leads] + [""])
        units = f" ({self.units})" if self.units not in ("", "%") else ""
        return html_table(columns, zip(*cells, strict=True), f"{self.label}{units} by lead time")

    def to_dict(self) -> dict[str, Any]:
        """Return the chart for JSON."""
        return {
            "label": self.label,
            "units": self.units,
            "better": self.better,
            "zero": self.zero,
            "lines": [line.to_dict() for line in self.lines],
        }


@dataclass(frozen=True, slots=True)
class ScoreGroup:
    """The scores of one output, of one or several runs, in one split."""

    label: str
    charts: tuple[ScoreChart, ...]
    notes: tuple[str, ...] = ()
    baselines: tuple[tuple[str, str], ...] = ()
    """The baselines and what each forecasts."""

    @property
    def overview(self) -> str:
        """All scores over all lead times as HTML: rows are scores, columns forecasts."""
        charts = [chart for chart in self.charts if chart.label != SKILL_LABEL]
        names = list(dict.fromkeys(line.name for chart in charts for line in chart.lines))
        columns = [Column("score"), *(Column(name, number=True) for name in names), Column("better")]
        rows = []
        for chart in charts:
            values = {line.name: _cell(line.overall, chart.units) for line in chart.lines}
            units = f" ({chart.units})" if chart.units not in ("", "%") else ""
            cells = [values.get(name, "–") for name in names]
            rows.append([f"{chart.label}{units}", *cells, chart.better.removesuffix(" is better") or "–"])
        return html_table(columns, rows, "Scores over all lead times")


def score_groups(runs: Sequence[ReportedRun]) -> list[ScoreGroup]:
    """Return every evaluation of forecasts that runs hold; those of the same output and split are one group."""
    groups: dict[tuple[str, ...], list[tuple[ReportedRun, Evaluation]]] = {}
    for run in runs:
        for stored in run.scores:
            for evaluation in stored.evaluations:
                name = stored.file.removeprefix("scores").removesuffix(".json").strip("-")
                key = (name, evaluation.output, evaluation.variable, evaluation.split, evaluation.units)
                groups.setdefault(key, []).append((run, evaluation))
    outputs = ["", *runs[0].trained.data.targets] if runs else []
    ordered = sorted(groups.items(), key=lambda group: outputs.index(group[0][1]) if group[0][1] in outputs else 0)
    return [_group(name, members, several=len(runs) > 1) for (name, *_), members in ordered]


def _group(name: str, members: Sequence[tuple[ReportedRun, Evaluation]], *, several: bool) -> ScoreGroup:
    first = members[0][1]
    output = f"{first.output}: " if first.output else ""
    units = f" ({first.units})" if first.units else ""
    counts = ", ".join(
        f"{f'{run.letter}: ' if several else ''}{each.windows} window{'s' if each.windows != 1 else ''}"
        for run, each in members
    )
    file = f", {name}" if name and name not in (first.output, first.split) else ""
    label = f"{output}{first.variable}{units}, {first.split} split{file}; {counts}"
    charts: list[ScoreChart] = []
    for column in _ordered(first.tables[0]):
        if lines := tuple(_lines(members, column, several=several)):
            score = score_titled(column.score) if column.score in _TITLES else None
            charts.append(
                ScoreChart(
                    column.label_with(first.units),
                    column.in_units(first.units),
                    "" if score is None else score.better,
                    _explained(first.conventions.get(column.score, "")),
                    lines,
                    zero=score is not None and score.limits[0] < 0,
                )
            )
    if skills := tuple(_skills(members, several=several)):
        about = f"{SKILL}; above 0 the model is better"
        charts.insert(min(1, len(charts)), ScoreChart(SKILL_LABEL, "%", "higher is better", about, skills, zero=True))
    notes = (f"{f'{run.letter}: ' if several else ''}{note}" for run, each in members for note in each.notes)
    names = dict.fromkeys(table.name for _, each in members for table in each.tables[1:])
    baselines = tuple((name, BASELINES[name].forecast) for name in names if name in BASELINES)
    return ScoreGroup(label, tuple(charts), tuple(notes), baselines)


def _explained(convention: str) -> str:
    """Return the definition of a score for a page, with the meaning of e."""
    unexplained = re.search(r"\be\b", convention) and "e =" not in convention
    text = convention.replace("^2", "²").replace(" - ", " − ")
    return f"{text}; e is the forecast minus the observation" if unexplained else text


_TITLES = {score.title for score in SCORES.values()}


def _ordered(table: ScoreTable) -> list[ScoreColumn]:
    """Return the scores of a table, RMSE first."""
    return sorted(table.columns, key=lambda column: column.score != _RMSE)


def _lines(members: Sequence[tuple[ReportedRun, Evaluation]], wanted: ScoreColumn, *, several: bool) -> Iterator[Line]:
    """Yield the models of all runs, then the baselines of the first run that has them."""
    place = 0
    for run, evaluation in members:
        if (column := _found(evaluation.tables[0], wanted)) is not None:
            low, high = _around(column)
            name = f"{run.letter}: {MODEL}" if several else MODEL
            yield Line(name, evaluation.leads, column.values, column.overall, place, True, low, high)
        place += 1
    known: set[str] = set()
    for run, evaluation in members:
        for table in evaluation.tables[1:]:
            if table.name not in known and (column := _found(table, wanted)) is not None:
                known.add(table.name)
                name = f"{table.name} ({run.letter})" if several else table.name
                yield Line(name, evaluation.leads, column.values, column.overall, place, False)
                place += 1


def _found(table: ScoreTable, wanted: ScoreColumn) -> ScoreColumn | None:
    try:
        return table.column(wanted.score, wanted.threshold, wanted.window)
    except KeyError:
        return None


def _around(column: ScoreColumn) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the ends of the interval of the difference to the best baseline, laid around the values of the model."""
    ends = []
    for value, difference in zip(column.values, column.differences, strict=False):
        known = difference is not None and difference.interval is not None
        ends.append([value - difference.value + end for end in difference.interval] if known else [math.nan] * 2)  # type: ignore[union-attr]
    if not ends or all(math.isnan(low) for low, _ in ends):
        return (), ()
    low, high = zip(*ends, strict=True)
    return low, high


def _skills(members: Sequence[tuple[ReportedRun, Evaluation]], *, several: bool) -> Iterator[Line]:
    """Yield the skill over each baseline in per cent."""
    place = 0
    for number, (run, evaluation) in enumerate(members):
        for skill in evaluation.skills:
            place += 1
            pairs = [skill.interval(at) or (math.nan, math.nan) for at in range(len(evaluation.leads))]
            low, high = zip(*pairs, strict=True) if skill.intervals else ((), ())
            name = f"{run.letter} over {skill.baseline}" if several else f"over {skill.baseline}"
            yield Line(
                name,
                evaluation.leads,
                _percent(skill.values),
                100 * skill.overall,
                place,
                number == 0,
                _percent(low),
                _percent(high),
            )


def _percent(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(100 * value for value in values)


def _cell(value: float, units: str) -> str:
    """Return three significant digits, whole per cent; a dash where the value is undefined."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return f"{value:+.0f} %" if units == "%" else f"{value:#.3g}".rstrip(".")


def _pair(ends: tuple[float, float] | None, units: str) -> str:
    if ends is None or math.isnan(ends[0]):
        return "–"
    return " to ".join(_cell(end, units) for end in ends)


@dataclass(frozen=True, slots=True)
class Curves:
    """The history of a run: each column of history.csv by epoch, and the epochs that matter."""

    run: str
    epochs: tuple[int, ...]
    series: dict[str, tuple[float, ...]]
    best: int | None
    resumed: tuple[int, ...]

    @property
    def monitored(self) -> list[str]:
        """The names of the series: losses, then the other results, then the learning rate."""
        results = sorted(results_in(self.series), key=lambda name: name.removeprefix("val_") != "loss")
        return [*results, *(name for name in self.series if name not in results)]

    @property
    def table(self) -> str:
        """The same as HTML, a row for each epoch."""
        columns = [Column("epoch"), *(Column(name, number=True) for name in self.monitored)]
        rows = [
            [
                f"{epoch}{' (best)' if epoch == self.best else ''}",
                *(_cell(self.series[name][at], "") for name in self.monitored),
            ]
            for at, epoch in enumerate(self.epochs)
        ]
        caption = "loss, metrics and learning rate" if LEARNING_RATE in self.series else "loss and metrics"
        return html_table(
            columns, rows, f"{self.run}: {caption} by epoch" if self.run else f"{caption} by epoch".capitalize()
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the curves for JSON."""
        return with_nulls(
            {
                "run": self.run,
                "epochs": self.epochs,
                "series": self.series,
                "best": self.best,
                "resumed": self.resumed,
            }
        )


def curves(run: ReportedRun, *, several: bool) -> Curves | None:
    """Return the history of a run; None where no epoch was finished.

    The columns of history.csv that are not numbers are left out.
    """
    path = run.folder.history_file
    rows = read_history(path) if path.is_file() else ()
    if not rows:
        return None
    names = [*results_in(rows[0]), *([LEARNING_RATE] if LEARNING_RATE in rows[0] else [])]
    series = {name: tuple(row.get(name, math.nan) for row in rows) for name in names}
    epochs = tuple(
        number if math.isnan(row.get(EPOCH, math.nan)) else int(row[EPOCH]) for number, row in enumerate(rows, 1)
    )
    manifest = run.manifest
    return Curves(
        run.letter if several else "",
        epochs,
        {name: values for name, values in series.items() if not all(map(math.isnan, values))},
        manifest.get("best_epoch") or manifest.get("model_epoch"),
        tuple(each["after_epoch"] for each in manifest.get("resumed") or ()),
    )
