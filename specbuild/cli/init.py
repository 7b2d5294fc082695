"""`specbuild init`: a spec to start from, with the data that it needs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("init", short_help="Write a spec to start from, with the data that it needs.")
@click.argument("template", required=False)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--list", "listed", is_flag=True, help="List the templates and write nothing.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
def command(template: str | None, file: Path | None, listed: bool, force: bool) -> None:
    """Write a commented spec to start from: TEMPLATE as FILE, or under its own name into this folder.

    Data that the spec reads is put next to it. Nothing that exists is replaced without --force.

    \b
    Examples:
      specbuild init --list
      specbuild init radar-nowcast
      specbuild init unet-convlstm lanes.yaml
    """
    from specbuild.cli.templates import copies, templates, write
    from specbuild.document import did_you_mean

    known = templates()
    if listed:
        width = max(map(len, known))
        for one in known.values():
            click.echo(f"{one.name:{width}}  {one.description}{'' if one.has_data else '; without data'}")
        return
    names = ", ".join(known)
    if template is None:
        raise click.UsageError(f"name a template, as in: specbuild init radar-nowcast; there are {names}")
    chosen = known.get(template) or known.get(template.removesuffix(".yaml").replace("_", "-"))
    if chosen is None:
        hint = did_you_mean(template, known) or f"there are {names}"
        raise click.UsageError(f'no template is called "{template}"; {hint}')
    own_name = chosen.file.name
    target = Path(own_name) if file is None else file / own_name if file.is_dir() else file
    pairs = copies(chosen, target)
    in_the_way = [str(copy) for _, copy in pairs if copy.exists()]
    if in_the_way and not force:
        verb, them = ("exists", "it") if len(in_the_way) == 1 else ("exist", "them")
        raise click.UsageError(f"{' and '.join(in_the_way)} {verb} already; --force replaces {them}")
    write(pairs)
    for _, copy in pairs:
        click.echo(f"wrote {copy}")
    if chosen.has_data:
        click.echo(f"next: specbuild train {target}")
    else:
        click.echo(f"next: specbuild summary {target}; it trains when it has a data section")
