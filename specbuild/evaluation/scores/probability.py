"""Scores of forecast distributions: CRPS, spread beside the error of the mean, and the Brier score.

A forecast of one value counts as the distribution that is certain of it: its CRPS is the absolute error, its spread 0.
"""

from __future__ import annotations

import numpy as np

from specbuild.evaluation.scores.base import Family, Frame, Values, ratio


def crps() -> Family:
    """Continuous ranked probability score, the mean over pixels, channels and windows, in the units of the data."""

    def measure(frame: Frame) -> tuple[float, ...]:
        forecast, observed = frame.distributed
        return observed.size, float(forecast.crps(observed).sum())

    return Family(2, measure, {"crps": lambda sums: ratio(sums[1], sums[0])})


def spread() -> Family:
    """Spread, the root of the mean variance, beside the RMSE of the mean: they are equal if the spread is right."""

    def measure(frame: Frame) -> tuple[float, ...]:
        forecast, observed = frame.distributed
        error = forecast.mean - observed.astype(np.float64)
        return observed.size, float(np.square(error).sum()), float(forecast.variance.sum())

    return Family(
        3,
        measure,
        {
            "rmse_mean": lambda sums: np.sqrt(ratio(sums[1], sums[0])),
            "spread": lambda sums: np.sqrt(ratio(sums[2], sums[0])),
        },
    )


def brier(threshold: float) -> Family:
    """Brier score Σ(p − o)² / n of a value at or above a threshold in physical units, 0 to 1; 0 is best.

    p is the forecast probability, o is 1 where the event was observed and 0 elsewhere.
    """

    def measure(frame: Frame) -> tuple[float, ...]:
        forecast, observed = frame.distributed
        event = observed >= observed.dtype.type(threshold)
        return observed.size, float(np.square(forecast.exceeding(threshold) - event).sum())

    def score(sums: Values) -> Values:
        return ratio(sums[1], sums[0])

    return Family(2, measure, {"brier": score}, threshold)
