"""What an evaluation prints, of whichever kind it is."""

from __future__ import annotations

import io
import math
import textwrap

from rich import box
from rich.console import Console
from rich.table import Table

from specbuild.evaluation.class_scores import CONVENTION, ClassScores
from specbuild.evaluation.result import Scored
from specbuild.evaluation.table import WIDTH, evaluation_text

_MOST_COLUMNS = 12
"""Classes up to which the confusion matrix is printed."""


def report_text(found: Scored) -> str:
    """The tables of an evaluation, in Markdown."""
    return class_text(found) if isinstance(found, ClassScores) else evaluation_text(found)


def class_text(found: ClassScores) -> str:
    """Accuracy and F1, then a table of the classes, then the confusion matrix where it is not too wide."""
    lines = [
        f"{found.name}: classes of the {found.split} split, {found.clips} clips",
        "",
        f"accuracy {_percent(found.accuracy)}, macro F1 {_cell(found.macro_f1)}; "
        f"always {found.classes[found.majority]}: accuracy {_percent(found.baseline)}",
        "",
        _rendered(_classes(found)),
        "",
    ]
    if len(found.classes) <= _MOST_COLUMNS:
        lines += ["Clips by true class (down) and given class (across)", "", _rendered(_confusion(found)), ""]
    return "\n".join([*lines, *textwrap.wrap(f"Scores: {CONVENTION}.", WIDTH)])


def _classes(found: ClassScores) -> Table:
    table = Table(box=box.MARKDOWN)
    table.add_column("class")
    for name in ("clips", "precision", "recall", "F1"):
        table.add_column(name, justify="right")
    for label, name in enumerate(found.classes):
        scores = (found.precision(label), found.recall(label), found.f1(label))
        table.add_row(name, str(found.support[label]), *map(_cell, scores))
    return table


def _confusion(found: ClassScores) -> Table:
    table = Table(box=box.MARKDOWN)
    table.add_column("true")
    for name in found.classes:
        table.add_column(name, justify="right")
    for name, row in zip(found.classes, found.confusion, strict=True):
        table.add_row(name, *map(str, row))
    return table


def _rendered(table: Table) -> str:
    stream = io.StringIO()
    Console(file=stream, width=1000, color_system=None, highlight=False, markup=False).print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n")


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _cell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
