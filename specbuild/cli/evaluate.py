"""`specbuild evaluate`: the scores of a run, per lead time, beside its baselines."""

from __future__ import annotations

import json

import click

from specbuild.cli.arguments import format_option, plugin_option, say_if_unfinished


@click.command("evaluate", short_help="Score the model of RUN per lead time, beside baselines.")
@click.argument("run")
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="Which part of the data to score.",
)
@click.option("--variable", metavar="NAME", help="Score one of several variables; default: all, pooled.")
@click.option(
    "--horizon",
    type=click.IntRange(min=1),
    metavar="FRAMES",
    help="Forecast and score so many frames, where not as many as in training.",
)
@plugin_option
@format_option("text", "json")
def command(
    run: str, split: str, variable: str | None, horizon: int | None, plugins: tuple[str, ...], format: str
) -> None:
    """Score the model of RUN per lead time, beside persistence and the training mean.

    Scores are in physical units over whole frames, missing pixels left out: sums over windows and pixels first, then
    the formula, so that RMSE is no mean of RMSEs; SSIM and PSNR are means over frames. An event is a value at or above
    a threshold. The skill is 1 - MSE / MSE of a baseline. What to compute is said under evaluate: in the spec; each
    score's convention stands below the tables.

    All of it is also written to the run folder: scores.json, scores.csv, and scores.png with every score over lead
    time.

    \b
    Examples:
      specbuild evaluate runs/nowcast-20260131-142501
      specbuild evaluate runs/nowcast-20260131-142501 --split validation
      specbuild evaluate runs/nowcast-20260131-142501 --variable t2m --horizon 30
      specbuild evaluate runs/nowcast-20260131-142501 --format json
    """
    from specbuild.evaluation.evaluate import evaluate
    from specbuild.evaluation.tables import report_text

    found = evaluate(run, split, variable=variable, horizon=horizon, plugins=plugins)
    say_if_unfinished(run)
    click.echo(json.dumps(found.to_dict(), indent=2) if format == "json" else report_text(found))
