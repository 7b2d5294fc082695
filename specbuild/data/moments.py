"""Statistics of frames too many to hold: gathered piece by piece, missing values left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

PerChannel: TypeAlias = npt.NDArray[np.float64]


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

    Means and squared deviations of pieces are merged as in Chan, Golub and LeVeque (1983), Algorithms for computing the
    sample variance, Am. Stat. 37, which stays accurate where the mean is large. A channel without a value has the mean
    0, the standard deviation 0 and NaN for the least and greatest.
    """
    count, mean, squares = np.zeros(channels), np.zeros(channels), np.zeros(channels)
    least, greatest = np.full(channels, np.nan), np.full(channels, np.nan)
    for piece in pieces:
        values = piece.reshape(-1, channels)
        known = ~np.isnan(values)
        n = known.sum(axis=0).astype(np.float64)
        here = n > 0
        piece_mean = np.where(known, values, 0).sum(axis=0, dtype=np.float64) / np.maximum(n, 1)
        deviation = np.where(known, values - piece_mean, 0)
        total = np.maximum(count + n, 1)
        shift = np.where(here, piece_mean - mean, 0)
        squares += np.square(deviation).sum(axis=0) + shift**2 * count * n / total
        mean += shift * n / total
        count += n
        low = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
        high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
        least = np.where(here, np.fmin(least, low), least)
        greatest = np.where(here, np.fmax(greatest, high), greatest)
    return Moments(count, mean, np.sqrt(squares / np.maximum(count, 1)), least, greatest)
