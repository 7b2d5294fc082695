"""Losses made of losses: with weights of lead times, and weighted sums. See `losses.py` for shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from specbuild.model.backend import Registered, keras
from specbuild.model.losses import PresentLoss, Tensor, full_weight, mean

ops = keras.ops


class LeadWeighted(Registered, keras.losses.Loss):  # type: ignore[misc]
    """A loss whose lead times count differently: its values at frame t times wₜ, the w with mean 1.

    The normalization of the loss is unchanged, so equal weights change nothing.
    """

    def __init__(self, loss: Any, weights: Sequence[float], name: str | None = None, dtype: Any = None) -> None:
        """Make the loss.

        Args:
            loss: a loss of Keras, of ours or of a plugin, or a function of y_true and y_pred.
            weights: one for each frame, from 0, not all 0.
        """
        loss = _loss(loss)
        super().__init__(name=name or loss.name, reduction=loss.reduction, dtype=dtype)
        self.loss, self.weights = loss, tuple(weights)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        y_true, y_pred = (ops.convert_to_tensor(y, dtype=self.dtype) for y in (y_true, y_pred))
        if isinstance(self.loss, PresentLoss):
            values, weight = self.loss.terms(*self.loss.prepared(y_true, y_pred, sample_weight))
            return mean(values * self._spread(values), weight)
        values = self.call(y_true, y_pred)
        weight = full_weight(sample_weight, ops.expand_dims(values, -1), self.dtype)[..., 0]
        return _reduced(values, weight, self.reduction)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        values = self.loss.call(y_true, y_pred)
        return values * self._spread(values)

    def _spread(self, values: Tensor) -> Tensor:
        """The weights along the time axis, (1, T, 1, …).

        Raises:
            ValueError: the loss has no values by frame, or not as many frames as there are weights.
        """
        if len(values.shape) < 2:
            raise ValueError(f"{self.loss.name} is one number for all lead times, so they cannot weigh differently")
        if values.shape[1] != len(self.weights):
            raise ValueError(f"there are {len(self.weights)} weights of lead times, and {values.shape[1]} frames")
        weights = np.asarray(self.weights) / np.mean(self.weights)
        return ops.convert_to_tensor(weights.reshape(1, -1, *(1,) * (len(values.shape) - 2)), dtype=self.dtype)

    def get_config(self) -> dict[str, Any]:
        loss = keras.saving.serialize_keras_object(self.loss)
        return {"loss": loss, "weights": list(self.weights), "name": self.name}


class WeightedSum(Registered, keras.losses.Loss):  # type: ignore[misc]
    """Σ λᵢ Lᵢ of losses, each reduced by itself."""

    def __init__(self, losses: Sequence[Any], weights: Sequence[float], name: str = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.losses, self.weights = [_loss(loss) for loss in losses], tuple(weights)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        return sum(
            weight * loss(y_true, y_pred, sample_weight) for loss, weight in zip(self.losses, self.weights, strict=True)
        )

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        losses = [keras.saving.serialize_keras_object(loss) for loss in self.losses]
        return {"losses": losses, "weights": list(self.weights), "name": self.name}


def _loss(loss: Any) -> Any:
    """The loss as an object: what Keras serialized, a name or a function too."""
    if isinstance(loss, dict):
        loss = keras.saving.deserialize_keras_object(loss)
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    return loss if isinstance(loss, keras.losses.Loss) else _Function(loss)


class _Function(Registered, keras.losses.Loss):  # type: ignore[misc]
    """A function of y_true and y_pred as a loss."""

    def __init__(self, function: Any, reduction: str = "mean_with_sample_weight", name: str | None = None) -> None:
        function = keras.saving.deserialize_keras_object(function) if isinstance(function, dict) else function
        super().__init__(name=name or getattr(function, "__name__", "loss"), reduction=reduction)
        self.function = function

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.function(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {
            "function": keras.saving.serialize_keras_object(self.function),
            "reduction": self.reduction,
            "name": self.name,
        }


def _reduced(values: Tensor, weight: Tensor, reduction: str | None) -> Tensor:
    """Values (B, T, …) as Keras reduces them."""
    if reduction == "sum":
        return ops.sum(values * weight)
    if reduction == "sum_over_batch_size":
        return ops.mean(values * weight)
    return mean(values, weight)
