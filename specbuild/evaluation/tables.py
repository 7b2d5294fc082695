"""Evaluations as text for a terminal: tables in Markdown."""

from __future__ import annotations

import io
import math
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from specbuild.catalog.baselines import PERSISTENCE
from specbuild.catalog.scores import SCORES, score_titled
from specbuild.document.html import html_table, paragraph
from specbuild.document.printable import one_line
from specbuild.document.text_table import Column
from specbuild.evaluation.calibration import CalibrationTable
from specbuild.evaluation.classes import CONVENTION as CLASS_CONVENTION
from specbuild.evaluation.classes import ClassScores
from specbuild.evaluation.compare import Compared
from specbuild.evaluation.forecast_scores import LEAST_BLOCKS, Difference, Interval, ScoreColumn
from specbuild.evaluation.result import ALL, BEST, CONVENTION, INTERVALS, Evaluation

WIDTH = 100
_MOST_COLUMNS = 12
"""Classes up to which the confusion matrix is printed."""

TextColumn: TypeAlias = tuple[str, Sequence[str]]
"""A heading and the cells below it."""


def report_text(scored: Evaluation | ClassScores) -> str:
    """Return the tables of an evaluation of either kind."""
    if isinstance(scored, ClassScores):
        return class_text(scored)
    return "\n\n".join(map(evaluation_text, (scored, *scored.others)))


def evaluation_text(evaluation: Evaluation, width: int | None = None) -> str:
    """Return one table per score (rows are lead times, columns forecasts), with the scores' conventions below.

    A table that is wider than `width` is continued below, with the lead times again. The default is the width of the
    terminal, or 100 where the text goes elsewhere.
    """
    width = max(width or shutil.get_terminal_size((WIDTH, 1)).columns, 40)
    paragraphs = [_wrapped(_headline(evaluation), width)]
    for title, columns in _tables(evaluation):
        paragraphs += [_wrapped([title], width), *_fitted(columns, width)]
    return "\n\n".join([*paragraphs, _wrapped(_legend(evaluation), width)]).rstrip()


def evaluation_html(evaluation: Evaluation) -> str:
    """Return the same tables and sentences as HTML."""
    parts = [paragraph(text) for text in _headline(evaluation)]
    for title, columns in _tables(evaluation):
        headings = [Column(name, number=bool(number)) for number, (name, _) in enumerate(columns)]
        parts.append(html_table(headings, zip(*(cells for _, cells in columns), strict=True), title))
    return "".join([*parts, *(paragraph(text) for text in _legend(evaluation))])


def class_text(scores: ClassScores, width: int | None = None) -> str:
    """Return accuracy and F1, a table of the classes, and the confusion matrix where there are few classes.

    A table that is wider than `width` is continued below, with the classes again.
    """
    width = max(width or shutil.get_terminal_size((WIDTH, 1)).columns, 40)
    labels = range(len(scores.classes))
    most = width // 3
    classes = [name if cell_len(name) <= most else f"{name[: most - 1]}…" for name in map(one_line, scores.classes)]
    columns: list[TextColumn] = [
        ("class", classes),
        ("clips", [str(count) for count in scores.support]),
        *(
            (title, [_known(scores.of_class(label)[title.lower()], ".3f") for label in labels])
            for title in ("precision", "recall", "F1")
        ),
    ]
    head = [
        f"{one_line(scores.name)}: classes of the {scores.split} split, {scores.clips} clips"
        + (", of other data than those of the training" if scores.data else ""),
        f"accuracy {_known(scores.accuracy, '.1%')}, macro F1 {_known(scores.macro_f1, '.3f')}; "
        f"always {scores.classes[scores.majority]}: accuracy {_known(scores.baseline, '.1%')}",
    ]
    paragraphs = [
        *(_wrapped([text], width) for text in head),
        *_fitted(columns, width, "left"),
    ]
    if len(scores.classes) <= _MOST_COLUMNS:
        given = [[str(row[label]) for row in scores.confusion] for label in labels]
        confusion = [("true", classes), *zip(classes, given, strict=True)]
        paragraphs += ["Clips by true class (down) and predicted class (across)", *_fitted(confusion, width, "left")]
    return "\n\n".join([*paragraphs, _wrapped([f"Scores: {CLASS_CONVENTION}."], width)])


