"""Places for the labels of edges: on their edge, clear of boxes and of each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Coordinates: TypeAlias = npt.NDArray[np.float64]
Point: TypeAlias = tuple[float, float]
Rectangle: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom."""

_GAP = 3.0
"""Least distance between a label and a box or another label, in points."""
_COVERED, _CROSSED, _AWAY = 1e3, 5.0, 0.05
"""What it costs to cover a square point of a box or label, a piece of another edge, and to be a point away."""
_ALONG = np.linspace(0, 1, 25)
_HELD = slice(4, 21)
"""The part of a stretch of an edge where a label may stand: away from arrow heads and bends."""


def place_labels(
    sizes: Sequence[Point | None], routes: Sequence[Sequence[Point]], boxes: Sequence[Rectangle], width: float
) -> list[Point | None]:
    """Return the center of each label, given its size (None: no label), the routes of all edges, and the width of all.

    Each stands as near as it can to where its edge first passes other boxes, or to the middle of a short edge.
    """
    lines = [[_stretch(a, b) for a, b in pairwise(route)] for route in routes]
    points = np.concatenate([np.zeros((0, 2)), *(stretch for line in lines for stretch in line)])
    owner = np.repeat(np.arange(len(lines)), [len(line) * len(_ALONG) for line in lines])
    taken = list(boxes)
    centres: list[Point | None] = []
    for index, (size, line) in enumerate(zip(sizes, lines, strict=True)):
        if size is None:
            centres.append(None)
            continue
        wanted = line[min(1, len(line) - 1)][len(_ALONG) // 2]
        places = np.concatenate([stretch[_HELD] for stretch in line])
        crossed, covered = points[owner != index], np.asarray(taken)
        costs = [
            _AWAY * float(np.abs(place - wanted).sum()) + _cost(_around(place, size), covered, crossed, width)
            for place in places
        ]
        best = places[int(np.argmin(costs))]
        centres.append((float(best[0]), float(best[1])))
        taken.append(_around(best, size))
    return centres


def _cost(label: Rectangle, taken: Coordinates, points: Coordinates, width: float) -> float:
    left, top, right, bottom = label
    wide = np.minimum(taken[:, 2], right + _GAP) - np.maximum(taken[:, 0], left - _GAP)
    high = np.minimum(taken[:, 3], bottom + _GAP) - np.maximum(taken[:, 1], top - _GAP)
    covered = (wide.clip(0) * high.clip(0)).sum()
    outside = (max(0, -left) + max(0, right - width)) * (bottom - top)
    x, y = points.T
    crossed = ((x > left) & (x < right) & (y > top) & (y < bottom)).sum()
    return float(_COVERED * (covered + outside) + _CROSSED * crossed)


def _around(centre: Coordinates, size: Point) -> Rectangle:
    (x, y), (width, height) = centre, size
    return float(x - width / 2), float(y - height / 2), float(x + width / 2), float(y + height / 2)


def _stretch(start: Point, end: Point) -> Coordinates:
    """Points on the curve that leaves `start` and reaches `end` straight down."""
    (x0, y0), (x1, y1), t = start, end, _ALONG
    middle = (y0 + y1) / 2
    x = x0 + (x1 - x0) * (3 * t**2 - 2 * t**3)
    y = y0 * (1 - t) ** 3 + 3 * middle * t * (1 - t) + y1 * t**3
    return np.stack([x, y], axis=1)
