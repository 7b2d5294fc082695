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
from specbuild.data.motion import LATEST, advect, compared, motion
from specbuild.data.samples.windows import latest_frames
from specbuild.data.sources import FrameSource
from specbuild.data.sources.cf import is_latitude
from specbuild.data.time.intervals import median_step
from specbuild.evaluation import pysteps_baselines
from specbuild.evaluation.forecast_files import forecasts
from specbuild.language import Spec
from specbuild.language.interval import Interval


@dataclass(frozen=True, slots=True)
class Baseline:
    """A named rule from a window to its forecast; `members` gives the members (M, F, *space, C) of an ensemble."""

    name: str
    forecast: Callable[[Window], Floats]
    members: Callable[[Window], Floats] | None = None


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
    record = Record(dataset, cycle or Climatology.of(dataset, period))
    chosen = by_default(period, dataset.source.has_plane) if names is None else {PERSISTENCE, *names}
    ensembles = {name: partial(rule, record) for name, rule in ENSEMBLES.items()}
    return tuple(
        Baseline(name, partial(rule, record), ensembles.get(name)) for name, rule in RULES.items() if name in chosen
    )


def rivals_of(spec: Spec, dataset: Dataset, cycle: Climatology | None = None) -> tuple[Baseline, ...]:
    """Return the baselines of a spec, and the forecasts of other systems that it names.

    Raises:
        RunError: the files of such a system cannot be read, or do not fit the data.
    """
    section = spec.evaluate
    others = forecasts(section.forecasts, dataset, spec.resolve_path)
    return (
        *baselines(dataset, section.period, cycle, section.baselines),
        *(Baseline(name, forecast) for name, forecast in others.items()),
    )


@dataclass(frozen=True, slots=True)
class Record:
    """What baselines know besides the window: frames before the forecast, and means of the training frames."""

    dataset: Dataset
    cycle: Climatology

    @property
    def source(self) -> FrameSource:
        return self.dataset.source

    def latest(self, window: Window, count: int) -> Floats:
        """Return up to so many frames before the forecast, as `latest_frames` reads them."""
        return latest_frames(self.source, window.event, window.past_frames[-1], count)


def persistence(_record: Record, window: Window) -> Floats:
    """Repeat the last past frame."""
    return np.repeat(window.past[-1:], len(window.future), axis=0)


def training_mean(record: Record, window: Window) -> Floats:
    """Return the training mean of each pixel."""
    return np.repeat(record.cycle.training.mean[np.newaxis], len(window.future), axis=0)


def climatology(cycle: Climatology, window: Window) -> Floats:
    """Return the training mean of each pixel, at the phase of each forecast frame."""
    return cycle.at(window.event, window.future_frames)


def same_phase(record: Record, window: Window) -> Floats:
    """Return the last observed frame of the same phase: the same hour yesterday, the same month last year.

    NaN where the event has none before the forecast is made.
    """
    frames, cycle = np.full_like(window.future, np.nan), record.cycle
    for number, frame in enumerate(window.future_frames):
        earlier = cycle.phases.earlier(window.event, frame, window.past_frames[-1])
        if earlier is not None:
            frames[number] = cycle.source.read(window.event, range(earlier, earlier + 1))[0]
    return frames


def anomaly_persistence(record: Record, window: Window) -> Floats:
    """Add the last past frame's departure from the climatology to the climatology of each forecast frame."""
    cycle = record.cycle
    return climatology(cycle, window) + (window.past[-1:] - cycle.at(window.event, window.past_frames[-1:]))


def extrapolation(record: Record, window: Window) -> Floats:
    """Move the last past frame along the motion of the latest frames, as `specbuild/data/motion.py` does.

    The motion is that of the latest frames before the forecast is made, as many as `compared` says, even if the model
    reads frames further apart or fewer of them; each variable has its own. After a gap, or at the beginning of an
    event, there are fewer; where a single frame is known, nothing moves.
    """
    latest, apart = compared(frame_minutes(record.dataset))

    def moved(frames: Floats, steps: Sequence[int]) -> Floats:
        return advect(frames[-1], motion(frames, min(apart, len(frames) - 1)), steps)

    return _by_channel(record.latest(window, latest), window, moved)


