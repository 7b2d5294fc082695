"""Motion between frames, and frames moved along it.

The motion between two frames is dense optical flow (Farnebäck, 2003, "Two-frame motion estimation based on polynomial
expansion", SCIA), as OpenCV computes it. Frames are moved by a backward semi-Lagrangian scheme: from each pixel the
path is followed upstream, step by step through a motion that is constant in time, and the value is read where the path
begins (Germann and Zawadzki, 2002, Mon. Weather Rev. 130, 2859).

`specbuild export` writes a copy of this file next to a model that reads motion or extrapolated frames. It needs NumPy
and OpenCV alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
"""Values in physical units, NaN where missing."""
Motion: TypeAlias = npt.NDArray[np.float32]
"""Pixels along x (the width) and y (the height) from one frame to the next: (H, W, 2)."""

LATEST = 4
"""The least number of the latest frames whose motion counts."""
_MOST = 24
_MINUTES, _MINUTES_APART = 24.0, 10.0
"""How far back motion is measured, and over how long a way: showers and their steering flow last longer, and the
updates of radar composites, piece by piece, do not."""
_LEVELS, _SCALE, _ROUNDS = 5, 0.5, 3
_NEIGHBOURS, _SPREAD = 7, 1.5
_WINDOW = 31
"""Pixels over which flow is averaged; a smaller frame has a smaller window."""
_SMOOTHING = 8.0
"""σ in pixels of the Gaussian that smooths the motion."""
_INTERMITTENT = 0.05
"""The share of values at the minimum from which a field counts as intermittent, like rain."""


def compared(minutes: float | None) -> tuple[int, int]:
    """Return how many of the latest frames tell the motion best, and how far apart they are compared, in frames.

    The frames of the latest 24 minutes, 10 minutes apart, but at least 4 and at most 24 of them. On the MRMS record of
    the shipped specs this has a lower error than the last 4 frames, before the frames of the test and on them.

    Args:
        minutes: the time between frames; None where it is not known.
    """
    if minutes is None:
        return LATEST, 1
    return min(max(round(_MINUTES / minutes), LATEST), _MOST), min(max(round(_MINUTES_APART / minutes), 1), _MOST // 2)


def motion_field(frames: Floats, apart: int = 1, scale: float = 1) -> Floats:
    """Return the motion of each variable along x (the width) and y (the height), (H, W, 2 · C), as a model reads it.

    Args:
        frames: the latest frames (T, H, W, C) since the last gap in time, oldest first and one step apart; NaN where
            missing. A single frame shows no motion.
        apart: frames that many steps apart are compared; of fewer frames, the first and the last.
        scale: steps of the frames in a step of the result, such as 2 for the motion in 10 min between frames that are
            5 min apart.
    """
    apart = min(apart, len(frames) - 1)
    if apart < 1:
        return np.zeros((*frames.shape[1:-1], 2 * frames.shape[-1]), np.float32)
    flows = [np.float32(scale) * motion(frames[..., channel], apart) for channel in range(frames.shape[-1])]
    return np.concatenate(flows, axis=-1)


def extrapolated(frames: Floats, steps: Iterable[int], apart: int = 1, scale: float = 1) -> Floats:
    """Return the last frame after the given numbers of steps along the motion, (number of `steps`, H, W, C).

    Args:
        frames: as `motion_field` takes them, with its `apart` and `scale`.
        steps: increasing numbers of steps, from 1, each of `scale` steps of the frames.
    """
    return moved(frames[-1], motion_field(frames, apart, scale), steps)


def moved(frame: Floats, field: Floats, steps: Iterable[int]) -> Floats:
    """Return a frame (H, W, C) after the given numbers of steps along a field of motion, (number of `steps`, H, W, C).

    Args:
        frame: NaN where missing.
        field: its motion, as `motion_field` returns it.
        steps: increasing numbers of steps, from 1.
    """
    steps = list(steps)
    channels = range(frame.shape[-1])
    return np.stack([advect(frame[..., each], field[..., 2 * each : 2 * each + 2], steps) for each in channels], -1)


def motion(frames: Floats, apart: int = 1) -> Motion:
    """Return the mean motion between frames, in pixels per frame.

    A field of which many values are its minimum, such as rain, is compared on a logarithmic scale, so that showers do
    not hide drizzle; any other on a linear scale. Missing values count as the minimum.

    Args:
        frames: the latest frames (T, H, W), more than `apart`, one step apart; NaN where missing.
        apart: frames so many steps apart are compared, and all such pairs averaged. A longer way is measured more
            exactly, as long as what moves is still the same.

    Returns:
        (H, W, 2). Zero where the frames show nothing that moves.
    """
    import cv2

    pictures = _grey(frames)
    window = min(_WINDOW, *frames.shape[1:]) | 1
    smoothing = _SMOOTHING * window / _WINDOW
    flows = [
        cv2.calcOpticalFlowFarneback(
            before,
            after,
            np.zeros((*before.shape, 2), np.float32),
            _SCALE,
            _LEVELS,
            window,
            _ROUNDS,
            _NEIGHBOURS,
            _SPREAD,
            cv2.OPTFLOW_FARNEBACK_GAUSSIAN,
        )
        for before, after in zip(pictures, pictures[apart:], strict=False)
    ]
    mean = np.mean(flows, axis=0, dtype=np.float32) / np.float32(apart)
    return np.asarray(cv2.GaussianBlur(mean, (0, 0), smoothing, borderType=cv2.BORDER_REPLICATE), np.float32)


def advect(frame: Floats, flow: Motion, steps: Iterable[int]) -> Floats:
    """Return a frame after the given numbers of steps along a motion that is constant in time.

    Values that enter from outside the frame are those at its edge. A value is missing if more than half of what it is
    interpolated from is.

    Args:
        frame: (H, W), NaN where missing.
        flow: its motion, as `motion` returns it.
        steps: increasing numbers of steps, from 1.

    Returns:
        (number of `steps`, H, W).
    """
    import cv2

    def read(values: Floats, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Floats:
        return np.asarray(cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)

    height, width = frame.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    known = np.isfinite(frame)
    values, share = np.where(known, frame, 0).astype(np.float32), known.astype(np.float32)
    moved, done = [], 0
    for step in steps:
        for _ in range(done, step):
            # The path of one step is straight: it has the motion of its middle.
            half = read(flow, x, y) / 2
            back = read(flow, x - half[..., 0], y - half[..., 1])
            x, y = x - back[..., 0], y - back[..., 1]
        done = step
        if known.all():
            moved.append(read(values, x, y))
            continue
        weight = read(share, x, y)
        with np.errstate(invalid="ignore", divide="ignore"):
            moved.append(np.where(weight >= 0.5, read(values, x, y) / weight, np.float32(np.nan)))
    return np.stack(moved)


def _grey(frames: Floats) -> npt.NDArray[np.uint8]:
    """Return frames as pictures of bytes, all on the same scale."""
    known = frames[np.isfinite(frames)]
    if not known.size:
        return np.zeros(frames.shape, np.uint8)
    least = known.min()
    above = known[known > least] - least
    values = np.nan_to_num(frames - least, nan=0.0, posinf=0.0, neginf=0.0)
    if not above.size:
        return np.zeros(frames.shape, np.uint8)
    if above.size < (1 - _INTERMITTENT) * known.size:
        unit = np.median(above)
        values, above = np.log1p(values / unit), np.log1p(above / unit)
    return np.asarray(np.clip(np.rint(values * (255 / above.max())), 0, 255), np.uint8)
