"""Arguments that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

DEFAULT_SPEC = "spec.yaml"


def spec_argument(function: Function) -> Function:
    """Adds SPEC as `spec: str`; left out, it is the `spec.yaml` of the working directory."""
    return click.argument("spec", required=False, callback=_default_spec, metavar="[SPEC]")(function)


def set_option(function: Function) -> Function:
    """Adds `--set PATH=VALUE`, as often as wanted, as `overrides: tuple[str, ...]`."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="PATH=VALUE",
        help="Change a value of the spec, e.g. vars.filters=64, layers.enc1.kernel_size=5, train.epochs=3.",
    )(function)


def plugin_option(function: Function) -> Function:
    """Adds `--plugin MODULE`, as often as wanted, as `plugins: tuple[str, ...]`."""
    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="MODULE",
        help="Import a Python module that registers layers of its own; a spec alone never imports one.",
    )(function)


def format_option(*choices: str) -> Callable[[Function], Function]:
    """Adds `--format`, with the first choice as default, as `format: str`."""
    return click.option(
        "--format", type=click.Choice(choices), default=choices[0], show_default=True, help="How to print the result."
    )


def say_if_unfinished(run: str) -> None:
    """One line on standard error where the model of a run is not that of a finished training."""
    from specbuild.runs.inference import TrainedRun

    if note := TrainedRun.open(run).note:
        click.echo(f"note: {note}", err=True)


def _default_spec(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    if value is not None:
        return value
    if Path(DEFAULT_SPEC).is_file():
        return DEFAULT_SPEC
    raise click.UsageError(
        f"no SPEC given, and this folder has no {DEFAULT_SPEC}; name one, as in: specbuild check nowcast.yaml"
    )
