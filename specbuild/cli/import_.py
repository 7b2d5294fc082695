"""`specbuild import`: print a saved Keras model as a spec."""

from __future__ import annotations

from pathlib import Path

import click

from specbuild.cli.arguments import plugin_option, say


@click.command("import", short_help="Print the spec of a saved Keras MODEL.")
@click.argument("model", metavar="MODEL")
@plugin_option
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def command(model: str, plugins: tuple[str, ...], output: Path | None, force: bool) -> None:
    """Print the spec of a saved Keras MODEL, with the same layers, weight shapes and outputs.

    MODEL is a .keras file, a complete model in .h5, or the JSON written by model.to_json(). Its code is never run; a
    layer that a spec cannot express, such as a Lambda, is an error. Before it is printed, the spec is loaded and
    compared with the model. It has no data section and no weights. Existing files are not replaced without --force.

    \b
    Examples:
      specbuild import model.keras
      specbuild import model.keras --output model.yaml
      specbuild import model.keras --plugin my_layers
    """
    from specbuild.facade import import_plugins
    from specbuild.model.importing import import_model

    if output is not None and output.exists() and not force:
        raise click.UsageError(f"{output} exists already; --force replaces it")
    import_plugins(plugins)
    imported = import_model(model)
    for note in imported.notes:
        say(f"note: {note}", err=True)
    if output is None:
        say(imported.text, nl=False)
    else:
        output.write_text(imported.text, "utf-8")
        say(f"wrote {output}")
