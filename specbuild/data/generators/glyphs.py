"""Digits drawn with strokes, used when no pictures are given: ten digits in several handwriting styles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from specbuild.data.generators.base import Brightness, Positions

HANDS = 12
"""Pictures of each figure: they differ in slant, width and thickness of the stroke."""


def glyphs(size: int) -> Brightness:
    """Draw the digits 0 to 9, (10 · HANDS, size, size), all styles of one digit in a row.

    They are the same on every machine: nothing is random.
    """
    hands = [(slant, width, pen) for slant in (-0.15, 0.05, 0.25) for width in (0.8, 1.0) for pen in (0.055, 0.075)]
    return np.stack([_drawn(stroke, size, *hand) for stroke in _STROKES for hand in hands])


def _drawn(strokes: tuple[Positions, ...], size: int, slant: float, width: float, pen: float) -> Brightness:
    """Brightness falls from 255 inside a stroke to 0 outside over the breadth of one pixel."""
    centres = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(centres, centres, indexing="ij")
    distance = np.full((size, size), np.inf)
    for stroke in strokes:
        points = np.stack([(stroke[:, 0] - 0.5) * width + (0.5 - stroke[:, 1]) * slant + 0.5, stroke[:, 1]], axis=-1)
        for start, end in pairwise(points):
            distance = np.minimum(distance, _distance(x, y, start, end))
    inside: Positions = np.clip((pen - distance) * size + 0.5, 0, 1)
    return np.rint(inside * 255).astype(np.uint8)


def _distance(x: Positions, y: Positions, start: Positions, end: Positions) -> Positions:
    """Return the distance from each pixel to the nearest point of a line segment."""
    along = end - start
    share = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(along @ along, 1e-12), 0, 1)
    distance: Positions = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
    return distance


def _arc(x: float, y: float, a: float, b: float, first: float, last: float) -> list[tuple[float, float]]:
    """Return points on an ellipse of half axes a and b, from one angle in degrees to another: 0 is right, 90 down."""
    angles = np.radians(np.linspace(first, last, 17))
    return [(x + a * np.cos(angle), y + b * np.sin(angle)) for angle in angles]


def _strokes(*strokes: list[tuple[float, float]]) -> tuple[Positions, ...]:
    return tuple(np.array(stroke) for stroke in strokes)


_STROKES: tuple[tuple[Positions, ...], ...] = (
    _strokes(_arc(0.5, 0.5, 0.2, 0.32, 0, 360)),
    _strokes([(0.38, 0.3), (0.52, 0.18), (0.52, 0.82)]),
    _strokes([*_arc(0.5, 0.36, 0.18, 0.18, 190, 400), (0.32, 0.82), (0.7, 0.82)]),
    _strokes(_arc(0.48, 0.34, 0.18, 0.16, 200, 450), _arc(0.48, 0.66, 0.2, 0.17, 270, 510)),
    _strokes([(0.58, 0.82), (0.58, 0.18), (0.3, 0.62), (0.72, 0.62)]),
    _strokes([(0.68, 0.18), (0.38, 0.18), (0.36, 0.46), *_arc(0.48, 0.63, 0.2, 0.2, 235, 500)]),
    _strokes([(0.6, 0.18), *_arc(0.5, 0.62, 0.2, 0.2, 200, 560)]),
    _strokes([(0.3, 0.18), (0.7, 0.18), (0.44, 0.82)]),
    _strokes(_arc(0.5, 0.34, 0.16, 0.15, 0, 360), _arc(0.5, 0.66, 0.19, 0.17, 0, 360)),
    _strokes([*_arc(0.5, 0.38, 0.19, 0.19, 0, 360), (0.66, 0.5), (0.6, 0.82)]),
)
"""The figures 0 to 9 in a square from 0 to 1: x to the right, y down."""
