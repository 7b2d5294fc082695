"""Baselines: forecasts that need no model, which every score stands beside.

Each gives (F, *space, C) in physical units for a window, NaN where it knows nothing. What a baseline learns comes from
the training frames alone; what it looks up lies before the forecast is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.data.climatology import Climatology
from specbuild.data.samples.dataset import Dataset, Window
from specbuild.data.samples.windows import future_frames, past_frames
from specbuild.data.sources import FrameSource
from specbuild.data.time.phases import Phases
from specbuild.language.sections.data import WindowsSection


@dataclass(frozen=True, slots=True)
class Baseline:
    """A named rule from a window to its forecast."""

    name: str
    forecast: Callable[[Window], Floats]


def baselines(dataset: Dataset, period: int | None = None, cycle: Climatology | None = None) -> tuple[Baseline, ...]:
    """Persistence and the training mean; with `period`, the frames of one cycle, also those that know its phase.

    Args:
        cycle: the climatology of that period, where it is known already. Training frames are read, once, when the first
            forecast needs them.
    """
    windows, source = dataset.section.windows, dataset.source
    known = cycle or Climatology.of(dataset, period)
    simple = (
        Baseline("persistence", persistence),
        Baseline("training mean", lambda w: np.repeat(known.training.mean[np.newaxis], len(w.future), axis=0)),
    )
    if period is None:
        return simple
    return (
        *simple,
        Baseline("climatology", lambda w: climatology(w, windows, known)),
        Baseline("same phase", lambda w: same_phase(w, windows, source, known.phases)),
        Baseline("anomaly persistence", lambda w: anomaly_persistence(w, windows, known)),
    )


def persistence(window: Window) -> Floats:
    """The last past frame, unchanged."""
    return np.repeat(window.past[-1:], len(window.future), axis=0)


def climatology(window: Window, windows: WindowsSection, cycle: Climatology) -> Floats:
    """The training mean of each pixel, at the phase of each forecast frame."""
    return cycle.at(window.event, future_frames(window.start, windows))


def same_phase(window: Window, windows: WindowsSection, source: FrameSource, phases: Phases) -> Floats:
    """The last observed frame of the same phase: the same hour yesterday, the same month last year.

    NaN where the event has none before the forecast is made.
    """
    last = past_frames(window.start, windows)[-1]
    frames = np.full_like(window.future, np.nan)
    for number, frame in enumerate(future_frames(window.start, windows)):
        earlier = phases.earlier(window.event, frame, last)
        if earlier is not None:
            frames[number] = source.read(window.event, range(earlier, earlier + 1))[0]
    return frames


def anomaly_persistence(window: Window, windows: WindowsSection, cycle: Climatology) -> Floats:
    """The last past frame's departure from the climatology, added to the climatology of each forecast frame."""
    last = past_frames(window.start, windows)[-1]
    return climatology(window, windows, cycle) + (window.past[-1:] - cycle.at(window.event, range(last, last + 1)))
