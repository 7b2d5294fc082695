"""`specbuild doctor`: check that specbuild works on this machine."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from specbuild.cli.arguments import format_option, plugin_option, root_option, say, set_option

if TYPE_CHECKING:
    from specbuild.doctor import Finding


@click.command("doctor", short_help="Check that everything works on this machine.")
@click.argument("spec", required=False, metavar="[SPEC]")
@set_option
@root_option
@plugin_option
@click.option("--out", default="runs", show_default=True, metavar="FOLDER", help="Where runs will be written.")
@format_option("text", "json")
@click.pass_context
def command(context: click.Context, /, spec: str | None, out: str, format: str, **options: Any) -> None:
    """Check that everything works on this machine: versions, framework, devices, a tiny model, the disk.

    Where there is an NVIDIA card that the framework does not see, it says what is missing and the command that fixes
    it. With SPEC it also says how many of its samples fit into the memory of the device.

    The exit code is 1 if something does not work. Please include the output in bug reports.

    \b
    Examples:
      specbuild doctor
      specbuild doctor nowcast.yaml
      KERAS_BACKEND=jax specbuild doctor --format json
    """
    from specbuild.doctor import examine
    from specbuild.training.train import settled_graph

    graph = settled_graph(spec, **options) if spec is not None else None
    findings = []
    for finding in examine(Path(out), graph):
        findings.append(finding)
        if format == "text":
            for line in _lines(finding):
                say(line)
    if format == "json":
        say(json.dumps([asdict(finding) for finding in findings], indent=2))
    context.exit(1 if any(finding.verdict == "fault" for finding in findings) else 0)


def _lines(finding: Finding) -> list[str]:
    """Return a finding as wide as the terminal, its text in a column of its own."""
    from specbuild.cli.tables import table_width

    beginning = f"{finding.verdict:<5}  {finding.subject:<9}  "
    return textwrap.wrap(
        finding.text,
        max(table_width(), 2 * len(beginning)),
        initial_indent=beginning,
        subsequent_indent=" " * len(beginning),
        break_long_words=False,
        break_on_hyphens=False,
    )
