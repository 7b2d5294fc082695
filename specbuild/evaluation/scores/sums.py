"""Sums gathered window by window: for the scores of one kind of forecast, and for the skill over baselines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from specbuild.catalog.scores import SCORES
from specbuild.evaluation.distributions import Distribution
from specbuild.evaluation.forecast_scores import Interval, ScoreColumn, ScoreTable
from specbuild.evaluation.result import Skill
from specbuild.evaluation.scores.base import Family, Fields, Frame, Values, ratio
from specbuild.evaluation.scores.bootstrap import Draws
from specbuild.evaluation.scores.errors import ERRORS
from specbuild.evaluation.scores.events import events


class Scores:
    """The sums of one kind of forecast; they take the same memory however many windows are added.

    A forecast has `leads` frames. `families` are the scores to compute: by default the errors, and the contingency
    scores at each of the `thresholds`. Sums are kept for each of `blocks` blocks of windows.
    """

    def __init__(
        self,
        leads: int,
        thresholds: Sequence[float] = (),
        families: Sequence[Family] | None = None,
        blocks: int = 1,
    ) -> None:
        self.families = (ERRORS, *map(events, thresholds)) if families is None else tuple(families)
        self._sums = [np.zeros((blocks, family.size, leads)) for family in self.families]
        self._scored, self._observed = np.zeros(leads, np.int64), np.zeros(leads, np.int64)

    def add(
        self,
        forecast: Fields,
        observed: Fields,
        climatology: Fields | None = None,
        distribution: Distribution | None = None,
        *,
        block: int = 0,
    ) -> None:
        """Count one forecast (F, *space, C) in a block against what was observed, in the same shape and units.

        Args:
            distribution: of the forecast, whose `forecast` is then one value of each pixel.

        Raises:
            ValueError: the shapes differ, or there are not as many frames as lead times.
        """
        leads = len(self._scored)
        if forecast.shape != observed.shape or len(forecast) != leads:
            raise ValueError(f"expected {leads} frames of one shape, got {forecast.shape} and {observed.shape}")
        for lead in range(leads):
            frame = Frame(
                forecast[lead],
                observed[lead],
                None if climatology is None else climatology[lead],
                None if distribution is None else distribution[lead],
            )
            self._scored[lead] += np.count_nonzero(frame.known)
            self._observed[lead] += np.count_nonzero(~np.isnan(frame.observed))
            for sums, family in zip(self._sums, self.families, strict=True):
                sums[block, :, lead] += family.measure(frame)

    def sums(self, name: str, threshold: float | None = None) -> Values:
        """Return the sums (size, leads) that a score is computed from, by its name in the catalog.

        Raises:
            KeyError: the score is not among the families.
        """
        for sums, family in zip(self._sums, self.families, strict=True):
            if family.threshold == threshold and name in family.formulas:
                return _pooled(sums)
        raise KeyError(f"{name} at {threshold}")

    def drawn(self, draws: Draws) -> Iterator[Values]:
        """Yield each score of the table, in its order, in every draw of blocks: (draws, leads + 1)."""
        for sums, family in zip(self._sums, self.families, strict=True):
            yield from draws.scores(family, sums).values()

    def table(self, name: str, leads: Sequence[str]) -> ScoreTable:
        """Return every score at every lead time, and pooled over all of them.

        Args:
            name: whose forecasts these are: `model`, `persistence`.
            leads: labels of the lead times.
        """
        columns = [
            ScoreColumn(
                SCORES[score].title,
                family.threshold,
                tuple(formula(_pooled(sums)).tolist()),
                float(formula(_pooled(sums).sum(axis=1, keepdims=True))[0]),
                family.window,
                SCORES[score].units,
            )
            for sums, family in zip(self._sums, self.families, strict=True)
            for score, formula in family.formulas.items()
        ]
        return ScoreTable(
            name, tuple(leads), tuple(columns), tuple(self._scored.tolist()), tuple(self._observed.tolist())
        )


class Comparison:
    """Gathers the squared errors of the model and of each baseline over the pixels that the two and the truth know.

    So a baseline that knows less than the model is compared where it knows something, not on easier or harder pixels.
    """

    def __init__(self, leads: int, baselines: Sequence[str], blocks: int = 1) -> None:
        self._sums = {name: np.zeros((blocks, 2, leads)) for name in baselines}  # the model's, the baseline's

    def add(self, model: Fields, baselines: Mapping[str, Fields], observed: Fields, block: int = 0) -> None:
        """Count one window in a block: forecasts and observation are (F, *space, C), NaN where unknown."""
        ours = np.square(model.astype(np.float64) - observed)
        for name, forecast in baselines.items():
            theirs = np.square(forecast.astype(np.float64) - observed)
            common = ~(np.isnan(ours) | np.isnan(theirs))
            for sums, errors in zip(self._sums[name][block], (ours, theirs), strict=True):
                sums += np.where(common, errors, 0).reshape(len(errors), -1).sum(axis=1)

    def skills(self, draws: Draws | None = None) -> tuple[Skill, ...]:
        """Return the skill over each baseline, in the order they were named, with intervals from draws of blocks."""
        return tuple(
            Skill(
                name,
                tuple(map(_skill, *_pooled(sums))),
                _skill(*_pooled(sums).sum(axis=1)),
                () if draws is None else _intervals(draws, sums),
            )
            for name, sums in self._sums.items()
        )


def _pooled(sums: Values) -> Values:
    """Return the sums (size, leads) of all blocks."""
    pooled: Values = sums.sum(axis=0)
    return pooled


def _intervals(draws: Draws, sums: Values) -> tuple[Interval | None, ...]:
    ours, theirs = np.moveaxis(draws.pooled(sums), 1, 0)
    return draws.intervals(1 - ratio(ours, theirs))


def _skill(ours: float, theirs: float) -> float:
    if theirs == 0:
        return -math.inf if ours > 0 else math.nan
    return float(1 - ours / theirs)
