"""Distributions in units of training, from the raw channels of an output that has a head.

`raw` is (…, C · parts), the channels of a variable side by side, as `specbuild/catalog/heads.py` declares; results are
(…, C). The losses that train such outputs are in `specbuild/model/losses_likelihood.py`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from specbuild.catalog.heads import (
    LEAST_SCALE,
    LEAST_SHAPE,
    LEAST_SHIFT,
    LOG_STD,
    MOST_SHIFT,
    SHIFT_OFFSET,
    Head,
)
from specbuild.data.arrays import Array


@dataclass(frozen=True, slots=True)
class HeadReader(ABC):
    """Reads the raw output of a head.

    Attributes:
        head: as the catalog declares it.
        floor: the value that the distribution is censored at, by channel, in units of training; empty without one.
    """

    head: Head
    floor: tuple[float, ...] = ()

    def parts(self, raw: Array) -> list[Array]:
        """Return the parts, (…, C) each, in double precision."""
        count = len(self.head.parts)
        return [raw[..., part::count].astype(np.float64) for part in range(count)]

    @abstractmethod
    def point(self, raw: Array) -> Array:
        """Return the forecast in one number: the mean in units of training, of quantiles the median."""

    @abstractmethod
    def quantiles(self, raw: Array, levels: Sequence[float]) -> Array:
        """Return quantiles (levels, …, C) at rising probabilities between 0 and 1."""

    @abstractmethod
    def members(self, raw: Array, count: int, random: np.random.Generator) -> Array:
        """Return values drawn from the distribution of each pixel by itself, (count, …, C)."""


class QuantileReader(HeadReader):
    """Quantiles at the levels of the head, sorted where they cross (Chernozhukov et al., 2010, Econometrica 78, 1093).

    Between two levels the quantile function is linear; outside of them it stays at the outermost quantiles.
    """

    def given(self, raw: Array) -> Array:
        """Return the quantiles at the levels of the head, (levels, …, C)."""
        return np.sort(np.stack(self.parts(raw)), axis=0)

    def point(self, raw: Array) -> Array:
        median: Array = self.quantiles(raw, [0.5])[0]
        return median

    def quantiles(self, raw: Array, levels: Sequence[float]) -> Array:
        given, known = self.given(raw), self.head.levels
        return np.stack([self._between(given, *_neighbours(known, level)) for level in levels])

    def members(self, raw: Array, count: int, random: np.random.Generator) -> Array:
        given, known = self.given(raw), np.array(self.head.levels)
        drawn = np.empty((count, *given.shape[1:]))
        for member in drawn:
            level = random.random(member.shape)
            at = np.clip(np.interp(level, known, np.arange(len(known))), 0, len(known) - 1)
            below = np.floor(at).astype(int)
            above = np.minimum(below + 1, len(known) - 1)
            low, high = (np.take_along_axis(given, index[np.newaxis], 0)[0] for index in (below, above))
            member[...] = low + (at - below) * (high - low)
        return drawn

    @staticmethod
    def _between(given: Array, below: int, above: int, share: float) -> Array:
        between: Array = (1 - share) * given[below] + share * given[above]
        return between


class GaussianReader(HeadReader):
    """Mean and standard deviation."""

    def moments(self, raw: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation."""
        mean, log_std = self.parts(raw)
        return mean, np.exp(np.clip(log_std, *LOG_STD))

    def point(self, raw: Array) -> Array:
        return self.moments(raw)[0]

    def quantiles(self, raw: Array, levels: Sequence[float]) -> Array:
        mean, std = self.moments(raw)
        return np.stack([mean + NormalDist().inv_cdf(level) * std for level in levels])

    def members(self, raw: Array, count: int, random: np.random.Generator) -> Array:
        mean, std = self.moments(raw)
        values: Array = mean + std * random.standard_normal((count, *mean.shape))
        return values


class CensoredGammaReader(HeadReader):
    """floor + max(0, θ(X − q)), X gamma-distributed: Scheuerer and Hamill (2015), Mon. Weather Rev. 143, 4578."""

    def arguments(self, raw: Array) -> tuple[Array, Array, Array]:
        """Return shape k, scale θ and shift q, which is in units of the scale."""
        shape, scale, shift = self.parts(raw)
        with np.errstate(over="ignore"):
            logistic = 1 / (1 + np.exp(SHIFT_OFFSET - shift))
        shape, scale = np.logaddexp(0, shape) + LEAST_SHAPE, np.logaddexp(0, scale) + LEAST_SCALE
        return shape, scale, MOST_SHIFT * logistic + LEAST_SHIFT

    def dry(self, raw: Array) -> Array:
        """Return the probability of the floor, P(k, q)."""
        from scipy.special import gammainc

        shape, _, shift = self.arguments(raw)
        return np.asarray(gammainc(shape, shift))

    def point(self, raw: Array) -> Array:
        """Return the mean, floor + θ[k(1 − P(k + 1, q)) − q(1 − P(k, q))]."""
        from scipy.special import gammainc

        shape, scale, shift = self.arguments(raw)
        above = shape * (1 - gammainc(shape + 1, shift)) - shift * (1 - gammainc(shape, shift))
        mean: Array = np.asarray(self.floor) + scale * np.maximum(above, 0)
        return mean

    def quantiles(self, raw: Array, levels: Sequence[float]) -> Array:
        from scipy.special import gammaincinv

        shape, scale, shift = self.arguments(raw)
        above = [np.maximum(gammaincinv(shape, level) - shift, 0) for level in levels]
        found: Array = np.asarray(self.floor) + scale * np.stack(above)
        return found

    def members(self, raw: Array, count: int, random: np.random.Generator) -> Array:
        shape, scale, shift = self.arguments(raw)
        drawn = random.standard_gamma(shape, (count, *shape.shape))
        values: Array = np.asarray(self.floor) + scale * np.maximum(drawn - shift, 0)
        return values


READERS: dict[str, type[HeadReader]] = {
    "quantiles": QuantileReader,
    "gaussian": GaussianReader,
    "censored gamma": CensoredGammaReader,
}
"""What reads each kind of head."""


def _neighbours(known: Sequence[float], level: float) -> tuple[int, int, float]:
    """Return the positions of the levels around a level, and how far it lies from the first to the second."""
    at = float(np.interp(level, known, np.arange(len(known))))
    below = min(math.floor(at), len(known) - 1)
    return below, min(below + 1, len(known) - 1), at - below


def reader_of(head: Head, floor: Array | None = None) -> HeadReader:
    """Return what reads a head; `floor` is in units of training, one for each channel."""
    values = () if floor is None else tuple(float(value) for value in floor.ravel())
    return READERS[head.kind](head, values)
