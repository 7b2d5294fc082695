"""What holds of every score whatever the frames: perfection, bounds, pooling, missing pixels, memory."""

from __future__ import annotations

import gc
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from specbuild.catalog.scores import SCORES
from specbuild.evaluation.result import hardest
from specbuild.evaluation.scores import Comparison, Family, Scores
from specbuild.evaluation.scores.correlation import acc, correlation
from specbuild.evaluation.scores.errors import ERRORS, latitude_rmse, summed
from specbuild.evaluation.scores.events import events, fss
from specbuild.evaluation.scores.structure import psnr, ssim

WEIGHTS = np.linspace(0.5, 1.5, 12).reshape(-1, 1, 1)


def families() -> list[Family]:
    """Every score there is."""
    return [
        ERRORS,
        events(1.0),
        fss(1.0, 3),
        ssim(0, 4, False),
        psnr(0, 4, False),
        correlation(),
        acc(WEIGHTS, "the training mean", ("acc", "acc_centred")),
        summed("mse_sum"),
        summed("mae_sum"),
        latitude_rmse(WEIGHTS),
    ]


CLIMATOLOGY = np.full((2, 12, 13, 1), 0.3)
BOUNDS = {
    **dict.fromkeys(("CSI", "POD", "FAR", "FSS"), (0, 1)),
    **dict.fromkeys(("HSS", "SSIM", "correlation", "ACC", "ACC (centred)"), (-1, 1)),
    **dict.fromkeys(("MSE", "MAE", "RMSE", "BIAS", "MSE (sum)", "MAE (sum)", "RMSE (latitude)"), (0, math.inf)),
}
numbers = st.sampled_from([0.0, 0.25, 1.0, 2.5, 4.0])
fields = arrays(np.float64, (2, 12, 13, 1), elements=numbers)
holes = arrays(np.float64, (2, 12, 13, 1), elements=st.sampled_from([0.0] * 30 + [math.nan]))


def table(*pairs: tuple[np.ndarray, np.ndarray], leads: int = 2):  # type: ignore[no-untyped-def]
    scores = Scores(leads, families=families())
    for forecast, observed in pairs:
        scores.add(forecast, observed, CLIMATOLOGY[:leads])
    return scores.table("model", [str(lead) for lead in range(leads)])


@given(fields)
@settings(deadline=None, max_examples=15)
def test_a_perfect_forecast_has_the_best_score_or_none(observed: np.ndarray) -> None:
    best = {score.title: score.best for score in SCORES.values()}
    for column in table((observed, observed.copy())).columns:
        for value in (*column.values, column.overall):
            assert math.isnan(value) or value == pytest.approx(best[column.score], abs=1e-9), column.label


@given(fields, fields, holes)
@settings(deadline=None, max_examples=25)
def test_scores_stay_within_their_bounds(forecast: np.ndarray, observed: np.ndarray, missing: np.ndarray) -> None:
    for column in table((forecast, observed + missing)).columns:
        low, high = BOUNDS.get(column.score, (-math.inf, math.inf))
        for value in (*column.values, column.overall):
            assert math.isnan(value) or low - 1e-9 <= value <= high + 1e-9, column.label


SYMMETRIC = ("MSE", "MAE", "RMSE", "CSI", "HSS", "FSS", "SSIM", "PSNR", "correlation", "ACC", "RMSE (latitude)")


@given(fields, fields)
@settings(deadline=None, max_examples=15)
def test_which_scores_do_not_tell_forecast_from_observation(one: np.ndarray, other: np.ndarray) -> None:
    there, back = table((one, other)), table((other, one))
    for column, turned in zip(there.columns, back.columns, strict=True):
        if column.score in SYMMETRIC:
            assert turned.values == pytest.approx(column.values, rel=1e-9, abs=1e-9, nan_ok=True)
        if column.score == "bias":
            assert turned.overall == pytest.approx(-column.overall, abs=1e-12)


