"""Forecast distributions of pixels in physical units: ensembles, quantiles and Gaussians.

A distribution is of an array of pixels, (…), such as the frames (F, *space, C) of a forecast; its own arrays have
further axes in front. Indexing takes a part of the pixels: `distribution[lead]` is that of one frame. NaN is missing.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np

from specbuild.data.arrays import Array
from specbuild.pictures.scene import member_rows, quantile_rows

PIT_BINS = 10
"""Bins of the probability integral transform of a distribution that is not given by members or quantiles."""


class Distribution(ABC):
    """The forecast distribution of each pixel: results have their shape, in physical units or as probabilities."""

    @abstractmethod
    def __getitem__(self, part: Any) -> Distribution:
        """Return the distribution of a part of the pixels."""

    @property
    @abstractmethod
    def mean(self) -> Array:
        """The mean; NaN where the forecast is unknown."""

    @property
    @abstractmethod
    def variance(self) -> Array:
        """The variance with which the mean errs if the distribution is right."""

    @property
    @abstractmethod
    def levels(self) -> tuple[float, ...]:
        """The probabilities that part the bins of `ranks`, rising: the observation falls into each bin as often as
        the bin is wide, if the distribution is right."""

    @abstractmethod
    def crps(self, observed: Array) -> Array:
        """Return the continuous ranked probability score ∫(F(x) − 1[x ≥ y])² dx, in physical units; 0 is best."""

    @abstractmethod
    def exceeding(self, threshold: float) -> Array:
        """Return the probability of a value at or above the threshold."""

    @abstractmethod
    def ranks(self, observed: Array, random: np.random.Generator) -> Array:
        """Return the bin that each observation falls into, 0 to the number of levels; ties are drawn at random."""

    def below(self, threshold: float) -> Array:
        """Return the part of the probability, from 0, over which observations below a threshold are spread."""
        return 1 - self.exceeding(threshold)

    @property
    def single(self) -> bool:
        """Whether it is a single value without any uncertainty."""
        return False

    @property
    def rows(self) -> dict[str, Array]:
        """Quantiles to draw, by the names of their rows in a picture."""
        return {}


@dataclass(frozen=True)
class Ensemble(Distribution):
    """Equally likely members (M, …). A pixel is known where every member is."""

    members: Array

    def __getitem__(self, part: Any) -> Ensemble:
        return Ensemble(self.members[(slice(None), *_parts(part))])

    @property
    def single(self) -> bool:
        return len(self.members) == 1

    @property
    def rows(self) -> dict[str, Array]:
        return {} if self.single else member_rows(self.members)

    @cached_property
    def mean(self) -> Array:
        mean: Array = self.members.mean(axis=0, dtype=np.float64)
        return mean

    @property
    def variance(self) -> Array:
        """(M + 1) / M times the unbiased variance of the members, which is that of the error of their mean.

        Leutbecher and Palmer (2008), J. Comput. Phys. 227, 3515; Fortin et al. (2014), J. Hydrometeorol. 15, 1708.
        """
        count = len(self.members)
        if self.single:
            return np.where(np.isnan(self.mean), np.nan, 0.0)
        variance: Array = self.members.var(axis=0, ddof=1, dtype=np.float64) * (count + 1) / count
        return variance

    @property
    def levels(self) -> tuple[float, ...]:
        return tuple((number + 1) / (len(self.members) + 1) for number in range(len(self.members)))

    def crps(self, observed: Array) -> Array:
        """Return the fair estimate, Σ|xᵢ − y| / M − Σ|xᵢ − xⱼ| / 2M(M − 1): Ferro (2014), Q. J. R. Meteorol. Soc. 140.

        It is what an ensemble of infinitely many such members would score. Of one member it is the absolute error.
        """
        members = np.sort(self.members.astype(np.float64), axis=0)
        count = len(members)
        error: Array = np.abs(members - observed).mean(axis=0)
        if count == 1:
            return error
        weights = 2 * np.arange(1, count + 1) - count - 1
        return error - np.tensordot(weights, members, 1) / (count * (count - 1))

    def exceeding(self, threshold: float) -> Array:
        share: Array = (self.members >= self.members.dtype.type(threshold)).mean(axis=0)
        return share

    def below(self, threshold: float) -> Array:
        """Return (k + 1) / (M + 1) for k members below: the observation is as likely before each as after the last."""
        count = len(self.members)
        return (count * (1 - self.exceeding(threshold)) + 1) / (count + 1)

    def ranks(self, observed: Array, random: np.random.Generator) -> Array:
        """Return the number of members below the observation, ties drawn: Hamill (2001), Mon. Weather Rev. 129, 550."""
        return _ranks(self.members, self.levels, observed, random)


@dataclass(frozen=True)
class Quantiles(Distribution):
    """Quantiles (levels, …) at rising probabilities.

    Between two levels the quantile function is linear; below the first and above the last it stays at these, so that
    there is no probability between 0 and the least level, nor between the greatest and 1.
    """

    values: Array
    probabilities: tuple[float, ...]

    def __getitem__(self, part: Any) -> Quantiles:
        return Quantiles(self.values[(slice(None), *_parts(part))], self.probabilities)

    @property
    def levels(self) -> tuple[float, ...]:
        return self.probabilities

    @property
    def rows(self) -> dict[str, Array]:
        return quantile_rows(self.probabilities, self.values)

    @cached_property
    def weights(self) -> Array:
        """The probability that each quantile stands for: from half-way to the one before to half-way to the next."""
        levels = np.array(self.probabilities)
        edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
        return np.diff(edges)

    @cached_property
    def mean(self) -> Array:
        return np.tensordot(self.weights, self.values.astype(np.float64), 1)

    @property
    def variance(self) -> Array:
        return np.tensordot(self.weights, np.square(self.values - self.mean), 1)

    def crps(self, observed: Array) -> Array:
        """Return 2 Σ w_τ max(τe, (τ − 1)e), e = y − q_τ: the integral of the quantile score over τ.

        Laio and Tamea (2007), Hydrol. Earth Syst. Sci. 11, 1267; Gneiting and Ranjan (2011), J. Bus. Econ. Stat. 29,
        411. The integral is a sum with the weight of each quantile, so few quantiles give a coarse score.
        """
        total = np.zeros(self.values.shape[1:])
        for level, weight, value in zip(self.probabilities, self.weights, self.values, strict=True):
            error = observed - value.astype(np.float64)
            total += 2 * weight * np.maximum(level * error, (level - 1) * error)
        return total

    def exceeding(self, threshold: float) -> Array:
        values = self.values.astype(np.float64)
        levels = np.array(self.probabilities)
        reached = values.dtype.type(self.values.dtype.type(threshold))
        below = (values < reached).sum(axis=0)
        inside = np.clip(below, 1, len(levels) - 1) if len(levels) > 1 else np.zeros_like(below)
        before = np.maximum(inside - 1, 0)
        low, high = (np.take_along_axis(values, at[np.newaxis], 0)[0] for at in (before, inside))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.nan_to_num((reached - low) / (high - low))
        level = levels[before] + share * (levels[inside] - levels[before])
        return np.where(below == 0, 1.0, np.where(below == len(levels), 0.0, 1 - level))

    def below(self, threshold: float) -> Array:
        """Return half-way from the last level whose quantile is below to the next: somewhere there it is reached."""
        count = (self.values < self.values.dtype.type(threshold)).sum(axis=0)
        edges = np.array([0.0, *self.probabilities, 1.0])
        middle: Array = (edges[count] + edges[count + 1]) / 2
        return np.where(count == 0, 0.0, middle)

    def ranks(self, observed: Array, random: np.random.Generator) -> Array:
        """Return the number of quantiles below the observation.

        Where it equals the k-th to the l-th, as with no rain, the probability of its value ends somewhere between the
        l-th level and the next: half-way is taken.
        """
        return _ranks(self.values, self.probabilities, observed, random, beyond=0.5)


@dataclass(frozen=True)
class Gaussian(Distribution):
    """Mean and standard deviation."""

    centre: Array
    std: Array

    def __getitem__(self, part: Any) -> Gaussian:
        return Gaussian(self.centre[part], self.std[part])

    @property
    def mean(self) -> Array:
        return self.centre

    @property
    def rows(self) -> dict[str, Array]:
        levels = (0.1, 0.9)
        return quantile_rows(levels, np.stack([self.centre + NormalDist().inv_cdf(p) * self.std for p in levels]))

    @property
    def variance(self) -> Array:
        return np.square(self.std, dtype=np.float64)

    @property
    def levels(self) -> tuple[float, ...]:
        return tuple(number / PIT_BINS for number in range(1, PIT_BINS))

    def crps(self, observed: Array) -> Array:
        """Return σ[z(2Φ(z) − 1) + 2φ(z) − 1/√π], z = (y − μ) / σ.

        Gneiting et al. (2005), Mon. Weather Rev. 133, 1098.
        """
        z = (observed - self.centre.astype(np.float64)) / self.std
        density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        score: Array = self.std * (z * (2 * normal_probability(z) - 1) + 2 * density - 1 / math.sqrt(math.pi))
        return score

    def exceeding(self, threshold: float) -> Array:
        return normal_probability((self.centre.astype(np.float64) - threshold) / self.std)

    def ranks(self, observed: Array, random: np.random.Generator) -> Array:  # noqa: ARG002 - there are no ties
        bins: Array = np.searchsorted(self.levels, normal_probability((observed - self.centre) / self.std))
        return bins


@dataclass(frozen=True)
class Event(Distribution):
    """The probability that an event occurs, as a distribution of 1 and 0. Its CRPS is its Brier score."""

    probability: Array

    def __getitem__(self, part: Any) -> Event:
        return Event(self.probability[part])

    @property
    def mean(self) -> Array:
        return self.probability

    @property
    def variance(self) -> Array:
        p = self.probability.astype(np.float64)
        return p * (1 - p)

    @property
    def levels(self) -> tuple[float, ...]:
        return tuple(number / PIT_BINS for number in range(1, PIT_BINS))

    def crps(self, observed: Array) -> Array:
        return np.square(self.probability.astype(np.float64) - observed)

    def exceeding(self, threshold: float) -> Array:
        return self.probability if 0 < threshold <= 1 else np.full(self.probability.shape, float(threshold <= 0))

    def ranks(self, observed: Array, random: np.random.Generator) -> Array:
        dry = 1 - np.clip(self.probability.astype(np.float64), 0, 1)
        drawn = random.random(dry.shape)
        bins: Array = np.searchsorted(self.levels, np.where(observed > 0, dry + drawn * (1 - dry), drawn * dry))
        return bins


def normal_probability(z: Array) -> Array:
    """Return Φ(z), the standard normal probability of a value at or below z."""
    from scipy.special import ndtr

    return np.asarray(ndtr(z))


def _ranks(
    values: Array, levels: Sequence[float], observed: Array, random: np.random.Generator, beyond: float = 1.0
) -> Array:
    """Return the bin of each observation among values (n, …).

    An observation that equals some of them falls into the bins around these by chance, as often as each is wide, of the
    last of them only a part, `beyond`.
    """
    edges = np.array([0.0, *levels, 1.0])
    below, reached = (values < observed).sum(axis=0), (values <= observed).sum(axis=0)
    low, part = edges[below], np.where(reached > below, beyond, 1.0)
    high = edges[reached] + part * (edges[reached + 1] - edges[reached])
    bins: Array = np.searchsorted(edges[1:-1], low + (high - low) * random.random(low.shape))
    return bins


def _parts(part: Any) -> tuple[Any, ...]:
    return part if isinstance(part, tuple) else (part,)
