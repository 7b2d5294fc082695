"""The table of a summary, as text, Markdown and HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable
from typing import NamedTuple

from specbuild.catalog import Dim, show
from specbuild.document.amounts import in_bytes, scaled
from specbuild.document.html import html_table, paragraph
from specbuild.document.printable import one_line
from specbuild.document.render import text_width
from specbuild.document.text_table import Column, text_table
from specbuild.graph.memory import StepMemory
from specbuild.graph.summary import AXES, Row, Summary, shown_layer


class Layout(NamedTuple):
    """How much of a table is shown. `compact`: the shape in one column, and wrappers by short names."""

    without: tuple[str, ...] = ()
    compact: bool = False


COLUMNS = ("id", "layer", "from", "shape", "state", "parameters", "FLOPs", "memory", "field")
"""What `--columns` can name."""
DROPPED = ("memory", "field", "state", "FLOPs", "from")
"""The columns that a narrow table leaves out, in this order."""
LAYOUTS = (
    *(Layout(DROPPED[:count]) for count in range(3)),
    *(Layout(DROPPED[:count], compact=True) for count in range(2, len(DROPPED) + 1)),
)
"""From the widest table to the narrowest; the first that fits is shown."""

SHORT = {"TimeDistributed(": "TD(", "Bidirectional(": "Bi("}
"""Names of wrappers in a compact table."""

LONG = {"params": "parameters"}
"""Columns that have another name in a compact table."""
HOW_TO_SHOW = "--columns all shows every column, --columns id,layer,shape,… those named"

INDENT = "  "
"""Precedes the id of a layer inside another node."""

FIELD = (
    "Field: the receptive field, the largest part of the input, in time and space, on which one output value depends"
)
MOST_NAMED = 5
"""Rows that are named where their FLOPs are unknown."""


def summary_text(summary: Summary, width: int, columns: Collection[str] | None = None) -> str:
    """Return the widest layout of the table that fits into `width`, below its title, and the totals below it.

    Columns are left out where there is no room for them, which a line says, unless `columns` names those to show.
    """
    for layout in LAYOUTS if columns is None else _layouts_of(columns):
        lines = _table(summary, layout)
        if max(map(text_width, lines)) <= width:
            break
    else:
        lines = _table(summary, layout, width) if columns is None else lines
    below = totals(summary, explain_field="field" not in layout.without)
    if columns is None and layout.without:
        below.append(f"Left out for lack of width: {', '.join(layout.without)}; {HOW_TO_SHOW}")
    return "\n".join(
        [one_line(summary.name), *lines, "", *(part for line in below for part in textwrap.wrap(line, width))]
    )


def _layouts_of(columns: Collection[str]) -> tuple[Layout, Layout]:
    without = tuple(name for name in COLUMNS if name not in columns)
    return Layout(without), Layout(without, compact=True)


def _table(summary: Summary, layout: Layout, most: int = 0) -> list[str]:
    columns, rows = _cells_without(summary, layout)
    if layout.compact:
        return text_table(columns, rows, "  ", most)
    return ["", *(f" {line}" for line in text_table(columns, rows, most=most))]


def _cells_without(summary: Summary, layout: Layout) -> tuple[list[Column], list[list[str]]]:
    """The columns and cells of a layout; the axes of the output are the column `shape`."""
    columns, rows = summary_cells(summary, compact=layout.compact)
    names = ["shape" if column.name in AXES else LONG.get(column.name, column.name) for column in columns]
    kept = [index for index, name in enumerate(names) if name not in layout.without]
    return [columns[index] for index in kept], [[row[index] for index in kept] for row in rows]


def markdown_summary(summary: Summary, columns: Collection[str] | None = None) -> str:
    """Return the table and the totals as Markdown, for a README or a pull request."""
    layout, _ = _layouts_of(COLUMNS if columns is None else columns)
    return _markdown(summary, *_cells_without(summary, layout), explain_field="field" not in layout.without)


def html_summary(summary: Summary) -> str:
    """Return the table and the totals as HTML, for a notebook."""
    columns, rows = summary_cells(summary)
    return html_table(columns, rows, summary.name) + "".join(map(paragraph, totals(summary)))


def _markdown(summary: Summary, columns: list[Column], rows: list[list[str]], *, explain_field: bool) -> str:
    below = totals(summary, explain_field=explain_field)
    lines = [
        _markdown_row([column.name for column in columns]),
        _markdown_row(["--:" if column.number else "---" for column in columns]),
        *(_markdown_row(cells) for cells in rows),
    ]
    return "\n".join([f"**{one_line(summary.name)}**", "", *lines, "", *(f"- {line}" for line in below)]) + "\n"


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def summary_cells(summary: Summary, *, compact: bool = False) -> tuple[list[Column], list[list[str]]]:
    """Return the columns of the table and its rows, as text."""
    lengths = [] if compact else [axis for axis in AXES if any(axis in row.axes for row in summary.rows)]
    needs_shape = compact or any(not row.axes for row in summary.rows)
    columns = [
        *(Column(name) for name in ("id", "layer", "from")),
        *(Column(name, number=True) for name in (*lengths, *(("shape",) if needs_shape else ()))),
        Column("state"),
        *(Column(name, number=True) for name in ("params" if compact else "parameters", "FLOPs", "memory")),
        Column("field", number=True),
    ]
    return columns, [_cells(row, lengths, needs_shape, summary, compact) for row in summary.rows]


def _cells(row: Row, axes: list[str], needs_shape: bool, summary: Summary, compact: bool) -> list[str]:
    lengths = dict(zip(row.axes, row.shape, strict=True)) if row.axes and not compact else {}
    return [
        f"{INDENT if row.inside else ''}{row.id}",
        _short(row.layer) if compact else shown_layer(row.layer, row.equation),
        (",\n" if compact else ", ").join(row.source),
        *(show((lengths[axis],)) if axis in lengths else "" for axis in axes),
        *(["" if lengths else show(row.shape)] if needs_shape else []),
        state(row),
        f"shares {row.shares}" if row.shares else f"{row.parameters:,}" if row.parameters else "",
        flops(row.flops) if row.flops != 0 else "",
        "?" if row.activation_bytes is None else in_bytes(row.activation_bytes) if row.activation_bytes else "",
        receptive_field(row, summary),
    ]


def _short(layer: str) -> str:
    for name, short in SHORT.items():
        layer = layer.replace(name, short)
    return layer


def receptive_field(row: Row, summary: Summary) -> str:
    """Return the receptive field in each input, without its channels: `4 × 19 × 19`."""
    axes = {input.id: input.axes for input in summary.rows if not input.source}
    several = len(axes) > 1
    fields = {}
    for name, extents in row.receptive_field.items():
        names = axes[name] or ("",) * len(extents)
        shown = [str(extent) for extent, axis in zip(extents, names, strict=True) if axis != "channels"]
        if shown:
            fields[name] = " × ".join(shown)
    return ", ".join(f"{name} {field}" if several else field for name, field in fields.items())


def totals(summary: Summary, *, explain_field: bool = True) -> list[str]:
    """Return the lines below the table."""
    fixed = summary.parameters - summary.trainable_parameters
    split = f" ({summary.trainable_parameters:,} trainable, {fixed:,} not)" if fixed else ", all trainable"
    return [
        f"Parameters: {summary.parameters:,}{split if summary.parameters else ''}",
        f"FLOPs: {total_flops(summary)}",
        f"Memory: {step_memory(summary.step)}",
        *([FIELD] if explain_field else []),
        "Outputs: "
        + ", ".join(one_line(name if name == port else f"{name} = {port}") for name, port in summary.outputs.items()),
    ]


def step_memory(step: StepMemory | None) -> str:
    """Return what a training step takes, and of what that is the sum."""
    if step is None:
        return "unknown, as a length is known only at run time"
    parts = {
        "activations": step.activations,
        "their gradients": step.passing,
        "batch": step.batch,
        "weights and optimizer": step.kept,
        "gradients of the weights": step.gradients,
    }
    listed = ", ".join(f"{name} {in_bytes(size)}" for name, size in parts.items() if size)
    return f"about {in_bytes(step.bytes)} for a training step at batch size {step.samples}, float32 ({listed})"


def state(row: Row) -> str:
    """Return `h, c: 32 × 32 × 64`, or `h, c: 32 × 32 × 64 ← enc1` where another layer gives the initial state."""
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


def flops(count: Dim) -> str:
    """Return the count with three digits: `1.23 G`."""
    return "?" if count is None else scaled(count, 1000, ("", " k", " M", " G", " T", " P"))


def total_flops(summary: Summary) -> str:
    """Return what one sample takes, at least, and of which rows that is not known."""
    unknown = summary.flops_unknown
    if not unknown:
        return f"{flops(summary.flops)} for one sample, forward"
    least = f"at least {flops(summary.flops)}" if summary.flops else "?"
    named = unknown if len(unknown) <= MOST_NAMED else (*unknown[:MOST_NAMED], f"{len(unknown) - MOST_NAMED} more")
    return f"{least} for one sample, forward; unknown for {', '.join(named)}"
