"""`specbuild import-weights`: load the weights of a checkpoint of another framework into the model of a spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from specbuild.cli.arguments import plugin_option, root_option, say, set_option

_SUFFIXES = (".weights.h5", ".keras")


@click.command("import-weights", short_help="Load the weights of a checkpoint into a model.")
@click.argument("spec", metavar="SPEC")
@click.argument("table", metavar="TABLE", required=False)
@click.argument("checkpoint", metavar="CHECKPOINT", required=False)
@set_option
@root_option
@plugin_option
@click.option(
    "--prefix",
    "prefixes",
    multiple=True,
    metavar="TEXT",
    help="Prefix to remove from the names of the arrays, e.g. model. or module., in place of the table's prefixes.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the weights (.weights.h5) or the whole model (.keras) to this file.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--list", "listing", is_flag=True, help="Print the names and shapes of the model's weights instead.")
def command(
    spec: str,
    table: str | None,
    checkpoint: str | None,
    prefixes: tuple[str, ...],
    output: Path | None,
    force: bool,
    listing: bool,
    **options: Any,
) -> None:
    """Load the weights of CHECKPOINT, an .npz or .safetensors file of arrays by name, into the model of SPEC.

    TABLE is a YAML file that says which array each weight gets and how its axes are ordered, or the name of a table
    that comes with specbuild. Every weight must get an array of its shape, and every array must be used or be listed
    as unused. Without --output this is only checked. A .pt or .pth file is a pickle, which runs code when it is read:
    the error says how to convert it.

    \b
    Examples:
      specbuild import-weights predrnn.yaml --list
      specbuild import-weights predrnn.yaml table.yaml checkpoint.npz
      specbuild import-weights predrnn.yaml openstl-predrnn checkpoint.npz -o predrnn.keras
      specbuild import-weights predrnn.yaml openstl-predrnn lightning.npz --prefix model. -o predrnn.keras
    """
    from specbuild.facade import build_graph

    if listing:
        from specbuild.model.mapping.plan import weight_shapes

        for name, shape in weight_shapes(build_graph(spec, **options)).items():
            say(f"{name}  {shape}")
        return
    if table is None or checkpoint is None:
        raise click.UsageError("name a TABLE and a CHECKPOINT, or --list the model's weights")
    if output is not None and not output.name.endswith(_SUFFIXES):
        raise click.BadParameter(f"its suffix must be {' or '.join(_SUFFIXES)}", param_hint="--output")
    if output is not None and output.exists() and not force:
        raise click.UsageError(f"{output} exists already; --force replaces it")
    from specbuild.model import save
    from specbuild.model.mapping import arranged_weights, import_weights

    graph = build_graph(spec, **options)
    if output is None:
        arrays = arranged_weights(graph, table, checkpoint, prefixes)
        say(f"{checkpoint}: ok ({len(arrays)} weights, {sum(array.size for array in arrays.values()):,} numbers)")
        return
    model = import_weights(graph, table, checkpoint, prefixes=prefixes)
    if output.suffix == ".keras":
        save(model, output)
    else:
        model.save_weights(output, overwrite=True)
    say(f"wrote {output}")
