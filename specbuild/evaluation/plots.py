"""Scores as pictures: over lead time, one panel per score and a line per forecast; the confusion matrix of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from specbuild.catalog.scores import score_titled
from specbuild.document.printable import one_line
from specbuild.evaluation.forecast_scores import ScoreColumn
from specbuild.evaluation.result import Evaluation
from specbuild.pictures import save_figure

if TYPE_CHECKING:
    from specbuild.evaluation.classes import ClassScores

_MOST = 24
"""Panels at most; a line in the picture counts the scores that are left out."""
_STYLES: tuple[tuple[str, Any, str], ...] = (
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#767676", ":", "x"),
    ("#009E73", "-.", "^"),
    ("#CC79A7", (0, (5, 1, 1, 1, 1, 1)), "D"),
    ("#E69F00", (0, (3, 1)), "v"),
)
"""Color (Okabe and Ito's, which the color-blind can tell apart), dashes and marker of each forecast, model first."""
_LEAST_SKILL = -2.0
"""Where the axis of the skill ends, if some values are above."""
_LABELS = 34
"""Letters that fit below a panel."""
INK, PALE = "#333333", "#767676"
"""Colors of text and axes, and of what is secondary."""
_MOST_NUMBERS = 20
"""Classes up to which the counts are written into the confusion matrix."""


def draw_scores(evaluation: Evaluation, path: Path) -> None:
    """Write a PNG: every score that a terminal shows, and the skill over each baseline, by lead time."""
    shown = evaluation.on_show[: _MOST - 1]
    count = len(shown) + 1
    columns = min(count, 3 if count in (3, 5, 6) or 8 < count <= 12 else 2 if count in (2, 4) else 4)
    rows = math.ceil(count / columns)
    figure = Figure((3.6 * columns + 0.3, 2.7 * rows + 0.9), layout="constrained")
    left_out = len(evaluation.on_show) - len(shown)
    more = f"\n{left_out} more in scores.csv" if left_out else ""
    figure.suptitle(figure_title(evaluation) + more, fontsize=11, fontweight="bold", color=INK)
    figure.get_layout_engine().set(h_pad=0.09, w_pad=0.06)  # type: ignore[union-attr,call-arg]
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    _skill(panels[min(1, count - 1)], evaluation)
    for panel, column in zip([panels[0], *panels[2:]], shown, strict=False):
        _score(panel, evaluation, column)
    for panel in panels[count:]:
        panel.set_axis_off()
    for number, panel in enumerate(panels[:count]):
        _axis(panel, evaluation, below=number + columns >= count)
    figure.legend(
        handles=[
            Line2D([], [], markersize=4, linewidth=1.8, label=table.name, **style(position))
            for position, table in enumerate(evaluation.tables)
        ],
        loc="outside lower center",
        ncols=min(len(evaluation.tables), 2 * columns),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
    )
    save_figure(figure, path)


def draw_confusion(scores: ClassScores, path: Path) -> None:
    """Write a PNG of the confusion matrix: rows are true classes, shaded by their share of the row."""
    counts = np.array(scores.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(3 + 0.45 * len(scores.classes), 14)
    figure = Figure((side + 1, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(
        range(len(scores.classes)), [*map(one_line, scores.classes)], rotation=45, ha="right", parse_math=False
    )
    axes.set_yticks(range(len(scores.classes)), [*map(one_line, scores.classes)], parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(f"{scores.name}: {scores.clips} {scores.split} clips\naccuracy {scores.accuracy:.1%}", fontsize=10)
    if len(scores.classes) <= _MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    save_figure(figure, path)


def figure_title(evaluation: Evaluation) -> str:
    """Return what a picture shows: the model, the variable, the split and the number of windows."""
    windows = f"{evaluation.windows} window{'s' if evaluation.windows != 1 else ''}"
    return f"{evaluation.name}: {evaluation.variable}, {evaluation.split} split, {windows}"


def _score(axes: Axes, evaluation: Evaluation, column: ScoreColumn) -> None:
    _band(
        axes,
        0,
        [
            None
            if difference is None or difference.interval is None
            else tuple(value - difference.value + end for end in difference.interval)
            for value, difference in zip(column.values, column.differences, strict=False)
        ],
    )
    for position, table in reversed([*enumerate(evaluation.tables)]):  # the model last, on top
        _line(axes, position, table.column(column.score, column.threshold, column.window).values)
    units = column.in_units(evaluation.units)
    title = column.label_with(evaluation.units)
    axes.set_title(f"{title} ({units})" if units else title, fontsize=9.5, color=INK)
    score = score_titled(column.score)
    axes.set_ylabel(score.better, fontsize=7.5, color=PALE)
    low, high = axes.get_ylim()
    if 0 in (score.best, score.limits[0]) and 0 <= low < 0.5 * high:
        axes.set_ylim(bottom=0)


def _skill(axes: Axes, evaluation: Evaluation) -> None:
    for position, skill in enumerate(evaluation.skills, start=1):
        _band(axes, position, skill.intervals[:-1])
        _line(axes, position, [value if math.isfinite(value) else math.nan for value in skill.values])
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_title("skill of the model over each baseline", fontsize=9.5, color=INK)
    axes.set_ylabel("below 0 the baseline is better", fontsize=7.5, color=PALE)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    drawn = [value for skill in evaluation.skills for value in skill.values if math.isfinite(value)]
    low, high = axes.get_ylim()
    below = sum(value < _LEAST_SKILL for value in drawn)
    # A skill far below 0 hides what matters, unless there is nothing else to see.
    if below and below < len(drawn):
        low = _LEAST_SKILL
        many = "1 value lies" if below == 1 else f"{below} values lie"
        axes.annotate(
            f"{many} below the axis, to {min(drawn):.0%}",
            (0.02, 0.02),
            xycoords="axes fraction",
            fontsize=7,
            color=PALE,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axes.set_ylim(low, min(high, 1.0))


def _line(axes: Axes, position: int, values: Sequence[float]) -> None:
    """Draw a forecast by lead time, given its position in the legend; the model is at 0."""
    axes.plot(
        range(len(values)) if len(values) > 1 else [_alone(position)],
        values,
        linewidth=1.3 if position else 2.2,
        markersize=3.5 if position else 4.5,
        **style(position) | ({} if len(values) <= 16 else {"marker": ""}),
    )


def _band(axes: Axes, position: int, intervals: Sequence[tuple[float, ...] | None]) -> None:
    """Shade intervals by lead time in the color of a forecast; of a single lead time, draw a bar."""
    colour = style(position)["color"]
    ends = np.array([interval or (math.nan, math.nan) for interval in intervals]).reshape(-1, 2)
    if len(ends) == 1:
        axes.vlines(_alone(position), *ends[0], color=colour, linewidth=1.2)
    elif len(ends):
        axes.fill_between(range(len(ends)), *ends.T, color=colour, alpha=0.15, linewidth=0)


def _alone(position: int) -> float:
    """Where the only lead time of a forecast is drawn: side by side, in the order of the legend."""
    return 0.28 * (position - (len(_STYLES) - 1) / 2)


def style(position: int) -> dict[str, Any]:
    """Return color, dashes and marker of a forecast by its position in the legend."""
    return dict(zip(("color", "linestyle", "marker"), _STYLES[position % len(_STYLES)], strict=True))


def _axis(axes: Axes, evaluation: Evaluation, *, below: bool) -> None:
    count = len(evaluation.leads)
    step = math.ceil(count * max(map(len, evaluation.leads)) / _LABELS)
    ticks = list(range(count))[::-step][::-1]
    axes.set_xticks(ticks, [evaluation.leads[tick] for tick in ticks])
    axes.set_xlim(-0.3, count - 0.7) if count > 1 else axes.set_xlim(-1, 1)
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if below:
        axes.set_xlabel("lead time", fontsize=9, color=INK)
