"""Similarity of pictures: SSIM and PSNR, each a mean over frames."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from specbuild.catalog.scores import SSIM_SIDE, SSIM_WEIGHTS
from specbuild.evaluation.scores.base import Family, Fields, Frame, OnDemand, Values, ratio


def ssim(low: float, high: float, clip: bool) -> Family:
    """Structural similarity, −1 to 1, 1 is best: Wang et al. (2004), IEEE Trans. Image Process. 13, 600, eq. 13.

    SSIM = (2μ_f μ_o + C₁)(2σ_fo + C₂) / [(μ_f² + μ_o² + C₁)(σ_f² + σ_o² + C₂)] with C₁ = (0.01 R)², C₂ = (0.03 R)²,
    moments under a Gaussian window of σ 1.5 pixels, 11 × 11, weights that sum to 1 (no sample covariance). It is
    averaged over every pixel whose whole window lies in the frame and is known, then over channels, levels and frames.
    With scikit-image: `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`.

    Args:
        low, high: the data range, in physical units; R = high − low.
        clip: whether forecasts and observations are clipped to the range first.
    """
    c1, c2 = (0.01 * (high - low)) ** 2, (0.03 * (high - low)) ** 2

    def measure(frame: Frame) -> tuple[float, ...]:
        axes = frame.plane
        whole = _means(frame.known.astype(np.float64), axes) > 1 - 1e-9
        f, o = (
            np.where(frame.known, _double(values, low, high, clip), 0) for values in (frame.forecast, frame.observed)
        )
        mean_f, mean_o = _means(f, axes), _means(o, axes)
        var_f, var_o = _means(f * f, axes) - mean_f**2, _means(o * o, axes) - mean_o**2
        covariance = _means(f * o, axes) - mean_f * mean_o
        likeness = (2 * mean_f * mean_o + c1) * (2 * covariance + c2)
        likeness /= (mean_f**2 + mean_o**2 + c1) * (var_f + var_o + c2)
        counts = whole.sum(axes)
        planes = ratio(np.where(whole, likeness, 0).sum(axes), counts.astype(np.float64))
        return int(np.count_nonzero(counts)), float(np.nansum(planes))

    return Family(2, measure, {"ssim": lambda sums: ratio(sums[1], sums[0])}, words=_range(low, high, clip))


def psnr(low: float, high: float, clip: bool) -> Family:
    """Peak signal-to-noise ratio: mean over frames of −10 log₁₀(MSE / R²), in dB; more is better.

    The MSE is that of one frame, over its pixels and channels. A frame without an error makes it infinite.

    Args:
        low, high: the data range, in physical units; R = high − low.
        clip: whether forecasts and observations are clipped to the range first.
    """

    def measure(frame: Frame) -> tuple[float, ...]:
        f, o = (_double(values, low, high, clip) for values in frame.pixels)
        if not f.size:
            return 0, 0
        mean = float(np.square(f - o).mean())
        return 1, -10 * np.log10(mean / (high - low) ** 2) if mean > 0 else np.inf

    return Family(2, measure, {"psnr": lambda sums: ratio(sums[1], sums[0])}, words=_range(low, high, clip))


def _range(low: float, high: float, clip: bool) -> dict[str, str]:
    return {"range": f"{low:g} to {high:g}{', values clipped to it' if clip else ''}"}


def _double(values: Fields, low: float, high: float, clip: bool) -> Values:
    double = values.astype(np.float64)
    return np.clip(double, low, high) if clip else double


def _means(x: Values, axes: tuple[int, ...]) -> Values:
    """Return means under the window wherever it fits whole: each axis becomes shorter by 10."""
    for axis in axes:
        x = sliding_window_view(x, SSIM_SIDE, axis) @ np.array(SSIM_WEIGHTS)
    return x


ON_DEMAND: OnDemand = {
    "ssim": lambda setting: [ssim(*setting.data_range)],
    "psnr": lambda setting: [psnr(*setting.data_range)],
}
