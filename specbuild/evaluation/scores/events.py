"""Contingency scores of an event: a value at or above a threshold.

They follow Wilks (2011), Statistical Methods in the Atmospheric Sciences, 3rd ed., section 8.2, with H hits, M misses,
F false alarms and R correct negatives, counted in pixels and pooled over windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from specbuild.evaluation.scores.base import Family, Frame, Frames, Score, Values, ratio


@dataclass(frozen=True, slots=True)
class Contingency:
    """Pixels by what was forecast and what was observed; one entry per lead time."""

    hits: Values
    misses: Values
    false_alarms: Values
    correct_negatives: Values


def csi(table: Contingency) -> Values:
    """Critical success index H / (H + M + F), 0 to 1, 1 is best. Schaefer (1990), Weather Forecast. 5, 570."""
    return ratio(table.hits, table.hits + table.misses + table.false_alarms)


def pod(table: Contingency) -> Values:
    """Probability of detection H / (H + M), 0 to 1, 1 is best."""
    return ratio(table.hits, table.hits + table.misses)


def far(table: Contingency) -> Values:
    """False alarm ratio F / (H + F), 0 to 1, 0 is best."""
    return ratio(table.false_alarms, table.hits + table.false_alarms)


def frequency_bias(table: Contingency) -> Values:
    """Frequency bias (H + F) / (H + M), from 0, 1 is best, above 1 the event is forecast too often."""
    return ratio(table.hits + table.false_alarms, table.hits + table.misses)


def hss(table: Contingency) -> Values:
    """Heidke skill score 2(HR − FM) / [(H + M)(M + R) + (H + F)(F + R)], −1 to 1, 1 is best, 0 is chance.

    Heidke (1926), Geogr. Ann. 8, 301.
    """
    h, m, f, r = table.hits, table.misses, table.false_alarms, table.correct_negatives
    return ratio(2 * (h * r - f * m), (h + m) * (m + r) + (h + f) * (f + r))


def _score(name: str, best: float, convention: str, formula: Callable[[Contingency], Values]) -> Score:
    return Score(name, "", best, convention, lambda sums: formula(Contingency(*sums)))


SCORES = (
    _score("CSI", 1, "H / (H + M + F): hits, misses and false alarms in pixels, pooled over windows", csi),
    _score("POD", 1, "H / (H + M)", pod),
    _score("FAR", 0, "F / (H + F)", far),
    _score("BIAS", 1, "(H + F) / (H + M); above 1 the event is forecast too often", frequency_bias),
    _score("HSS", 1, "2(HR - FM) / [(H + M)(M + R) + (H + F)(F + R)]; R correct negatives; 0 is chance", hss),
)


def events(threshold: float) -> Family:
    """The contingency scores at a threshold in physical units."""

    def measure(frame: Frame) -> tuple[float, ...]:
        said, seen = (at_or_above(values, threshold) for values in frame.pixels)
        hits = int(np.count_nonzero(said & seen))
        misses, false_alarms = int(np.count_nonzero(seen)) - hits, int(np.count_nonzero(said)) - hits
        return hits, misses, false_alarms, said.size - hits - misses - false_alarms

    return Family(4, measure, SCORES, threshold)


def at_or_above(values: Frames, threshold: float) -> npt.NDArray[np.bool_]:
    """Where the event is; the threshold is rounded as the values are, so that a float32 0.7 reaches 0.7."""
    return np.asarray(values >= values.dtype.type(threshold))
