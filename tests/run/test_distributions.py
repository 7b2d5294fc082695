"""Scores of distributions beside formulas written otherwise, and the calibration of forecasts that are right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from specbuild.evaluation.calibration import Calibration
from specbuild.evaluation.distributions import Distribution, Ensemble, Gaussian, Quantiles
from specbuild.evaluation.scores import Scores
from specbuild.evaluation.scores.probability import brier, crps, spread

SHAPE = (2, 5, 6, 1)
"""F, H, W, C."""


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation, 12 members and an observation from the same distribution."""
    numbers = np.random.default_rng(seed)
    mean, std = numbers.normal(2, 1, SHAPE), numbers.gamma(3, 0.3, SHAPE)
    return mean, std, mean + std * numbers.normal(size=(12, *SHAPE)), mean + std * numbers.normal(size=SHAPE)


def test_crps_by_its_definition() -> None:
    """∫(F(x) − 1[x ≥ y])² dx, of an ensemble its steps; the fair estimate differs by a share of the mean difference."""
    mean, std, members, observed = drawn()
    at = (0, 1, 2, 0)
    wide = np.linspace(-15, 20, 700_001)
    for forecast, cumulative in (
        (Gaussian(mean, std), stats.norm(mean[at], std[at]).cdf(wide)),
        (Ensemble(members), (members[(slice(None), *at)][:, np.newaxis] <= wide).mean(0)),
    ):
        expected = integrate.trapezoid(np.square(cumulative - (wide >= observed[at])), wide)
        found = forecast.crps(observed)[at]
        if isinstance(forecast, Ensemble):
            pairs = np.abs(members[:, np.newaxis] - members).mean((0, 1))[at]
            found += pairs * (1 / (2 * 11))  # 1 / 2M² in place of 1 / 2M(M − 1)
        assert found == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(Ensemble(members[:1]).crps(observed), np.abs(members[0] - observed))


def test_the_fair_score_does_not_depend_on_the_number_of_members() -> None:
    numbers = np.random.default_rng(1)
    truth = Gaussian(np.zeros(40_000), np.ones(40_000))
    observed = numbers.normal(size=40_000)
    exact = truth.crps(observed).mean()
    for count in (2, 5, 20):
        found = Ensemble(numbers.normal(size=(count, 40_000))).crps(observed).mean()
        assert found == pytest.approx(exact, rel=0.02)
    levels = tuple((number + 0.5) / 50 for number in range(50))
    values = np.repeat(stats.norm.ppf(levels)[:, np.newaxis], 40_000, 1)
    assert Quantiles(values, levels).crps(observed).mean() == pytest.approx(exact, rel=0.002)
    assert Quantiles(values, levels).variance[0] == pytest.approx(1, rel=0.03)


def test_probabilities_of_events() -> None:
    mean, std, members, _ = drawn()
    np.testing.assert_allclose(Gaussian(mean, std).exceeding(2.5), stats.norm(mean, std).sf(2.5), rtol=1e-9)
    np.testing.assert_allclose(Ensemble(members).exceeding(2.5), (members >= 2.5).mean(0))
    levels = (0.1, 0.3, 0.5, 0.9)
    values = np.array([[0.0, 0.0], [0.0, 1.0], [2.0, 1.0], [4.0, 5.0]])
    forecast = Quantiles(values, levels)
    found = [forecast.exceeding(threshold).tolist() for threshold in (0.0, 1.0, 3.0, 5.0, 5.5)]
    np.testing.assert_allclose(found, [[1, 1], [0.6, 0.7], [0.3, 0.3], [0, 0.1], [0, 0]])


def test_a_calibrated_forecast_has_a_flat_histogram_and_lies_on_the_diagonal() -> None:
    """Ties with the observation, as of many dry members, are spread over the bins that they stand for."""
    numbers = np.random.default_rng(3)
    shape = (2, 40, 50, 1)
    calibrations = {
        name: Calibration(2, [1.0]) for name in ("members", "rain", "drizzle", "gaussian", "quantiles", "narrow")
    }
    for window in range(10):
        mean, std = numbers.normal(0.5, 1, shape), numbers.gamma(3, 0.3, shape)
        observed, members = (mean + std * numbers.normal(size=(*n, *shape)) for n in ((), (9,)))
        levels = (0.1, 0.25, 0.5, 0.9)
        quantiles = np.stack([mean + std * stats.norm.ppf(level) for level in levels])
        made: dict[str, tuple[Distribution, np.ndarray]] = {
            "members": (Ensemble(members), observed),
            "rain": (Ensemble(np.maximum(members, 0)), np.maximum(observed, 0)),
            "drizzle": (Ensemble(np.maximum(members, 0.001 * (mean + 5))), np.where(observed > 0.05, observed, 0)),
            "gaussian": (Gaussian(mean, std), observed),
            "quantiles": (Quantiles(np.maximum(quantiles, 0), levels), np.maximum(observed, 0)),
            "narrow": (Gaussian(mean, std / 2), observed),
        }
        for name, (forecast, seen) in made.items():
            calibrations[name].add(
                forecast, np.where(seen > 3.5, np.nan, seen) if name == "narrow" else seen, (0, window)
            )
    for name, calibration in calibrations.items():
        table = calibration.table(name)
        assert table is not None
        ratio = np.array(table.shares) / np.array(table.expected)
        if name == "narrow":
            assert ratio[0] > 1.5
            assert ratio[5] < 0.8
            continue
        np.testing.assert_allclose(ratio, 1, atol=0.12 if name == "quantiles" else 0.06, err_msg=name)
        (curve,) = table.reliability
        assert sum(curve.pixels) == 10 * 2 * 40 * 50 == sum(map(sum, table.ranks))
        if name != "quantiles":
            many = np.array(curve.pixels) > 300
            step = 0.06 if name == "gaussian" else 0.15  # of 10 members chance alone moves the shares to the middle
            np.testing.assert_allclose(np.array(curve.forecast)[many], np.array(curve.observed)[many], atol=step)
    assert Calibration(2, [1.0]).table("persistence") is None


def test_sums_of_probabilities_over_known_pixels() -> None:
    """The spread of a calibrated ensemble is the error of its mean; one value scores its absolute error."""
    scores = {name: Scores(2, families=[crps(), spread(), brier(2.0)]) for name in ("members", "one")}
    errors, absolute, squares = [], [], []
    for seed in range(60):
        _, _, members, observed = drawn(seed)
        observed[:, 0, 0] = np.nan
        members[:, :, 1, 1] = np.nan
        scores["members"].add(members[0], observed, distribution=Ensemble(members))
        scores["one"].add(members[0], observed)
        errors.append(np.square(members.mean(0) - observed))
        absolute.append(np.abs(members[0] - observed))
        event = np.where(np.isnan(observed), np.nan, observed >= 2)
        squares.append(np.square(np.where(np.isnan(members[0]), np.nan, (members >= 2).mean(0)) - event))
    table = scores["members"].table("model", ["+1", "+2"])
    root = np.sqrt(np.nanmean(errors, axis=(0, 2, 3, 4)))
    np.testing.assert_allclose(table.column("RMSE of the mean").values, root)
    np.testing.assert_allclose(table.column("spread").values, root, rtol=0.06)
    np.testing.assert_allclose(table.column("Brier", 2.0).values, np.nanmean(squares, axis=(0, 2, 3, 4)))
    one = scores["one"].table("persistence", ["+1", "+2"])
    np.testing.assert_allclose(one.column("CRPS").values, np.nanmean(absolute, axis=(0, 2, 3, 4)))
    assert one.column("spread").overall == 0
