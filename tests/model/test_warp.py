"""Frames moved along a motion: against the extrapolation of the baselines, by hand, and with gradients."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_model
from specbuild.catalog import KINDS
from specbuild.data.motion import advect
from specbuild.model.backend import keras
from specbuild.model.layers import LAYERS
from tests.catalog.refusals import argument_error, shape_error
from tests.model.reference import warped
from tests.model.saving import saved_and_loaded

RANDOM = np.random.default_rng(8)
HEIGHT, WIDTH = 24, 32
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH].astype("float32")
SHOWER = np.exp(-((ROWS - 10) ** 2 + (COLUMNS - 14) ** 2) / 30).astype("float32")
TURNING = np.stack([1.3 - 0.06 * (ROWS - 12), 0.4 + 0.06 * (COLUMNS - 16)], axis=-1)
"""A motion with shear that leads beyond the border."""


def warp(frames: Any, motion: Any, **arguments: Any) -> np.ndarray:
    """One sample through the layer."""
    outputs = LAYERS["Warp"](**arguments)([np.asarray(each, "float32")[None] for each in (frames, motion)])
    return np.asarray(keras.ops.convert_to_numpy(outputs))[0]


def test_many_steps_are_those_of_the_extrapolation() -> None:
    """OpenCV reads between pixels in steps of 1/32, hence the tolerance."""
    ours = warp(SHOWER[..., None], TURNING, steps=6)
    np.testing.assert_allclose(ours[..., 0], advect(SHOWER, TURNING, range(1, 7)), atol=5e-3)
    assert ours.max(axis=(1, 2, 3)).min() > 0.95  # no blur from step to step
    chosen = warp(SHOWER[..., None], TURNING, steps=[4, 0, 2])
    np.testing.assert_allclose(chosen, np.stack([ours[3], SHOWER[..., None], ours[1]]), atol=1e-6)


def test_one_step_by_hand_and_what_enters() -> None:
    """With the same motion everywhere a step reads `motion` pixels upstream, as TrajGRU does."""
    frame, (u, v) = RANDOM.random((HEIGHT, WIDTH, 2), "float32"), (1.25, -2.5)
    motion = np.broadcast_to(np.float32([u, v]), (HEIGHT, WIDTH, 2))
    by_hand = warped(frame[None], motion[None, ..., 0], motion[None, ..., 1])[0]
    np.testing.assert_allclose(warp(frame, motion, outside=0)[0], by_hand, atol=1e-6)
    edge = warp(frame, motion)[0]
    np.testing.assert_allclose(edge[5, 0], (frame[7, 0] + frame[8, 0]) / 2, atol=1e-6)
    assert warp(frame, motion, outside=-7)[0][5, 0] == pytest.approx([-7, -7])


def test_motions_of_their_own_for_each_step() -> None:
    """Where each motion is the same everywhere, steps add up; to_last takes every frame through what is left."""
    shifts = np.float32([[1, 0], [2, 1], [0, -3]])
    motions = np.broadcast_to(shifts[:, None, None], (3, HEIGHT, WIDTH, 2))
    frame = RANDOM.random((HEIGHT, WIDTH, 1), "float32")
    moved = warp(frame, motions, steps=3, outside=0)
    for ours, (x, y) in zip(moved, np.cumsum(shifts, axis=0).astype(int), strict=True):
        np.testing.assert_allclose(ours, _shifted(frame, x, y), atol=1e-6)
    frames = RANDOM.random((4, HEIGHT, WIDTH, 1), "float32")
    aligned = warp(frames, motions, steps="to_last", outside=0)
    left = [*np.cumsum(shifts[::-1], axis=0)[::-1].astype(int), (0, 0)]
    for ours, past, (x, y) in zip(aligned, frames, left, strict=True):
        np.testing.assert_allclose(ours, _shifted(past, x, y), atol=1e-6)
    constant = np.broadcast_to(TURNING, (3, HEIGHT, WIDTH, 2))
    for steps in (3, "to_last"):
        given = frames if steps == "to_last" else frames[0]
        np.testing.assert_allclose(warp(given, constant, steps=steps), warp(given, TURNING, steps=steps), atol=1e-5)


def _shifted(frame: np.ndarray, x: int, y: int) -> np.ndarray:
    """A frame moved by whole pixels; zeros enter."""
    padded = np.pad(frame, [(6, 6), (6, 6), (0, 0)])
    return padded[6 - y : 6 - y + HEIGHT, 6 - x : 6 - x + WIDTH]


def test_lagrangian_coordinates_there_and_back() -> None:
    """A shower that moves stands still in Lagrangian coordinates, and moves again when taken back."""
    past = np.stack([SHOWER, *advect(SHOWER, TURNING, [1, 2])])[..., None]
    aligned = warp(past, TURNING, steps="to_last")
    inside = np.s_[:, 8:-8, 8:-8]
    np.testing.assert_allclose(aligned[inside], np.repeat(past[-1:], 3, axis=0)[inside], atol=0.03)
    future = warp(aligned, TURNING, steps=[1, 2, 3])
    np.testing.assert_allclose(future[inside], warp(past[-1], TURNING, steps=3)[inside], atol=0.03)


def test_motion_is_learned(tmp_path: Path) -> None:
    """The gradient with respect to the motion leads to the motion that made the frames."""
    spec = """
