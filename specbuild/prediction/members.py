"""Members of an ensemble: forecasts of one past that differ as the future may."""

from __future__ import annotations

import numpy as np

from specbuild.catalog.heads import MOST_MEMBERS
from specbuild.data import Dataset
from specbuild.data.arrays import Floats
from specbuild.document import ArgumentError
from specbuild.graph.head_checks import MEMBERS_HELP, no_members
from specbuild.runs.trained import TrainedRun


def check_members(trained: TrainedRun, count: int) -> None:
    """Check that a run can make so many members.

    Raises:
        ArgumentError: it cannot, and why.
    """
    if not 2 <= count <= MOST_MEMBERS:
        raise ArgumentError(f"an ensemble has 2 to {MOST_MEMBERS} members, {count} were asked for")
    if why := no_members(trained.graph):
        raise ArgumentError(f"the model can make no members: {why}", help=MEMBERS_HELP)


def draw_members(
    trained: TrainedRun, dataset: Dataset, past: Floats, at: tuple[int, int] | None, count: int, seed: int
) -> Floats:
    """Return members of the forecast of whole frames, (count, F, *space, C) in physical units.

    Where the loss gives a distribution they are drawn from it, in units of training and each pixel and lead time by
    itself, and then inverted: they have the spread of the distribution, and no structure in space or time. Otherwise
    each is a forecast with other dropout and noise. The same seed and window give the same members.

    Args:
        past: (P, *space, C) in physical units.
        at: event and number of the first past frame, where it is known.

    Raises:
        RunError: the model can make none.
    """
    dataset, entropy = first_view(dataset), (seed, *(at or (0, 0)))
    if dataset.head is None:
        forecasts = (dataset.forecast(past, trained.random_predict((*entropy, member)), at) for member in range(count))
        return np.stack([*forecasts])
    raw = dataset.raw_forecast(past, trained.predict, at)
    return dataset.in_physical_units(dataset.head.members(raw, count, np.random.default_rng(entropy)), at)


def state_quantiles(
    trained: TrainedRun, dataset: Dataset, past: Floats, at: tuple[int, int] | None
) -> tuple[tuple[float, ...], Floats] | None:
    """Return the levels and the quantiles (levels, F, *space, C) of a forecast; None of a loss without a distribution.

    Args:
        past, at: as for `draw_members`.
    """
    dataset = first_view(dataset)
    if dataset.head is None:
        return None
    levels = dataset.head.head.levels
    raw = dataset.raw_forecast(past, trained.predict, at)
    return levels, dataset.in_physical_units(dataset.head.quantiles(raw, levels), at)


def first_view(dataset: Dataset) -> Dataset:
    """Return the data as the first output of `data.targets` is compared with it; without targets, the data."""
    return next(iter(dataset.views.values()), dataset)
