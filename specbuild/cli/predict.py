"""`specbuild predict`: write a forecast to a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from specbuild.cli.arguments import horizon_option, plugin_option, print_note, say, set_option, warn_if_unfinished

_NAMED = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)=(.+)")
"""A file for an input by its name: `nwp=tonight.nc`."""


@click.command("predict", short_help="Forecast with the model of RUN.")
@click.argument("run")
@click.option(
    "--input",
    metavar="[NAME=]FILE",
    multiple=True,
    help="Past frames: .npy or .npz in physical units, or a file like the run's data, whose last frames are used and "
    "must match the training data. Default: the last frames of the run's data. With NAME, the file that the input of "
    "that name reads. May be repeated.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="File for the forecast: .nc, .zarr, .npz, .npy, .png or .gif. Default: prediction.npz in RUN.",
)
@horizon_option
@click.option(
    "--members",
    type=click.IntRange(min=2),
    metavar="N",
    help="Draw an ensemble: from the distribution that the loss gives, or else by the model's dropout and noise.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the members.")
@set_option
@plugin_option
def command(run: str, input: tuple[str, ...], output: str | None, **options: Any) -> None:
    """Forecast with the model of RUN, from the last frames of its data or of a file.

    If the data have moved, give the new path with --set data.source.path. A note says if they have changed since
    training. Past frames at another interval, with a gap or on another grid are refused; other units are converted.
    Pixels that neither the training nor the past frames know are missing.

    NetCDF and Zarr keep times, coordinates and units. The .npz holds the forecast in physical units (frames, space,
    channels), the lead times, the variable and its units. All three also hold the members with --members (in NetCDF
    and Zarr along an axis realization), and the quantiles if the loss gives a distribution.

    \b
    Examples:
      specbuild predict runs/nowcast-20260131-142501
      specbuild predict runs/nowcast-20260131-142501 --input today.nc -o forecast.nc
      specbuild predict runs/nowcast-20260131-142501 --input past.npy --output forecast.gif
      specbuild predict runs/nowcast-20260131-142501 --input nwp=tonight.nc
      specbuild predict runs/nowcast-20260131-142501 --horizon 30 --output forecast.zarr
      specbuild predict runs/nowcast-20260131-142501 --members 20 --output ensemble.nc
      specbuild predict runs/nowcast-20260131-142501 --set data.source.path=/new/place/rain.nc
    """
    from specbuild.prediction.predict import predict

    path = output or str(Path(run) / "prediction.npz")
    named = {text: match for text in input if (match := _NAMED.fullmatch(text)) and not Path(text).exists()}
    sources = {match[1]: match[2] for match in named.values()}
    past = [text for text in input if text not in named]
    if len(past) > 1:
        raise click.UsageError(f"--input names two files of past frames, {past[0]} and {past[1]}")
    forecast = predict(run, past[0] if past else None, path, sources=sources, note=print_note, **options)
    warn_if_unfinished(run)
    say(f"{path}: {' x '.join(str(length) for length in forecast.shape)}")
