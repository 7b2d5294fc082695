"""Scores of forecasts per lead time, gathered forecast by forecast.

Forecasts and observations are in physical units, (F, *space, C), NaN where missing. A pixel counts where both are
known. Sums and counts are pooled over pixels, channels and samples; every score is computed from them at the end, so
that no score is a mean of scores. A score whose denominator is 0 is NaN, and shows as –.

Contingency scores follow Wilks (2011), Statistical Methods in the Atmospheric Sciences, 3rd ed., section 8.2. With
H hits, M misses, F false alarms and R correct negatives, an event is a value at or above the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.run.score_table import ScoreColumn, ScoreTable

Values: TypeAlias = npt.NDArray[np.float64]
Frames: TypeAlias = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Errors:
    """Sums of e = forecast − observation over `count` pixels; one entry per lead time."""

    count: Values
    error: Values
    absolute: Values
    squared: Values


@dataclass(frozen=True, slots=True)
class Contingency:
    """Pixels by what was forecast and what was observed; one entry per lead time."""

    hits: Values
    misses: Values
    false_alarms: Values
    correct_negatives: Values


def bias(errors: Errors) -> Values:
    """Mean error Σe / n, in the units of the data; 0 is best, above 0 the forecast is too high."""
    return _ratio(errors.error, errors.count)


def mae(errors: Errors) -> Values:
    """Mean absolute error Σ|e| / n, in the units of the data; 0 is best."""
    return _ratio(errors.absolute, errors.count)


def mse(errors: Errors) -> Values:
    """Mean squared error Σe² / n, in the units of the data squared; 0 is best."""
    return _ratio(errors.squared, errors.count)


def rmse(errors: Errors) -> Values:
    """Root mean squared error √(Σe² / n), in the units of the data; 0 is best."""
    return np.sqrt(mse(errors))


def csi(table: Contingency) -> Values:
    """Critical success index H / (H + M + F), 0 to 1, 1 is best. Schaefer (1990), Weather Forecast. 5, 570."""
    return _ratio(table.hits, table.hits + table.misses + table.false_alarms)


def pod(table: Contingency) -> Values:
    """Probability of detection H / (H + M), 0 to 1, 1 is best."""
    return _ratio(table.hits, table.hits + table.misses)


def far(table: Contingency) -> Values:
    """False alarm ratio F / (H + F), 0 to 1, 0 is best."""
    return _ratio(table.false_alarms, table.hits + table.false_alarms)


def frequency_bias(table: Contingency) -> Values:
    """Frequency bias (H + F) / (H + M), from 0, 1 is best, above 1 the event is forecast too often."""
    return _ratio(table.hits + table.false_alarms, table.hits + table.misses)


def hss(table: Contingency) -> Values:
    """Heidke skill score 2(HR − FM) / [(H + M)(M + R) + (H + F)(F + R)], −1 to 1, 1 is best, 0 is chance.

    Heidke (1926), Geogr. Ann. 8, 301.
    """
    h, m, f, r = table.hits, table.misses, table.false_alarms, table.correct_negatives
    return _ratio(2 * (h * r - f * m), (h + m) * (m + r) + (h + f) * (f + r))


ERROR_SCORES: dict[str, Callable[[Errors], Values]] = {"MSE": mse, "MAE": mae, "RMSE": rmse, "bias": bias}
CONTINGENCY_SCORES: dict[str, Callable[[Contingency], Values]] = {
    "CSI": csi,
    "POD": pod,
    "FAR": far,
    "BIAS": frequency_bias,
    "HSS": hss,
}
"""Every score by its name, in the order of tables."""


class Scores:
    """Gathers the sums and counts of one kind of forecast; they take the same memory however many are added."""

    def __init__(self, leads: int, thresholds: Sequence[float] = ()) -> None:
        self._thresholds = tuple(thresholds)
        self._sums = np.zeros((4, leads))  # count, error, absolute, squared
        self._counts = np.zeros((len(self._thresholds), 4, leads))  # hits, misses, false alarms, correct negatives

    def add(self, forecast: Frames, observed: Frames) -> None:
        """Counts one forecast (F, *space, C) against what was observed, in the same shape and units.

        Raises:
            ValueError: the shapes differ, or there are not as many frames as lead times.
        """
        if forecast.shape != observed.shape or len(forecast) != self._sums.shape[1]:
            leads = self._sums.shape[1]
            raise ValueError(f"expected {leads} frames of one shape, got {forecast.shape} and {observed.shape}")
        for lead, (f, o) in enumerate(zip(forecast, observed, strict=True)):
            known = ~(np.isnan(f) | np.isnan(o))
            f, o = f[known], o[known]
            error = f.astype(np.float64) - o
            self._sums[:, lead] += (error.size, error.sum(), np.abs(error).sum(), np.square(error).sum())
            for number, threshold in enumerate(self._thresholds):
                said, seen = f >= f.dtype.type(threshold), o >= o.dtype.type(threshold)
                hits = np.count_nonzero(said & seen)
                misses, false_alarms = np.count_nonzero(seen) - hits, np.count_nonzero(said) - hits
                rest = error.size - hits - misses - false_alarms
                self._counts[number, :, lead] += (hits, misses, false_alarms, rest)

    def errors(self) -> Errors:
        return Errors(*self._sums)

    def contingency(self, threshold: float) -> Contingency:
        """The counts at one of the thresholds."""
        return Contingency(*self._counts[self._thresholds.index(threshold)])

    def table(self, name: str, leads: Sequence[str]) -> ScoreTable:
        """Every score at every lead time, and pooled over all of them.

        Args:
            name: whose forecasts these are: `model`, `persistence`.
            leads: labels of the lead times.
        """
        columns: list[ScoreColumn] = []
        errors, pooled = Errors(*self._sums), Errors(*self._sums.sum(axis=1, keepdims=True))
        for label, score in ERROR_SCORES.items():
            columns.append(ScoreColumn(label, None, _floats(score(errors)), float(score(pooled)[0])))
        for threshold, counts in zip(self._thresholds, self._counts, strict=True):
            per_lead, overall = Contingency(*counts), Contingency(*counts.sum(axis=1, keepdims=True))
            for label, rate in CONTINGENCY_SCORES.items():
                columns.append(ScoreColumn(label, threshold, _floats(rate(per_lead)), float(rate(overall)[0])))
        return ScoreTable(name, tuple(leads), tuple(columns))


def _ratio(numerator: Values, denominator: Values) -> Values:
    ratio: Values = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=ratio, where=denominator != 0)
    return ratio


def _floats(values: Values) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
