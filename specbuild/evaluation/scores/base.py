"""The parts of a score: sums to which each frame adds, and a formula over the sums.

Forecasts and observations are in physical units, NaN where missing. A pixel counts where both are known. Sums are
pooled over windows before a formula is applied, so no score is a mean of scores, except SSIM and PSNR, which are
defined for a frame. A score whose denominator is 0 is NaN, and shows as a dash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.catalog.scores import SCORES
from specbuild.data import Climatology
from specbuild.evaluation.distributions import Distribution, Ensemble
from specbuild.language.sections.evaluate import EvaluateSection

Values: TypeAlias = npt.NDArray[np.float64]
Fields: TypeAlias = npt.NDArray[np.floating[Any]]
Formula: TypeAlias = Callable[[Values], Values]


@dataclass(frozen=True)
class Frame:
    """One forecast frame, what was observed and, where a score needs them, the climatology and the distribution.

    Each is (*space, C). Without a distribution the forecast is certain.
    """

    forecast: Fields
    observed: Fields
    climatology: Fields | None = None
    distribution: Distribution | None = None

    @cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """Where both are known."""
        return ~(np.isnan(self.forecast) | np.isnan(self.observed))

    @cached_property
    def pixels(self) -> tuple[Fields, Fields]:
        """Forecast and observation where both are known, in one row each."""
        return self.forecast[self.known], self.observed[self.known]

    @cached_property
    def distributed(self) -> tuple[Distribution, Fields]:
        """The distribution and the observation where both are known, in one row each."""
        distribution = self.distribution or Ensemble(self.forecast[np.newaxis])
        known = ~(np.isnan(distribution.mean) | np.isnan(self.observed))
        return distribution[known], self.observed[known]

    @cached_property
    def error(self) -> Values:
        """e = forecast − observation where both are known, in double precision."""
        forecast, observed = self.pixels
        return forecast.astype(np.float64) - observed

    @property
    def plane(self) -> tuple[int, ...]:
        """The axes that a neighborhood spreads over: height and width, or the length of a profile."""
        return tuple(range(max(self.observed.ndim - 3, 0), self.observed.ndim - 1))


@dataclass(frozen=True, slots=True)
class Family:
    """Scores that share their sums.

    Attributes:
        size: how many numbers a frame adds to the sums.
        measure: gives these numbers for a frame.
        formulas: from sums (size, leads) to one value per lead time, by the name of the score in the catalog.
        words: what fills the braces in the conventions of the scores.
    """

    size: int
    measure: Callable[[Frame], Sequence[float]]
    formulas: Mapping[str, Formula]
    threshold: float | None = None
    window: int | None = None
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def conventions(self) -> dict[str, str]:
        """What each score is, by its title."""
        return {SCORES[name].title: SCORES[name].convention.format(**self.words) for name in self.formulas}


@dataclass(frozen=True)
class Setting:
    """Inputs of the scores: the section `evaluate`, weights of rows (H, 1, 1), and the training frames."""

    section: EvaluateSection
    weights: Values | None
    climatology: Climatology

    @property
    def data_range(self) -> tuple[float, float, bool]:
        """Low and high end of the data range, and whether values are clipped to it; may read the training frames."""
        written, clip = self.section.pictures
        low, high = written or self.climatology.training.limits
        return (low, high, clip) if low < high else (0.0, 1.0, clip)

    @property
    def reference(self) -> str:
        """What anomalies are taken from, in words."""
        period = self.section.period
        return f"the training mean of each phase of {period} frames" if period else "the training mean"


OnDemand: TypeAlias = dict[str, Callable[[Setting], list[Family]]]
"""How scores that a spec asks for are computed, by the name of the score."""


def ratio(numerator: Values, denominator: Values) -> Values:
    """Return the quotient, NaN where the denominator is 0."""
    quotient: Values = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient
