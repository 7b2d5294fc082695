"""Tables on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Collection

import click

from specbuild.document.printable import printable, shows_colors
from specbuild.document.render import text_width
from specbuild.graph.summary import Summary
from specbuild.graph.tables import summary_text

UNBOUND = 240
"""Width off a terminal, unless COLUMNS gives another."""


def table_width() -> int:
    """Return how wide a table may be."""
    bound = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return shutil.get_terminal_size().columns if bound else UNBOUND


def wrapped(line: str) -> list[str]:
    """Return a line as lines as wide as the terminal, the later ones indented further; off a terminal as it is."""
    width = table_width()
    if width == UNBOUND or text_width(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False)


def print_summary(summary: Summary, columns: Collection[str] | None = None) -> None:
    """Print the table of `specbuild summary`, as wide as the terminal or COLUMNS allows."""
    width = table_width()
    title, *lines = printable(summary_text(summary, width, columns)).split("\n")
    heading = click.style(title, bold=True) if shows_colors(sys.stdout) else title
    click.echo("\n".join([heading, *lines]))