@given(st.lists(st.tuples(fields, fields), min_size=1, max_size=3))
@settings(deadline=None, max_examples=15)
def test_over_all_is_the_score_of_every_frame_as_one_lead_time(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    by_lead = table(*pairs)
    at_once = table(
        *((forecast[lead : lead + 1], observed[lead : lead + 1]) for forecast, observed in pairs for lead in (0, 1)),
        leads=1,
    )
    for column, single in zip(by_lead.columns, at_once.columns, strict=True):
        assert single.values[0] == pytest.approx(column.overall, rel=1e-9, abs=1e-9, nan_ok=True), column.label


@given(fields, fields, holes, numbers)
@settings(deadline=None, max_examples=20)
def test_what_is_forecast_for_a_missing_pixel_does_not_matter(
    forecast: np.ndarray, observed: np.ndarray, missing: np.ndarray, anything: float
) -> None:
    other = np.where(np.isnan(missing), anything, forecast)
    there, here = table((forecast, observed + missing)), table((other, observed + missing))
    for one, two in zip(there.columns, here.columns, strict=True):
        assert one.values == pytest.approx(two.values, nan_ok=True), one.label


def test_every_pixel_missing_leaves_every_score_undefined() -> None:
    nothing = np.full((2, 12, 13, 1), np.nan)
    found = table((np.zeros_like(nothing), nothing))
    assert all(math.isnan(value) for column in found.columns for value in (*column.values, column.overall))
    assert (found.scored, found.observed, found.coverage) == ((0, 0), (0, 0), 1.0)


def test_memory_does_not_grow_with_windows() -> None:
    scores = Scores(2, families=families())
    comparison = Comparison(2, ["persistence"])
    frames = np.random.default_rng(0).gamma(1.0, 1.0, (2, 12, 13, 1))
    few_frames = 20 * frames.nbytes  # of 57 windows, each with two forecasts and what was observed

    def add(windows: int) -> int:
        tracemalloc.reset_peak()
        for _ in range(windows):
            scores.add(frames, frames[::-1], CLIMATOLOGY)
            comparison.add(frames, {"persistence": frames[::-1]}, frames)
            gc.collect()  # NumPy's sliding windows are garbage in cycles, which Python collects when it likes
        return tracemalloc.get_traced_memory()[1]

    add(2)
    gc.freeze()  # what other tests left need not be looked through each time
    tracemalloc.start()
    try:
        few, many = add(3), add(60)
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    assert many < few + few_frames


def test_a_baseline_is_compared_on_the_pixels_that_it_knows() -> None:
    """The model errs by 1 where the baseline is unknown, and by 2 elsewhere; the baseline errs by 4."""
    observed = np.zeros((1, 2, 1, 1))
    model = np.array([1.0, 2.0]).reshape(1, 2, 1, 1)
    partial = np.array([np.nan, 4.0]).reshape(1, 2, 1, 1)
    comparison = Comparison(1, ["persistence", "same phase", "climatology"])
    comparison.add(model, {"persistence": model * 2, "same phase": partial, "climatology": observed * np.nan}, observed)
    persistence, same, unknown = comparison.skills()
    assert (persistence.overall, same.all) == (0.75, (0.75, 0.75))
    assert math.isnan(unknown.overall)
    assert hardest((unknown, same), 0) is same
    assert hardest((unknown,), 0) is None


def test_a_perfect_baseline_is_the_best() -> None:
    observed = np.zeros((2, 3, 1))
    comparison = Comparison(2, ["persistence", "climatology"])
    forecasts = {"persistence": observed, "climatology": observed + 5}
    comparison.add(np.add(observed, [[[1.0]], [[0.0]]]), forecasts, observed)
    persistence, climatology = comparison.skills()
    assert persistence.values[0] == -math.inf
    assert math.isnan(persistence.values[1])
    assert hardest((climatology, persistence), 0) is persistence
    assert climatology.values == pytest.approx((1 - 1 / 25, 1))
