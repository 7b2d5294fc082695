"""`specbuild evaluate`: score a run per lead time, beside its baselines."""

from __future__ import annotations

import json
from typing import Any

import click

from specbuild.cli.arguments import (
    data_option,
    format_option,
    horizon_option,
    plugin_option,
    say,
    set_option,
    split_option,
    warn_if_unfinished,
    with_data,
)


@click.command("evaluate", short_help="Score the model of RUN per lead time, beside baselines.")
@click.argument("run")
@split_option
@click.option("--variable", metavar="NAME", help="Score one of several variables; default: all, pooled.")
@data_option
@horizon_option
@set_option
@plugin_option
@format_option("text", "json")
def command(run: str, split: str, data: str | None, format: str, overrides: tuple[str, ...], **options: Any) -> None:
    """Score the model of RUN per lead time, beside persistence and the training mean.

    Scores are in physical units over whole frames, without missing pixels. Sums are pooled over windows and pixels
    before the formula is applied, so RMSE is not a mean of RMSEs; SSIM and PSNR are means over frames. An event is a
    value at or above a threshold. Skill is 1 - MSE / MSE of a baseline. The evaluate: section of the spec selects the
    scores; their conventions are printed below the tables.

    Data that have changed since training are refused. If they have moved, give the new path with --data, relative to
    this folder. Other data are scored with the transform of the run, in the units of the training data.

    Everything is also written to the run folder: scores.json, scores.csv, and scores.png with every score by lead time.
    Other data, splits, horizons and settings than those of the training have files of their own, such as
    scores-on-2024.json, scores-validation.json and scores-with-members-20.json.

    \b
    Examples:
      specbuild evaluate runs/nowcast-20260131-142501
      specbuild evaluate runs/nowcast-20260131-142501 --split validation
      specbuild evaluate runs/nowcast-20260131-142501 --variable t2m --horizon 30
      specbuild evaluate runs/nowcast-20260131-142501 --format json
      specbuild evaluate runs/nowcast-20260131-142501 --data 2024.nc
      specbuild evaluate runs/nowcast-20260131-142501 --set evaluate.thresholds=[1,10]
      specbuild evaluate runs/nowcast-20260131-142501 --set evaluate.members=20
    """
    from specbuild.evaluation.evaluate import evaluate
    from specbuild.evaluation.tables import report_text
    from specbuild.runs.faults import UnsavedError

    unsaved = None
    try:
        scores = evaluate(run, split, overrides=with_data(overrides, data), **options)
    except UnsavedError as error:
        scores, unsaved = error.result, error
    warn_if_unfinished(run)
    say(json.dumps(scores.to_dict(), indent=2) if format == "json" else report_text(scores))
    if unsaved is not None:
        raise unsaved
