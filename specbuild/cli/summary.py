"""`specbuild summary`: show shapes, states, parameters and cost, without loading a framework."""

from __future__ import annotations

import json
from typing import Any

import click

from specbuild.cli.arguments import format_option, plugin_option, set_option, spec_argument


@click.command("summary", short_help="Show each layer's shape, state, parameters and FLOPs.")
@spec_argument
@set_option
@plugin_option
@click.option("--batch", type=click.IntRange(1), help="Batch size for the memory estimate; default: train.batch_size.")
@format_option("text", "json", "markdown")
def command(spec: str, batch: int | None, format: str, **options: Any) -> None:
    """Show every layer of SPEC with its output shape, state, parameters and FLOPs.

    No framework is loaded, except for layers that only Keras knows; FLOPs that are unknown are shown as ?. FLOPs are
    for one sample and count a multiply-add as two. Memory is what training stores of the forward pass for the backward
    pass, in float32. Field is the receptive field: the largest part of the input, in time and space, on which one value
    of the output depends.

    \b
    Examples:
      specbuild summary nowcast.yaml
      specbuild summary nowcast.yaml --batch 16
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
    if format == "json":
        click.echo(json.dumps(summary.to_dict(), indent=2))
    else:
        from specbuild.cli.tables import markdown_summary, print_summary

        if format == "markdown":
            click.echo(markdown_summary(summary), nl=False)
        else:
            print_summary(summary)
