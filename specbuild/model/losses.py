"""Losses that Keras does not have, each a mean over known pixels.

Shapes: y_true and y_pred are (B, [T,] *space, C) in the units that the model is trained in; the weights of samples are
(B, [T,] *space) or anything that spreads over it from the left, 0 where a value is missing. The values of y_true and
y_pred there do not matter. How many axes are space is an argument of each loss, as no shape tells it.

    Loss (Keras)
    └── PresentLoss            values and weights, then their mean
        ├── BalancedMSE, BalancedMAE, SSIM, GradientDifference, SoftCSI
        ├── Pinball, GaussianNLL, CensoredGammaNLL    losses_likelihood.py
        └── LeadWeighted, WeightedSum                losses_combined.py

Arguments, defaults and checks are those of `specbuild.catalog.losses`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from specbuild.catalog.losses import LOSSES
from specbuild.catalog.scores import SSIM_RADIUS, SSIM_SIDE, SSIM_WEIGHTS
from specbuild.model.backend import Registered, keras

ops = keras.ops
Tensor: TypeAlias = Any

_SPACE = {1: ("space", "none"), 2: ("height and width", "{} spatial axes")}
"""What a loss that needs so many spatial axes says of them, and of those it is given."""


class PresentLoss(Registered, keras.losses.Loss):  # type: ignore[misc]
    """A loss that knows the weights of samples, not only its own values.

    Args:
        values: the arguments that the catalog declares, in its order.
        edges: those of them that are physical as y_true has them, [value][channel]; None: y_true is physical.
        space: how many axes are space.
        name: what Keras calls the loss.
        dtype: the precision that it is computed in.
        named: the arguments that the catalog declares, by name.

    Raises:
        ValueError: the arguments do not fit each other, or the loss needs more spatial axes.
    """

    def __init__(
        self,
        *values: Any,
        edges: Sequence[Sequence[float]] | None = None,
        space: int = 2,
        name: str = "",
        dtype: Any = None,
        **named: Any,
    ) -> None:
        declared = LOSSES[type(self).__name__]
        name = name or declared.names[0]
        given = dict(zip(declared.arguments, values, strict=False)) | named
        if given.keys() - {*declared.arguments} or {*declared.required} - given.keys():
            raise TypeError(f"{type(self).__name__} takes {', '.join(declared.arguments)}, got {', '.join(given)}")
        self.arguments = {**declared.optional, **given}
        if wrong := declared.check(name, self.arguments):
            raise ValueError(wrong[1])
        if space < declared.space:
            needed, got = _SPACE[declared.space]
            raise ValueError(f"{name} is of frames with {needed}, got {got.format(space)}")
        super().__init__(name=name, dtype=dtype)
        self.space, self.physical = space, declared.physical
        levels = self.arguments[declared.physical] if declared.physical else ()
        if declared.physical == "data_range":
            levels = levels or (0.0, 1.0)
        elif declared.physical == "floor":
            levels = (levels,)
        self.edges = [list(edge) for edge in edges] if edges is not None else [[level] for level in levels]

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return one number: Σwv / Σw of the loss's values v and weights w, and 0 where every weight is 0."""
        values, weights = self.terms(*self.prepared(y_true, y_pred, sample_weight))
        return mean(values, weights)

    def prepared(self, y_true: Tensor, y_pred: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return both in single precision at least, 0 where the weight is 0, and weights (B, [T,] *space, 1)."""
        y_true, y_pred = (ops.convert_to_tensor(y, dtype=self.dtype) for y in (y_true, y_pred))
        weight = full_weight(weight, y_true, self.dtype)
        present = weight > 0
        return ops.where(present, y_true, 0.0), ops.where(present, y_pred, 0.0), weight

    @abstractmethod
    def terms(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and their weights in one shape, whose first axes are the batch and time, if there is time."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.terms(*self.prepared(y_true, y_pred, None))[0]

    def get_config(self) -> dict[str, Any]:
        edges = {"edges": self.edges} if self.physical else {}
        return {"name": self.name, "space": self.space, **self.arguments, **edges}


def full_weight(weight: Tensor | None, like: Tensor, dtype: str) -> Tensor:
    """Spread the weights of samples over `like`, without its last axis but for a 1 in its place."""
    if weight is None:
        return ops.ones_like(like[..., :1])
    weight = ops.convert_to_tensor(weight, dtype=dtype)
    while len(weight.shape) < len(like.shape):
        weight = ops.expand_dims(weight, -1)
    return weight * ops.ones_like(like[..., :1])


def mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return Σwv / Σw; 0 where all weights are 0."""
    total = ops.sum(weights)
    return ops.sum(values * weights) / ops.where(total > 0, total, ops.ones_like(total))


class _Balanced(PresentLoss):
    """Errors weighted by the observed value: w₀ below the first threshold, wᵢ from the i-th on.

    Shi et al. (2017), NeurIPS 30, section 4.2: B-MSE = Σ w (ŷ − y)² / N and B-MAE = Σ w |ŷ − y| / N, over the N values
    that are present; their weights are 1, 2, 5, 10 and 30 for rain below 2 and from 2, 5, 10 and 30 mm/h on. The error
    is in the units of training, the thresholds are physical.

    Args:
        thresholds: rising, in physical units.
        weights: one more than there are thresholds.
    """

    def terms(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        weights = self.arguments["weights"]
        balance = ops.full_like(y_true, weights[0])
        for edge, (before, after) in zip(self.edges, pairwise(weights), strict=True):
            reached = y_true >= ops.convert_to_tensor(edge, dtype=self.dtype)
            balance = balance + (after - before) * ops.cast(reached, self.dtype)
        return ops.mean(balance * self.error(y_pred - y_true), axis=-1), weight[..., 0]

    @abstractmethod
    def error(self, difference: Tensor) -> Tensor:
        """Return what is weighted."""


class BalancedMSE(_Balanced):
    """Mean of w e², w by the observed value."""

    def error(self, difference: Tensor) -> Tensor:
        return ops.square(difference)


class BalancedMAE(_Balanced):
    """Mean of w |e|, w by the observed value."""

    def error(self, difference: Tensor) -> Tensor:
        return ops.abs(difference)


class SSIM(PresentLoss):
    """1 − SSIM, 0 to 2: Wang et al. (2004), IEEE Trans. Image Process. 13, 600, eq. 13.

    Gaussian window of σ 1.5, 11 × 11 pixels; the mean over all windows inside the frame without missing pixels,
    over channels, frames and samples. It is of the values that the model is trained on.

    Args:
        data_range: least and greatest physical value; None: 0 and 1.
    """

    def terms(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and weights, (B, [T,] [D,] H − 10, W − 10) each."""
        span = ops.convert_to_tensor(np.abs(np.array(self.edges[1]) - np.array(self.edges[0])), dtype=self.dtype)
        c1, c2 = ops.square(0.01 * span), ops.square(0.03 * span)
        mean_t, mean_p = _means(y_true), _means(y_pred)
        var_t = _means(ops.square(y_true)) - ops.square(mean_t)
        var_p = _means(ops.square(y_pred)) - ops.square(mean_p)
        covariance = _means(y_true * y_pred) - mean_t * mean_p
        likeness = (2 * mean_t * mean_p + c1) * (2 * covariance + c2)
        likeness = likeness / ((ops.square(mean_t) + ops.square(mean_p) + c1) * (var_t + var_p + c2))
        whole = _means(ops.cast(weight > 0, self.dtype)) > 1 - 1e-4
        inside = slice(SSIM_RADIUS, -SSIM_RADIUS)
        return 1 - ops.mean(likeness, axis=-1), weight[..., inside, inside, 0] * ops.cast(whole[..., 0], self.dtype)


def _means(x: Tensor) -> Tensor:
    """Return means under the window wherever it fits whole: (…, H, W, C) → (…, H − 10, W − 10, C).

    Raises:
        ValueError: the frame is smaller than the window.
    """
    height, width = x.shape[-3], x.shape[-2]
    if height < SSIM_SIDE or width < SSIM_SIDE:
        raise ValueError(f"ssim needs frames of at least {SSIM_SIDE} × {SSIM_SIDE}, got {height} × {width}")
    rows = sum(w * x[..., at : height - 2 * SSIM_RADIUS + at, :, :] for at, w in enumerate(SSIM_WEIGHTS))
    return sum(w * rows[..., at : width - 2 * SSIM_RADIUS + at, :] for at, w in enumerate(SSIM_WEIGHTS))


class GradientDifference(PresentLoss):
    """Difference of the gradients between neighboring pixels: Mathieu, Couprie and LeCun (2016), ICLR, eq. 6.

    | |y_i − y_{i−1}| − |ŷ_i − ŷ_{i−1}| |^α along each spatial axis, summed over the axes, each the mean over its pairs
    of pixels that are both present. Blurred edges cost more than sharp ones; a forecast that is off by a constant costs
    nothing, so it is one term of a sum.

    Args:
        alpha: the exponent α; the paper has 1 and 2.
    """

    def terms(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return, (B, [T]) each, the sum of the axes' means, and the share of pixels that is present."""
        inside = tuple(range(-self.space - 1, 0))
        total = 0.0
        for axis in range(-self.space - 1, -1):
            both = _after(weight, axis) * _before(weight, axis)
            there, here = (ops.abs(_after(y, axis) - _before(y, axis)) for y in (y_true, y_pred))
            powers = _power(ops.abs(there - here), self.arguments["alpha"])
            gap = ops.mean(powers, axis=-1, keepdims=True)
            pairs = ops.sum(both, axis=inside)
            total = total + ops.sum(gap * both, axis=inside) / ops.where(pairs > 0, pairs, ops.ones_like(pairs))
        return total, ops.mean(weight, axis=inside)


def _after(x: Tensor, axis: int) -> Tensor:
    return ops.take(x, np.arange(1, x.shape[axis]), axis=axis)


def _before(x: Tensor, axis: int) -> Tensor:
    return ops.take(x, np.arange(x.shape[axis] - 1), axis=axis)


def _power(x: Tensor, exponent: float) -> Tensor:
    """Return x to the power of the exponent, x ≥ 0, with a finite gradient at 0."""
    if exponent == 1:
        return x
    return ops.square(x) if exponent == 2 else ops.power(x + 1e-6, exponent)


class SoftCSI(PresentLoss):
    """1 − CSI with soft events, 0 to 1, the mean over thresholds.

    A forecast value ŷ is an event to the degree s = sigmoid(k (ŷ − threshold)), an observed one is or is not. With
    H = Σ w s o, M = Σ w (1 − s) o and F = Σ w s (1 − o) over the samples of the batch and the pixels of a lead time,
    CSI = H / (H + M + F). A threshold that is neither forecast nor observed costs next to nothing.

    Args:
        thresholds: rising, in physical units; an event is a value at or above one.
        sharpness: k, in 1 / units of training: an event counts 0.73 where the forecast is 1 / k above the threshold.
    """

    def terms(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and weights, (1, [T]) each."""
        over = (0, *range(-self.space - 1, 0))
        lost = 0.0
        for edge in self.edges:
            level = ops.convert_to_tensor(edge, dtype=self.dtype)
            observed = ops.cast(y_true >= level, self.dtype)
            seen, said = weight * observed, weight * ops.sigmoid(self.arguments["sharpness"] * (y_pred - level))
            hits = ops.sum(said * observed, axis=over)
            either = ops.sum(seen, axis=over) + ops.sum(said, axis=over) - hits
            lost = lost + (either - hits) / (either + _LITTLE)
        values = ops.expand_dims(lost / len(self.edges), 0)
        return values, ops.expand_dims(ops.mean(weight, axis=over), 0)


_LITTLE = 1.0
"""Pixels added to H + M + F, so that a handful of stray tenths does not count as a lost event."""