def comparison_text(compared: Compared, *, every_lead: bool = False, width: int | None = None) -> str:
    """Return a table of the pooled scores of runs, called A, B, …, and one of the RMSE by lead time.

    Where there is no RMSE, as of the probability of an event, the first score is shown by lead time.

    Args:
        every_lead: whether to show every score by lead time.
        width: of the text; the default is that of the terminal.
    """
    width = max(width or shutil.get_terminal_size((WIDTH, 1)).columns, 40)
    first = compared.runs[0].table
    windows = f"{compared.windows} window{'s' if compared.windows != 1 else ''}"
    head = [
        f"{one_line(compared.variable)} on the {compared.split} split, {windows} in {compared.blocks} "
        f"block{'s' if compared.blocks != 1 else ''}",
        *(f"{letter}: {one_line(run.name)}" for letter, run in compared.by_letter.items()),
        *(f"Note: {note}." for note in compared.notes),
    ]
    columns = [column for column in first.columns if column.score in compared.shown]
    pooled: list[TextColumn] = [("score", [_labelled(column, compared.units) for column in columns])]
    for letter, run in compared.by_letter.items():
        own = [run.table.column(column.score, column.threshold, column.window) for column in columns]
        pooled.append((letter, [_cell(column.overall) for column in own]))
        if run.table is not first:
            last = [column.differences[-1] for column in own]
            pooled.append((f"{letter} - A", ["-" if each is None else f"{each.value:+#.2g}" for each in last]))
            pooled += _interval(f"{letter} - A, 95%", "+#.2g", _intervals(last))
        if run.table is not first and not compared.too_few_blocks:
            pooled.append((f"{letter} is", [compared.verdict(column) for column in own]))
    paragraphs = [_wrapped(head, width), "Pooled over all lead times", *_fitted(pooled, width)]
    chief = [column for column in columns if column.score == SCORES["rmse"].title] or columns
    for column in columns if every_lead else chief[:1]:
        by_lead: list[TextColumn] = [("lead time", (*compared.leads, ALL))]
        for letter, run in compared.by_letter.items():
            same = run.table.column(column.score, column.threshold, column.window)
            by_lead.append((letter, [_cell(value) for value in same.all]))
            by_lead += _interval(f"{letter} - A, 95%", "+#.2g", _intervals(same.differences))
        paragraphs += [_labelled(column, compared.units), *_fitted(by_lead, width)]
    legend = f"Too few windows for intervals: at least {LEAST_BLOCKS} blocks are needed, so no verdicts are given."
    if not compared.too_few_blocks:
        legend = (
            "95%: the interval of the difference from a paired bootstrap over blocks of windows. better, worse: the "
            "interval excludes 0; uncertain: the difference may be chance."
        )
    return "\n\n".join([*paragraphs, _wrapped([legend], width)]).rstrip()


def _labelled(column: ScoreColumn, units: str) -> str:
    own = column.in_units(units)
    return one_line(column.label_with(units) + (f", {own}" if own else ""))


def _intervals(differences: Iterable[Difference | None]) -> list[Interval | None]:
    return [None if each is None else each.interval for each in differences]


def _headline(evaluation: Evaluation) -> list[str]:
    windows = f"{evaluation.windows} window{'s' if evaluation.windows != 1 else ''}"
    variable = one_line(f"{evaluation.output}, {evaluation.variable}" if evaluation.output else evaluation.variable)
    return [
        f"{one_line(evaluation.name)}: {variable} on the {evaluation.split} split, {windows}",
        f"Scores are {CONVENTION}.",
        *(
            f"{table.name} knows {table.coverage:.1%} of the observed pixels: its scores are of these, skill over it "
            "compares the model there."
            for table in evaluation.tables
            if table.coverage < 1
        ),
        *map(_calibration, () if evaluation.of_event else evaluation.calibration),
        *(f"Note: {note}." for note in evaluation.notes),
    ]


def _calibration(table: CalibrationTable) -> str:
    """How often the observation lay outside of a distribution."""
    outside, expected = table.outside
    return (
        f"{table.name}: {_known(outside, '.1%')} of the observations lie outside all members or quantiles; "
        f"{expected:.1%} would if the distribution were right."
    )


def _legend(evaluation: Evaluation) -> list[str]:
    """The conventions of the scores shown."""
    if not evaluation.conventions:
        return []
    shown = dict.fromkeys(column.score for column in evaluation.on_show)
    return [
        *(f"{name}: {evaluation.conventions[name]}." for name in shown),
        f"skill: {BEST}.",
        *_on_intervals(evaluation),
    ]


