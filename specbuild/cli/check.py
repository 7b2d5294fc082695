"""`specbuild check`: report every mistake in a spec, without loading a framework."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from specbuild.cli.arguments import (
    format_option,
    plugin_option,
    print_diagnostics,
    root_option,
    say,
    set_option,
    spec_argument,
)

if TYPE_CHECKING:
    from specbuild.document import Report
    from specbuild.graph import Graph


@click.command("check", short_help="Find every mistake in SPEC, with its line and column.")
@spec_argument
@set_option
@root_option
@plugin_option
@format_option("text", "json", "github")
@click.option("--resolved", is_flag=True, help="Print the spec after variables, defaults and overrides.")
@click.option("--data", is_flag=True, help="Also open the data and whatever else training would read first.")
@click.option("--strict", is_flag=True, help="Count warnings as errors, except those that the spec accepts.")
def command(spec: str, format: str, resolved: bool, data: bool, strict: bool, **options: Any) -> None:
    """Find every mistake in SPEC, each with its line and column.

    No framework is loaded, except for layers that only Keras knows; the last line of the output names them. The exit
    code is 0 if the spec is valid and 2 if it is not.

    With --data the files are opened as training would open them: the frames must fit the model, the windows must fit
    the splits, the transform is fitted, and the files of evaluate.forecasts and the run of train.init_from must exist.
    The files are also opened with the values that tune varies. A line says how much memory a training step takes.

    \b
    Examples:
      specbuild check nowcast.yaml
      specbuild check nowcast.yaml --set vars.filters=64
      specbuild check nowcast.yaml --data      (also open the data)
      specbuild check --format json            (spec.yaml of this folder)
      specbuild check --format github          (annotations in a pull request)
    """
    from specbuild.document import Report
    from specbuild.document.render import render_github, render_json
    from specbuild.facade import check

    report = Report()
    graph = check(spec, report=report, **options)
    of_data: list[str] = []
    if data and graph is not None and graph.spec.data is not None:
        of_data = _open_data(graph, spec, report, **options)
    warnings = report.warnings_as_errors() if strict else report.warnings
    diagnostics = (*report.sorted_errors(), *warnings)
    failed = any(diagnostic.severity == "error" for diagnostic in diagnostics)
    if format == "json":
        say(render_json((*diagnostics, *report.accepted)))
    elif format == "github":
        for diagnostic in (*diagnostics, *report.accepted):
            say(render_github(diagnostic))
    else:
        print_diagnostics(diagnostics)
        if graph is None or failed:
            pass
        elif resolved:
            say(graph.spec.resolved(), nl=False)
        else:
            nodes, parameters = len(graph.every_node), graph.parameters
            say(f"{spec}: ok ({nodes} layer{'s' if nodes != 1 else ''}, {parameters:,} parameters)")
            for diagnostic in report.accepted:
                say(f"accepted: {diagnostic.code} at {diagnostic.path} ({diagnostic.accepted})")
            if graph.resolved_by_keras:
                say(f"resolved through Keras: {', '.join(graph.resolved_by_keras)}")
            if graph.spec.data is not None:
                for line in of_data or ["data: not opened; check --data does that"]:
                    say(line)
            elif data:
                say("data: the spec has none")
            if (tuning := graph.spec.tuning) is not None:
                say(f"tune: {', '.join(f'{each.path} ({each})' for each in tuning.space)}")
    if failed:
        raise SystemExit(2)


def _open_data(graph: Graph, spec: str, report: Report, overrides: tuple[str, ...], **options: Any) -> list[str]:
    """Open what training would read, also with the values that tune varies; return the lines to print."""
    from specbuild.document import SpecError, TooManyErrors
    from specbuild.facade import build_graph
    from specbuild.training.opened import data_line, notes_at_first, open_everything
    from specbuild.training.plan import memory_of_step
    from specbuild.training.varied import check_with_data

    with suppress(TooManyErrors):
        try:
            samples = open_everything(graph)
        except SpecError as error:
            report.extend(error.diagnostics)
        else:
            check_with_data(graph, lambda more: build_graph(spec, overrides=(*overrides, *more), **options), report)
            notes = (*notes_at_first(samples), *samples.notes())
            memory = memory_of_step(graph, samples)
            return [data_line(samples), *([memory] if memory else []), *(f"note: {note}" for note in notes)]
    return []
