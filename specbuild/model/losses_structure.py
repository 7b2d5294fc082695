"""Losses of neighbourhoods and of events: SSIM, gradient difference, soft CSI. See `losses.py` for shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from specbuild.catalog.scores import SSIM_RADIUS, SSIM_SIDE, SSIM_SIGMA
from specbuild.model.backend import keras
from specbuild.model.losses import PresentLoss, Tensor

ops = keras.ops


@keras.saving.register_keras_serializable(package="specbuild")
class SSIM(PresentLoss):
    """1 − SSIM, 0 to 2: Wang et al. (2004), IEEE Trans. Image Process. 13, 600, eq. 13.

    Gaussian window of σ 1.5, 11 × 11 pixels; the mean over every window that lies in the frame and has nothing missing,
    over channels, frames and samples. It is of the values that the model is trained on.
    """

    def __init__(
        self,
        data_range: Sequence[float] | None = None,
        edges: Sequence[Sequence[float]] | None = None,
        space: int = 2,
        name: str = "ssim",
        dtype: Any = None,
    ) -> None:
        """Makes the loss.

        Args:
            data_range: least and greatest physical value; None: 0 and 1.
        edges: the two as y_true has them, [end][channel]; None: y_true is physical.

        Raises:
            ValueError: `space` is below 2: windows spread over height and width.
        """
        if space < 2:
            raise ValueError(f"ssim is of frames with height and width, got {space} axes of space")
        super().__init__(name, space, dtype)
        self.data_range = None if data_range is None else tuple(data_range)
        ends = self.data_range or (0.0, 1.0)
        self.edges = [list(edge) for edge in edges] if edges is not None else [[end] for end in ends]

    def terms(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Values and weights are (B, [T,] [D,] H − 10, W − 10)."""
        span = ops.convert_to_tensor(np.abs(np.array(self.edges[1]) - np.array(self.edges[0])), dtype=self.dtype)
        c1, c2 = ops.square(0.01 * span), ops.square(0.03 * span)
        mean_t, mean_p = _means(y_true), _means(y_pred)
        var_t = _means(ops.square(y_true)) - ops.square(mean_t)
        var_p = _means(ops.square(y_pred)) - ops.square(mean_p)
        covariance = _means(y_true * y_pred) - mean_t * mean_p
        likeness = (2 * mean_t * mean_p + c1) * (2 * covariance + c2)
        likeness = likeness / ((ops.square(mean_t) + ops.square(mean_p) + c1) * (var_t + var_p + c2))
        whole = _means(ops.cast(weight > 0, self.dtype)) > 1 - 1e-4
        inner = weight[
            ..., SSIM_RADIUS : weight.shape[-3] - SSIM_RADIUS, SSIM_RADIUS : weight.shape[-2] - SSIM_RADIUS, 0
        ]
        return 1 - ops.mean(likeness, axis=-1), inner * ops.cast(whole[..., 0], self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_range": self.data_range, "edges": self.edges}


_GAUSSIAN = np.exp(-0.5 * (np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1) / SSIM_SIGMA) ** 2)
_GAUSSIAN /= _GAUSSIAN.sum()


def _means(x: Tensor) -> Tensor:
    """Means under the window wherever it fits whole: (…, H, W, C) → (…, H − 10, W − 10, C).

    Raises:
        ValueError: the frame is smaller than the window.
    """
    height, width = x.shape[-3], x.shape[-2]
    if height < SSIM_SIDE or width < SSIM_SIDE:
        raise ValueError(f"ssim needs frames of at least {SSIM_SIDE} × {SSIM_SIDE}, got {height} × {width}")
    rows = sum(float(w) * x[..., first : height - 2 * SSIM_RADIUS + first, :, :] for first, w in enumerate(_GAUSSIAN))
    return sum(float(w) * rows[..., first : width - 2 * SSIM_RADIUS + first, :] for first, w in enumerate(_GAUSSIAN))