specbuild: 1
inputs: {frame: [16, 16, 1], hint: [1]}
layers:
  - {layer: Dense, from: hint, units: 2, use_bias: false, kernel_initializer: zeros}
  - {layer: Reshape, target_shape: [1, 1, 2]}
  - {id: motion, layer: UpSampling2D, size: 16}
  - {layer: Warp, from: [frame, motion], steps: 3}
"""
    model = build_model(spec)
    rows, columns = np.mgrid[:16, :16].astype("float32")
    shower = np.exp(-((rows - 8) ** 2 + (columns - 7) ** 2) / 12).astype("float32")
    future = advect(shower, np.broadcast_to(np.float32([0.8, -0.5]), (16, 16, 2)), [1, 2, 3])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    x = [shower[None, ..., None], np.ones((1, 1), "float32")]
    first = model.evaluate(x, future[None, ..., None], verbose=0)
    history = model.fit(x, future[None, ..., None], epochs=60, verbose=0)
    assert history.history["loss"][-1] < first / 100
    np.testing.assert_allclose(model.get_weights()[0], [[0.8, -0.5]], atol=0.03)
    again = saved_and_loaded(model, tmp_path).predict(x, verbose=0)
    np.testing.assert_array_equal(again, model.predict(x, verbose=0))


def test_any_size_and_half_precision() -> None:
    """Frames of unknown size; places are computed in single precision whatever the precision of frames."""
    text = """
specbuild: 1
inputs: {frames: [3, null, null, 2], motion: [null, null, 2]}
layers: [{layer: Warp, from: [frames, motion], steps: to_last, dtype: mixed_float16}]
"""
    model = build_model(text)
    for height, width in ((5, 7), (8, 6)):
        frames = RANDOM.random((2, 3, height, width, 2), "float32")
        moved = np.asarray(model.predict([frames, np.ones((2, height, width, 2), "float32")], verbose=0))
        assert moved.shape == frames.shape
        np.testing.assert_allclose(moved[:, 0, 2:, 2:], frames[:, 0, :-2, :-2], atol=2e-3)


X, V = (HEIGHT, WIDTH, 3), (HEIGHT, WIDTH, 2)


def test_costs_and_receptive_field() -> None:
    layer = KINDS["Warp"](steps=[1, 3])
    places = HEIGHT * WIDTH
    # A step reads two motions of two channels, halves one, and goes twice along two axes.
    step = 2 * (10 + 2 * 7) + 2 + 4
    assert layer.flops(X, V) == places * (3 * step + 2 * (10 + 7 * 3))
    assert layer.flops(X, (3, *V)) == places * (6 * step + 2 * (10 + 7 * 3))
    assert layer.saved_elements(X, V) == places * (5 * 2 * 3 + 3 * 2 * (1 + 2 * 5))
    frame, motion = layer.receptive_field(X, (4, *V))
    assert frame[:2] == (None, None)
    assert motion[0] is not None
    assert motion[0].spans == ((0, 0), (0, 2))
    last = KINDS["Warp"](steps="to_last")
    frames, motion = last.receptive_field((3, *X), (4, *V))
    spans = [axis.spans for axis in (frames[0], motion[0]) if axis]
    assert spans == [
        ((0, 0), (1, 1), (2, 2)),
        ((2, 3), (3, 3), (4, 3)),
    ]
    assert last.output_shape((3, None, None, 1), V) == (3, HEIGHT, WIDTH, 1)


@pytest.mark.parametrize(
    ("steps", "shapes", "message"),
    [
        (1, (X[:2], V), "Warp needs a frame with 3 axes or frames with 4, got 2"),
        (1, (X, X), "Warp needs a motion of 2 channels, along x and y, in input 2"),
        (1, (X, (HEIGHT, 30, 2)), "Warp needs a motion of the frames' width"),
        (1, (X, (20, WIDTH, 2)), "Warp needs a motion of the frames' height"),
        ("to_last", ((None, *X), V), "Warp needs to know the number of frames"),
        ("to_last", (X, V), "Warp has one frame, which is its own last"),
        ([2, 1], ((3, *X), V), "Warp needs a number of steps for each frame"),
        (4, (X, (3, *V)), "Warp needs a motion for each of 4 steps"),
    ],
)
def test_inputs_that_are_refused(steps: Any, shapes: Any, message: str) -> None:
    error = shape_error(KINDS["Warp"](steps=steps), *shapes)
    assert error.message == message
    assert all(f"{shape[-2]} × {shape[-1]}" in error.reason for shape in shapes)


def test_arguments_that_are_refused() -> None:
    words = "expected a positive whole number, a list of whole numbers of at least 0, or to_last, got "
    for steps in (0, [], [1, -1], "last", 1.5):
        assert argument_error(KINDS["Warp"], steps=steps)[1].startswith(words)
    assert argument_error(KINDS["Warp"], outside="zero") == ("outside", 'expected edge or a number, got "zero"')
    assert all(low < high for low, high in pairwise(sorted(KINDS["Warp"](steps=3).counts(X))))
