"""`compare`: what differs between runs, and whether one forecasts better than another.

The forecasts of all runs are scored on the same frames, the pixels that every one of them knows, at the lead times that
they share; a window counts by its last past frame, and only where it lies in the same split of every run. The
difference between two runs is drawn from the same blocks of windows for both (a paired bootstrap), which tells apart
what two separate intervals cannot.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from specbuild.catalog.scores import score_titled
from specbuild.data import Dataset, Window
from specbuild.data.units import each_with_units
from specbuild.document import ArgumentError
from specbuild.document.html import preformatted
from specbuild.evaluation.baselines import climatology
from specbuild.evaluation.comparable import (
    check_alike,
    check_same_frames,
    common_moments,
    forecast_view,
    listed,
    moments_of,
)
from specbuild.evaluation.ensembles import ScoredForecast, model_forecast
from specbuild.evaluation.forecast_scores import Difference, ScoreColumn, ScoreTable, too_few, with_nulls
from specbuild.evaluation.scores import Blocks, Draws, Scores, Scoring, with_differences
from specbuild.language import normalize
from specbuild.language.difference import Difference as SpecDifference
from specbuild.language.difference import differences
from specbuild.runs.trained import TrainedRun

Verdict = Literal["better", "worse", "uncertain"]
PAIRED = (
    "the second run's score minus the first's, with a 95 % interval from a bootstrap over blocks of windows, the same "
    "for both"
)


class RecordedDifference(NamedTuple):
    """An entry in which the records of two runs differ: `seed`, `1`, `2`."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run beside the first of a comparison."""

    name: str
    spec: tuple[SpecDifference, ...]
    """What differs in the spec from that of the first."""
    records: tuple[RecordedDifference, ...]
    """What else differs: versions, seed, precision, device."""
    table: ScoreTable
    """Its scores, with the differences to those of the first where there are enough windows."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Runs beside the first of them, `runs[0]`."""

    split: str
    windows: int
    blocks: int
    variable: str
    units: str
    runs: tuple[ComparedRun, ...]
    shown: tuple[str, ...]
    """The titles of the scores that a terminal shows."""
    notes: tuple[str, ...] = ()

    @property
    def leads(self) -> tuple[str, ...]:
        return self.runs[0].table.leads

    @property
    def by_letter(self) -> dict[str, ComparedRun]:
        """The runs by the letters that stand for them in tables."""
        return {letter(at): run for at, run in enumerate(self.runs)}

    @property
    def too_few_blocks(self) -> bool:
        """Whether there are too few windows for intervals that can be relied on."""
        return too_few(self.blocks)

    def verdict(self, column: ScoreColumn, position: int = -1) -> Verdict:
        """Return whether a score of a run is better than that of the first, at a position of `ScoreColumn.all`."""
        difference = column.differences[position] if column.differences else None
        direction = score_titled(column.score).direction
        if difference is None or difference.interval is None or not direction:
            return "uncertain"
        low, high = sorted(direction * bound for bound in difference.interval)
        return "better" if low > 0 else "worse" if high < 0 else "uncertain"

    def _repr_html_(self) -> str:
        """The tables of `specbuild compare`, as a notebook shows them."""
        from specbuild.evaluation.tables import comparison_text

        return preformatted(comparison_text(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison for JSON; what is undefined is null."""
        return with_nulls(
            {
                "split": self.split,
                "windows": self.windows,
                "blocks": self.blocks,
                "variable": self.variable,
                "units": self.units,
                "notes": list(self.notes),
                "difference": PAIRED,
                "runs": [
                    {
                        "run": run.name,
                        "spec": [asdict(each) for each in run.spec],
                        "records": [each._asdict() for each in run.records],
                        "scores": run.table.to_dict(),
                        "verdicts": {column.label: self.verdict(column) for column in run.table.columns}
                        if number
                        else {},
                    }
                    for number, run in enumerate(self.runs)
                ],
            }
        )


def letter(at: int) -> str:
    """Return what stands for the run of a number, counted from 0, beside others: A, B, …, Z, A1, B1, …"""
    return f"{string.ascii_uppercase[at % 26]}{at // 26 or ''}"


def compare(
    runs: Sequence[str | Path],
    split: str = "test",
    *,
    variable: str | None = None,
    horizon: int | None = None,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
) -> Compared:
    """Compare runs with the first of them: their specs, records and scores. Loads the framework.

    Args:
        runs: two run folders or more.
        split: whose windows are forecast, by every run.
        variable: the variable to score, of several; None pools all of them.
        horizon: frames to forecast, if not as in training.
        overrides: `data.source.path`, other data for all of them; what is scored, in `evaluate`.
        plugins: modules to import, which register custom layers.

    Returns:
        What differs between the runs, and the scores of each on the same windows, in the units of the data, with the
        difference from the first run and its 95 % interval.

    Raises:
        SpecError: one is not a run folder, or its data is gone.
        ArgumentError: they do not forecast the same, or have no window in common.
        RunError: one has no trained model.
    """
    if len(runs) < 2:
        raise ArgumentError("one run alone cannot be compared", help="name two run folders or more")
    given = normalize(overrides)
    opened = [TrainedRun.open(run, plugins, overrides=given, horizon=horizon) for run in runs]
    views = [forecast_view(trained) for trained in opened]
    for trained, view in zip(opened[1:], views[1:], strict=True):
        check_alike(opened[0], views[0], trained, view)
    leads = [lead for lead in views[0].leads if all(lead in view.leads for view in views)]
    if not leads:
        raise ArgumentError(f"the runs have no lead time in common: {listed(opened, [v.leads for v in views])}")
    moments = common_moments(opened, views, split)
    names = _names(opened)
    tables, counted, scored, shown = _scored(opened, views, names, split, variable, leads, moments)
    compared = [
        ComparedRun(
            name,
            differences(opened[0].spec, trained.spec) if number else (),
            tuple(_records(opened[0], trained)) if number else (),
            table,
        )
        for number, (name, trained, table) in enumerate(zip(names, opened, tables, strict=True))
    ]
    first = views[0] if variable is None else views[0].of_variable(variable)
    return Compared(
        split,
        scored,
        sum(map(bool, counted)),
        first.section.variable,
        first.labels.common_units,
        tuple(compared),
        shown,
        tuple(_notes(opened, views, split, moments, leads, each_with_units(first.labels))),
    )


def _scored(
    opened: Sequence[TrainedRun],
    views: Sequence[Dataset],
    names: Sequence[str],
    split: str,
    variable: str | None,
    leads: Sequence[int],
    moments: Sequence[tuple[int, int]],
) -> tuple[tuple[ScoreTable, ...], list[int], int, tuple[str, ...]]:
    """Return the tables of the runs, how many windows each block has, how many there are, and the scores to show."""
    first = views[0]
    selected = first if variable is None else first.of_variable(variable)
    channel = selected.source.channel
    spec = opened[0].spec
    if first.is_event:
        spec = replace(spec, evaluate=spec.evaluate.of_events())
    scoring = Scoring.of(spec, selected)
    longest = max(range(len(views)), key=lambda number: views[number].section.windows.span)
    starts = [moments_of(view, split) for view in views]
    blocks = Blocks.of(views[longest].split(split))
    sums = {name: Scores(len(leads), families=scoring.families, blocks=len(blocks)) for name in names}
    counted, scored = [0] * len(blocks), 0
    positions = [[view.leads.index(lead) for lead in leads] for view in views]
    for moment in moments:
        windows = [view.window(*start[moment]) for view, start in zip(views, starts, strict=True)]
        if any(_skips(view, window) for view, window in zip(views, windows, strict=True)):
            continue
        check_same_frames(opened, [window.future[places] for window, places in zip(windows, positions, strict=True)])
        made = [
            _at(_forecast(trained, view, window), places).channel(channel)
            for trained, view, window, places in zip(opened, views, windows, positions, strict=True)
        ]
        observed = windows[0].future[positions[0]]
        observed = observed if channel is None else observed[..., channel : channel + 1]
        for forecast in made:
            observed = np.where(np.isnan(forecast.frames), np.nan, observed)
        expected = climatology(scoring.climatology, windows[0]) if scoring.reads_climatology else None
        expected = None if expected is None else expected[positions[0]]
        block = blocks.numbers[starts[longest][moment]]
        counted[block], scored = counted[block] + 1, scored + 1
        for name, forecast in zip(names, made, strict=True):
            sums[name].add(forecast.frames, observed, expected, forecast.distribution, block=block)
    labels = [first.section.lead_label(lead) for lead in leads]
    tables = [each.table(name, labels) for name, each in sums.items()]
    draws = Draws.of(counted)
    if draws is not None:
        tables[1:] = [with_differences((table, tables[0]), sums, draws)[0] for table in tables[1:]]
    else:
        tables[1:] = [_without_intervals(table, tables[0]) for table in tables[1:]]
    return tuple(tables), counted, scored, scoring.shown


def _skips(view: Dataset, window: Window) -> bool:
    frames = window.past_frames, window.future_frames
    return view.skipped.skips((window.event, window.start), frames, window.past, window.future)


def _forecast(trained: TrainedRun, view: Dataset, window: Window) -> ScoredForecast:
    """Return a run's forecast; the model reads all channels, of which a view may have some."""
    whole = trained.dataset.window(window.event, window.start) if view.output else window
    return model_forecast(trained, view, whole)


def _at(forecast: ScoredForecast, places: Sequence[int]) -> ScoredForecast:
    """Return the forecast at some of its lead times."""
    chosen = list(places)
    distribution = forecast.distribution
    return ScoredForecast(forecast.frames[chosen], None if distribution is None else distribution[(chosen,)])


def _without_intervals(table: ScoreTable, first: ScoreTable) -> ScoreTable:
    columns = []
    for column, other in zip(table.columns, first.columns, strict=True):
        pairs = zip(column.all, other.all, strict=True)
        found = tuple(
            Difference(first.name, ours - theirs) if math.isfinite(ours - theirs) else None for ours, theirs in pairs
        )
        columns.append(replace(column, differences=found))
    return replace(table, columns=tuple(columns))


def _records(first: TrainedRun, second: TrainedRun) -> Iterator[RecordedDifference]:
    ours, theirs = first.folder.manifest(), second.folder.manifest()
    for key in ("precision", "model_epoch"):
        if ours.get(key) != theirs.get(key):
            yield RecordedDifference(key.replace("_", " "), str(ours.get(key)), str(theirs.get(key)))
    if first.folder.backend != second.folder.backend:
        yield RecordedDifference("framework", str(first.folder.backend), str(second.folder.backend))
    for group, title in (("versions", "version of "), ("machine", "")):
        for key in dict.fromkeys((*ours[group], *theirs[group])):
            one, other = ours[group].get(key), theirs[group].get(key)
            another_framework = group == "versions" and None in (one, other)
            if one != other and not another_framework:
                yield RecordedDifference(f"{title}{key}", str(one or "none"), str(other or "none"))


def _notes(
    opened: Sequence[TrainedRun],
    views: Sequence[Dataset],
    split: str,
    moments: Sequence[tuple[int, int]],
    leads: Sequence[int],
    pooled: str,
) -> Iterator[str]:
    if pooled:
        yield f"these scores pool variables of different units, {pooled}; name one with --variable"
    counts = [len(view.split(split)) for view in views]
    if any(count != len(moments) for count in counts):
        yield f"of their windows, {len(moments)} are in the {split} split of every run: " + listed(
            opened, [f"{count}" for count in counts]
        )
    lengths = [len(view.leads) for view in views]
    if any(length != len(leads) for length in lengths):
        yield f"{len(leads)} lead times are common to all: " + listed(opened, [f"{length}" for length in lengths])
    if any(trained.spec.evaluate != opened[0].spec.evaluate for trained in opened[1:]):
        yield f"the scores are those that {opened[0].folder.path.name} asks for in evaluate"


def _names(opened: Sequence[TrainedRun]) -> list[str]:
    """Return a short name for each run: that of its folder, or its path where folders share a name."""
    short = [trained.folder.path.resolve().name for trained in opened]
    if len(set(short)) == len(short):
        return short
    paths = [str(trained.folder.path) for trained in opened]
    if len(set(paths)) == len(paths):
        return paths
    raise ArgumentError("a run is named twice", help="name two different run folders")
