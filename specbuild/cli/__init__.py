"""The command line: one small file per verb, which parses arguments, calls a stage and prints the result."""

from __future__ import annotations

import errno
import importlib
import os
import signal
from typing import IO, Any

import click

from specbuild.cli.arguments import print_diagnostics, say
from specbuild.document import RunError, SpecbuildError, SpecError, did_you_mean
from specbuild.version import __version__

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else pydantic searches every installed package for some

# `import` is a word of Python, so its module has another name.
_MODULES = (
    "init check summary plot diff schema import_ import_weights data train tune evaluate predict export runs compare "
    "report doctor"
)
VERBS = {module.rstrip("_").replace("_", "-"): f"specbuild.cli.{module}" for module in _MODULES.split()}
"""The module with the `command` of each verb, imported when the verb is first used."""


class _Reported(click.ClickException):
    """An error of specbuild, as click prints it."""

    def __init__(self, error: SpecbuildError) -> None:
        super().__init__(str(error))
        self.error = error

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return self.error.exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        if isinstance(self.error, SpecError):
            print_diagnostics(self.error.diagnostics, file)
        else:
            say(f"error: {self.error}", file=file, err=True)


class _Verbs(click.Group):
    """A group that imports a verb only when it is called, and turns specbuild's errors into exit codes."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(VERBS[cmd_name]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            hint = did_you_mean(args[0], VERBS)
            ctx.fail(f"no command is called {args[0]}" + (f"; {hint}" if hint else ""))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SpecbuildError as error:
            raise _Reported(error) from error
        except KeyboardInterrupt:
            say("\ninterrupted", err=True)
            ctx.exit(128 + signal.SIGINT)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader has closed the pipe, as `| head` does
                raise
            from specbuild.runs.faults import FULL

            where = f": {error.filename}" if error.filename is not None else ""
            help = "make room, then run the command again" if error.errno in FULL else ""
            raise _Reported(RunError(f"{error.strerror or error}{where}", help)) from error


@click.command(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 success, 1 a failed run, 2 a wrong spec or command line.",
)
@click.version_option(__version__, prog_name="specbuild")
def main() -> None:
    """Recurrent-convolutional models as short YAML specs.

    \b
    specbuild check nowcast.yaml        find every mistake, without loading a framework
    specbuild summary nowcast.yaml      shapes, states, parameters, FLOPs, memory
    specbuild train nowcast.yaml        train, score per lead time, draw the forecast
    """
