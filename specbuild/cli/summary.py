"""`specbuild summary`: show shapes, states, parameters and cost, without loading a framework."""

from __future__ import annotations

import json
from typing import Any

import click

from specbuild.cli.arguments import format_option, plugin_option, root_option, say, set_option, spec_argument


@click.command("summary", short_help="Show each layer's shape, state, parameters and FLOPs.")
@spec_argument
@set_option
@root_option
@plugin_option
@click.option("--batch", type=click.IntRange(1), help="Batch size for the memory estimate; default: train.batch_size.")
@click.option("--columns", metavar="NAMES", help="Columns to show, with commas between them, or all.")
@format_option("text", "json", "markdown")
def command(spec: str, batch: int | None, columns: str | None, format: str, **options: Any) -> None:
    """Show every layer of SPEC with its output shape, state, parameters and FLOPs.

    No framework is loaded, except for layers that only Keras knows; FLOPs that are unknown are shown as ?. FLOPs are
    for one sample and count a multiply-add as two. Memory is what training stores of the forward pass for the backward
    pass, in float32. Field is the receptive field: the largest part of the input, in time and space, on which one value
    of the output depends.

    The columns are id, layer, from, shape, state, parameters, FLOPs, memory and field. Where the terminal is too
    narrow, memory, field, state, FLOPs and from are left out, in this order, and a line says which.

    \b
    Examples:
      specbuild summary nowcast.yaml
      specbuild summary nowcast.yaml --batch 16
      specbuild summary nowcast.yaml --columns id,shape,FLOPs
      specbuild summary nowcast.yaml --format markdown >> README.md
      specbuild summary nowcast.yaml --set vars.filters=64 --format json
    """
    from specbuild.facade import build_graph
    from specbuild.graph.summary import summarize

    graph = build_graph(spec, **options)
    size = graph.spec.batch_size
    if batch is not None and batch != size and any(x.batch is not None for x in graph.inputs):
        raise click.BadParameter(f"the spec fixes the batch size to {size}", param_hint="--batch")
    summary = summarize(graph, batch=batch or size)
    shown = _columns(columns, format)
    if format == "json":
        say(json.dumps(summary.to_dict(), indent=2))
    else:
        from specbuild.cli.tables import print_summary
        from specbuild.graph.tables import markdown_summary

        if format == "markdown":
            say(markdown_summary(summary, shown), nl=False)
        else:
            print_summary(summary, shown)


def _columns(written: str | None, format: str) -> tuple[str, ...] | None:
    """The columns that `--columns` names; None where it is not given.

    Raises:
        click.BadParameter: there is no such column, or the format has none.
    """
    from specbuild.document import did_you_mean
    from specbuild.graph.tables import COLUMNS

    if written is None:
        return None
    if format == "json":
        raise click.BadParameter("JSON has no columns, and is complete", param_hint="--columns")
    by_name = {name.lower(): name for name in COLUMNS}
    names = [name.strip().lower() for name in written.split(",")]
    if names == ["all"]:
        return COLUMNS
    for name in names:
        if name not in by_name:
            advice = did_you_mean(name, COLUMNS) or f"there are {', '.join(COLUMNS)}, and all"
            raise click.BadParameter(f'there is no column "{name}"; {advice}', param_hint="--columns")
    return tuple(by_name[name] for name in names)
