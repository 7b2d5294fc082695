"""`specbuild export`: write the model of a run as a file that runs without specbuild."""

from __future__ import annotations

from typing import Any, get_args

import click

from specbuild.cli.arguments import horizon_option, plugin_option, print_note, say, set_option
from specbuild.exporting.description import Shape
from specbuild.exporting.formats import FORMATS


@click.command("export", short_help="Write the model of RUN as a file that runs without specbuild.")
@click.argument("run")
@click.option(
    "--format",
    type=click.Choice(list(FORMATS)),
    default="savedmodel",
    show_default=True,
    help="savedmodel: TensorFlow; keras: plain Keras; onnx: ONNX Runtime; litert: LiteRT (TFLite); openvino; torch: "
    "PyTorch. All but the first two need additional packages.",
)
@click.option(
    "--shape",
    type=click.Choice(get_args(Shape)[1:2] + get_args(Shape)[:1] + get_args(Shape)[2:]),
    default="physical",
    show_default=True,
    help="physical: past frames in, forecasts out, both in physical units, NaN where missing. whole: the model "
    "alone. streaming: one frame and the states in, one frame and the new states out.",
)
@click.option("-o", "--output", metavar="FILE", help="File to write. Default: a file in the exports folder of RUN.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@horizon_option
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SHARE",
    help="Largest difference to accept, as a share of the standard deviation of the output. Default: 0.001.",
)
@set_option
@plugin_option
def command(run: str, **options: Any) -> None:
    """Write the model of RUN as a file that runs without specbuild.

    The file is run in its own runtime, in a process without specbuild, on windows of the run's data, and its outputs
    are compared with the run's own forecasts. If they differ by more than the tolerance, no file is kept and the exit
    code is 1. The manifest next to the file, FILE.json, lists the name, units, axes and type of each input and output.

    \b
    Examples:
      specbuild export runs/nowcast-20260131-142501
      specbuild export runs/nowcast-20260131-142501 --format onnx
      specbuild export runs/nowcast-20260131-142501 --format onnx --shape whole -o model.onnx
      specbuild export runs/nowcast-20260131-142501 --format litert --horizon 12 --overwrite
      specbuild export runs/nowcast-20260131-142501 --format onnx --shape streaming
    """
    from specbuild.exporting.export import export

    result = export(run, note=print_note, **options)
    for each in result.notes:
        print_note(each)
    for file in result.files:
        say(str(file))
    say(str(result.manifest))
    difference = result.difference
    say(
        f"largest difference from the run: {difference.absolute:.2g}, {difference.relative:.2g} of the standard "
        f"deviation (accepted: {result.tolerance:g}), on {result.tried_on}"
    )
    say(f"time per sample: {1000 * result.seconds:.3g} ms")
