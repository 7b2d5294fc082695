"""`specbuild diff`: what differs between two specs, or between the specs of two runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from specbuild.cli.arguments import format_option, plugin_option, root_option, say

if TYPE_CHECKING:
    from specbuild.graph.summary import Summary
    from specbuild.language.difference import Difference


@click.command("diff", short_help="Show what differs between two specs.")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--exit-code", is_flag=True, help="Exit with code 1 if they differ.")
@root_option
@plugin_option
@format_option("text", "json")
def command(
    before: str, after: str, exit_code: bool, format: str, roots: tuple[str, ...], plugins: tuple[str, ...]
) -> None:
    """Show what differs between the specs A and B, each a YAML file or a run folder.

    Specs are compared as specbuild understands them, with variables, defaults and loops resolved; comments, the order
    of keys and defaults that are written out make no difference. Layers are matched by their ids. What follows from a
    variable is listed below that variable.

    \b
    Examples:
      specbuild diff nowcast.yaml wider.yaml
      specbuild diff runs/nowcast-20260131-142501 nowcast.yaml
      specbuild diff a.yaml b.yaml --format json
      specbuild diff a.yaml b.yaml --exit-code > /dev/null || echo they differ
    """
    from specbuild.cli.tables import wrapped
    from specbuild.facade import build_graph, load_spec
    from specbuild.graph.summary import summarize
    from specbuild.language.difference import differences
    from specbuild.runs.folder import RunFolder

    specs = [
        RunFolder.open(path).load_spec() if Path(path).is_dir() else load_spec(path, plugins=plugins, roots=roots)
        for path in (before, after)
    ]
    found = differences(*specs)
    summaries = [summarize(build_graph(spec), batch=spec.batch_size) for spec in specs]
    if format == "json":
        totals = {name: list(values) for name, values in _totals(*summaries)}
        say(json.dumps({"differences": [asdict(each) for each in found], "totals": totals}, indent=2))
    else:
        for line in _lines(found, *summaries):
            for part in wrapped(line):
                say(part)
    if exit_code and found:
        raise SystemExit(1)


def _totals(before: Summary, after: Summary) -> Iterator[tuple[str, tuple[int | None, int | None]]]:
    yield "parameters", (before.parameters, after.parameters)
    yield "flops", (before.flops, after.flops)
    yield "activation_bytes", (before.activation_bytes, after.activation_bytes)


def _lines(found: tuple[Difference, ...], before: Summary, after: Summary) -> Iterator[str]:
    from specbuild.document.amounts import in_bytes
    from specbuild.graph.tables import flops

    if not found:
        yield "the specs mean the same"
        return
    yield from lines_of(found)
    yield ""
    shown = {
        "parameters": ("Parameters", "{:,}".format),
        "flops": ("FLOPs", flops),
        "activation_bytes": ("Activation memory", in_bytes),
    }
    for name, values in _totals(before, after):
        title, written = shown[name]
        texts = ["unknown" if value is None else written(value) for value in values]
        yield f"{title}: {texts[0]}" + (f" → {texts[1]}" if texts[0] != texts[1] else ", as before")


def lines_of(found: tuple[Difference, ...]) -> Iterator[str]:
    """Yield a line for each difference, with what follows from a variable below it."""
    from specbuild.language.difference import by_cause

    for cause, following in by_cause(found):
        yield _line(cause)
        for each in following:
            yield f"  {_line(each)}"


def _line(each: Difference) -> str:
    match each.kind:
        case "added":
            return f"{each.path}: added, {each.after}"
        case "removed":
            return f"{each.path}: removed, {each.before}"
        case "renamed":
            return f"{each.path}: now called {each.after}"
        case _:
            return f"{each.path}: {each.before} → {each.after}"
