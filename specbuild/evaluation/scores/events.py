"""Scores of an event, a value at or above a threshold: contingency scores and the fractions skill score.

Contingency scores follow Wilks (2011), Statistical Methods in the Atmospheric Sciences, 3rd ed., section 8.2, with H
hits, M misses, F false alarms and R correct negatives, counted in pixels and pooled over windows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from specbuild.evaluation.scores.base import Family, Fields, Frame, OnDemand, Values, ratio


def csi(counts: Values) -> Values:
    """Critical success index H / (H + M + F), 0 to 1, 1 is best. Schaefer (1990), Weather Forecast. 5, 570.

    Counts are H, M, F and R, as in all these scores; one entry per lead time.
    """
    h, m, f, _ = counts
    return ratio(h, h + m + f)


def pod(counts: Values) -> Values:
    """Probability of detection H / (H + M), 0 to 1, 1 is best."""
    h, m, _, _ = counts
    return ratio(h, h + m)


def far(counts: Values) -> Values:
    """False alarm ratio F / (H + F), 0 to 1, 0 is best."""
    h, _, f, _ = counts
    return ratio(f, h + f)


def frequency_bias(counts: Values) -> Values:
    """Frequency bias (H + F) / (H + M), from 0, 1 is best, above 1 the event is forecast too often."""
    h, m, f, _ = counts
    return ratio(h + f, h + m)


def hss(counts: Values) -> Values:
    """Heidke skill score 2(HR − FM) / [(H + M)(M + R) + (H + F)(F + R)], −1 to 1, 1 is best, 0 is chance.

    Heidke (1926), Geogr. Ann. 8, 301.
    """
    h, m, f, r = counts
    return ratio(2 * (h * r - f * m), (h + m) * (m + r) + (h + f) * (f + r))


FORMULAS = {"csi": csi, "pod": pod, "far": far, "frequency_bias": frequency_bias, "hss": hss}
"""The scores of counts, by name."""


def events(threshold: float) -> Family:
    """The contingency scores at a threshold in physical units."""

    def measure(frame: Frame) -> tuple[float, ...]:
        said, seen = (at_or_above(values, threshold) for values in frame.pixels)
        hits = int(np.count_nonzero(said & seen))
        misses, false_alarms = int(np.count_nonzero(seen)) - hits, int(np.count_nonzero(said)) - hits
        return hits, misses, false_alarms, said.size - hits - misses - false_alarms

    return Family(4, measure, FORMULAS, threshold)


def at_or_above(values: Fields, threshold: float) -> npt.NDArray[np.bool_]:
    """Return where the event is; the threshold is rounded as the values are, so a float32 0.7 reaches 0.7."""
    return np.asarray(values >= values.dtype.type(threshold))


def fss(threshold: float, window: int) -> Family:
    """FSS = 1 − Σ(f − o)² / (Σf² + Σo²), with f and o the shares of event pixels in a square box around each pixel.

    Roberts and Lean (2008), Mon. Weather Rev. 136, 78, eqs. 5–7, with sums pooled over windows; 0 to 1, 1 is best. A
    box is `window` pixels wide and high, and if that is even extends one pixel further to the upper left. As in
    pySTEPS, there is no event outside the frame. A pixel that is missing in either field has no event in both, and the
    box around it is left out of the sums.

    Args:
        threshold: an event is a value at or above it, in physical units.
        window: width of the box in pixels.
    """

    def measure(frame: Frame) -> tuple[float, ...]:
        f, o = (
            _shares(at_or_above(values, threshold) & frame.known, window, frame.plane)[frame.known]
            for values in (frame.forecast, frame.observed)
        )
        return np.square(f - o).sum(), np.square(f).sum() + np.square(o).sum()

    return Family(2, measure, {"fss": lambda sums: 1 - ratio(sums[0], sums[1])}, threshold, window)


def _shares(events: npt.NDArray[np.bool_], width: int, axes: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """The share of events in the box around each pixel."""
    counts = events.astype(np.int64)
    for axis in axes:
        length = counts.shape[axis]
        sums = np.concatenate([np.zeros_like(counts.take([0], axis)), counts.cumsum(axis)], axis)
        first = np.arange(length) - width // 2
        counts = sums.take(np.minimum(first + width, length), axis) - sums.take(np.maximum(first, 0), axis)
    shares: npt.NDArray[np.float64] = counts / width ** len(axes)
    return shares


ON_DEMAND: OnDemand = {
    "fss": lambda setting: [
        fss(threshold, window) for threshold in setting.section.thresholds for window in setting.section.fss_windows
    ],
}
