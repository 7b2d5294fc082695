"""An evaluation as tables on a terminal."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from specbuild.run.evaluation import CONVENTION, Evaluation
from specbuild.run.score_table import ALL

WIDTH = 100


def evaluation_text(found: Evaluation, width: int = WIDTH) -> str:
    """One table per score, lead times down and forecasts across; above them what is meant. The tables are Markdown."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, highlight=False, markup=False)
    for line in headline(found):
        console.print(line)
    for title, table in tables(found):
        console.print("", title, table, sep="\n")
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip()


def headline(found: Evaluation) -> list[str]:
    windows = f"{found.windows} window{'s' if found.windows != 1 else ''}"
    return [
        f"{found.name}: {found.variable} on the {found.split} split, {windows}",
        f"Scores are {CONVENTION}.",
    ]


def tables(found: Evaluation) -> Iterator[tuple[str, Table]]:
    """RMSE with the skill over persistence, MAE, and CSI at each threshold, each under its title."""
    units = f" {found.units}" if found.units else ""
    in_units = f", {found.units}" if found.units else ""
    skill = [_percent(value) for value in found.skill()]
    yield f"RMSE{in_units}; skill = 1 - MSE / MSE of persistence", _table(found, "RMSE", None, {"skill": skill})
    yield f"MAE{in_units}", _table(found, "MAE")
    for threshold in found.thresholds:
        yield f"CSI of {found.variable} >= {threshold:g}{units}", _table(found, "CSI", threshold)


def _table(
    found: Evaluation, score: str, threshold: float | None = None, more: dict[str, Sequence[str]] | None = None
) -> Table:
    table = Table(box=box.MARKDOWN)
    columns = {one.name: one.column(score, threshold) for one in found.tables}
    cells = {name: [_cell(value) for value in (*one.values, one.overall)] for name, one in columns.items()}
    cells |= {name: list(values) for name, values in (more or {}).items()}
    table.add_column("lead time", justify="right")
    for name in cells:
        table.add_column(name, justify="right")
    for row, lead in enumerate((*found.leads, ALL)):
        table.add_row(lead, *(values[row] for values in cells.values()))
    return table


def _cell(value: float) -> str:
    """Three significant digits; a dash where the score is undefined."""
    return "-" if math.isnan(value) else f"{value:#.3g}".rstrip(".")


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.0%}"
