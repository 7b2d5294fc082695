"""Running statistics of frames too many to hold: gathered piece by piece, without missing values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PART = 2**16
"""Pixels processed together: few enough that they stay in the processor's cache."""


@dataclass(slots=True)
class RunningStatistics:
    """Statistics of one channel so far. Without a value, mean and deviation are 0, least and greatest NaN."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """The sum of the squared deviations from the mean."""
    least: float = math.nan
    greatest: float = math.nan

    @property
    def std(self) -> float:
        """The standard deviation of the population."""
        return math.sqrt(self.squares / max(self.count, 1))

    def add(self, values: npt.NDArray[Any]) -> None:
        """Merge more values in double precision; NaN counts as missing.

        Means and squared deviations of parts are merged as in Chan, Golub and LeVeque (1983), Algorithms for computing
        the sample variance, Am. Stat. 37, which stays accurate where the mean is large.
        """
        missing = np.isnan(values)
        known = values[~missing] if missing.any() else values
        if not known.size:
            return
        exact = known.astype(np.float64)
        mean = float(exact.mean())
        exact -= mean
        total, shift = self.count + known.size, mean - self.mean
        self.squares += float(np.square(exact, out=exact).sum()) + shift**2 * self.count * known.size / total
        self.mean += shift * known.size / total
        self.count = total
        self.least = float(np.fmin(self.least, known.min()))
        self.greatest = float(np.fmax(self.greatest, known.max()))


def running_statistics(pieces: Iterable[npt.NDArray[Any]], channels: int) -> list[RunningStatistics]:
    """Return the statistics of each channel of arrays (…, channels)."""
    statistics = [RunningStatistics() for _ in range(channels)]
    for piece in pieces:
        pixels = piece.reshape(-1, channels)
        for first in range(0, len(pixels), PART):
            part = pixels[first : first + PART]
            for channel, running in enumerate(statistics):
                running.add(part[:, channel])
    return statistics