def _on_intervals(evaluation: Evaluation) -> list[str]:
    if not evaluation.blocks:
        return []
    if evaluation.too_few_blocks:
        count = f"{evaluation.blocks} block{'s' if evaluation.blocks != 1 else ''}"
        return [f"Too few windows for intervals: {count} of windows, and at least {LEAST_BLOCKS} are needed."]
    return [f"95%: {INTERVALS}, {evaluation.blocks} blocks. best: the baseline with the best score at that lead time."]


def _tables(evaluation: Evaluation) -> Iterator[tuple[str, list[TextColumn]]]:
    """Each table under its title: RMSE, the skill, and what else the evaluation shows."""
    leads = ("lead time", (*evaluation.leads, ALL))
    for number, shown in enumerate(evaluation.on_show):
        columns = [
            (table.name, table.column(shown.score, shown.threshold, shown.window)) for table in evaluation.tables
        ]
        yield (
            _title(evaluation, shown),
            [leads, *((name, [_cell(value) for value in c.all]) for name, c in columns), *_differences(shown)],
        )
        if number == 0:
            yield "Skill, 1 - MSE / MSE of the baseline", [leads, *_skill(evaluation)]


def _title(evaluation: Evaluation, shown: ScoreColumn) -> str:
    units = shown.in_units(evaluation.units)
    if shown.threshold is None:
        return one_line(f"{shown.score}, {units}") if units else shown.score
    if evaluation.of_event:
        whole = score_titled(shown.score).of_distributions
        event = (
            f"of the {evaluation.variable}"
            if whole
            else f"where the {evaluation.variable} is {shown.threshold:.0%} or more"
        )
        return one_line(f"{shown.score} {event}")
    event = f"{evaluation.variable} >= {shown.threshold:g}{f' {evaluation.units}' if evaluation.units else ''}"
    return (
        f"{shown.score} of {one_line(event)}{f' in boxes of {shown.window} x {shown.window}' if shown.window else ''}"
    )


def _skill(evaluation: Evaluation) -> list[TextColumn]:
    best = evaluation.best()
    return [
        (f"over {PERSISTENCE}", [_known(value, "+.0%") for value in evaluation.skill()]),
        ("over the best", [_known(skill.all[row] if skill else math.nan, "+.0%") for row, skill in enumerate(best)]),
        ("the best baseline", ["-" if skill is None else skill.baseline for skill in best]),
        *_interval(
            "over the best, 95%", "+.0%", [skill.interval(row) if skill else None for row, skill in enumerate(best)]
        ),
    ]


def _differences(shown: ScoreColumn) -> list[TextColumn]:
    """The intervals of the model's score minus the best baseline's."""
    return _interval(
        "model - best, 95%", "+#.2g", [difference.interval if difference else None for difference in shown.differences]
    )


def _interval(name: str, written: str, intervals: Sequence[Interval | None]) -> list[TextColumn]:
    """A column of intervals; none where no interval is known."""
    if not any(intervals):
        return []
    cells = [f"{pair.low:{written}} to {pair.high:{written}}" if pair else "-" for pair in intervals]
    return [(name, cells)]


def _fitted(columns: Sequence[TextColumn], width: int, first: Literal["left", "right"] = "right") -> Iterator[str]:
    """The columns in as many tables as it takes, each with the first column, such as the lead times."""
    leads, *rest = columns
    group = [leads]
    for column in rest:
        if len(group) > 1 and _width([*group, column]) > width:
            yield _rendered(group, first)
            group = [leads]
        group.append(column)
    yield _rendered(group, first)


def _width(columns: Sequence[TextColumn]) -> int:
    return 1 + sum(3 + max(map(cell_len, (name, *cells))) for name, cells in columns)


def _rendered(columns: Sequence[TextColumn], first: Literal["left", "right"] = "right") -> str:
    table = Table(box=box.MARKDOWN)
    for number, (name, _) in enumerate(columns):
        table.add_column(name, justify="right" if number else first, no_wrap=True)
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    stream = io.StringIO()
    Console(file=stream, width=1000, color_system=None, highlight=False, markup=False).print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n")


def _wrapped(texts: Iterable[str], width: int) -> str:
    return "\n".join(line for text in texts for line in textwrap.wrap(text, width, break_on_hyphens=False))


def _cell(value: float) -> str:
    """Three significant digits; a dash where the score is undefined."""
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return f"{value:#.3g}".rstrip(".")


def _known(value: float, written: str) -> str:
    """A number in a format; a dash where it is undefined or infinite."""
    return f"{value:{written}}" if math.isfinite(value) else "-"
