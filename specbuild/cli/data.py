"""`specbuild data`: show the contents of a spec's data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from specbuild.cli.arguments import format_option, root_option, say, set_option, spec_argument


@click.command("data", short_help="Show splits, windows, missing values and ranges of the data.")
@spec_argument
@set_option
@root_option
@click.option("--all", "every_frame", is_flag=True, help="Read every frame; otherwise only a sample of large data.")
@click.option("--output", metavar="FILE", help="Draw a window of the training split into FILE: .png or .gif.")
@format_option("text", "json")
def command(spec: str, every_frame: bool, output: str | None, format: str, **options: Any) -> None:
    """Show the data of SPEC: frames, times, windows per split, missing values and the distribution of values.

    Values are in physical units, before any transform. No framework is loaded. Of the model, only the input is
    compared with the frames; a warning says where it differs.

    \b
    Examples:
      specbuild data nowcast.yaml
      specbuild data nowcast.yaml --output sample.png
      specbuild data nowcast.yaml --set data.windows.past=8 --format json
    """
    from specbuild.cli.survey import survey_text
    from specbuild.cli.tables import table_width
    from specbuild.data.samples.splits import open_splits
    from specbuild.data.sources import open_source
    from specbuild.data.survey import survey
    from specbuild.data.transforms.precision import check_precision
    from specbuild.document import SpecError
    from specbuild.document.render import render_text
    from specbuild.facade import load_spec
    from specbuild.graph.data_checks import FrameLayout, input_faults

    loaded = load_spec(spec, **options)
    data = loaded.require_data()
    source = open_source(loaded)
    splits = open_splits(loaded, data, source)
    surveyed = survey(source, splits, variable=data.variable, units=data.units, every_frame=every_frame)
    say(json.dumps(surveyed.to_dict(), indent=2) if format == "json" else survey_text(surveyed, table_width()))
    faults = [*input_faults(loaded, FrameLayout(source.name, source.space, source.channels))]
    try:
        check_precision(loaded, source, splits["train"].stretches)
    except SpecError as error:
        faults.append(error)
    for fault in (diagnostic for error in faults for diagnostic in error.diagnostics):
        say(render_text(replace(fault, severity="warning")), err=True)
    if output is not None:
        from specbuild.pictures import draw_sample

        draw_sample(data, source, splits["train"], Path(output), loaded.name)
        say(f"a training window is drawn in {output}", err=True)
