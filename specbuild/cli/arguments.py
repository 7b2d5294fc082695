"""Arguments and output that several verbs share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from specbuild.document import Diagnostic
from specbuild.document.printable import printable, shows_colors

Function = TypeVar("Function", bound=Callable[..., Any])

DEFAULT_SPEC = "spec.yaml"


def spec_argument(function: Function) -> Function:
    """Add SPEC as `spec: str`; its default is `spec.yaml` in the working directory."""
    return click.argument("spec", required=False, callback=spec_or_default, metavar="[SPEC]")(function)


set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Replace a value of the spec, e.g. vars.filters=64, layers.enc1.kernel_size=5, train.epochs=3.",
)
"""Adds `--set PATH=VALUE`, any number of times, as `overrides: tuple[str, ...]`."""

plugin_option = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="MODULE",
    help="Import a Python module that registers custom layers; a spec by itself never imports one.",
)
"""Adds `--plugin MODULE`, any number of times, as `plugins: tuple[str, ...]`."""

root_option = click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="FOLDER",
    help="Also allow files under FOLDER to be named in the spec, besides those under the spec's own folder.",
)
"""Adds `--root FOLDER`, any number of times, as `roots: tuple[str, ...]`."""

horizon_option = click.option(
    "--horizon", type=click.IntRange(min=1), metavar="FRAMES", help="Frames to forecast. Default: as in training."
)
"""Adds `--horizon FRAMES`, as `horizon: int | None`."""

split_option = click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="Which part of the data to score.",
)
"""Adds `--split NAME`, as `split: str`."""

data_option = click.option("--data", metavar="PATH", help="Other data to score, as --set data.source.path=PATH.")
"""Adds `--data PATH`, as `data: str | None`; see `with_data`."""


def with_data(overrides: tuple[str, ...], data: str | None) -> tuple[str, ...]:
    """Return overrides with that of `--data`, whose path is relative to the working directory."""
    if data is None:
        return overrides
    path = data if "://" in data else str(Path(data).absolute())
    return (*overrides, f"data.source.path={json.dumps(path)}")


# A verb takes what it uses itself by name; `**options` are the others, which a stage takes under the same names.


def format_option(*choices: str) -> Callable[[Function], Function]:
    """Add `--format`, with the first choice as default, as `format: str`."""
    return click.option(
        "--format", type=click.Choice(choices), default=choices[0], show_default=True, help="How to print the result."
    )


def print_diagnostics(diagnostics: Iterable[Diagnostic], file: IO[Any] | None = None) -> None:
    """Print diagnostics and the number of errors, on standard error unless `file` is given."""
    from specbuild.document.render import render_text

    file = file or sys.stderr
    errors = 0
    for diagnostic in diagnostics:
        click.echo(render_text(diagnostic, color=shows_colors(file)) + "\n", file=file)
        errors += diagnostic.severity == "error"
    if errors:
        click.echo(f"{errors} error{'s' if errors > 1 else ''}", file=file)


def say(text: str, *, nl: bool = True, err: bool = False, file: IO[Any] | None = None) -> None:
    """Print text, with what could steer a terminal written as escapes: names and units come from anywhere."""
    click.echo(printable(text), nl=nl, err=err, file=file)


def print_note(text: str) -> None:
    """Print a note on standard error."""
    say(f"note: {text}", err=True)


def warn_if_unfinished(run: str) -> None:
    """Print a note on standard error if the training of a run was not finished."""
    from specbuild.runs.trained import TrainedRun

    if note := TrainedRun.open(run).note:
        print_note(note)


def spec_or_default(context: click.Context, _parameter: click.Parameter | None, value: str | None) -> str:
    """Return the given SPEC, or `spec.yaml` if the working directory has one.

    Raises:
        UsageError: there is neither.
    """
    if value is not None:
        return value
    if Path(DEFAULT_SPEC).is_file():
        return DEFAULT_SPEC
    raise click.UsageError(
        f"no SPEC given, and this folder has no {DEFAULT_SPEC}; "
        f"name one, as in: specbuild {context.info_name} nowcast.yaml"
    )
