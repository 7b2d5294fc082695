"""Fractions skill score: whether an event is forecast near where it was observed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from specbuild.evaluation.scores.base import Family, Frame, Score, ratio
from specbuild.evaluation.scores.events import at_or_above


def fss(threshold: float, window: int) -> Family:
    """FSS = 1 − Σ(f − o)² / (Σf² + Σo²), with f and o the shares of event pixels in a square box around each pixel.

    Roberts and Lean (2008), Mon. Weather Rev. 136, 78, eqs. 5–7, with sums pooled over windows; 0 to 1, 1 is best. A
    box is `window` pixels wide and high and reaches one further to the upper left if that is even. As in pySTEPS, what
    lies outside of the frame holds no event. A pixel that is missing in either holds no event in both, and the box
    around it is left out of the sums.

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

    convention = (
        "1 - sum of (f - o)^2 / (sum of f^2 + sum of o^2), f and o the shares of event pixels in a square box around "
        "each pixel; outside of the frame and where a pixel is missing there is no event"
    )
    return Family(2, measure, (Score("FSS", "", 1, convention, lambda s: 1 - ratio(s[0], s[1])),), threshold, window)


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
