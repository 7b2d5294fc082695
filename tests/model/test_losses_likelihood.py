"""Losses of distributions and what reads them, beside scipy's distributions; on whichever backend runs the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammainc

from specbuild.catalog.losses import head_of
from specbuild.data.heads import reader_of
from specbuild.model.backend import backend_name, keras
from specbuild.model.losses_combined import LeadWeighted
from specbuild.model.losses_likelihood import CensoredGammaNLL, GaussianNLL, Pinball, log_lower_gamma

SHAPE = (2, 3, 4, 5, 2)
"""B, T, H, W, C."""
FLOOR = (0.0, -0.5)


def drawn(parts: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(seed)
    y = np.maximum(numbers.normal(0.3, 1, SHAPE), FLOOR).astype(np.float32)
    return y, numbers.normal(0, 1, (*SHAPE[:-1], SHAPE[-1] * parts)).astype(np.float32)


def value(loss: Any, *arrays: np.ndarray | None) -> float:
    return float(keras.ops.convert_to_numpy(loss(*arrays)))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x.astype(float)))


def gamma_of(raw: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    shape, scale, shift = (raw[..., part::3].astype(float) for part in range(3))
    return stats.gamma(softplus(shape) + 0.02), softplus(scale) + 1e-3, 10 / (1 + np.exp(2 - shift)) + 1e-4


def test_the_pinball_loss_by_hand() -> None:
    y, raw = drawn(3)
    costs = [
        np.where(y >= raw[..., i::3], level, 1 - level) * abs(y - raw[..., i::3]) for i, level in enumerate(LEVELS)
    ]
    assert value(Pinball(), y, raw) == pytest.approx(np.mean(costs), rel=1e-5)
    assert value(Pinball([0.5]), y, raw[..., :2]) == pytest.approx(abs(y - raw[..., :2]).mean() / 2, rel=1e-5)


LEVELS = (0.1, 0.5, 0.9)


def test_the_likelihoods_as_scipy_has_them() -> None:
    y, raw = drawn(2)
    expected = -stats.norm(raw[..., ::2], np.exp(raw[..., 1::2])).logpdf(y).mean()
    assert value(GaussianNLL(), y, raw) == pytest.approx(expected, rel=1e-5)
    y, raw = drawn(3)
    gamma, scale, shift = gamma_of(raw)
    above = y - np.array(FLOOR)
    density = gamma.logpdf(above / scale + shift) - np.log(scale)
    expected = -np.where(above > 1e-6, density, gamma.logcdf(shift)).mean()
    assert value(CensoredGammaNLL(0.0, edges=[FLOOR]), y, raw) == pytest.approx(expected, rel=1e-4)


def test_missing_pixels_weigh_nothing_and_gradients_are_finite() -> None:
    weight = (np.random.default_rng(4).random(SHAPE[:-1]) > 0.3).astype(np.float32)
    for parts, loss in ((3, Pinball()), (2, GaussianNLL()), (3, CensoredGammaNLL(0.0, edges=[FLOOR]))):
        y, raw = drawn(parts)
        gaps = weight[..., np.newaxis] == 0
        other = value(loss, np.where(gaps, 50, y), np.where(gaps, -9, raw), weight)
        assert other == pytest.approx(value(loss, y, raw, weight), rel=1e-5)
        assert value(loss, y, raw, 0 * weight) == 0
        equal = LeadWeighted(loss, [1, 1, 1])
        assert value(equal, y, raw, weight) == pytest.approx(value(loss, y, raw, weight), rel=1e-5)
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
        assert value(again, y, raw, weight) == pytest.approx(value(loss, y, raw, weight), rel=1e-6)
        for far in (raw, 30 * raw):
            slope = gradient(loss, y, far, weight)
            assert np.isfinite(slope).all()
            assert not slope[np.broadcast_to(gaps, raw.shape)].any()
        downhill = raw - gradient(loss, y, raw, weight)
        assert value(loss, y, downhill, weight) < value(loss, y, raw, weight)
        with pytest.raises(ValueError, match=f"{loss.name} needs {parts} channels for each variable, {2 * parts} in"):
            loss(y, raw[..., :1])


def gradient(loss: Any, y: np.ndarray, raw: np.ndarray, weight: np.ndarray) -> np.ndarray:
    if backend_name() == "jax":
        import jax

        return np.asarray(jax.grad(lambda x: loss(y, x, weight))(raw))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        x = tf.Variable(raw)
        total = loss(y, x, weight)
    return np.asarray(tape.gradient(total, x))


def test_the_incomplete_gamma_function_as_scipy_has_it() -> None:
    shape, x = np.geomspace(0.02, 50, 40)[:, np.newaxis], np.geomspace(1e-4, 10, 30)
    found = keras.ops.convert_to_numpy(log_lower_gamma(shape.astype(np.float32), x.astype(np.float32)))
    with np.errstate(divide="ignore"):
        expected = np.log(gammainc(shape, x))
    near = np.isfinite(expected)
    np.testing.assert_allclose(found[near], expected[near], rtol=2e-4, atol=2e-5)


def test_heads_are_read_as_scipy_reads_them() -> None:
    numbers, levels = np.random.default_rng(0), [0.05, 0.5, 0.8]
    _, raw = drawn(2)
    head = head_of("gaussian_nll", {})
    assert head is not None
    reader = reader_of(head)
    normal = stats.norm(raw[..., ::2], np.exp(raw[..., 1::2]))
    np.testing.assert_allclose(reader.point(raw), normal.mean(), rtol=1e-6)
    np.testing.assert_allclose(
        reader.quantiles(raw, levels), [normal.ppf(level) for level in levels], rtol=1e-5, atol=1e-5
    )
    z = (reader.members(raw, 200, numbers) - normal.mean()) / normal.std()
    assert abs(z.mean()) < 0.02
    assert abs(z.std() - 1) < 0.02

    _, raw = drawn(3)
    head = head_of("csgd", {})
    assert head is not None
    assert (head.floor, head.parts) == (0.0, ("the shape", "the scale", "the shift"))
    reader = reader_of(head, np.array([FLOOR]))
    gamma, scale, shift = gamma_of(raw)
    expected = [np.array(FLOOR) + scale * np.maximum(gamma.ppf(level) - shift, 0) for level in levels]
    np.testing.assert_allclose(reader.quantiles(raw, levels), expected, rtol=1e-5, atol=1e-6)
    members = reader.members(raw, 4000, numbers)
    assert (members >= np.array(FLOOR)).all()
    np.testing.assert_allclose((members == np.array(FLOOR)).mean(0), gamma.cdf(shift), atol=0.05)
    np.testing.assert_allclose(members.mean(0), reader.point(raw), atol=0.15)


def test_quantiles_are_sorted_and_linear_between_their_levels() -> None:
    head = head_of("pinball", {"quantiles": [0.2, 0.4, 0.8]})
    assert head is not None
    reader = reader_of(head)
    raw = np.array([[3.0, 1.0, 2.0, 10.0, 20.0, 30.0]])
    np.testing.assert_allclose(
        reader.quantiles(raw, [0.1, 0.2, 0.3, 0.4, 0.7, 0.9])[:, 0], np.array([[1, 1, 1.5, 2, 2.75, 3], TENS]).T
    )
    np.testing.assert_allclose(reader.point(raw), [[2.25, 22.5]])
    members = reader.members(raw, 20000, np.random.default_rng(1))[:, 0]
    np.testing.assert_allclose((members <= [[2.0, 20.0]]).mean(0), 0.4, atol=0.02)
    np.testing.assert_allclose((members == [[3.0, 30.0]]).mean(0), 0.2, atol=0.02)


TENS = [10, 10, 15, 20, 27.5, 30]
