"""Members of an ensemble: forecasts of one past that differ as the future may."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specbuild.catalog.heads import MOST_MEMBERS
from specbuild.data import Dataset
from specbuild.data.arrays import Array, Floats
from specbuild.document import ArgumentError
from specbuild.graph.head_checks import MEMBERS_HELP, draws_members, no_members
from specbuild.runs.trained import TrainedRun


def check_members(trained: TrainedRun, count: int) -> None:
    """Check that a run can make so many members.

    Raises:
        ArgumentError: it cannot, and why.
    """
    if not 2 <= count <= MOST_MEMBERS:
        raise ArgumentError(f"an ensemble has 2 to {MOST_MEMBERS} members, {count} were asked for")
    if why := no_members(trained.graph):
        raise ArgumentError(f"the model cannot draw an ensemble: {why}", help=MEMBERS_HELP)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A forecast (F, *space, C) in physical units, with what else is known of it.

    Attributes:
        members: (M, F, *space, C), where members were asked for.
        quantiles: (levels, F, *space, C), where the loss gives a distribution; `levels` are their probabilities.
    """

    frames: Floats
    members: Floats | None = None
    quantiles: Floats | None = None
    levels: tuple[float, ...] = ()

    def unknown(self) -> Drawn:
        """Return the same, all of it missing."""
        frames = np.full_like(self.frames, np.nan)
        members, quantiles = (
            None if values is None else where_known(values, frames) for values in (self.members, self.quantiles)
        )
        return Drawn(frames, members, quantiles, self.levels)


def forecast_and_members(
    trained: TrainedRun, dataset: Dataset, past: Floats, at: tuple[int, int] | None, count: int, seed: int
) -> Drawn:
    """Return the forecast of whole frames, with `count` members and the quantiles of its distribution.

    Where the loss gives a distribution members are drawn from it, in units of training and each pixel and lead time by
    itself, and then inverted: they have the spread of the distribution, and no structure in space or time. Otherwise
    each is a forecast with other dropout and noise. The same seed and window give the same members.

    Args:
        past: (P, *space, C) in physical units.
        at: event and number of the first past frame, where it is known.

    Raises:
        RunError: members were asked for, and the model can make none.
    """
    dataset = first_view(dataset)
    if dataset.head is None:
        frames = dataset.forecast(past, trained.predict, at)
        members = noisy_members(trained, dataset, past, at, count, seed) if count else None
        return Drawn(frames, None if members is None else where_known(members, frames))
    raw, head = dataset.raw_forecast(past, trained.predict, at), dataset.head
    frames = dataset.point_forecast(raw, past, at)

    def physical(values: Array) -> Floats:
        return where_known(dataset.in_physical_units(values, at), frames)

    return Drawn(
        frames,
        physical(head.members(raw, count, np.random.default_rng(_entropy(seed, at)))) if count else None,
        physical(head.quantiles(raw, head.head.levels)),
        head.head.levels,
    )


def makes_members(trained: TrainedRun, dataset: Dataset) -> bool:
    """Whether forecasts of an output can differ by chance: it is a distribution, or a layer draws random numbers."""
    return dataset.head is not None or draws_members(trained.graph)


def noisy_members(
    trained: TrainedRun, dataset: Dataset, past: Floats, at: tuple[int, int] | None, count: int, seed: int
) -> Floats:
    """Return forecasts (count, F, *space, C) with other dropout and noise each; see `forecast_and_members`.

    Raises:
        RunError: nothing in the model is random.
    """
    noise = (trained.random_predict((*_entropy(seed, at), member)) for member in range(count))
    return np.stack([dataset.forecast(past, predict, at) for predict in noise])


def where_known(values: Floats, frames: Floats) -> Floats:
    """Return values (…, F, *space, C) that are missing where the forecast (F, *space, C) is."""
    return np.where(np.isnan(frames), np.float32(np.nan), values)


def _entropy(seed: int, at: tuple[int, int] | None) -> tuple[int, ...]:
    """Return what random numbers follow from: the seed and the window."""
    return seed, *(at or (0, 0))


def first_view(dataset: Dataset) -> Dataset:
    """Return the data as the first output of `data.targets` is compared with it; without targets, the data."""
    return next(iter(dataset.views.values()), dataset)
