"""`specbuild train`: train, score and draw, with everything in one run folder."""

from __future__ import annotations

from typing import Any

import click

from specbuild.cli.arguments import plugin_option, root_option, say, set_option, spec_or_default

_TO_LOOK_AT = (
    "forecast.png",
    "forecast.gif",
    "loss.png",
    "scores.png",
    "calibration.png",
    "confusion.png",
    "scores.csv",
)


@click.command("train", short_help="Train the model of SPEC, score it and draw its forecast.")
@click.argument("spec", required=False, metavar="[SPEC]")
@set_option
@root_option
@plugin_option
@click.option("--out", default="runs", show_default=True, metavar="FOLDER", help="Where to create the run folder.")
@click.option("--resume", metavar="RUN", help="Resume this run, or the latest unfinished one in a folder of runs.")
@click.option("--coordinator", metavar="HOST:PORT", help="Train in several processes: the address of process 0.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of processes that train together; 1: only this one, whatever the launcher says.",
)
@click.option("--process-id", type=click.IntRange(min=0), metavar="I", help="Number of this process, from 0.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def command(context: click.Context, /, spec: str | None, resume: str | None, quiet: bool, **options: Any) -> None:
    """Train the model of SPEC, score it on its test split and draw its forecast.

    Everything is written to a new run folder. The state is saved after each epoch and every ten minutes; --resume
    continues from there, with the same result as an uninterrupted run. Given a folder of runs, it resumes the latest
    that is neither finished nor being trained by another process. With --resume, --set applies what can change, such as
    the learning rate or the number of epochs, and refuses the rest, such as the loss: for that, start a new run from
    the weights of this one with train.init_from.

    Started several times by srun, mpirun or Kubernetes, or with --coordinator, --processes and --process-id, it trains
    one model in all of these processes, on one host or on several, with KERAS_BACKEND=jax. Process 0 writes the run
    folder.

    \b
    Examples:
      specbuild train nowcast.yaml
      specbuild train nowcast.yaml --set train.epochs=3 --set vars.filters=16
      specbuild train nowcast.yaml --set train.init_from=runs/nowcast-20260131-142501
      specbuild train --resume runs
      specbuild train --resume runs/nowcast-20260131-142501
      specbuild train --resume runs/nowcast-20260131-142501 --set train.epochs=40
      specbuild train --resume runs/nowcast-20260131-142501 --set train.optimizer.learning_rate=1e-4
      KERAS_BACKEND=jax srun specbuild train nowcast.yaml
      KERAS_BACKEND=jax specbuild train nowcast.yaml --coordinator node1:8476 --processes 2 --process-id 0
    """
    if spec is not None and resume is not None:
        raise click.UsageError("give a SPEC or --resume, not both: a run folder holds its spec")
    if resume is None:
        spec = spec_or_default(context, None, spec)

    from specbuild.evaluation.classes import ClassScores
    from specbuild.evaluation.tables import report_text
    from specbuild.training import Interrupted, train

    try:
        run = train(spec, resume=resume, quiet=quiet, **options)
    except Interrupted as stop:
        if str(stop):
            say(f"\n{stop}", err=True)
        context.exit(128 + stop.number)
    if quiet or run.process:
        return
    if run.scores is not None:
        say(report_text(run.scores))
    say(f"\nrun folder: {run.path}")
    say(f"to look at: {', '.join(name for name in _TO_LOOK_AT if (run.path / name).is_file())}")
    if not isinstance(run.scores, ClassScores):
        say(f"next: specbuild predict {run.path}")
