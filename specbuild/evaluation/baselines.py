"""Baselines: forecasts without a model, reported next to every score.

Each gives (F, *space, C) in physical units for a window, NaN where it knows nothing. What a baseline learns comes from
the training frames alone; observations that it uses are from before the forecast is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from specbuild.data import Climatology, Dataset, Window
from specbuild.data.arrays import Floats


@dataclass(frozen=True, slots=True)
class Baseline:
    """A named rule from a window to its forecast."""

    name: str
    forecast: Callable[[Window], Floats]


def baselines(dataset: Dataset, period: int | None = None, cycle: Climatology | None = None) -> tuple[Baseline, ...]:
    """Return persistence and the training mean; with `period` also the baselines that know the phase of a cycle.

    Args:
        period: frames of one cycle.
        cycle: the climatology of that period, where it is known already. Training frames are read, once, when the first
            forecast needs them.
    """
    known = cycle or Climatology.of(dataset, period)
    rules = BASELINES if period is None else {**BASELINES, **PERIODIC_BASELINES}
    return tuple(Baseline(name, partial(rule, known)) for name, rule in rules.items())


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


BASELINES = {"persistence": persistence, "training mean": training_mean}
PERIODIC_BASELINES = {
    "climatology": climatology,
    "same phase": same_phase,
    "anomaly persistence": anomaly_persistence,
}
"""The baselines that need `evaluate.period`."""
