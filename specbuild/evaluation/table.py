"""An evaluation as tables on a terminal."""

from __future__ import annotations

import io
import math
import re
import shutil
from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from specbuild.evaluation.result import BEST, CONVENTION, PERSISTENCE, Evaluation
from specbuild.evaluation.score_table import ALL, ScoreColumn

WIDTH = 100

LEAD = "lead time"


def evaluation_text(found: Evaluation, width: int | None = None) -> str:
    """One table per score, lead times down and forecasts across; above them what is meant, below what each score is.

    The tables are Markdown. One that is wider than `width` is continued below, with the lead times again. The default
    is the width of the terminal, or 100 where the text goes elsewhere.
    """
    stream = io.StringIO()
    width = width or shutil.get_terminal_size((WIDTH, 1)).columns
    console = Console(file=stream, width=max(width, 40), color_system=None, highlight=False, markup=False)
    for line in headline(found):
        console.print(line)
    for note in found.notes:
        console.print(f"Note: {note}.")
    for title, columns in tables(found):
        console.print("", title, sep="\n")
        for table in _fitted(columns, console.width):
            console.print("", table, sep="\n")
    console.print("", *legend(found), sep="\n")
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip()


def headline(found: Evaluation) -> list[str]:
    windows = f"{found.windows} window{'s' if found.windows != 1 else ''}"
    return [
        f"{found.name}: {found.variable} on the {found.split} split, {windows}",
        f"Scores are {CONVENTION}.",
        *(
            f"{table.name} knows {table.coverage:.1%} of the observed pixels: its scores are of these, skill over it "
            "compares the model there."
            for table in found.tables
            if table.coverage < 1
        ),
    ]


def legend(found: Evaluation) -> list[str]:
    """What each score that is shown is."""
    if not found.conventions:
        return []
    shown = dict.fromkeys(column.score for column in found.on_show)
    return [*(f"{name}: {found.conventions[name]}." for name in shown), f"skill: {BEST}."]


Columns = dict[str, Sequence[str]]


def tables(found: Evaluation) -> Iterator[tuple[str, Columns]]:
    """Each table under its title: RMSE, the skill, and what else the evaluation shows."""
    for number, shown in enumerate(found.on_show):
        yield _title(found, shown), _of_score(found, shown)
        if number == 0:
            yield "Skill, 1 - MSE / MSE of the baseline", _of_skill(found)


def _title(found: Evaluation, shown: ScoreColumn) -> str:
    units = shown.in_units(found.units)
    if shown.threshold is None:
        return f"{shown.score}, {units}" if units else shown.score
    event = f"{found.variable} >= {shown.threshold:g}{f' {found.units}' if found.units else ''}"
    return f"{shown.score} of {event}{f' in boxes of {shown.window} x {shown.window}' if shown.window else ''}"


def _of_score(found: Evaluation, shown: ScoreColumn) -> Columns:
    columns = {table.name: table.column(shown.score, shown.threshold, shown.window) for table in found.tables}
    cells = {name: [_cell(value) for value in (*one.values, one.overall)] for name, one in columns.items()}
    return {LEAD: (*found.leads, ALL), **cells}


def _of_skill(found: Evaluation) -> Columns:
    best = found.best()
    return {
        LEAD: (*found.leads, ALL),
        f"over {PERSISTENCE}": [_percent(value) for value in found.skill()],
        "over the best": ["-" if one is None else _percent(one.all[row]) for row, one in enumerate(best)],
        "the best baseline": ["-" if one is None else one.baseline for one in best],
    }


def _fitted(columns: Columns, width: int) -> Iterator[Table]:
    """The columns in as many tables as it takes, each with the lead times first."""
    (_, leads), *rest = columns.items()
    group: Columns = {}
    for name, cells in rest:
        if group and _width({LEAD: leads, **group, name: cells}) > width:
            yield _table({LEAD: leads, **group})
            group = {}
        group[name] = cells
    yield _table({LEAD: leads, **group})


def _width(columns: Columns) -> int:
    return 1 + sum(3 + max(map(cell_len, (name, *cells))) for name, cells in columns.items())


def _table(columns: Columns) -> Table:
    table = Table(box=box.MARKDOWN)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _cell(value: float) -> str:
    """Three significant digits; a dash where the score is undefined."""
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return f"{value:#.3g}".rstrip(".")


def _percent(value: float) -> str:
    return f"{value:+.0%}" if math.isfinite(value) else "-"
