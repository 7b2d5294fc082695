"""Correlation of forecast and observation, and of their anomalies (ACC)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from specbuild.evaluation.scores.base import Family, Fields, Frame, OnDemand, Values, ratio


def centred(sums: Values) -> Values:
    """Pearson's correlation of x and y from n, Σx, Σy, Σx², Σy² and Σxy, weighted or not; −1 to 1.

    NaN where x or y is the same everywhere, up to rounding.
    """
    n, x, y, xx, yy, xy = sums
    return ratio(n * xy - x * y, _spread(n, x, xx) * _spread(n, y, yy))


def uncentred(sums: Values) -> Values:
    """Σxy / √(Σx² Σy²): as Pearson's, about 0 instead of the means."""
    _, _, _, xx, yy, xy = sums
    return ratio(xy, np.sqrt(xx) * np.sqrt(yy))


def correlation() -> Family:
    """Pearson's correlation over all pixels, channels and windows, −1 to 1, 1 is best; insensitive to bias."""
    return Family(6, _FromFirstMean(), {"correlation": centred})


def acc(weights: Values | None, reference: str, names: Sequence[str]) -> Family:
    """Anomaly correlation coefficient, −1 to 1, 1 is best: Wilks (2011), section 8.6.4.

    With anomalies f' = f − c and o' = o − c from the climatology c, `ACC` is uncentered, Σw f'o' / √(Σw f'² Σw o'²);
    `ACC (centred)` takes the weighted means of f' and o' away first. Sums are over pixels, channels and windows.

    Args:
        weights: of the pixels' areas, in a shape that spreads over a frame; None: all equal.
        reference: what c is, in words.
        names: which of `acc` and `acc_centred`.
    """

    def measure(frame: Frame) -> Sequence[float]:
        assert frame.climatology is not None
        f, o = (values.astype(np.float64) - frame.climatology for values in (frame.forecast, frame.observed))
        known = frame.known & ~np.isnan(frame.climatology)
        w = None if weights is None else np.broadcast_to(weights, known.shape)[known]
        return _moments(f[known], o[known], w)

    area = ", pixels weighted by cell area" if weights is not None else ""
    formulas = {"acc": uncentred, "acc_centred": centred}
    return Family(6, measure, {name: formulas[name] for name in names}, words={"climatology": reference, "area": area})


class _FromFirstMean:
    """Moments about the mean of the first frame: where the mean is large, sums of squares would lose the spread."""

    def __init__(self) -> None:
        self.origin: float | None = None

    def __call__(self, frame: Frame) -> Sequence[float]:
        f, o = frame.pixels
        if self.origin is None and o.size:
            self.origin = float(o.mean(dtype=np.float64))
        return _moments(f - np.float64(self.origin or 0), o - np.float64(self.origin or 0), None)


def _spread(n: Values, x: Values, xx: Values) -> Values:
    """√(n Σx² − (Σx)²), 0 where nothing but rounding is left of it."""
    squared = n * xx - x * x
    return np.sqrt(np.where(squared > 1e-12 * n * xx, squared, 0))


def _moments(x: Fields, y: Fields, w: Values | None) -> Sequence[float]:
    if w is None:
        return x.size, x.sum(), y.sum(), np.square(x).sum(), np.square(y).sum(), (x * y).sum()
    return w.sum(), (w * x).sum(), (w * y).sum(), (w * x * x).sum(), (w * y * y).sum(), (w * x * y).sum()


ON_DEMAND: OnDemand = {
    "correlation": lambda _: [correlation()],
    "acc": lambda setting: [acc(setting.weights, setting.reference, ("acc",))],
    "acc_centred": lambda setting: [acc(setting.weights, setting.reference, ("acc_centred",))],
}
