"""What is in the data, as text."""

from __future__ import annotations

import math

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from specbuild.catalog import show
from specbuild.data.survey import Counts, SplitSurvey, Survey

BARS = " ▁▂▃▄▅▆▇█"


def survey_text(found: Survey) -> str:
    """What the data is, a table of its splits, and how the values of each are spread."""
    wide = Console(width=200, highlight=False, color_system=None)
    with wide.capture() as captured:
        wide.print(_table(found))
    table = "\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines())
    return "\n".join([*_heading(found), "", table, "", *_below(found)])


def _heading(found: Survey) -> list[str]:
    units = f" ({found.units})" if found.units else ""
    least, most = min(found.lengths), max(found.lengths)
    count = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    events = f"{len(found.lengths):,} events of " if len(found.lengths) > 1 else ""
    size = f" of {show(found.space)}" if found.space else ""
    apart = f", {found.step} apart" if found.step else ""
    named = f": {', '.join(found.variables)}" if found.variables else ""
    channels = f"{found.channels} channel{'s' if found.channels > 1 else ''}{named}"
    return [
        f"{found.source}: {found.variable}{units}, {found.dtype} in the file",
        f"{events}{count} frames{size}{apart}; {channels}",
    ]


def _table(found: Survey) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("split")
    several = len(found.lengths) > 1
    numbers = (*(("events",) if several else ()), "frames", "windows")
    for name in numbers:
        table.add_column(name, justify="right")
    table.add_column("first")
    table.add_column("last")
    for name in ("missing", "min", "mean", "max", "std"):
        table.add_column(name, justify="right")
    for split in found.splits:
        values = split.values
        table.add_row(
            split.name,
            *(f"{getattr(split, name):,}" for name in numbers),
            split.first,
            split.last,
            _share(values.missing),
            *(_number(getattr(values, name)) for name in ("min", "mean", "max", "std")),
        )
    return table


def _below(found: Survey) -> list[str]:
    lines = []
    if math.isfinite(found.edges[0]):
        width = max(len(split.name) for split in found.splits)
        low, high = (_number(edge) for edge in found.edges)
        lines.append(f"values from {low} to {high}, bars by the logarithm of their number:")
        lines += [f"  {split.name:<{width}}  |{_bars(split.values.counts)}|" for split in found.splits]
    if found.unused:
        lines.append(f"{found.unused:,} frames lie in no split: the embargo, and what the splits leave over")
    lines += [_sampled(split) for split in found.splits if split.values.frames < split.frames]
    return lines


def _sampled(split: SplitSurvey) -> str:
    seen, frames = split.values.frames, split.frames
    return f"values of {split.name} are those of {seen:,} of its {frames:,} frames, evenly spread; --all looks at all"


def _bars(counts: Counts) -> str:
    """One bar per bin; an empty bin is a space, any other at least the lowest bar."""
    most = math.log1p(int(counts.max()))
    heights = np.log1p(counts) / most * (len(BARS) - 1) if most else np.zeros(len(counts))
    return "".join(BARS[math.ceil(height)] for height in heights.tolist())


def _share(share: float) -> str:
    if math.isnan(share):
        return "–"
    return "0" if share == 0 else f"{100 * share:.1f} %" if share >= 0.0005 else "< 0.1 %"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"
