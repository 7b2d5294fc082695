"""Losses that Keras does not have, each a mean over what is present.

Shapes: y_true and y_pred are (B, [T,] *space, C) in the units that the model is trained in; the weights of samples are
(B, [T,] *space) or anything that spreads over it from the left, 0 where a value is missing. What stands in y_true and
y_pred there does not matter. How many axes are space is an argument of each loss, as no shape tells it.

    Loss (Keras)
    └── PresentLoss            values and weights, then their mean
        ├── BalancedMSE, BalancedMAE
        ├── SSIM, GradientDifference, SoftCSI        losses_structure.py
        └── LeadWeighted, WeightedSum                losses_combined.py
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from specbuild.catalog.own_losses import RAIN, RAIN_WEIGHTS
from specbuild.model.backend import keras

ops = keras.ops
Tensor: TypeAlias = Any


class PresentLoss(keras.losses.Loss):  # type: ignore[misc]
    """A loss that knows the weights of samples, not only its own values."""

    def __init__(self, name: str, space: int = 2, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.space = space

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """One number: Σwv / Σw of the loss's values v and weights w, and 0 where every weight is 0."""
        values, weights = self.terms(*self.prepared(y_true, y_pred, sample_weight))
        return mean(values, weights)

    def prepared(self, y_true: Tensor, y_pred: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Single precision at least, weights (B, [T,] *space, 1), and both 0 where the weight is 0."""
        y_true, y_pred = (ops.convert_to_tensor(y, dtype=self.dtype) for y in (y_true, y_pred))
        weight = full_weight(weight, y_true, self.dtype)
        present = weight > 0
        return ops.where(present, y_true, 0.0), ops.where(present, y_pred, 0.0), weight

    @abstractmethod
    def terms(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Values and their weights in one shape, whose first axes are the batch and, where there is one, time."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.terms(*self.prepared(y_true, y_pred, None))[0]

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "space": self.space}


def full_weight(weight: Tensor | None, like: Tensor, dtype: str) -> Tensor:
    """The weights of samples spread over `like`, without its last axis but for a 1 in its place."""
    if weight is None:
        return ops.ones_like(like[..., :1])
    weight = ops.convert_to_tensor(weight, dtype=dtype)
    while len(weight.shape) < len(like.shape):
        weight = ops.expand_dims(weight, -1)
    return weight * ops.ones_like(like[..., :1])


def mean(values: Tensor, weights: Tensor) -> Tensor:
    """Σwv / Σw; 0 where nothing weighs."""
    total = ops.sum(weights)
    return ops.sum(values * weights) / ops.where(total > 0, total, ops.ones_like(total))


class _Balanced(PresentLoss):
    """Errors weighted by the observed value: w₀ below the first threshold, wᵢ from the i-th on.

    Shi et al. (2017), NeurIPS 30, section 4.2: B-MSE = Σ w (ŷ − y)² / N and B-MAE = Σ w |ŷ − y| / N, over the N values
    that are present; their weights are 1, 2, 5, 10 and 30 for rain below 2 and from 2, 5, 10 and 30 mm/h on. The error
    is in the units of training, the thresholds are physical.
    """

    def __init__(
        self,
        thresholds: Sequence[float] = RAIN,
        weights: Sequence[float] = RAIN_WEIGHTS,
        edges: Sequence[Sequence[float]] | None = None,
        space: int = 2,
        name: str = "balanced",
        dtype: Any = None,
    ) -> None:
        """Makes the loss.

        Args:
            thresholds: rising, in physical units.
        weights: one more than there are thresholds.
        edges: the thresholds as y_true has them, [threshold][channel]; None: y_true is physical.
        """
        super().__init__(name, space, dtype)
        self.thresholds, self.weights = tuple(thresholds), tuple(weights)
        self.edges = [list(edge) for edge in edges] if edges is not None else [[one] for one in self.thresholds]

    def terms(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        balance = ops.full_like(y_true, self.weights[0])
        for edge, step in zip(self.edges, _steps(self.weights), strict=True):
            reached = y_true >= ops.convert_to_tensor(edge, dtype=self.dtype)
            balance = balance + step * ops.cast(reached, self.dtype)
        return ops.mean(balance * self.error(y_pred - y_true), axis=-1), weight[..., 0]

    @abstractmethod
    def error(self, difference: Tensor) -> Tensor:
        """What is weighted."""

    def get_config(self) -> dict[str, Any]:
        own = {"thresholds": list(self.thresholds), "weights": list(self.weights), "edges": self.edges}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="specbuild")
class BalancedMSE(_Balanced):
    """Mean of w e², w by the observed value."""

    def error(self, difference: Tensor) -> Tensor:
        return ops.square(difference)


@keras.saving.register_keras_serializable(package="specbuild")
class BalancedMAE(_Balanced):
    """Mean of w |e|, w by the observed value."""

    def error(self, difference: Tensor) -> Tensor:
        return ops.abs(difference)


def _steps(weights: Sequence[float]) -> list[float]:
    """What each threshold adds to the weight."""
    return [after - before for before, after in pairwise(weights)]
