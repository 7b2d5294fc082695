"""Moving shapes: discs, squares and triangles that are reflected at the borders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from specbuild.data.generators.drawn import Bytes
from specbuild.language.sections.generator import MovingShapes

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MovingShapesPainter:
    """Draws each shape by its distance to every pixel's centre, with an edge as broad as a pixel."""

    section: MovingShapes

    def draw(self, sequence: int, frames: range) -> Bytes:
        section = self.section
        shapes = _shapes(section, np.random.default_rng((section.seed, sequence)))
        return np.stack([self._frame(shapes, sequence, frame) for frame in frames]) if frames else self._none()

    def _frame(self, shapes: list[_Shape], sequence: int, frame: int) -> Bytes:
        section = self.section
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

    def _none(self) -> Bytes:
        return np.zeros((0, self.section.size, self.section.size), np.uint8)


@dataclass(frozen=True)
class _Shape:
    """A polygon of so many corners on a circle, or a disc (no corners). Lengths are in pixels, angles in radians."""

    corners: int
    radius: float
    brightness: float
    place: Floats
    """y and x in frame 0, from `radius` to size − `radius`."""
    step: Floats
    angle: float
    turn: float
    size: int

    def centre(self, frame: int) -> Floats:
        """y and x in a frame: the straight line, folded at the borders."""
        room = self.size - 2 * self.radius
        way = (self.place - self.radius + frame * self.step) % (2 * room)
        return np.minimum(way, 2 * room - way) + self.radius

    def box(self, frame: int) -> tuple[slice, slice]:
        """The rows and columns outside of which nothing of the shape is."""
        first = np.maximum(self.centre(frame) - self.radius - 1, 0).astype(int)
        end = np.minimum(self.centre(frame) + self.radius + 2, self.size).astype(int)
        return slice(first[0], end[0]), slice(first[1], end[1])

    def distance(self, y: Floats, x: Floats, frame: int) -> Floats:
        """From each pixel to the border, in pixels; negative inside."""
        centre = self.centre(frame)
        y, x = y - centre[0], x - centre[1]
        if not self.corners:
            return np.hypot(y, x) - self.radius
        inner = self.radius * np.cos(np.pi / self.corners)
        normals = self.angle + frame * self.turn + 2 * np.pi * np.arange(self.corners) / self.corners
        found: Floats = np.max([x * np.cos(normal) + y * np.sin(normal) for normal in normals], axis=0) - inner
        return found


def _shapes(section: MovingShapes, random: np.random.Generator) -> list[_Shape]:
    return [_shape(section, random) for _ in range(section.shapes)]


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
