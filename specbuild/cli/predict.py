"""`specbuild predict`: a forecast into a file."""

from __future__ import annotations

from pathlib import Path

import click

from specbuild.cli.arguments import plugin_option, say_if_unfinished


@click.command("predict", short_help="Forecast with the model of RUN.")
@click.argument("run")
@click.option("--input", metavar="FILE", help="Past frames in physical units, .npy or .npz; default: the data's last.")
@click.option(
    "--output",
    metavar="FILE",
    help="Where the forecast goes: .npz, .npy, .png or .gif. Default: prediction.npz in RUN.",
)
@plugin_option
def command(run: str, input: str | None, output: str | None, plugins: tuple[str, ...]) -> None:
    """Forecast with the model of RUN, from the last frames of its data or from those in a file.

    The .npz holds the forecast in physical units (frames, space, channels), its lead times, its variable and its units.

    \b
    Examples:
      specbuild predict runs/nowcast-20260131-142501
      specbuild predict runs/nowcast-20260131-142501 --input past.npy --output forecast.npz
      specbuild predict runs/nowcast-20260131-142501 --output forecast.gif
    """
    from specbuild.run.predict import predict

    path = output or str(Path(run) / "prediction.npz")
    forecast = predict(run, input, path, plugins=plugins)
    say_if_unfinished(run)
    click.echo(f"{path}: {' x '.join(str(length) for length in forecast.shape)}")
