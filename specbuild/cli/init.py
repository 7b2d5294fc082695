"""`specbuild init`: write a spec to start from, with the data that it needs."""

from __future__ import annotations

from pathlib import Path

import click

from specbuild.cli.arguments import say


@click.command("init", short_help="Write a spec to start from, with the data that it needs.")
@click.argument("template", required=False)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--list", "listed", is_flag=True, help="List the templates and write nothing.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
def command(template: str | None, file: Path | None, listed: bool, force: bool) -> None:
    """Write a commented spec to start from: TEMPLATE as FILE, or under its own name in this folder.

    The data that the spec reads are copied next to it. Existing files are not replaced without --force.

    \b
    Examples:
      specbuild init --list
      specbuild init radar-nowcast
      specbuild init unet-convlstm lanes.yaml
      specbuild init zoo/shi2015-2layers
    """
    from specbuild.cli.templates import copies, name_of, templates, write
    from specbuild.document import did_you_mean

    known = templates()
    if listed:
        for name, entry in known.items():
            width = max(len(other) for other in known if _folder(other) == _folder(name))
            say(f"{name:{width}}  {entry.description}{'' if entry.has_data else '; without data'}")
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
    if selected.has_data:
        say(f"next: specbuild train {target}")
    else:
        say(f"next: specbuild summary {target}; it trains when it has a data section")


def _folder(name: str) -> str:
    """Return the folder in the name of a template: `zoo` of `zoo/shi2015-2layers`."""
    return name.rpartition("/")[0]
