"""Errors of pixels: MSE, MAE, RMSE, bias, their sums over a frame, and RMSE by area. e = forecast − observation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from specbuild.evaluation.scores.base import Family, Frame, OnDemand, Setting, Values, ratio


def mse(sums: Values) -> Values:
    """Mean squared error Σe² / n, in the units of the data squared; 0 is best. Sums are those of `measure`."""
    count, _, _, squared = sums
    return ratio(squared, count)


def mae(sums: Values) -> Values:
    """Mean absolute error Σ|e| / n, in the units of the data; 0 is best."""
    count, _, absolute, _ = sums
    return ratio(absolute, count)


def rmse(sums: Values) -> Values:
    """Root mean squared error √(Σe² / n), in the units of the data; 0 is best.

    Pooled over windows before the root is taken, so it is not a mean of the windows' RMSE.
    """
    return np.sqrt(mse(sums))


def bias(sums: Values) -> Values:
    """Mean error Σe / n, in the units of the data; 0 is best, above 0 the forecast is too high."""
    count, error, _, _ = sums
    return ratio(error, count)


def measure(frame: Frame) -> tuple[float, ...]:
    """Return n, Σe, Σ|e| and Σe²."""
    e = frame.error
    return e.size, e.sum(), np.abs(e).sum(), np.square(e).sum()


ERRORS = Family(4, measure, {"mse": mse, "mae": mae, "rmse": rmse, "bias": bias})


_COSTS: dict[str, Callable[[Values], Values]] = {"mse_sum": np.square, "mae_sum": np.abs}


def summed(name: str) -> Family:
    """Squared or absolute errors summed over a frame, mean over the windows in which any pixel of it is known."""

    def measure(frame: Frame) -> tuple[float, ...]:
        return float(frame.error.size > 0), _COSTS[name](frame.error).sum()

    return Family(2, measure, {name: lambda sums: ratio(sums[1], sums[0])})


def latitude_rmse(weights: Values) -> Family:
    """RMSE of pixels weighted by the area of their cells, √(Σwe² / Σw).

    Args:
        weights: by pixel, (H, 1, 1) or any shape that spreads over a frame; mean 1.
    """

    def measure(frame: Frame) -> tuple[float, ...]:
        w = np.broadcast_to(weights, frame.observed.shape)[frame.known]
        return w.sum(), (w * np.square(frame.error)).sum()

    return Family(2, measure, {"rmse_latitude": lambda sums: np.sqrt(ratio(sums[1], sums[0]))})


def _latitude(setting: Setting) -> list[Family]:
    return [] if setting.weights is None else [latitude_rmse(setting.weights)]


ON_DEMAND: OnDemand = {
    "mse_sum": lambda _: [summed("mse_sum")],
    "mae_sum": lambda _: [summed("mae_sum")],
    "rmse_latitude": _latitude,
}
