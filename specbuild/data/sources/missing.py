"""Arithmetic on frames of which some values are missing: these take no part, and are never averaged into data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from specbuild.data.arrays import Array

SHARE = 0.5
"""The least share of what a pixel is made of that must be known; of a pixel with less, the value is missing."""


def of_known(average: Callable[[Array], Array], values: Array) -> Array:
    """Return a weighted average of the known values alone, NaN where less than `SHARE` of the weights is on them.

    Args:
        average: the average, of an array without missing values.
        values: floats; NaN and infinite values are missing.
    """
    known = np.isfinite(values)
    if known.all():
        return average(values)
    weights = average(known.astype(values.dtype))
    sums = average(np.where(known, values, 0).astype(values.dtype))
    return np.where(weights >= SHARE, sums / np.maximum(weights, SHARE), np.nan).astype(values.dtype)
