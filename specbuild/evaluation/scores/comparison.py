"""Skill: the model's squared error beside that of a baseline, over the pixels that both know."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from specbuild.evaluation.scores.base import Frames


@dataclass(frozen=True, slots=True)
class Skill:
    """1 − MSE of the model / MSE of one baseline, at every lead time and over all of them.

    1 is best, below 0 the model is worse. Where the baseline has no error it is −∞, or NaN if the model has none
    either; where the baseline knows nothing it is NaN.
    """

    baseline: str
    values: tuple[float, ...]
    overall: float

    @property
    def all(self) -> tuple[float, ...]:
        """By lead time, then over all."""
        return (*self.values, self.overall)


class Comparison:
    """Gathers the squared errors of the model and of each baseline over the pixels that the two and the truth know.

    A baseline that knows less than the model is so compared on what it knows, and not on easier or harder pixels.
    """

    def __init__(self, leads: int, baselines: Sequence[str]) -> None:
        self._sums = {name: np.zeros((2, leads)) for name in baselines}  # the model's, the baseline's

    def add(self, model: Frames, baselines: Mapping[str, Frames], observed: Frames) -> None:
        """Counts one window: forecasts and observation are (F, *space, C), NaN where unknown."""
        ours = np.square(model.astype(np.float64) - observed)
        for name, forecast in baselines.items():
            theirs = np.square(forecast.astype(np.float64) - observed)
            common = ~(np.isnan(ours) | np.isnan(theirs))
            for sums, errors in zip(self._sums[name], (ours, theirs), strict=True):
                sums += np.where(common, errors, 0).reshape(len(errors), -1).sum(axis=1)

    def skills(self) -> tuple[Skill, ...]:
        """The skill over each baseline, in the order they were named."""
        return tuple(
            Skill(name, tuple(map(_skill, *sums)), _skill(*sums.sum(axis=1))) for name, sums in self._sums.items()
        )


def hardest(skills: Sequence[Skill], position: int) -> Skill | None:
    """The baseline over which the skill is least at a position of `Skill.all`; None where every skill is unknown."""
    known = [skill for skill in skills if not math.isnan(skill.all[position])]
    return min(known, key=lambda skill: skill.all[position], default=None)


def _skill(ours: float, theirs: float) -> float:
    if theirs == 0:
        return -math.inf if ours > 0 else math.nan
    return float(1 - ours / theirs)
