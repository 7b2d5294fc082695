"""A graph drawn with matplotlib: boxes colored by family, data edges solid, passed states dashed and orange."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path as File
from typing import IO, Any, TypeAlias

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

from specbuild.graph.drawing.diagram import FILLS, STATE, Box, Diagram, folded
from specbuild.graph.drawing.labels import Point, Rectangle, place_labels
from specbuild.graph.drawing.layout import Layout, layout

INK, MUTED, LINE = "#222222", "#666666", "#555555"
"""Colors of names and shapes, of what explains them, and of edges."""
DPI = 144
_MOST_PIXELS = 30_000
_HIGH = 2000.0
"""Height of a picture in points beyond which chains of boxes are drawn as one."""
_SIZE, _LEADING, _PAD = 9.0, 13.0, 9.0
"""Size of the text, distance between its lines, and distance to the border of its box, in points."""
_LABEL = 7.5
"""Size of a label, in points."""
_BEHIND = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}
"""Background of a label, which is placed on its edge."""
_FONT = "DejaVu Sans"
"""It comes with matplotlib, so that boxes fit their text everywhere."""
_HEAD = 6.0
"""Length of an arrow head."""


def draw(diagram: Diagram, file: File | IO[str], kind: str = "", fold: bool | None = None) -> None:
    """Write the picture as SVG or PNG: `kind`, by default whichever the file's suffix says.

    Args:
        fold: whether a chain of boxes is drawn as one; None: where the picture would be very high.
    """
    drawn = folded(diagram) if fold else diagram
    texts, sizes, places = _placed(drawn)
    if fold is None and places.height > _HIGH:
        drawn = folded(diagram)
        texts, sizes, places = _placed(drawn)
    diagram = drawn
    figure = Figure(figsize=(places.width / 72, places.height / 72), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, places.width), ylim=(places.height, 0))
    axes.set_axis_off()
    labels = [_label_size(edge.label) if edge.label else None for edge in diagram.edges]
    at_labels = place_labels(labels, places.routes, _borders(places, sizes), places.width)
    for edge, route, place in zip(diagram.edges, places.routes, at_labels, strict=True):
        _edge(axes, route, edge.label, place, state=edge.state)
    for box, text, size, at in zip(diagram.boxes, texts, sizes, range(len(sizes)), strict=True):
        _box(axes, box, text, size, places.centres[at])
    _save(figure, places, file, kind or (file.suffix[1:].lower() if isinstance(file, File) else "svg"))


def svg(diagram: Diagram) -> str:
    """Return the picture as an SVG element that fits the width of a page."""
    stream = io.StringIO()
    draw(diagram, stream, "svg")
    _, _, element = stream.getvalue().partition("<svg ")
    return f'<svg role="img" style="max-width:100%;height:auto" {element}'


def _placed(diagram: Diagram) -> tuple[list[list[_Line]], list[tuple[float, float]], Layout]:
    """Return the lines and the size of every box, and where the boxes are."""
    texts = [_lines(box) for box in diagram.boxes]
    sizes = [_box_size(text) for text in texts]
    index = {box.id: at for at, box in enumerate(diagram.boxes)}
    return texts, sizes, layout(sizes, [(index[edge.source], index[edge.target]) for edge in diagram.edges])


_Line: TypeAlias = tuple[str, str, str]
"""Text, weight and color."""


def _lines(box: Box) -> list[_Line]:
    lines = [(text, "normal", MUTED) for text in box.lines]
    lines += [(box.id, "bold", INK), (box.layer, "normal", MUTED), (box.shape, "normal", INK)]
    if box.state:
        lines.append((f"↻ {box.state}", "normal", STATE))
    return lines + [(f"→ {name}" if name != box.id else "→ output", "bold", INK) for name in box.outputs]


def _box_size(lines: Sequence[_Line]) -> tuple[float, float]:
    width = max(_width(text, weight) for text, weight, _ in lines)
    return max(width + 2 * _PAD, 70.0), len(lines) * _LEADING + 2 * _PAD - (_LEADING - _SIZE)


def _borders(places: Layout, sizes: Sequence[tuple[float, float]]) -> list[Rectangle]:
    centres = (places.centres[at] for at in range(len(sizes)))
    return [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(centres, sizes, strict=True)]


def _label_size(text: str) -> tuple[float, float]:
    return _width(text, "normal", _LABEL) + 0.3 * _LABEL, 1.5 * _LABEL


def _width(text: str, weight: str, size: float = _SIZE) -> float:
    """Width of a text in points."""
    font = FontProperties(family=_FONT, weight=weight, size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def _box(axes: Axes, box: Box, lines: Sequence[_Line], size: tuple[float, float], centre: Point) -> None:
    (width, height), (x, y) = size, centre
    rounding = 16 if box.family == "input" else 4
    style = f"round,pad=0,rounding_size={rounding}"
    border = 1.6 if box.outputs else 0.8
    fill = FILLS[box.family]
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, fc=fill, ec=LINE, lw=border, zorder=2))
    for index, (text, weight, color) in enumerate(lines):
        baseline = y - height / 2 + _PAD + _SIZE * 0.8 + index * _LEADING
        _write(axes, (x, baseline), text, color=color, size=_SIZE, weight=weight, va="baseline")


def _edge(axes: Axes, route: Sequence[Point], label: str, place: Point | None, *, state: bool) -> None:
    color, style = (STATE, (0, (4, 3))) if state else (LINE, "-")
    (x, y) = route[-1]
    vertices, codes = _curve([*route[:-1], (x, y - _HEAD)])
    axes.add_patch(PathPatch(Path(vertices, codes), fc="none", ec=color, lw=1.1, ls=style, zorder=1, capstyle="butt"))
    head = [(x, y), (x - _HEAD / 2, y - _HEAD), (x + _HEAD / 2, y - _HEAD)]
    axes.add_patch(Polygon(head, closed=True, fc=color, ec="none", zorder=1))
    if place is not None:
        _write(axes, place, label, color=STATE if state else MUTED, size=_LABEL, va="center", bbox=_BEHIND)


def _write(axes: Axes, place: Point, text: str, **how: Any) -> None:
    axes.text(*place, text, ha="center", family=_FONT, parse_math=False, zorder=3, **how)


def _curve(points: Sequence[Point]) -> tuple[list[Point], list[int]]:
    """A path that leaves every point straight down and bends in between."""
    vertices, codes = [points[0]], [int(Path.MOVETO)]
    for (x0, y0), (x1, y1) in pairwise(points):
        if abs(x1 - x0) < 0.5:
            vertices.append((x1, y1))
            codes.append(int(Path.LINETO))
        else:
            middle = (y0 + y1) / 2
            vertices += [(x0, middle), (x1, middle), (x1, y1)]
            codes += [int(Path.CURVE4)] * 3
    return vertices, codes


def _save(figure: Figure, places: Layout, file: File | IO[str], kind: str) -> None:
    """The same graph gives the same bytes: no date, and names that do not change."""
    settings: Any = {"svg.hashsalt": "specbuild", "svg.fonttype": "path"}
    dpi = min(DPI, _MOST_PIXELS * 72 / max(places.width, places.height))
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context(settings):
        figure.savefig(file, dpi=dpi, format=kind, metadata=metadata)
