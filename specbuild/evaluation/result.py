"""What an evaluation found: every score of the model and of the baselines, with what the numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from specbuild.catalog.scores import SCORES, SHOWN
from specbuild.evaluation.class_scores import ClassScores
from specbuild.evaluation.score_table import ScoreColumn, ScoreTable, finite, to_csv
from specbuild.evaluation.scores.comparison import Skill, hardest

Scored: TypeAlias = "Evaluation | ClassScores"
"""What an evaluation finds: the scores of forecasts, or of classes."""

MODEL = "model"
PERSISTENCE = "persistence"

CONVENTION = "pooled over windows, pixels and channels in physical units, missing pixels left out"
EVENTS = "events are values at or above the threshold"
SKILL = "1 - MSE / MSE of the baseline, over the pixels that both know"
BEST = f"{SKILL}; the best baseline at a lead time is the one that leaves the least skill"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of one split.

    `tables` begins with the model's; the baselines follow, persistence first. `skills` are over each baseline in that
    order. `shown` names the scores that a terminal shows; `conventions` says what each score is.
    """

    name: str
    split: str
    windows: int
    variable: str
    units: str
    tables: tuple[ScoreTable, ...]
    skills: tuple[Skill, ...]
    shown: tuple[str, ...] = tuple(SCORES[name].title for name in SHOWN)
    conventions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What of the data was left out, and why."""

    @property
    def leads(self) -> tuple[str, ...]:
        return self.tables[0].leads

    @property
    def thresholds(self) -> tuple[float, ...]:
        found = (column.threshold for column in self.tables[0].columns)
        return tuple(dict.fromkeys(threshold for threshold in found if threshold is not None))

    @property
    def on_show(self) -> tuple[ScoreColumn, ...]:
        """The model's scores that a terminal shows and a picture draws, in the order of `shown`."""
        return tuple(column for name in self.shown for column in self.tables[0].columns if column.score == name)

    def of(self, forecast: str) -> ScoreTable:
        """The scores of one forecast.

        Raises:
            KeyError: there is none of that name.
        """
        for table in self.tables:
            if table.name == forecast:
                return table
        raise KeyError(forecast)

    def skill(self, over: str = PERSISTENCE) -> tuple[float, ...]:
        """1 − MSE / MSE of a baseline at every lead time and then over all; 1 is best, below 0 is worse than it.

        Raises:
            KeyError: there is no such baseline.
        """
        for skill in self.skills:
            if skill.baseline == over:
                return skill.all
        raise KeyError(over)

    def best(self) -> tuple[Skill | None, ...]:
        """The skill over the best baseline at every lead time and then over all, which is the least skill there is.

        None where no baseline can be compared.
        """
        return tuple(hardest(self.skills, position) for position in range(len(self.leads) + 1))

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; what is undefined or infinite is null."""
        *best, overall = [
            {"baseline": None, "value": None}
            if skill is None
            else {"baseline": skill.baseline, "value": finite(skill.all[position])}
            for position, skill in enumerate(self.best())
        ]
        *skill, over_all = map(finite, self.skill())
        return {
            "name": self.name,
            "split": self.split,
            "windows": self.windows,
            **({"notes": list(self.notes)} if self.notes else {}),
            "variable": self.variable,
            "units": self.units,
            "convention": f"{CONVENTION}; {EVENTS}",
            "conventions": dict(self.conventions),
            "skill": {"definition": f"{SKILL}, which is persistence", "values": skill, "overall": over_all},
            "skill over the best baseline": {"definition": BEST, "values": best, "overall": overall},
            "skills": [
                {"baseline": one.baseline, "values": list(map(finite, one.values)), "overall": finite(one.overall)}
                for one in self.skills
            ],
            "forecasts": [table.to_dict() for table in self.tables],
        }

    def to_csv(self) -> str:
        return to_csv(self.tables)