@keras.saving.register_keras_serializable(package="specbuild")
class GradientDifference(PresentLoss):
    """How much steps from pixel to pixel differ: Mathieu, Couprie and LeCun (2016), ICLR, eq. 6.

    | |y_i − y_{i−1}| − |ŷ_i − ŷ_{i−1}| |^α along each axis of space, summed over the axes, each the mean over its pairs
    of pixels that are both present. Blurred edges cost more than sharp ones; a forecast that is off by a constant costs
    nothing, so it is one term of a sum.
    """

    def __init__(
        self, alpha: float = 1.0, space: int = 2, name: str = "gradient_difference", dtype: Any = None
    ) -> None:
        """Makes the loss.

        Args:
            alpha: the exponent α; the paper has 1 and 2.

        Raises:
            ValueError: there is no axis of space.
        """
        if space < 1:
            raise ValueError("gradient_difference is of frames with space, got none")
        super().__init__(name, space, dtype)
        self.alpha = alpha

    def terms(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Values and weights are (B, [T]): the sum of the axes' means, and the share of pixels that is present."""
        inside = tuple(range(-self.space - 1, 0))
        total = 0.0
        for axis in range(-self.space - 1, -1):
            both = _after(weight, axis) * _before(weight, axis)
            there, here = (ops.abs(_after(y, axis) - _before(y, axis)) for y in (y_true, y_pred))
            gap = ops.mean(_power(ops.abs(there - here), self.alpha), axis=-1, keepdims=True)
            pairs = ops.sum(both, axis=inside)
            total = total + ops.sum(gap * both, axis=inside) / ops.where(pairs > 0, pairs, ops.ones_like(pairs))
        return total, ops.mean(weight, axis=inside)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


def _after(x: Tensor, axis: int) -> Tensor:
    return ops.take(x, np.arange(1, x.shape[axis]), axis=axis)


def _before(x: Tensor, axis: int) -> Tensor:
    return ops.take(x, np.arange(x.shape[axis] - 1), axis=axis)


def _power(x: Tensor, exponent: float) -> Tensor:
    """x to the power of the exponent, x ≥ 0, with a finite gradient at 0."""
    if exponent == 1:
        return x
    return ops.square(x) if exponent == 2 else ops.power(x + 1e-6, exponent)


@keras.saving.register_keras_serializable(package="specbuild")
class SoftCSI(PresentLoss):
    """1 − CSI with soft events, 0 to 1, the mean over thresholds.

    A forecast value ŷ is an event to the degree s = sigmoid(k (ŷ − threshold)), an observed one is or is not. With
    H = Σ w s o, M = Σ w (1 − s) o and F = Σ w s (1 − o) over the samples of the batch and the pixels of a lead time,
    CSI = H / (H + M + F). A threshold that is neither forecast nor observed costs next to nothing.
    """

    def __init__(
        self,
        thresholds: Sequence[float],
        sharpness: float = 10.0,
        edges: Sequence[Sequence[float]] | None = None,
        space: int = 2,
        name: str = "soft_csi",
        dtype: Any = None,
    ) -> None:
        """Makes the loss.

        Args:
            thresholds: rising, in physical units; an event is a value at or above one.
        sharpness: k, in 1 / units of training: an event counts 0.73 where the forecast is 1 / k above the threshold.
        edges: the thresholds as y_true has them, [threshold][channel]; None: y_true is physical.
        """
        super().__init__(name, space, dtype)
        self.thresholds, self.sharpness = tuple(thresholds), sharpness
        self.edges = [list(edge) for edge in edges] if edges is not None else [[one] for one in self.thresholds]

    def terms(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Values and weights are (1, [T])."""
        over = (0, *range(-self.space - 1, 0))
        lost = 0.0
        for edge in self.edges:
            level = ops.convert_to_tensor(edge, dtype=self.dtype)
            seen = weight * ops.cast(y_true >= level, self.dtype)
            said = weight * ops.sigmoid(self.sharpness * (y_pred - level))
            hits = ops.sum(said * ops.cast(y_true >= level, self.dtype), axis=over)
            either = ops.sum(seen, axis=over) + ops.sum(said, axis=over) - hits
            lost = lost + (either - hits) / (either + _LITTLE)
        values = ops.expand_dims(lost / len(self.edges), 0)
        return values, ops.expand_dims(ops.mean(weight, axis=over), 0)

    def get_config(self) -> dict[str, Any]:
        own = {"thresholds": list(self.thresholds), "sharpness": self.sharpness, "edges": self.edges}
        return {**super().get_config(), **own}


_LITTLE = 1.0
"""Pixels added to H + M + F, so that a handful of stray tenths is no lost event."""
