"""Every score against an independent reference: scikit-image, scikit-learn, SciPy, pySTEPS, or an example by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import ndimage, stats
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn import metrics

from specbuild.evaluation.forecast_scores import ScoreColumn
from specbuild.evaluation.scores import Family, Frame, Scores
from specbuild.evaluation.scores.correlation import acc, correlation
from specbuild.evaluation.scores.errors import ERRORS, latitude_rmse, summed
from specbuild.evaluation.scores.events import events, fss
from specbuild.evaluation.scores.selection import latitude_weights
from specbuild.evaluation.scores.structure import psnr, ssim

Y, X = np.mgrid[:24, :30]
FORECAST = ((3 * X + 5 * Y + (X * Y) % 7) % 13).astype(float)
OBSERVED = ((3 * X + 5 * Y + (X * Y) % 5 + 2) % 13).astype(float)
"""Fields by formula, so that the reference values can be had anew from anything."""


def column(family: Family, forecast: np.ndarray, observed: np.ndarray, number: int = 0, **more: Any) -> ScoreColumn:
    """One score of forecasts (F, *space, C)."""
    scores = Scores(len(forecast), families=[family])
    scores.add(forecast, observed, **more)
    return scores.table("model", [str(lead) for lead in range(len(forecast))]).columns[number]


def of(family: Family, forecast: np.ndarray, observed: np.ndarray, number: int = 0, **more: Any) -> float:
    """One score of one frame (H, W)."""
    shaped = (values[np.newaxis, ..., np.newaxis] for values in (forecast, observed))
    return column(family, *shaped, number=number, **more).values[0]


PYSTEPS = {
    (6.0, 1): 0.6649484536082475,
    (6.0, 2): 0.8727272727272728,
    (6.0, 5): 0.9833409082963327,
    (6.0, 8): 0.9927810986826566,
    (11.0, 1): 0.1964285714285714,
    (11.0, 2): 0.46437994722955145,
    (11.0, 5): 0.8749033695602747,
    (11.0, 8): 0.961945808693328,
}
"""`pysteps.verification.spatialscores.fss` of the fields above, pySTEPS 1.21.5: threshold, width of the box."""


@pytest.mark.parametrize(("threshold", "window"), PYSTEPS)
def test_fss_as_pysteps_has_it(threshold: float, window: int) -> None:
    assert of(fss(threshold, window), FORECAST, OBSERVED) == pytest.approx(PYSTEPS[threshold, window], rel=1e-6)


@pytest.mark.parametrize("window", [1, 3, 4])
def test_fss_leaves_missing_pixels_out(window: int) -> None:
    forecast, observed = FORECAST.copy(), OBSERVED.copy()
    forecast[5:9, 3], observed[0, :7] = np.nan, np.nan
    known = ~(np.isnan(forecast) | np.isnan(observed))
    f, o = (
        ndimage.uniform_filter(((values >= 6) & known).astype(float), window, mode="constant")[known]
        for values in (forecast, observed)
    )
    expected = 1 - np.square(f - o).sum() / (np.square(f) + np.square(o)).sum()
    assert of(fss(6, window), forecast, observed) == pytest.approx(expected, rel=1e-12)


def test_fss_by_hand() -> None:
    """One event, forecast two pixels off: no box of 1 has both; boxes of 3 share one pixel of the five that see one."""
    observed, forecast = np.zeros((1, 9)), np.zeros((1, 9))
    observed[0, 3], forecast[0, 5] = 1, 1
    assert of(fss(1, 1), forecast, observed) == 0
    row = lambda values: values[np.newaxis, 0, :, np.newaxis]  # noqa: E731  (F, L, C)
    assert column(fss(1, 3), row(forecast), row(observed)).values[0] == pytest.approx(1 - 4 / 6)


def test_contingency_as_pysteps_and_scikit_learn_have_it() -> None:
    """`pysteps.verification.detcatscores.det_cat_fct` at 11, whose events are values above the threshold, here 12."""
    found = [of(events(12), FORECAST, OBSERVED, number) for number in (0, 1, 2, 4)]
    expected = [0.049019607843137254, 0.09259259259259259, 0.9056603773584906, 0.020696617869762745]
    assert found == pytest.approx(expected, rel=1e-12)
    said, seen = (FORECAST >= 12).ravel(), (OBSERVED >= 12).ravel()
    assert found[0] == pytest.approx(metrics.jaccard_score(seen, said))
    assert found[1] == pytest.approx(metrics.recall_score(seen, said))
    assert found[2] == pytest.approx(1 - metrics.precision_score(seen, said))
    assert found[3] == pytest.approx(metrics.cohen_kappa_score(seen, said))  # Heidke's skill score by another name
    assert of(events(12), FORECAST, OBSERVED, 3) == pytest.approx(said.sum() / seen.sum())


def test_contingency_as_the_verification_site_has_it() -> None:
    """The rain forecasts of www.cawcr.gov.au/projects/verification: 82 hits, 23 misses, 38 false alarms, 222 rest."""
    forecast = np.repeat([1.0, 0.0, 1.0, 0.0], [82, 23, 38, 222])[np.newaxis]
    observed = np.repeat([1.0, 1.0, 0.0, 0.0], [82, 23, 38, 222])[np.newaxis]
    found = [round(of(events(0.5), forecast, observed, number), 2) for number in range(5)]
    assert found == [0.57, 0.78, 0.32, 1.14, 0.61]


def test_errors_as_pysteps_and_scikit_learn_have_them() -> None:
    mse, mae, rmse, bias = (of(ERRORS, FORECAST, OBSERVED, number) for number in range(4))
    expected = (22.197222222222223, 3.4555555555555557, 4.71139281128439, -0.03888888888888889)
    assert (mse, mae, rmse, bias) == pytest.approx(expected, rel=1e-12)
    assert mse == pytest.approx(metrics.mean_squared_error(OBSERVED.ravel(), FORECAST.ravel()))
    assert mae == pytest.approx(metrics.mean_absolute_error(OBSERVED.ravel(), FORECAST.ravel()))


def test_correlation_as_scipy_and_pysteps_have_it() -> None:
    found = of(correlation(), FORECAST, OBSERVED)
    assert found == pytest.approx(stats.pearsonr(FORECAST.ravel(), OBSERVED.ravel()).statistic, rel=1e-10)
    assert found == pytest.approx(0.20978333464167598, rel=1e-10)


def test_correlation_keeps_its_digits_where_the_mean_is_large() -> None:
    assert of(correlation(), FORECAST + 1e7, OBSERVED + 1e7) == pytest.approx(0.20978333464167598, rel=1e-8)


@pytest.mark.parametrize("clip", [False, True])
def test_ssim_as_scikit_image_has_it(clip: bool) -> None:
    forecast, observed = FORECAST / 12 + 0.1, OBSERVED / 12
    held = (np.clip(forecast, 0, 1), np.clip(observed, 0, 1)) if clip else (forecast, observed)
    expected = structural_similarity(
        *held, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )
    assert of(ssim(0, 1, clip), forecast, observed) == pytest.approx(expected, rel=1e-10)


def test_ssim_is_a_mean_over_frames_and_channels_and_leaves_missing_windows_out() -> None:
    forecast = np.stack([FORECAST, OBSERVED], axis=-1)[np.newaxis] / 12
    observed = np.stack([OBSERVED, OBSERVED], axis=-1)[np.newaxis] / 12
    one = of(ssim(0, 1, False), FORECAST / 12, OBSERVED / 12)
    assert column(ssim(0, 1, False), forecast, observed).overall == pytest.approx((one + 1) / 2)
    damaged = OBSERVED.copy() / 12
    damaged[0, 0] = np.nan
    full = structural_similarity(
        FORECAST / 12,
        OBSERVED / 12,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        full=True,
    )[1][5:-5, 5:-5]
    left = (full.sum() - full[0, 0]) / (full.size - 1)
    assert of(ssim(0, 1, False), FORECAST / 12, damaged) == pytest.approx(left)
    assert math.isnan(of(ssim(0, 1, False), FORECAST, np.full_like(OBSERVED, np.nan)))


def test_psnr_as_scikit_image_has_it() -> None:
    frames = [(FORECAST, OBSERVED), (FORECAST / 2, OBSERVED)]
    each = [peak_signal_noise_ratio(observed, forecast, data_range=12) for forecast, observed in frames]
    scores = Scores(1, families=[psnr(0, 12, False)])
    for forecast, observed in frames:
        scores.add(forecast[np.newaxis, ..., np.newaxis], observed[np.newaxis, ..., np.newaxis])
    found = scores.table("model", ["1"]).columns[0]
    assert (found.overall, found.units) == (pytest.approx(np.mean(each)), "dB")
    assert of(psnr(0, 12, False), OBSERVED, OBSERVED) == math.inf


def test_psnr_by_hand() -> None:
    """An error of a tenth of the range everywhere is 20 dB; 1.1 is held to 1 where values are clipped."""
    ones = np.ones((4, 4))
    assert of(psnr(0, 1, False), 0.9 * ones, ones) == pytest.approx(20)
    assert of(psnr(-1, 1, False), 0.9 * ones, ones) == pytest.approx(10 * math.log10(4 / 0.01))
    assert of(psnr(0, 1, True), 1.1 * ones, ones) == math.inf


def test_the_convention_of_openstl() -> None:
    """`np.mean((pred - true)**2, axis=(0, 1)).sum()`, with batch and time first."""
    numbers = np.random.default_rng(1)
    pred, true = numbers.normal(size=(2, 5, 3, 6, 7, 2))  # (B, T, H, W, C)
    scores = Scores(3, families=[summed("mse_sum"), summed("mae_sum")])
    for forecast, observed in zip(pred, true, strict=True):
        scores.add(forecast, observed)
    table = scores.table("model", ["1", "2", "3"])
    assert table.column("MSE (sum)").overall == pytest.approx(np.mean((pred - true) ** 2, axis=(0, 1)).sum())
    assert table.column("MAE (sum)").overall == pytest.approx(np.mean(np.abs(pred - true), axis=(0, 1)).sum())


def test_weights_of_latitudes() -> None:
    """Every cell's share of the sphere: the three bands of 60 degrees hold 25, 50 and 25 % of it… of two rows, half."""
    assert latitude_weights(np.array([60.0, 0.0, -60.0])) == pytest.approx([0.75, 1.5, 0.75])
    assert latitude_weights(np.array([-45.0, 45.0])) == pytest.approx([1, 1])
    assert latitude_weights(np.array([52.0])).tolist() == [1]
    fine = np.linspace(-89.5, 89.5, 180)
    cosines = np.cos(np.radians(fine))
    assert latitude_weights(fine) == pytest.approx(cosines / cosines.mean(), rel=1e-4)
    poles = latitude_weights(np.linspace(90, -90, 19))
    assert poles[0] == pytest.approx((1 - math.sin(math.radians(85))) / (2 / 19))


