"""How far two forecasts are from each other."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from specbuild.data.arrays import Array


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the outputs of an exported file are from those of the run.

    Attributes:
        absolute: the largest difference, in the units of the output; infinite where only one of the two is missing.
        relative: the same as a share of the standard deviation of the output, of frames that of each channel; the
            largest of all.
    """

    absolute: float
    relative: float


def difference_of(given: Array, expected: Array) -> Difference:
    """Return the largest difference between two arrays; infinite where shapes or missing values differ.

    Frames are compared channel by channel, since variables may differ in size.
    """
    if given.shape != expected.shape or (np.isnan(given) != np.isnan(expected)).any():
        return Difference(float("inf"), float("inf"))
    if expected.ndim < 4:
        return _one(given, expected)
    each = [_one(given[..., channel], expected[..., channel]) for channel in range(expected.shape[-1])]
    return Difference(max(one.absolute for one in each), max(one.relative for one in each))


def _one(given: Array, expected: Array) -> Difference:
    known = ~np.isnan(expected)
    if not known.any():
        return Difference(0.0, 0.0)
    values = expected[known].astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.where(given[known] == expected[known], 0.0, np.abs(given[known].astype(np.float64) - values))
    absolute = float(apart.max())
    spread = float(values.std()) if np.isfinite(values).all() else 0.0
    scale = spread or float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) or 1.0
    return Difference(absolute, absolute / scale if isfinite(absolute) else float("inf"))
