"""Plain-text tables. Importing Rich and measuring with it would take a fifth of the time of `specbuild summary`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from specbuild.document.render import text_width


class Column(NamedTuple):
    """A column of a table: its heading, and whether it holds numbers, which are aligned to the right."""

    name: str
    number: bool = False


def text_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], gap: str = "   ", most: int = 0) -> list[str]:
    """Return the lines of a table: the heading, a rule and the rows. No line ends in spaces.

    Line breaks inside a cell are kept. Where the table is wider than `most` (unless that is 0), its widest columns are
    cut, and a cut cell ends in "…".
    """
    table = [[column.name for column in columns], *rows]
    cells = [[cell.split("\n") for cell in row] for row in table]
    widths = [max(text_width(line) for row in cells for line in row[index]) for index in range(len(columns))]
    room = most - len(gap) * (len(columns) - 1)
    while most and sum(widths) > max(room, len(columns)):
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in cells:
        for parts in zip_longest(*row, fillvalue=""):
            padded = (_padded(*cell) for cell in zip(parts, columns, widths, strict=True))
            lines.append(gap.join(padded).rstrip())
    lines.insert(1, "─" * (sum(widths) + len(gap) * (len(columns) - 1)))
    return lines


def _padded(text: str, column: Column, width: int) -> str:
    while text_width(text) > width:
        text = text.removesuffix("…")[:-1] + "…" if width > 1 else "…"
    blanks = " " * (width - text_width(text))
    return blanks + text if column.number else text + blanks
