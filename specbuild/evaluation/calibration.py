"""Calibration: the rank histogram of distributions, and the reliability of their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from specbuild.data.arrays import Array, Floats
from specbuild.evaluation.distributions import Distribution
from specbuild.evaluation.forecast_scores import numbers

RELIABILITY_BINS = 11
"""Bins of forecast probability, around 0, 0.1, … 1."""
_MASS = 0.05
"""The share of observations at the lowest value from which on that value is given a probability of its own."""
CALIBRATION = (
    "rank histogram: pixels by the number of members (quantiles, tenths of the distribution) below the observation, "
    "ties, such as all values too small to tell from no rain, broken at random; flat if the distribution is right; "
    "Hamill (2001). Reliability: the observed frequency of the event where its forecast probability lies "
    "around 0, 0.1, ... 1; Wilks (2011), section 8.4.4"
)


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often an event occurred where it was forecast with a certain probability.

    Attributes:
        threshold: the event is a value at or above it, in physical units.
        pixels: how many forecasts lie in each bin of probability, over all lead times.
        forecast: their mean probability; NaN where there are none.
        observed: the share of them where the event was observed; NaN where there are none.
    """

    threshold: float
    pixels: tuple[int, ...]
    forecast: tuple[float, ...]
    observed: tuple[float, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the curve from JSON, where NaN is null.

        Raises:
            KeyError: a key is missing.
        """
        shares = numbers(values["forecast"]), numbers(values["observed"])
        return cls(values["threshold"], tuple(values["pixels"]), *shares)

    @property
    def base_rate(self) -> float:
        """How often the event was observed; NaN without a pixel."""
        total = sum(self.pixels)
        events = sum(count * share for count, share in zip(self.pixels, self.observed, strict=True) if count)
        return events / total if total else float("nan")


@dataclass(frozen=True, slots=True)
class CalibrationTable:
    """The calibration of one forecast.

    Attributes:
        name: whose: `model`, `pysteps ensemble`.
        ranks: by lead time, how many observations fell into each bin between the members or quantiles.
        expected: the share that falls into each bin if the distribution is right.
        reliability: at each threshold.
    """

    name: str
    ranks: tuple[tuple[int, ...], ...]
    expected: tuple[float, ...]
    reliability: tuple[Reliability, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the observations in each bin, over all lead times; NaN without any."""
        counts = np.array(self.ranks).sum(axis=0)
        return tuple((counts / counts.sum()).tolist() if counts.sum() else [float("nan")] * len(counts))

    @property
    def outside(self) -> tuple[float, float]:
        """The share of observations in the outermost bins, and its expected value if the distribution is right."""
        return self.shares[0] + self.shares[-1], self.expected[0] + self.expected[-1]

    def to_dict(self) -> dict[str, Any]:
        """Return the table for JSON."""
        return {
            "forecast": self.name,
            "ranks": self.ranks,
            "expected": self.expected,
            "reliability": [asdict(curve) for curve in self.reliability],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the table that `to_dict` wrote.

        Raises:
            KeyError: a key is missing.
        """
        ranks = tuple(map(tuple, values["ranks"]))
        reliability = tuple(map(Reliability.from_dict, values["reliability"]))
        return cls(values["forecast"], ranks, tuple(values["expected"]), reliability)


class Calibration:
    """The counts for one forecast. Memory does not grow with the number of windows."""

    def __init__(self, leads: int, thresholds: Sequence[float]) -> None:
        self._leads, self._thresholds = leads, tuple(thresholds)
        self._levels: tuple[float, ...] = ()
        self._ranks = np.zeros((leads, 0), np.int64)
        self._curves = np.zeros((len(self._thresholds), 3, RELIABILITY_BINS))  # pixels, Σp, Σo

    def add(self, distribution: Distribution, observed: Floats, window: tuple[int, int]) -> None:
        """Count one window.

        Args:
            distribution: of the forecast (F, *space, C); one value without a probability is left out.
            observed: (F, *space, C), NaN where missing.
            window: its event and first frame, from which ties are drawn.
        """
        if distribution.single:
            return
        if not self._levels:
            self._levels = distribution.levels
            self._ranks = np.zeros((self._leads, len(self._levels) + 1), np.int64)
        random = np.random.default_rng(window)
        for lead in range(self._leads):
            frame = distribution[lead]
            known = ~(np.isnan(frame.mean) | np.isnan(observed[lead]))
            part, seen = frame[known], observed[lead][known]
            ranks = _ranks(part, seen, random)
            self._ranks[lead] += np.bincount(ranks, minlength=len(self._levels) + 1)
            for curve, threshold in zip(self._curves, self._thresholds, strict=True):
                curve += _by_probability(part.exceeding(threshold), seen >= seen.dtype.type(threshold))

    def table(self, name: str) -> CalibrationTable | None:
        """Return the table of these counts; None if no distribution was added."""
        if not self._levels:
            return None
        curves = []
        for threshold, (pixels, said, seen) in zip(self._thresholds, self._curves, strict=True):
            with np.errstate(invalid="ignore"):
                shares = (said / pixels).tolist(), (seen / pixels).tolist()
            curves.append(Reliability(threshold, tuple(map(int, pixels)), *map(tuple, shares)))
        expected = np.diff([0.0, *self._levels, 1.0])
        ranks = tuple(map(tuple, self._ranks.tolist()))
        return CalibrationTable(name, ranks, tuple(expected.tolist()), tuple(curves))


def _ranks(forecast: Distribution, observed: Floats, random: np.random.Generator) -> Array:
    """Return the bin of each observation, (n,).

    Where many observations have the least value, such as no rain, a forecast below the next greater one cannot be told
    from it: it counts as that value, and these observations are spread over its probability.
    """
    ranks = forecast.ranks(observed, random)
    if not observed.size or (observed == observed.min()).mean() < _MASS or (observed == observed.min()).all():
        return ranks
    next_greater = float(observed[observed > observed.min()].min())
    least = observed < next_greater
    drawn = random.random(np.count_nonzero(least)) * forecast[least].below(next_greater)
    ranks[least] = np.searchsorted(forecast.levels, drawn)
    return ranks


def _by_probability(probability: Array, event: Array) -> Array:
    """Return pixels, Σ of the probability and Σ of the event in each bin of probability, (3, bins)."""
    bins = np.floor(probability * (RELIABILITY_BINS - 1) + 0.5).astype(int)
    return np.stack(
        [np.bincount(bins, weights, RELIABILITY_BINS) for weights in (None, probability, event.astype(np.float64))]
    )
