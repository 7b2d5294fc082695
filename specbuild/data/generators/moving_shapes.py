"""Moving shapes: discs, squares and triangles that are reflected at the borders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from specbuild.data.generators.base import Brightness, Painter, Positions, Resolve
from specbuild.language.sections.generator import MovingShapes


def painter(section: MovingShapes, _resolve: Resolve) -> Painter:
    """Return the painter of a section."""
    return partial(_draw, section)


def _draw(section: MovingShapes, sequence: int, frames: range) -> Brightness:
    """Draw each shape by its distance from every pixel's center, with an edge one pixel wide."""
    random = np.random.default_rng((section.seed, sequence))
    shapes = [_shape(section, random) for _ in range(section.shapes)]
    canvas = np.empty((len(frames), section.size, section.size), np.uint8)
    for number, frame in enumerate(frames):
        canvas[number] = _frame(section, shapes, sequence, frame)
    return canvas


def _frame(section: MovingShapes, shapes: list[_Shape], sequence: int, frame: int) -> Brightness:
    canvas = np.zeros((section.size, section.size))
    for shape in shapes:
        rows, columns = shape.box(frame)
        y, x = np.ogrid[rows, columns]
        painted = shape.brightness * np.clip(0.5 - shape.distance(y + 0.5, x + 0.5, frame), 0, 1)
        np.maximum(canvas[rows, columns], painted, out=canvas[rows, columns])
    if section.noise:
        noise = np.random.default_rng((section.seed, sequence, frame))
        canvas = np.clip(canvas + noise.normal(0, section.noise, canvas.shape), 0, 1)
    return np.rint(canvas * 255).astype(np.uint8)


@dataclass(frozen=True)
class _Shape:
    """A regular polygon, or a disc (no corners). Lengths are in pixels, angles in radians."""

    corners: int
    radius: float
    brightness: float
    place: Positions
    """y and x in frame 0, from `radius` to size − `radius`."""
    step: Positions
    angle: float
    turn: float
    size: int

    def centre(self, frame: int) -> Positions:
        """Return y and x in a frame: on a straight line, folded at the borders."""
        room = self.size - 2 * self.radius
        way = (self.place - self.radius + frame * self.step) % (2 * room)
        return np.minimum(way, 2 * room - way) + self.radius

    def box(self, frame: int) -> tuple[slice, slice]:
        """Return the rows and columns that contain the shape."""
        first = np.maximum(self.centre(frame) - self.radius - 1, 0).astype(int)
        end = np.minimum(self.centre(frame) + self.radius + 2, self.size).astype(int)
        return slice(first[0], end[0]), slice(first[1], end[1])

    def distance(self, y: Positions, x: Positions, frame: int) -> Positions:
        """Return the distance from each pixel to the border, in pixels; negative inside."""
        centre = self.centre(frame)
        y, x = y - centre[0], x - centre[1]
        if not self.corners:
            return np.hypot(y, x) - self.radius
        inner = self.radius * np.cos(np.pi / self.corners)
        normals = self.angle + frame * self.turn + 2 * np.pi * np.arange(self.corners) / self.corners
        beyond: Positions = np.max([x * np.cos(normal) + y * np.sin(normal) for normal in normals], axis=0) - inner
        return beyond


def _shape(section: MovingShapes, random: np.random.Generator) -> _Shape:
    kind = section.kinds[random.integers(len(section.kinds))]
    radius = random.uniform(*section.radius)
    direction = random.uniform(0, 2 * np.pi)
    speed = random.uniform(*section.speed)
    return _Shape(
        corners=_CORNERS[kind],
        radius=radius,
        brightness=random.uniform(*section.brightness),
        place=random.uniform(radius, section.size - radius, 2),
        step=np.array([np.sin(direction), np.cos(direction)]) * speed,
        angle=random.uniform(0, 2 * np.pi),
        turn=np.radians(random.uniform(*section.rotation)) * random.choice([-1, 1]),
        size=section.size,
    )


_CORNERS = {"disc": 0, "square": 4, "triangle": 3}
