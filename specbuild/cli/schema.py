"""`specbuild schema`: print the JSON Schema of the language, for completion and checks in editors."""

from __future__ import annotations

from pathlib import Path

import click

from specbuild.cli.arguments import say


@click.command("schema")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
def command(output: Path | None) -> None:
    """Print the JSON Schema of the language.

    With it, editors with a YAML language server complete keys, layers and arguments, show their descriptions, and mark
    mistakes as you type. specbuild init writes it beside the spec; otherwise name it in the spec's first line:

    \b
      # yaml-language-server: $schema=specbuild.schema.json

    A schema cannot check shapes, ids and variables; specbuild check does.

    \b
    Examples:
      specbuild schema > specbuild.schema.json
      specbuild schema --output .vscode/specbuild.schema.json
    """
    from specbuild.cli.templates import schema_text

    if output is None:
        say(schema_text(), nl=False)
    else:
        output.write_text(schema_text(), "utf-8")
