"""The contents of the data as text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable

import numpy as np

from specbuild.catalog import show
from specbuild.data.survey import Counts, SplitSurvey, Survey
from specbuild.document.printable import one_line
from specbuild.document.render import text_width
from specbuild.document.text_table import Column, text_table

BARS = " ▁▂▃▄▅▆▇█"


def survey_text(survey: Survey, width: int) -> str:
    """Return what the data is, a table of its splits, and the distribution of each split's values.

    A table that is wider than `width` becomes two, the second of which has the statistics.
    """
    return "\n".join([*_wrapped(_heading(survey), width), "", *_table(survey, width), "", *_below(survey, width)])


def _heading(survey: Survey) -> list[str]:
    units = f" ({one_line(survey.units)})" if survey.units else ""
    least, most = min(survey.lengths), max(survey.lengths)
    count = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    events = f"{len(survey.lengths):,} events of " if len(survey.lengths) > 1 else ""
    size = f" of {show(survey.space)}" if survey.space else ""
    apart = f", {survey.step} apart" if survey.step else ""
    named = f": {one_line(', '.join(survey.variables))}" if survey.variables else ""
    channels = f"{survey.channels} channel{'s' if survey.channels > 1 else ''}{named}"
    return [
        f"{one_line(f'{survey.source}: {survey.variable}')}{units}, {survey.dtype} in the file",
        f"{events}{count} frames{size}{apart}; {channels}",
    ]


def _wrapped(lines: Iterable[str], width: int) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, width, break_on_hyphens=False)]


def _table(survey: Survey, width: int) -> list[str]:
    counts = ("events", "frames", "windows") if len(survey.lengths) > 1 else ("frames", "windows")
    statistics = ("min", "mean", "max", "std")
    numbers = [Column(name, number=True) for name in (*counts, "missing", *statistics)]
    numbers[len(counts) : len(counts)] = [Column("first"), Column("last")]
    columns = [Column("split"), *numbers]
    rows = [
        [
            split.name,
            *(f"{getattr(split, name):,}" for name in counts),
            split.first,
            split.last,
            _share(split.values.missing),
            *(_number(getattr(split.values, name)) for name in statistics),
        ]
        for split in survey.splits
    ]
    lines = text_table(columns, rows)
    if max(map(text_width, lines)) <= width:
        return lines
    half = columns.index(Column("missing", number=True))
    return [
        *text_table(columns[:half], [row[:half] for row in rows]),
        "",
        *text_table([columns[0], *columns[half:]], [[row[0], *row[half:]] for row in rows]),
    ]


def _below(survey: Survey, width: int) -> list[str]:
    bars, lines = [], []
    if math.isfinite(survey.edges[0]):
        longest = max(len(split.name) for split in survey.splits)
        low, high = (_number(edge) for edge in survey.edges)
        bars.append(f"values from {low} to {high}, bars by the logarithm of their number:")
        bars += [f"  {split.name:<{longest}}  |{_bars(split.values.histogram)}|" for split in survey.splits]
    if survey.unused:
        lines.append(f"{survey.unused:,} frames lie in no split: the embargo, and what the splits leave over")
    lines += [f"note: {one_line(note)}" for note in survey.notes]
    lines += [_sampled(split) for split in survey.splits if split.values.frames < split.frames]
    return [*bars, *_wrapped(lines, width)]


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
