"""What every score is made of: sums that one frame adds to, and a formula over the sums.

Forecasts and observations are in physical units, NaN where missing. A pixel counts where both are known. Sums are
pooled over windows before a formula is applied, so that no score is a mean of scores, but for SSIM and PSNR, which are
defined by frame. A score whose denominator is 0 is NaN, and shows as a dash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[np.float64]
Frames: TypeAlias = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Frame:
    """One forecast frame, what was observed and, where a score needs it, the climatology: each (*space, C)."""

    forecast: Frames
    observed: Frames
    climatology: Frames | None = None

    @cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """Where both are known."""
        return ~(np.isnan(self.forecast) | np.isnan(self.observed))

    @cached_property
    def pixels(self) -> tuple[Frames, Frames]:
        """Forecast and observation where both are known, in one row each."""
        return self.forecast[self.known], self.observed[self.known]

    @cached_property
    def error(self) -> Values:
        """e = forecast − observation where both are known, in double precision."""
        forecast, observed = self.pixels
        return forecast.astype(np.float64) - observed

    @property
    def plane(self) -> tuple[int, ...]:
        """The axes that a neighbourhood spreads over: height and width, or the length of a profile."""
        return tuple(range(max(self.observed.ndim - 3, 0), self.observed.ndim - 1))


@dataclass(frozen=True, slots=True)
class Score:
    """A score as tables name it.

    `units`: `data`, `data²`, `dB`, or empty for a number without. `best` is the value of a perfect forecast.
    `formula` maps sums (K, leads) to one value per lead time.
    """

    name: str
    units: str
    best: float
    convention: str
    formula: Callable[[Values], Values]


@dataclass(frozen=True, slots=True)
class Family:
    """Scores that share their sums: `measure` gives the `size` numbers that a frame adds to them."""

    size: int
    measure: Callable[[Frame], Sequence[float]]
    scores: tuple[Score, ...]
    threshold: float | None = None
    window: int | None = None


def ratio(numerator: Values, denominator: Values) -> Values:
    """The quotient, NaN where the denominator is 0."""
    found: Values = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=found, where=denominator != 0)
    return found
