"""The sums of one kind of forecast, gathered window by window, and the table of scores that follows from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from specbuild.catalog.scores import SCORES
from specbuild.evaluation.score_table import ScoreColumn, ScoreTable
from specbuild.evaluation.scores.base import Family, Frame, Frames, Values
from specbuild.evaluation.scores.errors import ERRORS
from specbuild.evaluation.scores.events import events


class Scores:
    """The sums of one kind of forecast; they take the same memory however many windows are added.

    A forecast has `leads` frames. `families` are the scores to compute: by default the errors, and the contingency
    scores at each of the `thresholds`.
    """

    def __init__(self, leads: int, thresholds: Sequence[float] = (), families: Sequence[Family] | None = None) -> None:
        self.families = (ERRORS, *map(events, thresholds)) if families is None else tuple(families)
        self._sums = [np.zeros((family.size, leads)) for family in self.families]
        self._scored, self._observed = np.zeros(leads, np.int64), np.zeros(leads, np.int64)

    def add(self, forecast: Frames, observed: Frames, climatology: Frames | None = None) -> None:
        """Count one forecast (F, *space, C) against what was observed, in the same shape and units.

        Raises:
            ValueError: the shapes differ, or there are not as many frames as lead times.
        """
        leads = len(self._scored)
        if forecast.shape != observed.shape or len(forecast) != leads:
            raise ValueError(f"expected {leads} frames of one shape, got {forecast.shape} and {observed.shape}")
        for lead in range(leads):
            frame = Frame(forecast[lead], observed[lead], None if climatology is None else climatology[lead])
            self._scored[lead] += np.count_nonzero(frame.known)
            self._observed[lead] += np.count_nonzero(~np.isnan(frame.observed))
            for sums, family in zip(self._sums, self.families, strict=True):
                sums[:, lead] += family.measure(frame)

    def sums(self, name: str, threshold: float | None = None) -> Values:
        """Return the sums (size, leads) that a score is computed from, by its name in the catalogue.

        Raises:
            KeyError: the score is not among the families.
        """
        for sums, family in zip(self._sums, self.families, strict=True):
            if family.threshold == threshold and name in family.formulas:
                return sums
        raise KeyError(f"{name} at {threshold}")

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
                tuple(formula(sums).tolist()),
                float(formula(sums.sum(axis=1, keepdims=True))[0]),
                family.window,
                SCORES[score].units,
            )
            for sums, family in zip(self._sums, self.families, strict=True)
            for score, formula in family.formulas.items()
        ]
        return ScoreTable(
            name, tuple(leads), tuple(columns), tuple(self._scored.tolist()), tuple(self._observed.tolist())
        )
