"""Statistics of frames too many to hold: gathered piece by piece, missing values left out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

PerChannel: TypeAlias = npt.NDArray[np.float64]

PART = 2**16
"""Pixels looked at together: few enough that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Per channel: how many values, their mean, standard deviation (of the population), least and greatest."""

    count: PerChannel
    mean: PerChannel
    std: PerChannel
    least: PerChannel
    greatest: PerChannel


def moments(pieces: Iterable[npt.NDArray[Any]], channels: int) -> Moments:
    """Moments of arrays (…, channels), in double precision.

    Means and squared deviations of parts are merged as in Chan, Golub and LeVeque (1983), Algorithms for computing the
    sample variance, Am. Stat. 37, which stays accurate where the mean is large. A channel without a value has the mean
    0, the standard deviation 0 and NaN for the least and greatest.
    """
    gathered = [_Gathered() for _ in range(channels)]
    for piece in pieces:
        values = piece.reshape(-1, channels)
        for first in range(0, len(values), PART):
            part = values[first : first + PART]
            for channel, one in enumerate(gathered):
                one.add(part[:, channel])
    return Moments(
        np.array([one.count for one in gathered], np.float64),
        np.array([one.mean for one in gathered]),
        np.array([math.sqrt(one.squares / max(one.count, 1)) for one in gathered]),
        np.array([one.least for one in gathered]),
        np.array([one.greatest for one in gathered]),
    )


@dataclass(slots=True)
class _Gathered:
    """What is known of one channel so far; `squares` is the sum of the squared deviations from the mean."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    least: float = math.nan
    greatest: float = math.nan

    def add(self, values: npt.NDArray[Any]) -> None:
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
