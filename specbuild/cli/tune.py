"""`specbuild tune`: search for better values of a spec, each trial an ordinary run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from specbuild.cli.arguments import plugin_option, root_option, say, set_option, spec_or_default

if TYPE_CHECKING:
    from specbuild.tuning import Study


@click.command("tune", short_help="Search for better values of a spec; each trial is a run.")
@click.argument("spec", required=False, metavar="[SPEC]")
@set_option
@root_option
@plugin_option
@click.option(
    "--out", default="runs", show_default=True, metavar="FOLDER", help="Folder in which to create the study's folder."
)
@click.option("--name", metavar="NAME", help="Name of the study. Default: that of the spec, with date and time.")
@click.option("--resume", metavar="STUDY", help="Continue this study, or the latest one in a folder of studies.")
@click.option(
    "--trials", type=click.IntRange(min=1), metavar="N", help="Number of trials, including those already done."
)
@click.option("--timeout", metavar="TIME", help="Start no new trial after this time, such as '8 h'.")
@click.option("--storage", metavar="URL", help="Optuna storage for the study. Default: a file in its folder.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def command(context: click.Context, /, spec: str | None, resume: str | None, quiet: bool, **options: Any) -> None:
    """Search for better values of a spec with Optuna. The section tune of SPEC names what to vary.

    \b
      tune:
        vars.filters: [16, 32, 64]
        train.optimizer.learning_rate: {log: [0.0001, 0.01]}

    Trials are compared on the validation split, never on the test split, and pruned between epochs. All values are
    checked against the spec first, and a trial whose model is too large is refused before it starts. Each trial is a
    run folder in the study's folder, which also has a table of the trials, best.yaml and two pictures.

    --resume continues a study after any interruption, including a killed process. Several processes share the trials if
    each is started with --resume or, on several hosts, with the same --storage and --name.

    \b
    Examples:
      specbuild tune nowcast.yaml
      specbuild tune nowcast.yaml --trials 40 --timeout '8 h' --name rain
      specbuild tune --resume runs/rain
      specbuild tune --resume runs/rain --trials 80
      specbuild tune nowcast.yaml --name rain --storage postgresql://me@db/optuna
    """
    if spec is not None and resume is not None:
        raise click.UsageError("give a SPEC or --resume, not both: the study's folder has its spec")
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
    if best.folder is None:
        return [*lines, f"trial {best.number} was trained by a process with another folder, which has its run"]
    return [*lines, f"next: specbuild evaluate {best.folder}"]
