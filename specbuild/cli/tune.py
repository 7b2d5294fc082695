"""`specbuild tune`: search for better values of a spec, each trial an ordinary run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from specbuild.cli.arguments import plugin_option, root_option, say, set_option, spec_or_default

if TYPE_CHECKING:
    from specbuild.tuning import Study


@click.command("tune", short_help="Search for better values of SPEC, each trial an ordinary run.")
@click.argument("spec", required=False, metavar="[SPEC]")
@set_option
@root_option
@plugin_option
@click.option("--out", default="runs", show_default=True, metavar="FOLDER", help="Where to make the study's folder.")
@click.option("--name", metavar="NAME", help="Name of the study. Default: that of the spec, with date and time.")
@click.option("--resume", metavar="STUDY", help="Continue this study, or the latest one in a folder of studies.")
@click.option("--trials", type=click.IntRange(min=1), metavar="N", help="Trials of the study, those done included.")
@click.option("--timeout", metavar="TIME", help="Begin no trial after this time, such as '8 h'.")
@click.option("--storage", metavar="URL", help="Optuna storage to keep the study in. Default: a file in its folder.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def command(context: click.Context, /, spec: str | None, resume: str | None, quiet: bool, **options: Any) -> None:
    """Search for better values of what the section tune of SPEC names, with Optuna.

    \b
      tune:
        vars.filters: [16, 32, 64]
        train.optimizer.learning_rate: {log: [0.0001, 0.01]}

    Trials are judged by the validation split, never by the test split, and pruned between epochs. Every value is
    checked with the spec first, and a trial whose model is too large is refused before it begins. Each trial is a run
    folder in the folder of the study, which also holds a table of the trials, best.yaml, and two pictures.

    --resume continues a study after any interruption, a killed process included, with the same trials as without it.
    Started several times with --resume, or on several hosts with one --storage and --name, it shares the trials.

    \b
    Examples:
      specbuild tune nowcast.yaml
      specbuild tune nowcast.yaml --trials 40 --timeout '8 h' --name rain
      specbuild tune --resume runs/rain
      specbuild tune --resume runs/rain --trials 80
      specbuild tune nowcast.yaml --name rain --storage postgresql://me@db/optuna
    """
    if spec is not None and resume is not None:
        raise click.UsageError("give a SPEC or --resume, not both: the folder of a study holds its spec")
    if resume is None:
        spec = spec_or_default(context, None, spec)

    from specbuild.training import Interrupted
    from specbuild.tuning import tune

    try:
        study = tune(spec, resume=resume, quiet=quiet, **options)
    except Interrupted as stop:
        say(f"\n{stop}", err=True)
        context.exit(128 + stop.number)
    if not quiet:
        for line in _lines(study):
            say(line)


def _lines(study: Study) -> list[str]:
    from specbuild.cli.tables import table_width
    from specbuild.document.text_table import text_table

    columns, rows = study.table()
    lines = ["", *text_table(columns, rows, "  ", table_width()), "", study.summary()]
    best = study.best
    if best is None:
        return [*lines, "no trial is complete yet", f"study: {study.path}"]
    values = ", ".join(f"{path} {value}" for path, value in best.params.items())
    lines += [f"best: trial {best.number}, {study.monitor} {best.value:.6g}, with {values}", f"study: {study.path}"]
    if not study.finished:
        lines.append(f"continue with: specbuild tune --resume {study.path}")
    lines.append(f"best spec: {study.best_spec}")
    return [*lines, f"next: specbuild evaluate {best.folder}"]