def pysteps(record: Record, window: Window) -> Floats:
    """Move the last past frame as pySTEPS does, along the motion of the latest frames."""
    return _by_channel(record.latest(window, LATEST), window, pysteps_baselines.extrapolation)


def pysteps_ensemble(record: Record, window: Window) -> Floats:
    """Return the mean of pySTEPS's ensemble."""
    return mean_of(pysteps_members(record, window))


def pysteps_members(record: Record, window: Window) -> Floats:
    """Return the members of pySTEPS's ensemble, (M, F, *space, C); the noise of a window is the same each time.

    There is one member where fewer than three frames are known before the forecast.
    """
    minutes, kilometres = frame_minutes(record.dataset) or 5.0, _kilometres(record.source)
    frames, steps = record.latest(window, LATEST), _steps(window)
    if len(frames) < 3:
        return pysteps(record, window)[np.newaxis]
    seed = window.start + 1
    by_channel = [
        pysteps_baselines.ensemble(frames[..., channel], steps, minutes, kilometres, seed)
        for channel in range(frames.shape[-1])
    ]
    return np.stack(np.broadcast_arrays(*by_channel), axis=-1)


def mean_of(members: Floats) -> Floats:
    """Return the mean of the members (M, F, *space, C) that know a pixel; NaN where none does."""
    known = ~np.isnan(members)
    count = known.sum(axis=0)
    total = np.where(known, members, 0).sum(axis=0, dtype=np.float64)
    return np.where(count, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _by_channel(frames: Floats, window: Window, forecast: Callable[[Floats, Sequence[int]], Floats]) -> Floats:
    """Forecast each channel of the latest frames by itself; a single frame stays as it is."""
    steps = _steps(window)
    if len(frames) < 2:
        return np.repeat(frames[-1:], len(steps), axis=0)
    return np.stack([forecast(frames[..., channel], steps) for channel in range(frames.shape[-1])], axis=-1)


def _steps(window: Window) -> list[int]:
    """Return how many frames after the last past one each forecast is for."""
    last = window.past_frames[-1]
    return [frame - last for frame in window.future_frames]


def frame_minutes(dataset: Dataset) -> float | None:
    """Return the time between two frames of the data; None where it is not known."""
    times = dataset.source.times(0)
    if times is not None and len(times) > 1:
        return median_step(times) / 60
    interval = dataset.section.interval
    return None if interval is None else Interval.parse(interval).mean_seconds / 60


def _kilometres(source: FrameSource) -> float:
    """Return the height of a pixel, 1 km where the data does not say it."""
    axis = source.metadata.coordinates.get("H")
    if axis is None or axis.values is None or len(axis.values) < 2:
        return 1.0
    step = float(np.median(np.abs(np.diff(np.asarray(axis.values, np.float64)))))
    scale = _KILOMETRES_PER_DEGREE if is_latitude(axis) else {"km": 1.0, "m": 0.001}.get(axis.units, 0.0)
    return step * scale or 1.0


_KILOMETRES_PER_DEGREE = 111.2

RULES: dict[str, Callable[[Record, Window], Floats]] = {
    PERSISTENCE: persistence,
    "training mean": training_mean,
    EXTRAPOLATION: extrapolation,
    "climatology": lambda record, window: climatology(record.cycle, window),
    "same phase": same_phase,
    "anomaly persistence": anomaly_persistence,
    "pysteps": pysteps,
    "pysteps ensemble": pysteps_ensemble,
}
"""How each baseline of the catalog is computed."""

ENSEMBLES: dict[str, Callable[[Record, Window], Floats]] = {"pysteps ensemble": pysteps_members}
"""How the members of baselines that are ensembles are computed."""
