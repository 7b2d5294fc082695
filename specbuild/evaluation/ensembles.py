"""The forecasts of a window that are scored: those of the model and of baselines, with their distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specbuild.catalog.heads import MEMBERS
from specbuild.data import Dataset, Window
from specbuild.data.arrays import Floats
from specbuild.data.heads import GaussianReader, QuantileReader
from specbuild.evaluation.baselines import Baseline, mean_of
from specbuild.evaluation.distributions import Distribution, Ensemble, Event, Gaussian, Quantiles
from specbuild.prediction.members import first_view, makes_members, noisy_members, where_known
from specbuild.runs.trained import TrainedRun

_LEVELS = tuple((number + 0.5) / 20 for number in range(20))
"""The quantiles that stand for a Gaussian where a transform is not linear."""


@dataclass(frozen=True, slots=True)
class ScoredForecast:
    """A forecast (F, *space, C) in physical units, and its distribution where it has one."""

    frames: Floats
    distribution: Distribution | None = None

    def channel(self, channel: int | None) -> ScoredForecast:
        """Return the forecast of one channel; None: of all."""
        if channel is None:
            return self
        part = (..., slice(channel, channel + 1))
        return ScoredForecast(self.frames[part], None if self.distribution is None else self.distribution[part])


def model_forecast(trained: TrainedRun, dataset: Dataset, window: Window) -> ScoredForecast:
    """Return the model's forecast of a window of all variables.

    The distribution is that of the loss, or of `evaluate.members` members where the spec says a number.

    Args:
        dataset: the data of the run, or the view of an output.
    """
    dataset = first_view(dataset)
    past, at = window.past, (window.event, window.start)
    members = trained.spec.evaluate.members
    if dataset.is_event:
        frames = dataset.forecast(past, trained.predict, at)
        return ScoredForecast(frames, Event(frames))
    if dataset.head is None:
        frames = dataset.forecast(past, trained.predict, at)
        if members is None or not makes_members(trained, dataset):
            return ScoredForecast(frames)
        drawn = noisy_members(trained, dataset, past, at, members, seed=0)
        return ScoredForecast(frames, Ensemble(where_known(drawn, frames)))
    raw = dataset.raw_forecast(past, trained.predict, at)
    frames = dataset.point_forecast(raw, past, at)
    return ScoredForecast(frames, _of_head(trained, dataset, raw, at, frames))


def _of_head(trained: TrainedRun, dataset: Dataset, raw: Floats, at: tuple[int, int], frames: Floats) -> Distribution:
    """Return the forecast distribution where the loss defines one.

    A Gaussian stays one under transforms that are linear; otherwise it is taken by quantiles. A censored gamma
    distribution is drawn from.
    """
    head, members = dataset.head, trained.spec.evaluate.members
    assert head is not None

    def physical(values: Floats) -> Floats:
        return where_known(dataset.in_physical_units(values, at), frames)

    if members is None and isinstance(head, QuantileReader):
        return Quantiles(physical(head.given(raw)), head.head.levels)
    if members is None and isinstance(head, GaussianReader):
        mean, std = head.moments(raw)
        if all(section.affine or section.periodic for section in trained.data.transform):
            middle = physical(mean).astype(np.float64)
            return Gaussian(middle, physical(mean + std) - middle)
        return Quantiles(physical(head.quantiles(raw, _LEVELS)), _LEVELS)
    return Ensemble(physical(head.members(raw, members or MEMBERS, np.random.default_rng((0, *at)))))


def baseline_forecast(baseline: Baseline, window: Window, *, chance: bool, event: bool = False) -> ScoredForecast:
    """Return a baseline's forecast of a window; with `chance`, of an ensemble, its members.

    Args:
        event: whether what is forecast is the probability of an event.
    """
    if event:
        frames = baseline.forecast(window)
        return ScoredForecast(frames, Event(frames))
    if chance and baseline.members is not None:
        members = baseline.members(window)
        return ScoredForecast(mean_of(members), Ensemble(members) if len(members) > 1 else None)
    return ScoredForecast(baseline.forecast(window))
