"""Baselines: forecasts without a model, reported next to every score.

Each gives (F, *space, C) in physical units for a window, NaN where it knows nothing. What a baseline learns comes from
the training frames alone; observations that it uses are from before the forecast is made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from specbuild.catalog.baselines import EXTRAPOLATION, PERSISTENCE, by_default
from specbuild.data import Climatology, Dataset, Window
from specbuild.data.arrays import Floats
from specbuild.data.motion import PAIRS, advect, motion
from specbuild.data.sources import FrameSource
from specbuild.data.time.intervals import unbroken


@dataclass(frozen=True, slots=True)
class Baseline:
    """A named rule from a window to its forecast."""

    name: str
    forecast: Callable[[Window], Floats]


def baselines(
    dataset: Dataset,
    period: int | None = None,
    cycle: Climatology | None = None,
    names: Collection[str] | None = None,
) -> tuple[Baseline, ...]:
    """Return the baselines of a data set, persistence first.

    Args:
        period: frames of one cycle.
        cycle: the climatology of that period, where it is known already. Training frames are read, once, when the first
            forecast needs them.
        names: which baselines, beside persistence; None: all that can be computed.
    """
    known = cycle or Climatology.of(dataset, period)
    chosen = by_default(period, dataset.source.has_plane) if names is None else {PERSISTENCE, *names}
    return tuple(Baseline(name, partial(rule, known)) for name, rule in RULES.items() if name in chosen)


def persistence(_cycle: Climatology, window: Window) -> Floats:
    """Repeat the last past frame."""
    return np.repeat(window.past[-1:], len(window.future), axis=0)


def training_mean(cycle: Climatology, window: Window) -> Floats:
    """Return the training mean of each pixel."""
    return np.repeat(cycle.training.mean[np.newaxis], len(window.future), axis=0)


def climatology(cycle: Climatology, window: Window) -> Floats:
    """Return the training mean of each pixel, at the phase of each forecast frame."""
    return cycle.at(window.event, window.future_frames)


def same_phase(cycle: Climatology, window: Window) -> Floats:
    """Return the last observed frame of the same phase: the same hour yesterday, the same month last year.

    NaN where the event has none before the forecast is made.
    """
    frames = np.full_like(window.future, np.nan)
    for number, frame in enumerate(window.future_frames):
        earlier = cycle.phases.earlier(window.event, frame, window.past_frames[-1])
        if earlier is not None:
            frames[number] = cycle.source.read(window.event, range(earlier, earlier + 1))[0]
    return frames


def anomaly_persistence(cycle: Climatology, window: Window) -> Floats:
    """Add the last past frame's departure from the climatology to the climatology of each forecast frame."""
    return climatology(cycle, window) + (window.past[-1:] - cycle.at(window.event, window.past_frames[-1:]))


def extrapolation(cycle: Climatology, window: Window) -> Floats:
    """Move the last past frame along the motion of the latest frames, as `specbuild/data/motion.py` does.

    The motion is that between the last frames before the forecast is made, one step of the data apart, even if the
    model reads frames further apart or fewer of them; each variable has its own. After a gap, or at the beginning of an
    event, where a single frame is known, nothing moves.
    """
    last = window.past_frames[-1]
    frames = _latest(cycle.source, window.event, last)
    steps = [frame - last for frame in window.future_frames]
    moved = [_moved(frames[..., channel], steps) for channel in range(frames.shape[-1])]
    return np.stack(moved, axis=-1)


def _latest(source: FrameSource, event: int, last: int) -> Floats:
    """Return the frames up to `last` that no gap parts from it, as many as motion is computed from."""
    stretch = next(part for part in unbroken(source.times(event), source.lengths[event]) if last in part)
    frames = range(max(stretch.start, last - PAIRS), last + 1)
    unusable = [frame for frame in frames if (event, frame) in source.unusable]
    return source.read(event, range(max(unusable) + 1, last + 1) if unusable else frames)


def _moved(frames: Floats, steps: Sequence[int]) -> Floats:
    if len(frames) < 2:
        return np.repeat(frames[-1:], len(steps), axis=0)
    return advect(frames[-1], motion(frames), steps)


RULES: dict[str, Callable[[Climatology, Window], Floats]] = {
    PERSISTENCE: persistence,
    "training mean": training_mean,
    EXTRAPOLATION: extrapolation,
    "climatology": climatology,
    "same phase": same_phase,
    "anomaly persistence": anomaly_persistence,
}
"""How each baseline of the catalogue is computed."""
