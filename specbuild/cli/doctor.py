"""`specbuild doctor`: check that specbuild works on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from specbuild.cli.arguments import format_option, say


@click.command("doctor", short_help="Check that everything works on this machine.")
@click.option("--out", default="runs", show_default=True, metavar="FOLDER", help="Where runs will be written.")
@format_option("text", "json")
@click.pass_context
def command(context: click.Context, out: str, format: str) -> None:
    """Check that everything works on this machine: versions, framework, devices, a tiny model, the disk.

    The exit code is 1 if something does not work. Please include the output in bug reports.

    \b
    Examples:
      specbuild doctor
      KERAS_BACKEND=jax specbuild doctor --format json
    """
    from specbuild.doctor import examine

    findings = []
    for finding in examine(Path(out)):
        findings.append(finding)
        if format == "text":
            say(f"{finding.verdict:<5}  {finding.subject:<9}  {finding.text}")
    if format == "json":
        say(json.dumps([asdict(finding) for finding in findings], indent=2))
    context.exit(1 if any(finding.verdict == "fault" for finding in findings) else 0)
