"""Calibration as a picture: the rank histogram, and a reliability diagram for each threshold."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from specbuild.evaluation.plots import INK, PALE, figure_title, style
from specbuild.evaluation.result import Evaluation
from specbuild.pictures import save_figure


def draw_calibration(evaluation: Evaluation, path: Path) -> None:
    """Write a PNG: the rank histogram of each distribution, and the reliability of each event, over all lead times.

    The probability of an event has no rank histogram, as only two values can be observed.
    """
    thresholds = [curve.threshold for curve in evaluation.calibration[0].reliability]
    histograms = () if evaluation.of_event else evaluation.calibration
    panels = [*histograms, *thresholds]
    columns = min(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    figure = Figure((3.9 * columns + 0.3, 3.5 * rows + 0.7), layout="constrained")
    figure.suptitle(figure_title(evaluation), fontsize=11, fontweight="bold", color=INK)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for position in range(len(histograms)):
        _ranks(axes[position], evaluation, position)
    for number, panel in enumerate(axes[len(histograms) : len(panels)]):
        _reliability(panel, evaluation, number)
    for panel in axes[: len(panels)]:
        panel.tick_params(labelsize=8, colors=INK)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes[len(panels) :]:
        panel.set_axis_off()
    save_figure(figure, path)


def _position(evaluation: Evaluation, name: str) -> int:
    """Return the place of a forecast in the legend of the scores, whose colors it has here too."""
    return [table.name for table in evaluation.tables].index(name)


def _ranks(axes: Axes, evaluation: Evaluation, position: int) -> None:
    """Draw the observations in each bin beside what is expected, each divided by the width of the bin."""
    table = evaluation.calibration[position]
    expected = np.array(table.expected)
    edges = np.concatenate([[0], np.cumsum(expected)])
    density = np.array(table.shares) / expected
    colour = style(_position(evaluation, table.name))["color"]
    axes.bar(edges[:-1], density, expected, align="edge", color=colour, edgecolor="white", linewidth=0.5)
    axes.axhline(1, color=INK, linewidth=1, linestyle="--")
    axes.set_xlim(0, 1)
    axes.set_title(f"rank histogram: {table.name}", fontsize=9.5, color=INK)
    axes.set_xlabel("forecast probability below the observation", fontsize=8.5, color=INK)
    axes.set_ylabel("observations / expected", fontsize=8.5, color=PALE)


def _reliability(axes: Axes, evaluation: Evaluation, number: int) -> None:
    """Draw the observed frequency of an event by its forecast probability, with the number of forecasts below."""
    first = evaluation.calibration[0].reliability[number]
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=0.8)
    axes.axhline(first.base_rate, color=PALE, linewidth=0.8, linestyle=":")
    counts = axes.inset_axes((0.62, 0.1, 0.36, 0.24))
    for table in evaluation.calibration:
        curve = table.reliability[number]
        look = style(_position(evaluation, table.name))
        axes.plot(curve.forecast, curve.observed, linewidth=1.6, markersize=4, label=table.name, **look)
        counts.plot(
            np.linspace(0, 1, len(curve.pixels)), np.maximum(curve.pixels, 0.5), linewidth=1, color=look["color"]
        )
    counts.set_yscale("log")
    counts.set_title("pixels (log)", fontsize=7, color=PALE, pad=2)
    counts.tick_params(labelsize=6, colors=PALE)
    counts.tick_params(axis="y", which="both", left=False, labelleft=False)
    counts.set_xticks([0, 1])
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    units = f" {evaluation.units}" if evaluation.units else ""
    event = "" if evaluation.of_event else f" of ≥ {first.threshold:g}{units}"
    axes.set_title(f"reliability{event}", fontsize=9.5, color=INK)
    axes.set_xlabel("forecast probability", fontsize=8.5, color=INK)
    axes.set_ylabel("observed frequency", fontsize=8.5, color=PALE)
    axes.legend(fontsize=7.5, frameon=False, loc="upper left", labelcolor=INK)
