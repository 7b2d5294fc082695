"""Tables on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from specbuild.catalog import Dim, show
from specbuild.graph.summary import AXES, Row, Summary


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and whether it holds numbers."""

    name: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """How much of a table is shown. `compact`: the shape in one column, and wrappers by short names."""

    without: tuple[str, ...] = ()
    compact: bool = False


LOOKS = (
    Look(),
    Look(("memory",)),
    Look(("memory", "sees")),
    Look(("memory", "sees"), compact=True),
    Look(("memory", "sees", "state"), compact=True),
    Look(("memory", "sees", "state", "FLOPs"), compact=True),
    Look(("memory", "sees", "state", "FLOPs", "from"), compact=True),
)
"""From the widest table to the narrowest; the first that fits is shown."""

SHORT = {"TimeDistributed(": "TD(", "Bidirectional(": "Bi("}
"""What wrappers are called in a compact table."""

INDENT = "  "
"""What stands before the id of a layer inside another node."""

UNBOUND = 240
"""Width off a terminal, where COLUMNS does not say another."""


def print_summary(summary: Summary, console: Console | None = None) -> None:
    """The table of `specbuild summary`, as wide as the terminal or COLUMNS allows.

    Off a terminal it is as wide as it needs to be without COLUMNS, and no line ends in spaces.
    """
    free = not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdigit()
    console = console or Console(width=UNBOUND if free else None, highlight=False)
    wide = console.options.update(width=1000)
    tables = ((look, summary_table(summary, look)) for look in LOOKS)
    look, table = next(
        ((look, table) for look, table in tables if console.measure(table, options=wide).maximum <= console.width),
        (LOOKS[-1], summary_table(summary, LOOKS[-1])),
    )
    with console.capture() as captured:
        console.print(table)
        if look.compact:
            console.print()
        for line in totals(summary, explain_sees="sees" not in look.without):
            console.print(line)
    for line in captured.get().splitlines():
        console.file.write(f"{line if console.is_terminal else line.rstrip()}\n")


def summary_table(summary: Summary, look: Look) -> Table:
    columns, rows = summary_cells(summary, compact=look.compact)
    table = Table(
        title=summary.name,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0) if look.compact else (0, 1),
        show_edge=not look.compact,
    )
    kept = [index for index, column in enumerate(columns) if column.name not in look.without]
    for column in (columns[index] for index in kept):
        justify: Literal["left", "right"] = "right" if column.number else "left"
        table.add_column(column.name, justify=justify, no_wrap=True, overflow="ellipsis")
    for cells in rows:
        table.add_row(*(cells[index] for index in kept))
    return table


def markdown_summary(summary: Summary) -> str:
    """The table and the totals as Markdown, for a README or a pull request."""
    columns, rows = summary_cells(summary)
    lines = [
        _markdown_row([column.name for column in columns]),
        _markdown_row(["--:" if column.number else "---" for column in columns]),
        *(_markdown_row(cells) for cells in rows),
    ]
    return "\n".join([f"**{summary.name}**", "", *lines, "", *(f"- {line}" for line in totals(summary))]) + "\n"


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def summary_cells(summary: Summary, *, compact: bool = False) -> tuple[list[Column], list[list[str]]]:
    """The columns of the table and its rows, as text."""
    lengths = [] if compact else [axis for axis in AXES if any(axis in row.axes for row in summary.rows)]
    odd = compact or any(not row.axes for row in summary.rows)
    columns = [
        *(Column(name) for name in ("id", "layer", "from")),
        *(Column(name, number=True) for name in (*lengths, *(("shape",) if odd else ()))),
        Column("state"),
        *(Column(name, number=True) for name in ("params" if compact else "parameters", "FLOPs", "memory")),
        Column("sees", number=True),
    ]
    return columns, [_cells(row, lengths, odd, summary, compact) for row in summary.rows]


def _cells(row: Row, columns: list[str], odd: bool, summary: Summary, compact: bool) -> list[str]:
    lengths = dict(zip(row.axes, row.shape, strict=True)) if row.axes and not compact else {}
    return [
        f"{INDENT if row.inside else ''}{row.id}",
        _short(row.layer) if compact else row.layer,
        (",\n" if compact else ", ").join(row.source),
        *(dim(lengths[axis]) if axis in lengths else "" for axis in columns),
        *([] if not odd else ["" if lengths else show(row.shape)]),
        state(row),
        f"{row.parameters:,}" if row.parameters else "",
        flops(row.flops) if row.flops != 0 else "",
        "?" if row.activation_bytes is None else size(row.activation_bytes) if row.activation_bytes else "",
        sees(row, summary),
    ]


def _short(layer: str) -> str:
    for name, short in SHORT.items():
        layer = layer.replace(name, short)
    return layer


def sees(row: Row, summary: Summary) -> str:
    """How much of each input one place of the output sees, channels left out: `4 × 19 × 19`."""
    axes = {one.id: one.axes for one in summary.rows if not one.source}
    several = len(axes) > 1
    fields = {}
    for name, extents in row.receptive_field.items():
        names = axes[name] or ("",) * len(extents)
        shown = [str(extent) for extent, axis in zip(extents, names, strict=True) if axis != "channels"]
        if shown:
            fields[name] = " × ".join(shown)
    return ", ".join(f"{name} {field}" if several else field for name, field in fields.items())


def totals(summary: Summary, *, explain_sees: bool = True) -> list[str]:
    """The lines below the table."""
    fixed = summary.parameters - summary.trainable_parameters
    split = f" ({summary.trainable_parameters:,} trainable, {fixed:,} not)" if fixed else ", all trainable"
    memory = summary.activation_bytes
    return [
        f"Parameters: {summary.parameters:,}{split if summary.parameters else ''}",
        f"FLOPs: {flops(summary.flops)} for one sample, forward",
        "Activation memory: "
        + (f"{size(memory)} for training" if memory is not None else "unknown, as a length is known only at run time")
        + (f" at batch size {summary.batch}, float32" if memory is not None else ""),
        *(
            ["Sees: how much of the input, by time and space, one place of a layer's output depends on at most"]
            if explain_sees
            else []
        ),
        "Outputs: " + ", ".join(name if name == port else f"{name} = {port}" for name, port in summary.outputs.items()),
    ]


def state(row: Row) -> str:
    """`h, c: 32 × 32 × 64`, and where it starts: `h, c: 32 × 32 × 64 ← enc1`."""
    if not row.state:
        return ""
    shapes = {show(shape) for shape in row.state.values()}
    text = (
        f"{', '.join(row.state)}: {shapes.pop()}"
        if len(shapes) == 1
        else ", ".join(f"{name}: {show(shape)}" for name, shape in row.state.items())
    )
    starts = list(dict.fromkeys(port.partition(".")[0] for port in row.initial_state))
    return f"{text} ← {', '.join(starts)}" if starts else text


def dim(length: Dim) -> str:
    return "?" if length is None else str(length)


def flops(count: Dim) -> str:
    """`1.23 G`, with three digits."""
    return "?" if count is None else _scaled(count, 1000, ("", " k", " M", " G", " T", " P"))


def size(count: int) -> str:
    """`1.23 GiB`, with three digits."""
    return _scaled(count, 1024, (" B", " KiB", " MiB", " GiB", " TiB", " PiB"))


def _scaled(count: int, base: int, units: tuple[str, ...]) -> str:
    value, index = float(count), 0
    while value >= base and index < len(units) - 1:
        value, index = value / base, index + 1
    return f"{value:.3g}{units[index]}" if index and value < 1000 else f"{value:.0f}{units[index]}"
