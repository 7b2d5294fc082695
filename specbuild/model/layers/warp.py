"""Advection: frames moved along a field of motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from specbuild.catalog.warp import EDGE, TO_LAST
from specbuild.model.backend import keras
from specbuild.model.layers.base import OwnLayer
from specbuild.model.layers.sampling import read_at, single

ops = keras.ops
Path: TypeAlias = tuple[Any, Any]
"""Rows and columns where the paths of all pixels begin, (N, H, W)."""


class Warp(OwnLayer):
    """Backward semi-Lagrangian advection: each pixel reads where its path through the motion begins."""

    keeps_dtype = False

    def call(self, inputs: Sequence[Any]) -> Any:
        frames, motion = inputs
        motion = single(motion)
        counts = self.entry.counts(tuple(frames.shape[1:]))
        if len(motion.shape) == 5 and self.steps != TO_LAST:
            paths = _paths_apart(motion, max(counts))
        else:
            paths = _paths(motion, max(counts))
        rows, columns = (ops.stack([paths[count][at] for count in counts], axis=-1) for at in (0, 1))  # (N, H, W, S)
        outside = None if self.outside == EDGE else self.outside
        if len(frames.shape) == 4:
            return ops.moveaxis(read_at(frames, rows, columns, outside), 3, 1)
        moved = [
            read_at(frames[:, at], rows[..., at : at + 1], columns[..., at : at + 1], outside)[..., 0, :]
            for at in range(len(counts))
        ]
        return ops.stack(moved, axis=1)


def _start(motion: Any) -> Path:
    """Every pixel's own place, for a motion (N, H, W, 2)."""
    still = 0 * motion[..., 0]
    height, width = ops.shape(motion)[1:3]
    rows = ops.reshape(ops.arange(height, dtype=motion.dtype), (1, -1, 1))
    columns = ops.reshape(ops.arange(width, dtype=motion.dtype), (1, 1, -1))
    return rows + still, columns + still  # in this order: see `add` in arithmetic.py


def _paths(motion: Any, most: int) -> list[Path]:
    """Paths of 0 to `most` steps, of which each continues the one before: through a motion that is constant, or back
    from the last of several."""
    steps = [motion] * most if len(motion.shape) == 4 else [motion[:, -1 - step] for step in range(most)]
    paths = [_start(motion if len(motion.shape) == 4 else motion[:, 0])]
    for step in steps:
        paths.append(_back(step, paths[-1]))
    return paths


def _paths_apart(motion: Any, most: int) -> list[Path]:
    """Paths of 0 to `most` steps through motions (N, S, H, W, 2), where a path of n steps ends with the n-th motion."""
    shape = ops.shape(motion)
    flat = ops.reshape(motion[:, :most], (-1, *shape[2:]))
    start = _start(motion[:, 0])
    rows, columns = (ops.reshape(place, (-1, most, *shape[2:4])) for place in _back(flat, _start(flat)))
    paths = [start, (rows[:, 0], columns[:, 0])]
    for step in range(1, most):
        # The paths of more steps go on, the path of n + 1 steps through the motion before the one it has met.
        left = most - step
        flat = ops.reshape(motion[:, :left], (-1, *shape[2:]))
        rows, columns = (ops.reshape(place[:, 1:], (-1, *shape[2:4])) for place in (rows, columns))
        rows, columns = (ops.reshape(place, (-1, left, *shape[2:4])) for place in _back(flat, (rows, columns)))
        paths.append((rows[:, 0], columns[:, 0]))
    return paths


def _back(motion: Any, path: Path) -> Path:
    """A path continued upstream by a straight step, which has the motion of its middle."""
    rows, columns = path
    half = _motion_at(motion, rows, columns) / 2
    step = _motion_at(motion, rows - half[..., 1], columns - half[..., 0])
    return rows - step[..., 1], columns - step[..., 0]


def _motion_at(motion: Any, rows: Any, columns: Any) -> Any:
    """The motion at places (N, H, W): (N, H, W, 2)."""
    return read_at(motion, rows[..., None], columns[..., None], None)[..., 0, :]
