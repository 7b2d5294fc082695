"""Heads: how the channels of an output are read as a distribution of each variable. A loss declares its head.

An output with a head has `parts` channels for each variable, side by side: with the quantiles 0.1, 0.5 and 0.9 of two
variables, channels 0 to 2 are of the first and 3 to 5 of the second. The arithmetic is in `specbuild/data/heads.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

HeadKind: TypeAlias = Literal["quantiles", "gaussian", "censored gamma"]

LEVELS = (0.1, 0.5, 0.9)
"""The quantiles that forecasts state of a distribution that is not given by quantiles."""
MOST_MEMBERS = 1000
"""Members of an ensemble, at most."""
MEMBERS = 20
"""Members drawn of a distribution that is scored by its members, where the spec says no number."""


@dataclass(frozen=True, slots=True)
class Head:
    """How an output is read.

    Attributes:
        kind: the family of distributions.
        parts: what the channels of one variable are, in order.
        levels: the probabilities of the quantiles that the output gives, or that forecasts state of it; rising.
        floor: the physical value that the distribution is censored at, below which nothing is; None: it is not.
    """

    kind: HeadKind
    parts: tuple[str, ...]
    levels: tuple[float, ...] = LEVELS
    floor: float | None = None

    @property
    def words(self) -> str:
        """What the channels of a variable are, in a sentence."""
        return f"{', '.join(self.parts[:-1])} and {self.parts[-1]}" if len(self.parts) > 1 else self.parts[0]


MakeHead: TypeAlias = Callable[[Mapping[str, Any]], Head]
"""The head of a loss, given all of its arguments."""


def quantile_head(arguments: Mapping[str, Any]) -> Head:
    """Return the head of the quantile loss: one channel for each of `quantiles`."""
    levels = tuple(map(float, arguments["quantiles"]))
    return Head("quantiles", tuple(f"the {level:g} quantile" for level in levels), levels)


def gaussian_head(_arguments: Mapping[str, Any]) -> Head:
    """Return the head of the Gaussian likelihood: the mean, and the logarithm of the standard deviation."""
    return Head("gaussian", ("the mean", "the logarithm of the standard deviation"))


def censored_gamma_head(arguments: Mapping[str, Any]) -> Head:
    """Return the head of the censored, shifted gamma likelihood: shape, scale and shift, each before its softplus."""
    return Head("censored gamma", ("the shape", "the scale", "the shift"), floor=float(arguments["floor"]))


LOG_STD = (-7.0, 7.0)
"""The least and the greatest logarithm of a Gaussian's standard deviation, in units of training."""
MOST_SHIFT = 10.0
"""The greatest shift of a censored gamma, in units of its scale: with a shape of 1 a dry probability of 1 − 5e-5."""
LEAST_SHAPE, LEAST_SCALE, LEAST_SHIFT = 0.02, 1e-3, 1e-4
"""The least shape of a censored gamma, the least scale in units of training, and the least shift in units of the scale,
so that gradients stay finite."""
SHIFT_OFFSET = 2.0
"""Subtracted from the channel of the shift, so that an output of 0 is not certain to be dry."""
SERIES_TERMS = 36
"""Terms of the series of the incomplete gamma function; at `MOST_SHIFT` the rest is below 1e-9 of the sum."""
