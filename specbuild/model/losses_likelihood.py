"""Losses of outputs that are read as a distribution: quantiles and likelihoods. See `losses.py` for shapes.

The output has several channels for each variable, side by side (`specbuild/catalog/heads.py`): y_true is
(B, [T,] *space, C), y_pred (B, [T,] *space, C · parts).
"""

from __future__ import annotations

import math

from specbuild.catalog.heads import (
    LEAST_SCALE,
    LEAST_SHAPE,
    LEAST_SHIFT,
    LOG_STD,
    MOST_SHIFT,
    SERIES_TERMS,
    SHIFT_OFFSET,
)
from specbuild.catalog.losses import LOSSES
from specbuild.model.backend import keras
from specbuild.model.losses import PresentLoss, Tensor

ops = keras.ops

_DRY = 1e-6
"""Values up to so far above the floor are at it."""


class LikelihoodLoss(PresentLoss):
    """A loss whose output has several channels for each variable."""

    def terms(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and weights, (B, [T,] *space) each, the mean over variables.

        Raises:
            ValueError: the output does not have as many channels as its variables need.
        """
        declared = LOSSES[type(self).__name__]
        assert declared.head is not None
        parts = len(declared.head(self.arguments).parts)
        if y_pred.shape[-1] != parts * y_true.shape[-1]:
            needed = f"{parts} channels for each variable, {parts * y_true.shape[-1]} in all"
            raise ValueError(f"{self.name} needs {needed}, the output has {y_pred.shape[-1]}")
        values = self.cost(y_true, *(y_pred[..., part::parts] for part in range(parts)))
        return ops.mean(values, axis=-1), weight[..., 0]

    def cost(self, y_true: Tensor, *parts: Tensor) -> Tensor:
        """Return the cost of each value; all are (B, [T,] *space, C)."""
        raise NotImplementedError


class Pinball(LikelihoodLoss):
    """The quantile loss: Koenker and Bassett (1978), Econometrica 46, 33. Its minimum is at the quantiles.

    max(τe, (τ − 1)e) with e = y − q_τ, the mean over the quantiles, in units of training.

    Args:
        quantiles: their probabilities τ, rising, between 0 and 1.
    """

    def cost(self, y_true: Tensor, *parts: Tensor) -> Tensor:
        levels = self.arguments["quantiles"]
        total = 0.0
        for level, quantile in zip(levels, parts, strict=True):
            error = y_true - quantile
            total = total + ops.maximum(level * error, (level - 1) * error)
        return total / len(levels)


class GaussianNLL(LikelihoodLoss):
    """The negative logarithm of a Gaussian's density: Nix and Weigend (1994), ICNN, in nats.

    ½ log 2π + log σ + ½ (e / σ)²; the channels are the mean and log σ, in units of training. log σ is held to
    `LOG_STD`, where a gradient leads back only from inside; the starting weights give values near 0.
    """

    def cost(self, y_true: Tensor, *parts: Tensor) -> Tensor:
        mean, log_std = parts
        log_std = ops.clip(log_std, *LOG_STD)
        return 0.5 * math.log(2 * math.pi) + log_std + 0.5 * ops.square((y_true - mean) * ops.exp(-log_std))


class CensoredGammaNLL(LikelihoodLoss):
    """The negative logarithm of the likelihood of a censored, shifted gamma distribution, in nats.

    Scheuerer and Hamill (2015), Mon. Weather Rev. 143, 4578, section 3: y = floor + max(0, θ(X − q)) with X from a
    gamma distribution of shape k. At the floor the likelihood is the probability P(k, q) (regularized incomplete gamma
    function), above it the density at x = (y − floor) / θ + q. The shift is counted in units of the scale θ, which is
    in units of training.

    Args:
        floor: the physical value that nothing is below, such as 0 mm/h.
    """

    def cost(self, y_true: Tensor, *parts: Tensor) -> Tensor:
        shape = ops.softplus(parts[0]) + LEAST_SHAPE
        scale = ops.softplus(parts[1]) + LEAST_SCALE
        shift = MOST_SHIFT * ops.sigmoid(parts[2] - SHIFT_OFFSET) + LEAST_SHIFT
        above = y_true - ops.convert_to_tensor(self.edges[0], dtype=self.dtype)
        wet = above > _DRY
        x = ops.where(wet, above, ops.ones_like(above)) / scale + shift
        density = (shape - 1) * ops.log(x) - x - log_gamma(shape) - ops.log(scale)
        return -ops.where(wet, density, log_lower_gamma(shape, shift))


def log_lower_gamma(shape: Tensor, x: Tensor) -> Tensor:
    """Return log P(a, x), the regularized lower incomplete gamma function, for a > 0 and 0 < x ≤ `MOST_SHIFT`.

    P(a, x) = xᵃ e⁻ˣ / Γ(a + 1) · (1 + x / (a + 1) · (1 + x / (a + 2) · …)): Abramowitz and Stegun (1964), 6.5.29. All
    terms are positive, so gradients in both arguments are exact on every backend.
    """
    series = ops.ones_like(x)
    for term in range(SERIES_TERMS, 0, -1):
        series = 1 + series * x / (shape + term)
    return ops.minimum(shape * ops.log(x) - x - log_gamma(shape + 1) + ops.log(series), 0.0)


def log_gamma(x: Tensor) -> Tensor:
    """Return log Γ(x), x > 0: Stirling's series at x + 6 (Abramowitz and Stegun, 1964, 6.1.41), carried down to x."""
    far = x + 6
    product = x * (x + 1) * (x + 2) * (x + 3) * (x + 4) * (x + 5)
    series = 1 / (12 * far) - 1 / (360 * far**3) + 1 / (1260 * far**5)
    return (far - 0.5) * ops.log(far) - far + 0.5 * math.log(2 * math.pi) + series - ops.log(product)
