"""`specbuild compare`: runs beside each other, and whether one forecasts better."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from specbuild.cli.arguments import (
    data_option,
    format_option,
    horizon_option,
    plugin_option,
    say,
    set_option,
    split_option,
    with_data,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specbuild.evaluation.compare import Compared


@click.command("compare", short_help="Show what differs between runs, and whether one is better.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@split_option
@click.option("--variable", metavar="NAME", help="Compare one of several variables; default: all, pooled.")
@data_option
@click.option("--leads", "every_lead", is_flag=True, help="Show every score by lead time, not RMSE alone.")
@horizon_option
@set_option
@plugin_option
@format_option("text", "json")
def command(
    runs: tuple[str, ...],
    split: str,
    variable: str | None,
    data: str | None,
    every_lead: bool,
    horizon: int | None,
    overrides: tuple[str, ...],
    plugins: tuple[str, ...],
    format: str,
) -> None:
    """Compare runs with the first RUN: what differs, and whether scores differ by more than chance.

    Every run forecasts the windows that are in the same split of all of them, and is scored on the pixels and lead
    times that all of them know. The interval of a difference is from a paired bootstrap over blocks of windows: a
    difference is called better or worse only if the interval excludes 0; otherwise it may be chance. This says nothing
    about chance in training: for that, compare runs that differ only in the seed.

    Nothing is written.

    \b
    Examples:
      specbuild compare runs/nowcast-20260131-142501 runs/nowcast-20260131-151200
      specbuild compare runs/nowcast-* --split validation
      specbuild compare runs/a runs/b --variable t2m --format json
      specbuild compare runs/a runs/b --data 2024.nc
    """
    from specbuild.evaluation.compare import compare

    given = with_data(overrides, data)
    compared = compare(runs, split, variable=variable, horizon=horizon, overrides=given, plugins=plugins)
    if format == "json":
        say(json.dumps(compared.to_dict(), indent=2))
    else:
        for line in _lines(compared, every_lead=every_lead):
            say(line)


def _lines(compared: Compared, *, every_lead: bool) -> Iterator[str]:
    from specbuild.cli.diff import lines_of
    from specbuild.cli.tables import wrapped
    from specbuild.evaluation.tables import comparison_text

    _, *others = compared.by_letter.items()
    for letter, run in others:
        yield f"{letter} differs from A in"
        for line in lines_of(run.spec):
            yield from wrapped(f"  {line}")
        for each in run.records:
            yield from wrapped(f"  {each.what}: {each.before} → {each.after}")
        if not run.spec and not run.records:
            yield "  nothing: spec, seed, versions and device are the same"
        yield ""
    yield comparison_text(compared, every_lead=every_lead)
