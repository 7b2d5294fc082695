"""Motion by optical flow, and advection along it: known shifts, missing values, pySTEPS's semi-Lagrangian scheme."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild.data.motion import advect, motion

GOLDEN = Path(__file__).parents[1] / "golden" / "pysteps_semilagrangian.npz"


def showers(frames: int = 4, size: int = 64, dx: float = 2, dy: float = 1) -> np.ndarray:
    """One shower that moves by (dx, dy) pixels a frame over dry ground. (T, H, W)"""
    y, x = np.mgrid[:size, :size]
    return np.stack(
        [5 * np.exp(-((x - 20 - dx * t) ** 2 + (y - 30 - dy * t) ** 2) / 30) for t in range(frames)]
    ).astype(np.float32)


@pytest.mark.parametrize("scale", [1, 1e-6, 3600])
@pytest.mark.parametrize("offset", [0, 280])
def test_a_shower_moves_as_it_does_in_any_units(scale: float, offset: float) -> None:
    moved = motion((showers() + offset) * np.float32(scale))
    np.testing.assert_allclose(moved[33, 26], [2, 1], atol=0.2)


def test_what_does_not_change_does_not_move() -> None:
    still = np.repeat(showers(1), 4, axis=0)
    assert np.abs(motion(still)).max() < 1e-3
    for nothing in (np.zeros((4, 16, 16), np.float32), np.full((4, 16, 16), np.nan, np.float32)):
        assert (motion(nothing) == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 5), (3, 40), (7, 8)])
def test_small_frames_have_a_motion(shape: tuple[int, int]) -> None:
    frames = np.random.default_rng(1).random((4, *shape), np.float32)
    moved = motion(frames)
    assert moved.shape == (*shape, 2)
    assert np.isfinite(moved).all()
    assert advect(frames[-1], moved, [1, 5]).shape == (2, *shape)


def test_whole_steps_shift_by_whole_pixels_and_the_edge_flows_in() -> None:
    frame = np.arange(30, dtype=np.float32).reshape(5, 6)
    flow = np.zeros((5, 6, 2), np.float32)
    flow[..., 0] = 1
    one, three = advect(frame, flow, [1, 3])
    np.testing.assert_allclose(one, frame[:, [0, 0, 1, 2, 3, 4]], atol=1e-5)
    np.testing.assert_allclose(three, frame[:, [0, 0, 0, 0, 1, 2]], atol=1e-5)


def test_missing_values_move_with_the_frame_and_hide_nothing_else() -> None:
    frame = np.full((6, 8), 2.0, np.float32)
    frame[2:4, 2:4] = np.nan
    flow = np.zeros((6, 8, 2), np.float32)
    flow[..., 0] = 1
    (moved,) = advect(frame, flow, [2])
    expected = np.full((6, 8), 2.0, np.float32)
    expected[2:4, 4:6] = np.nan
    np.testing.assert_allclose(moved, expected, rtol=1e-6)


def test_a_rotation_is_followed_as_pysteps_follows_it() -> None:
    """pySTEPS 1.21: extrapolation.semilagrangian.extrapolate(…, n_iter=1, interp_order=1); unknown outside."""
    golden = np.load(GOLDEN)
    ours, theirs = advect(golden["frame"], golden["motion"], range(1, 7)), golden["out"]
    known = np.isfinite(theirs)
    assert known.mean() > 0.8
    # OpenCV interpolates at multiples of 1/32 pixel; the steepest slope of the frame is 0.4 a pixel.
    np.testing.assert_allclose(ours[known], theirs[known], atol=3e-3)
    assert np.abs(ours[5] - golden["frame"]).max() > 1
