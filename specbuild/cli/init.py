"""`specbuild init`: write a spec to start from, with the data that it needs."""

from __future__ import annotations

from pathlib import Path

import click

from specbuild.cli.arguments import say


@click.command("init", short_help="Write a spec to start from: a template or for your data.")
@click.argument("template", required=False)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--data", metavar="PATH", help="Look at a file, folder, pattern or URL, and write a spec that trains on it."
)
@click.option("--list", "listed", is_flag=True, help="List the templates and write nothing.")
@click.option("--schema/--no-schema", default=True, help="Write the schema for editors too. Default: yes.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
def command(template: str | None, file: Path | None, data: str | None, listed: bool, schema: bool, force: bool) -> None:
    """Write a commented spec to start from: TEMPLATE as FILE, or under its own name in this folder.

    The data that the spec reads are copied next to it. The first line of the spec names specbuild.schema.json, which is
    written as well: with it, an editor that has a YAML language server (VS Code with the YAML extension, Neovim, Emacs)
    completes, explains and checks as you type. Existing files are not replaced without --force.

    With --data there is no template: FILE gets a data section that describes the files at PATH, as far as can be told
    from them, and a model that fits it.

    \b
    Examples:
      specbuild init --list
      specbuild init radar-nowcast
      specbuild init unet-convlstm lanes.yaml
      specbuild init zoo/shi2015-2layers
      specbuild init --data rain.nc
      specbuild init --data 'radar/*.h5' nowcast.yaml
    """
    if data is not None:
        if file is not None:
            raise click.UsageError("--data takes no template: specbuild init --data rain.nc nowcast.yaml")
        _write_for(data, None if template is None else Path(template), schema=schema, force=force)
        return
    from specbuild.cli.templates import copies, name_of, templates, write
    from specbuild.document import did_you_mean

    known = templates()
    if listed:
        for name, entry in known.items():
            longest = max(len(other) for other in known if _folder(other) == _folder(name))
            for line in _listed(name, f"{entry.description}{'' if entry.has_data else '; without data'}", longest):
                say(line)
        return
    names = f"{', '.join(name for name in known if '/' not in name)}; --list shows all"
    if template is None:
        raise click.UsageError(f"name a template, as in: specbuild init radar-nowcast; there are {names}")
    selected = known.get(name_of(template))
    if selected is None:
        hint = did_you_mean(template, known) or f"there are {names}"
        raise click.UsageError(f'no template is called "{template}"; {hint}')
    own_name = selected.file.name
    target = Path(own_name) if file is None else file / own_name if file.is_dir() else file
    pairs = copies(selected, target)
    existing = [str(copy) for _, copy in pairs if copy.exists()]
    if existing and not force:
        verb, them = ("exists", "it") if len(existing) == 1 else ("exist", "them")
        raise click.UsageError(f"{' and '.join(existing)} {verb} already; --force replaces {them}")
    write(pairs)
    for _, copy in pairs:
        say(f"wrote {copy}")
    if schema:
        _write_schema(target)
    if selected.has_data:
        say(f"next: specbuild train {target}")
    else:
        say(f"next: specbuild summary {target}; it trains when it has a data section")


def _write_for(data: str, file: Path | None, *, schema: bool, force: bool) -> None:
    """Look at data and write a spec for them."""
    import os

    from specbuild.catalog.sources import protocol_of
    from specbuild.cli.new_spec import name_for, said, spec_text
    from specbuild.data.proposal import propose
    from specbuild.graph import build_graph

    name = name_for(data)
    target = Path(f"{name}.yaml") if file is None else file / f"{name}.yaml" if file.is_dir() else file
    if target.exists() and not force:
        raise click.UsageError(f"{target} exists already; --force replaces it")
    proposal = propose(data)
    if not protocol_of(data):
        place = Path(data).expanduser().absolute()
        near = place.is_relative_to(target.absolute().parent)
        proposal.source["path"] = os.path.relpath(place, target.absolute().parent) if near else str(place)
    text = spec_text(proposal, name)
    build_graph(text)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    say(said(proposal))
    say(f"wrote {target}; look at its data section")
    if schema:
        _write_schema(target)
    say(f"next: specbuild train {target}")


def _write_schema(spec: Path) -> None:
    from specbuild.cli.templates import write_schema

    if (schema := write_schema(spec)) is not None:
        say(f"wrote {schema}, which editors use to complete and check the spec")


def _listed(name: str, description: str, longest: int) -> list[str]:
    """Return a template as lines as wide as the terminal, its description in a column of its own."""
    import textwrap

    from specbuild.cli.tables import table_width

    indent = " " * (longest + 2)
    width = max(table_width(), 2 * len(indent))
    return textwrap.wrap(f"{name:{longest}}  {description}", width, subsequent_indent=indent)


def _folder(name: str) -> str:
    """Return the folder in the name of a template: `zoo` of `zoo/shi2015-2layers`."""
    return name.rpartition("/")[0]
