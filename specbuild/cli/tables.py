"""Tables on a terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from specbuild.catalog import Dim, show
from specbuild.graph.summary import AXES, Row, Summary


def print_summary(summary: Summary, console: Console | None = None) -> None:
    """The table of `specbuild summary`. Off a terminal it is as wide as it needs to be."""
    console = console or Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(summary_table(summary))
    for line in totals(summary):
        console.print(line)


def summary_table(summary: Summary) -> Table:
    columns = [axis for axis in AXES if any(axis in row.axes for row in summary.rows)]
    odd = any(not row.axes for row in summary.rows)
    table = Table(title=summary.name, title_justify="left", title_style="bold", header_style="bold", pad_edge=False)
    for name in ("id", "layer", "from"):
        table.add_column(name, overflow="fold")
    for name in columns:
        table.add_column(name, justify="right")
    if odd:
        table.add_column("shape", justify="right")
    table.add_column("state", overflow="fold")
    table.add_column("parameters", justify="right")
    table.add_column("FLOPs", justify="right")
    for row in summary.rows:
        lengths = dict(zip(row.axes, row.shape, strict=True)) if row.axes else {}
        cells = [dim(lengths[axis]) if axis in lengths else "" for axis in columns]
        if odd:
            cells.append("" if row.axes else show(row.shape))
        table.add_row(
            row.id,
            row.layer,
            ", ".join(row.source),
            *cells,
            state(row),
            f"{row.parameters:,}" if row.parameters else "",
            flops(row.flops) if row.flops != 0 else "",
        )
    return table


def totals(summary: Summary) -> list[str]:
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
