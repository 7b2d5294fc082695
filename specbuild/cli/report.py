"""`specbuild report`: runs as one HTML file."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Any

import click

from specbuild.cli.arguments import data_option, plugin_option, print_note, say, with_data


@click.command("report", short_help="Write one HTML file about a run, or several side by side.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN...]")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="File to write. Default: report.html in the run folder; for several runs, in the working directory.",
)
@click.option("--windows", type=click.IntRange(1, 40), default=6, show_default=True, help="Number of windows to show.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("--open", "opens", is_flag=True, help="Open the report in the browser.")
@data_option
@plugin_option
def command(runs: tuple[str, ...], data: str | None, opens: bool, **options: Any) -> None:
    """Write one self-contained HTML file about RUN: spec, data, loss, scores, forecasts, versions and command.

    The file can be sent and opened anywhere; it needs no other file and no network. Several runs are shown side by
    side: their scores in one chart, the differences between their specs and, if they forecast the same data, whether
    one is better by more than chance.

    Scores are those stored by `specbuild train` or `specbuild evaluate`. Nothing is trained; up to 60 windows of the
    test split are forecast to find the best and the worst, and --windows of them are shown. If a run has no scores, no
    model or no data, the report says so.

    \b
    Examples:
      specbuild report runs/nowcast-20260131-142501
      specbuild report runs/nowcast-20260131-142501 --windows 12 --overwrite --open
      specbuild report runs/a runs/b --output comparison.html
      specbuild report runs/nowcast-20260131-142501 --data /archive/rain.nc
    """
    from specbuild.reporting import report

    written = report(runs, overrides=with_data((), data), say=print_note, **options)
    say(str(written))
    if opens:
        webbrowser.open(written.absolute().as_uri())
