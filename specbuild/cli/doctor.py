"""`specbuild doctor`: whether specbuild can work here."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from specbuild.cli.arguments import format_option


@click.command("doctor", short_help="Look whether everything works on this machine.")
@click.option("--out", default="runs", show_default=True, metavar="FOLDER", help="Where runs are to be written.")
@format_option("text", "json")
@click.pass_context
def command(context: click.Context, out: str, format: str) -> None:
    """Look whether everything works on this machine: versions, framework, devices, a tiny model, the disk.

    The exit code is 1 where something does not work. What it prints belongs into a report of a fault.

    \b
    Examples:
      specbuild doctor
      KERAS_BACKEND=jax specbuild doctor --format json
    """
    from specbuild.doctor import examine

    found = []
    for one in examine(Path(out)):
        found.append(one)
        if format == "text":
            click.echo(f"{one.verdict:<5}  {one.subject:<9}  {one.text}")
    if format == "json":
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
    context.exit(1 if any(one.verdict == "fault" for one in found) else 0)
