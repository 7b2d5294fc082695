"""`specbuild plot`: draw the graph of a spec, without loading a framework."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from specbuild.cli.arguments import plugin_option, root_option, say, set_option, spec_argument

SUFFIXES = {".svg": "svg", ".png": "png", ".mmd": "mermaid"}
"""The format of each suffix."""


@click.command("plot", short_help="Draw the layers of SPEC with their shapes and states.")
@spec_argument
@set_option
@root_option
@plugin_option
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Default: the model's name with .svg."
)
@click.option(
    "--format", type=click.Choice(list(SUFFIXES.values())), help="Default: from the suffix of the output, or svg."
)
@click.option(
    "--fold/--no-fold",
    default=None,
    help="Draw a chain of layers as one box. Default: if the picture would be tall.",
)
def command(spec: str, output: Path | None, format: str | None, fold: bool | None, **options: Any) -> None:
    """Draw the layers of SPEC with their shapes and states, and the connections between them.

    No framework is loaded, except for layers that only Keras knows. States passed from one recurrence to another are
    dashed lines in a separate color. GitHub and GitLab render Mermaid text in a README; without --output it is
    printed.

    \b
    Examples:
      specbuild plot nowcast.yaml                       (writes nowcast.svg)
      specbuild plot nowcast.yaml -o nowcast.png
      specbuild plot unet.yaml --fold
      specbuild plot nowcast.yaml --format mermaid
    """
    from specbuild.facade import build_graph
    from specbuild.graph.drawing import diagram, folded, mermaid

    kind = format or _kind_of(output)
    drawn = diagram(build_graph(spec, **options))
    if kind == "mermaid":
        drawn = folded(drawn) if fold else drawn
        if output is None:
            say(mermaid(drawn), nl=False)
            return
        output.write_text(mermaid(drawn), "utf-8")
    else:
        from specbuild.graph.drawing.picture import draw

        output = output or Path(f"{_file_name(drawn.name)}.{kind}")
        draw(drawn, output, kind, fold)
    say(str(output))


def _kind_of(output: Path | None) -> str:
    if output is None:
        return "svg"
    if output.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"{output} ends in none of {', '.join(SUFFIXES)}; say what to write with --format")
    return SUFFIXES[output.suffix.lower()]


def _file_name(name: str) -> str:
    """Return a model's name as the name of a file."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "model"