@pytest.mark.parametrize(
    ("rows", "message"),
    [([0.0, 10.0, 5.0], "latitudes rise or fall from row to row"), ([0.0, 95.0], "lie between -90 and 90")],
)
def test_rows_that_are_no_latitudes(rows: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        latitude_weights(np.array(rows))


def test_rmse_by_area_by_hand() -> None:
    """Errors of 2 on the row at 60° N and 1 at the equator; the row at 60° S is missing."""
    observed = np.zeros((1, 3, 2, 1))
    observed[0, 2] = np.nan
    forecast = np.array([2.0, 1.0, 9.0]).reshape(1, 3, 1, 1) * np.ones((1, 3, 2, 1))
    weights = latitude_weights(np.array([60.0, 0.0, -60.0])).reshape(-1, 1, 1)
    found = column(latitude_rmse(weights), forecast, observed)
    assert found.overall == pytest.approx(math.sqrt((0.75 * 4 + 1.5 * 1) / 2.25))
    assert found.in_units("K") == "K"


def test_acc_by_hand_and_as_scikit_learn_has_it() -> None:
    numbers = np.random.default_rng(2)
    forecast, observed, climatology = numbers.normal(size=(3, 2, 6, 5, 1)) + 280
    f, o = (forecast - climatology).ravel(), (observed - climatology).ravel()
    both = acc(None, "the training mean", ("acc", "acc_centred"))
    plain, centred = (column(both, forecast, observed, number, climatology=climatology) for number in (0, 1))
    assert plain.overall == pytest.approx(metrics.pairwise.cosine_similarity([f], [o])[0, 0])
    assert centred.overall == pytest.approx(stats.pearsonr(f, o).statistic)
    weights = latitude_weights(np.array([50.0, 40, 30, 20, 10, 0])).reshape(-1, 1, 1)
    w = np.broadcast_to(weights, forecast.shape).ravel()
    weighted = acc(weights, "the training mean", ("acc", "acc_centred"))
    plain, centred = (column(weighted, forecast, observed, number, climatology=climatology) for number in (0, 1))
    assert plain.overall == pytest.approx((w * f * o).sum() / math.sqrt((w * f * f).sum() * (w * o * o).sum()))
    covariance = np.cov(f, o, aweights=w)
    assert centred.overall == pytest.approx(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]))


def test_acc_of_the_climatology_itself_is_undefined() -> None:
    climatology = OBSERVED[np.newaxis, ..., np.newaxis] / 2
    family = acc(None, "the training mean", ("acc", "acc_centred"))
    for number in (0, 1):
        assert math.isnan(of(family, climatology[0, ..., 0], OBSERVED, number, climatology=climatology))


def test_a_volume_is_scored_level_by_level() -> None:
    """(D, H, W, C): boxes and windows spread over height and width, not over depth."""
    forecast, observed = (
        np.stack([one, other])[..., np.newaxis] for one, other in ((FORECAST, OBSERVED), (OBSERVED,) * 2)
    )
    assert Frame(forecast, observed).plane == (1, 2)
    one = of(ssim(0, 12, False), FORECAST, OBSERVED)
    assert column(ssim(0, 12, False), forecast[np.newaxis], observed[np.newaxis]).overall == pytest.approx(
        (one + 1) / 2
    )
