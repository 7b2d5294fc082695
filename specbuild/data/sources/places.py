"""Whether the coordinates of two grids say that their pixels are at the same places."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

TOLERANCE = 0.01
"""The part of a grid step by which coordinates of the same place may differ, as by rounding."""


def tolerance(coordinates: npt.NDArray[Any]) -> float:
    """Return by how much coordinates may differ from these, in their units; a single one has a step of 1."""
    steps = np.abs(np.diff(np.asarray(coordinates, np.float64)))
    return TOLERANCE * (float(steps.min()) if len(steps) else 1.0)


def same_places(values: npt.NDArray[Any], expected: npt.NDArray[Any], *, cyclic: bool) -> bool:
    """Whether coordinates along an axis are the expected ones.

    Args:
        cyclic: whether they are longitudes, which may differ by 360°.
    """
    if values.shape != expected.shape:
        return False
    if values.dtype.kind not in "iuf" or expected.dtype.kind not in "iuf":
        return bool(np.array_equal(values, expected))
    difference = values.astype(np.float64) - expected.astype(np.float64)
    if cyclic:
        difference = (difference + 180) % 360 - 180
    return bool(np.abs(difference).max() <= tolerance(expected))
