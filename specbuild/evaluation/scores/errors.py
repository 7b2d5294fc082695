"""Errors of pixels: MSE, MAE, RMSE, bias, their sums over a frame, and RMSE by area. e = forecast − observation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specbuild.evaluation.scores.base import Family, Frame, Score, Values, ratio


@dataclass(frozen=True, slots=True)
class Errors:
    """Sums of e over `count` pixels; one entry per lead time."""

    count: Values
    error: Values
    absolute: Values
    squared: Values


def bias(errors: Errors) -> Values:
    """Mean error Σe / n, in the units of the data; 0 is best, above 0 the forecast is too high."""
    return ratio(errors.error, errors.count)


def mae(errors: Errors) -> Values:
    """Mean absolute error Σ|e| / n, in the units of the data; 0 is best."""
    return ratio(errors.absolute, errors.count)


def mse(errors: Errors) -> Values:
    """Mean squared error Σe² / n, in the units of the data squared; 0 is best."""
    return ratio(errors.squared, errors.count)


def rmse(errors: Errors) -> Values:
    """Root mean squared error √(Σe² / n), in the units of the data; 0 is best.

    Pooled over windows before the root is taken, so it is no mean of the windows' RMSE.
    """
    return np.sqrt(mse(errors))


def measure(frame: Frame) -> tuple[float, ...]:
    """Adds n, Σe, Σ|e| and Σe²."""
    e = frame.error
    return e.size, e.sum(), np.abs(e).sum(), np.square(e).sum()


ERRORS = Family(
    4,
    measure,
    (
        Score("MSE", "data²", 0, "mean of e^2, e = forecast - observation", lambda sums: mse(Errors(*sums))),
        Score("MAE", "data", 0, "mean of |e|", lambda sums: mae(Errors(*sums))),
        Score("RMSE", "data", 0, "root of the mean of e^2 over all windows", lambda sums: rmse(Errors(*sums))),
        Score("bias", "data", 0, "mean of e; above 0 the forecast is too high", lambda sums: bias(Errors(*sums))),
    ),
)


def measure_summed(frame: Frame) -> tuple[float, ...]:
    """Adds the frame, unless nothing of it is known, its Σe² and its Σ|e|."""
    e = frame.error
    return float(e.size > 0), np.square(e).sum(), np.abs(e).sum()


MSE_SUM = Score(
    "MSE (sum)",
    "data²",
    0,
    "sum of e^2 over a frame's pixels and channels, mean over windows (OpenSTL's MSE of Moving MNIST); nothing clipped",
    lambda sums: ratio(sums[1], sums[0]),
)
MAE_SUM = Score(
    "MAE (sum)",
    "data",
    0,
    "sum of |e| over a frame's pixels and channels, mean over windows (OpenSTL's MAE); nothing clipped",
    lambda sums: ratio(sums[2], sums[0]),
)


def latitude_rmse(weights: Values) -> Family:
    """RMSE of pixels weighted by the area of their cells, √(Σwe² / Σw).

    Args:
        weights: by pixel, (H, 1, 1) or any shape that spreads over a frame; mean 1.
    """

    def measure(frame: Frame) -> tuple[float, ...]:
        w = np.broadcast_to(weights, frame.observed.shape)[frame.known]
        return w.sum(), (w * np.square(frame.error)).sum()

    score = Score(
        "RMSE (latitude)",
        "data",
        0,
        "root of the mean of e^2 with weights by cell area: sine of the northern less that of the southern edge of "
        "each row, mean 1",
        lambda sums: np.sqrt(ratio(sums[1], sums[0])),
    )
    return Family(2, measure, (score,))
