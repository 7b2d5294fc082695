"""Running statistics of frames too many to hold: gathered piece by piece, without missing values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.time.clock import Slots

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


@dataclass(frozen=True, slots=True)
class PhaseMeans:
    """Means of frames over time, missing values left out; NaN where every value is missing."""

    means: Floats
    """The mean at each phase, (period, *space, C)."""
    mean: Floats
    """The mean over all phases, (*space, C)."""
    limits: tuple[float, float]
    """The least and the greatest value of any pixel."""


def phase_means(frames: Iterable[tuple[Floats, Slots]], period: int) -> PhaseMeans:
    """Return the means of frames (T, *space, C), given in pieces with the slot of each frame, (T,)."""
    total: npt.NDArray[np.float64] = np.zeros(0)
    count: npt.NDArray[np.int64] = np.zeros(0, np.int64)
    least, greatest = np.nan, np.nan
    for values, slots in frames:
        if not total.size:
            total, count = np.zeros((period, *values.shape[1:])), np.zeros((period, *values.shape[1:]), np.int64)
        for phase, frame in zip(slots % period, values, strict=True):
            known = ~np.isnan(frame)
            total[phase][known] += frame[known]
            count[phase] += known
        least, greatest = np.fmin(least, np.fmin.reduce(values, None)), np.fmax(greatest, np.fmax.reduce(values, None))
    limits = float(least), float(greatest)
    return PhaseMeans(_quotient(total, count), _quotient(total.sum(axis=0), count.sum(axis=0)), limits)


def _quotient(total: npt.NDArray[np.float64], count: npt.NDArray[np.int64]) -> Floats:
    means: npt.NDArray[np.float64] = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means.astype(np.float32)
