"""`specbuild runs`: the runs in a folder as a table."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from specbuild.cli.arguments import format_option, say

if TYPE_CHECKING:
    from specbuild.evaluation.listing import ListedRun


DROPPED = ("changed", "data", "device", "over", "epochs", "time", "skill")
"""The columns that a narrow table leaves out, in this order."""


@click.command("runs", short_help="List runs with their state, score, duration and device.")
@click.argument("folder", required=False, default="runs")
@click.option("--where", "conditions", multiple=True, metavar="KEY=TEXT", help="Only runs whose KEY contains TEXT.")
@click.option("--sort", metavar="KEY", default="started", show_default=True, help="Order of the runs; -KEY: reversed.")
@click.option("--score", metavar="NAME", help="Score to list, such as CSI or 'CSI >= 1'; default: RMSE, or accuracy.")
@format_option("text", "json", "csv")
def command(folder: str, conditions: tuple[str, ...], sort: str, score: str | None, format: str) -> None:
    """List the runs in FOLDER and the folders in it; the default is runs.

    The score is that of the test split, pooled over lead times, in scores.json; skill is over the best baseline. The
    time is from start to end, and is left out for a run that was continued or killed. Trials of tune also show the
    validation value by which they are compared, and may have the state pruned or refused. Runs can be sorted and
    selected by run, state, spec, epochs, score, value, units, skill, baseline, started, seconds, device, precision,
    seed, data, overrides, monitor and judged, the value of a trial.

    \b
    Examples:
      specbuild runs
      specbuild runs --sort value --where state=finished --where spec=radar
      specbuild runs --score 'CSI >= 1' --sort -value
      specbuild runs runs/rain --sort judged   (the trials of a study)
      specbuild runs /archive --format csv > runs.csv
    """
    from specbuild.evaluation.listing import chosen, in_order, listed_runs

    listed = chosen(listed_runs(folder, score), conditions)
    listed = in_order(listed, sort.removeprefix("-"), reverse=sort.startswith("-"))
    if format == "json":
        say(json.dumps([run.to_dict() for run in listed], indent=2))
    elif format == "csv":
        say(_csv(listed), nl=False)
    elif not listed:
        say(f"no run in {folder}" + (f" has {', '.join(conditions)}" if conditions else ""))
    else:
        for line in _lines(listed):
            say(line)


def _csv(runs: tuple[ListedRun, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [run.to_dict() for run in runs]
    if rows:
        writer.writerow(rows[0])
        writer.writerows(["" if value is None else value for value in _joined(row)] for row in rows)
    return text.getvalue()


def _joined(row: dict[str, object]) -> list[object]:
    return [" ".join(map(str, value)) if isinstance(value, tuple | list) else value for value in row.values()]


def _lines(runs: tuple[ListedRun, ...]) -> list[str]:
    from specbuild.cli.tables import table_width
    from specbuild.document.printable import one_line
    from specbuild.document.render import text_width
    from specbuild.document.text_table import Column, text_table

    scores = list(dict.fromkeys(run.score for run in runs if run.score))
    title = scores[0] if len(scores) == 1 else "score"
    monitors = list(dict.fromkeys(run.monitor for run in runs if run.monitor))
    columns: dict[Column, Callable[[ListedRun], str]] = {
        Column("run"): lambda run: run.run,
        Column("state"): lambda run: run.state,
        Column("epochs", number=True): lambda run: "" if run.epochs is None else str(run.epochs),
        Column(title, number=True): lambda run: _score(run, alone=len(scores) < 2),
        Column(monitors[0] if len(monitors) == 1 else "judged", number=True): lambda run: _judged(run, monitors),
        Column("skill", number=True): lambda run: "" if run.skill is None else f"{run.skill:+.0%}",
        Column("over"): lambda run: run.baseline,
        Column("time", number=True): lambda run: _duration(run.seconds),
        Column("device"): lambda run: run.device,
        Column("data"): lambda run: run.data,
        Column("changed"): lambda run: " ".join(run.overrides),
    }
    cells = {column: [one_line(read(run)) for run in runs] for column, read in columns.items()}
    shown = [column for column, values in cells.items() if any(values)]
    left_out = []
    while True:
        rows = list(zip(*(cells[column] for column in shown), strict=True))
        lines = text_table(shown, rows, "  ")
        rest = [name for name in DROPPED if name in (column.name for column in shown)]
        if not rest or text_width(lines[1]) <= table_width():
            break
        left_out.append(rest[0])
        shown = [column for column in shown if column.name != rest[0]]
    note = f"left out because the terminal is too narrow: {', '.join(left_out)}"
    notes = textwrap.wrap(note, table_width()) if left_out else []
    problems = [f"{run.run}: {run.problem}" for run in runs if run.problem]
    return [*text_table(shown, rows, "  ", table_width()), *notes, *problems]


def _score(run: ListedRun, *, alone: bool) -> str:
    if run.value is None:
        return ""
    text = f"{run.value:.4g}" + (f" {run.units}" if run.units else "")
    return text if alone else f"{run.score} {text}"


def _judged(run: ListedRun, monitors: list[str]) -> str:
    if run.judged is None:
        return ""
    return f"{run.judged:.4g}" if len(monitors) == 1 else f"{run.monitor} {run.judged:.4g}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
