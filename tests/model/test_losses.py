"""Losses of specbuild's own: by hand, masked, differentiable, saved and loaded; on whichever backend runs the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import structural_similarity

from specbuild.model.backend import backend_name, keras
from specbuild.model.losses import SSIM, BalancedMAE, BalancedMSE, GradientDifference, SoftCSI
from specbuild.model.losses_combined import LeadWeighted, WeightedSum

SHAPE = (2, 3, 11, 12, 2)
"""B, T, H, W, C."""
LOSSES: dict[str, Callable[[], Any]] = {
    "balanced mse": lambda: BalancedMSE([1.0, 2.0], [1.0, 2.0, 5.0]),
    "balanced mae": lambda: BalancedMAE([1.0, 2.0], [1.0, 2.0, 5.0]),
    "ssim": lambda: SSIM([0.0, 4.0]),
    "gradient difference": GradientDifference,
    "gradient difference 1.5": lambda: GradientDifference(1.5),
    "soft csi": lambda: SoftCSI([1.0, 2.0], 5.0),
    "lead weighted mse": lambda: LeadWeighted("mse", [1.0, 0.0, 2.0]),
    "lead weighted ssim": lambda: LeadWeighted(SSIM([0.0, 4.0]), [1.0, 0.0, 2.0]),
    "lead weighted csi": lambda: LeadWeighted(SoftCSI([1.0]), [1.0, 0.0, 2.0]),
    "sum": lambda: WeightedSum(
        [keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"), SSIM([0.0, 4.0])], [1.0, 0.1]
    ),
}
each = pytest.mark.parametrize("made", LOSSES.values(), ids=LOSSES)


def fields(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(seed)
    return tuple(numbers.gamma(1.5, 0.8, (2, *SHAPE)).astype(np.float32))  # type: ignore[return-value]


def value(loss: Any, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None = None) -> float:
    return float(keras.ops.convert_to_numpy(loss(y_true, y_pred, weight)))


def test_balanced_losses_by_hand() -> None:
    y_true, y_pred = fields()
    weights = np.select([y_true >= 2, y_true >= 1], [5.0, 2.0], 1.0)
    error = y_pred.astype(float) - y_true
    assert value(LOSSES["balanced mse"](), y_true, y_pred) == pytest.approx(np.mean(weights * error**2), rel=1e-5)
    assert value(LOSSES["balanced mae"](), y_true, y_pred) == pytest.approx(np.mean(weights * abs(error)), rel=1e-5)


def test_the_weights_of_shi_2017() -> None:
    rates = np.array([0, 1.9, 2, 4.9, 5, 9.9, 10, 29.9, 30, 80], np.float32).reshape(1, 1, 1, 10, 1)
    found = [value(BalancedMAE(), rate, rate + 1) for rate in np.split(rates, 10, axis=3)]
    assert found == pytest.approx([1, 1, 2, 2, 5, 5, 10, 10, 30, 30])


def test_thresholds_stand_where_each_channel_has_them() -> None:
    """The threshold is 1 in the first channel's units of training and −1 in the second's."""
    loss = BalancedMSE([20.0], [1.0, 3.0], edges=[[1.0, -1.0]])
    y_true = np.array([[0.9, -0.9], [1.0, -1.1]], np.float32).reshape(1, 1, 1, 2, 2)
    assert value(loss, y_true, y_true + 1) == pytest.approx((1 + 3 + 3 + 1) / 4)


def test_ssim_as_scikit_image_has_it() -> None:
    y_true, y_pred = fields()
    expected = [
        structural_similarity(
            y_true[b, t].astype(float),
            y_pred[b, t].astype(float),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=4.0,
            channel_axis=-1,
        )
        for b in range(2)
        for t in range(3)
    ]
    assert value(SSIM([0.0, 4.0]), y_true, y_pred) == pytest.approx(1 - np.mean(expected), rel=1e-3)
    assert value(SSIM([10.0, 50.0], edges=[[-1.0], [3.0]]), y_true, y_pred) == pytest.approx(
        1 - np.mean(expected), rel=1e-3
    )


def test_ssim_of_small_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="ssim needs frames of at least 11 × 11, got 8 × 16"):
        SSIM()(np.zeros((1, 2, 8, 16, 1)), np.zeros((1, 2, 8, 16, 1)))
    with pytest.raises(ValueError, match="ssim is of frames with height and width, got 1 spatial axes"):
        SSIM(space=1)


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_gradient_difference_by_hand(alpha: float) -> None:
    y_true, y_pred = (y.astype(float) for y in fields())
    gaps = [np.abs(np.abs(np.diff(y_true, axis=axis)) - np.abs(np.diff(y_pred, axis=axis))) ** alpha for axis in (2, 3)]
    expected = sum(gap.mean() for gap in gaps)
    assert value(GradientDifference(alpha), y_true, y_pred) == pytest.approx(expected, rel=1e-5)
    assert value(GradientDifference(alpha), y_true, y_true + 7) == pytest.approx(0, abs=1e-4)


def test_gradients_along_a_profile_and_in_a_volume() -> None:
    numbers = np.random.default_rng(3)
    profile, volume = numbers.normal(size=(2, 2, 9, 1)), numbers.normal(size=(2, 2, 3, 4, 5, 1))
    expected = np.abs(np.diff(profile, axis=2)).mean()
    assert value(GradientDifference(space=1), profile, 0 * profile) == pytest.approx(expected, rel=1e-5)
    expected = sum(np.abs(np.diff(volume, axis=axis)).mean() for axis in (2, 3, 4))
    assert value(GradientDifference(space=3), volume, 0 * volume) == pytest.approx(expected, rel=1e-5)


def test_soft_csi_is_csi_where_it_is_sharp() -> None:
    y_true, y_pred = fields()
    each_lead = []
    for lead in range(3):
        said, seen = y_pred[:, lead] >= 1, y_true[:, lead] >= 1
        each_lead.append((said & seen).sum() / ((said | seen).sum() + 1))
    sharp = value(SoftCSI([1.0], 1e5), y_true, y_pred)
    assert sharp == pytest.approx(1 - np.mean(each_lead), abs=0.01)
    assert value(SoftCSI([1e6]), y_true, y_pred) == 0
    assert 0 < value(SoftCSI([1.0], 2.0), y_true, y_pred) < 1


def test_weights_of_lead_times_by_hand() -> None:
    y_true, y_pred = fields()
    by_lead = np.square(y_pred.astype(float) - y_true).mean(axis=(0, 2, 3, 4))
    expected = (by_lead * [0.5, 0, 1]).sum() / 1.5
    assert value(LeadWeighted("mse", [0.5, 0, 1]), y_true, y_pred) == pytest.approx(expected, rel=1e-5)
    assert value(LeadWeighted("mse", [3, 3, 3]), y_true, y_pred) == pytest.approx(by_lead.mean(), rel=1e-5)
    ssim = [value(SSIM([0.0, 4.0]), y_true[:, [lead]], y_pred[:, [lead]]) for lead in range(3)]
    assert value(LeadWeighted(SSIM([0.0, 4.0]), [1, 2, 3]), y_true, y_pred) == pytest.approx(
        np.dot(ssim, [1, 2, 3]) / 6, rel=1e-4
    )


@pytest.mark.parametrize("reduction", ["sum", "sum_over_batch_size", "mean_with_sample_weight"])
def test_equal_lead_weights_leave_a_loss_of_keras_as_it_is(reduction: str) -> None:
    y_true, y_pred = fields()
    weight = (np.random.default_rng(5).random(SHAPE[:-1]) > 0.3).astype(np.float32)
    loss = keras.losses.Huber(reduction=reduction)
    for given_weight in (None, weight):
        assert value(LeadWeighted(loss, [1, 1, 1]), y_true, y_pred, given_weight) == pytest.approx(
            value(loss, y_true, y_pred, given_weight), rel=1e-5
        )


def test_weights_that_do_not_fit_the_frames() -> None:
    y_true, y_pred = fields()
    with pytest.raises(ValueError, match="there are 2 weights of lead times, and 3 frames"):
        LeadWeighted("mse", [1, 1])(y_true, y_pred)
    with pytest.raises(ValueError, match="dice is one number for all lead times, so they cannot weigh differently"):
        LeadWeighted(keras.losses.Dice(), [1, 1, 1])(y_true, y_pred)


def test_a_sum_is_the_weighted_sum_of_its_terms() -> None:
    y_true, y_pred = fields()
    parts = [BalancedMSE([1.0], [1, 2]), SSIM([0.0, 4.0]), "mae"]
    whole = value(WeightedSum(parts, [1.0, 0.5, 2.0]), y_true, y_pred)
    found = [value(keras.losses.get(part), y_true, y_pred) for part in parts[:2]]
    assert whole == pytest.approx(found[0] + 0.5 * found[1] + 2 * np.abs(y_pred - y_true).mean(), rel=1e-4)


@each
def test_a_perfect_forecast_costs_nothing(made: Callable[[], Any]) -> None:
    y_true, _ = fields()
    found = value(made(), y_true, y_true.copy())
    assert found == pytest.approx(0, abs=1e-4) or isinstance(getattr(made(), "loss", made()), SoftCSI)


holes = arrays(np.bool_, SHAPE[:-1], elements=st.sampled_from([True] * 20 + [False]))


@each
@given(present=holes, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=3)
def test_what_stands_at_missing_pixels_does_not_matter(made: Callable[[], Any], present: np.ndarray, seed: int) -> None:
    loss, (y_true, y_pred), (other, another) = made(), fields(), fields(seed)
    weight = present.astype(np.float32)
    mixed = (np.where(present[..., None], y, z) for y, z in ((y_true, 50 * other), (y_pred, -9 * another)))
    assert value(loss, *mixed, weight) == pytest.approx(value(loss, y_true, y_pred, weight), rel=1e-4, abs=1e-6)


@each
def test_nothing_present_costs_nothing(made: Callable[[], Any]) -> None:
    assert value(made(), *fields(), np.zeros(SHAPE[:-1], np.float32)) == 0


@each
def test_weights_of_one_change_nothing(made: Callable[[], Any]) -> None:
    y_true, y_pred = fields()
    weighted = value(made(), y_true, y_pred, np.ones(SHAPE[:-1], np.float32))
    assert weighted == pytest.approx(value(made(), y_true, y_pred), rel=1e-5)


@each
def test_the_gradient_is_finite_and_leads_downhill(made: Callable[[], Any]) -> None:
    y_true, y_pred = fields()
    weight = (np.random.default_rng(1).random(SHAPE[:-1]) > 0.01).astype(np.float32)
    flat = y_pred * 0 + 1  # where a square root or a quotient would have no gradient
    loss = made()
    for start in (flat, y_true):
        slope = gradient(lambda y: loss(y_true, y, weight), start)
        assert np.isfinite(slope).all()
        assert (slope[weight == 0] == 0).all()
    slope = gradient(lambda y: loss(y_true, y, weight), y_pred)
    step = 1e-2 / max(float(np.abs(slope).max()), 1e-9)
    assert value(loss, y_true, y_pred - step * slope, weight) < value(loss, y_true, y_pred, weight)


def gradient(of: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
    if backend_name() == "jax":
        import jax

        return np.asarray(jax.grad(of)(at))
    import tensorflow as tf

    variable = tf.constant(at)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        found = of(variable)
    return np.asarray(tape.gradient(found, variable))


@each
def test_a_loss_comes_back_from_its_configuration(made: Callable[[], Any]) -> None:
    loss = made()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert value(again, *fields()) == pytest.approx(value(loss, *fields()), rel=1e-6)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
