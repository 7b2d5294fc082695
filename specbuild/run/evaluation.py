"""What an evaluation found: every score of the model and of the baselines, with what the numbers mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from specbuild.run.score_table import ScoreTable, to_csv

MODEL = "model"
PERSISTENCE = "persistence"

CONVENTION = "pooled over windows, pixels and channels in physical units, missing pixels left out"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of one split. `tables` begins with the model's; the baselines follow, persistence first."""

    name: str
    split: str
    windows: int
    variable: str
    units: str
    tables: tuple[ScoreTable, ...]

    @property
    def leads(self) -> tuple[str, ...]:
        return self.tables[0].leads

    @property
    def thresholds(self) -> tuple[float, ...]:
        found = (column.threshold for column in self.tables[0].columns)
        return tuple(dict.fromkeys(threshold for threshold in found if threshold is not None))

    def of(self, forecast: str) -> ScoreTable:
        """The scores of one forecast.

        Raises:
            KeyError: there is none of that name.
        """
        for table in self.tables:
            if table.name == forecast:
                return table
        raise KeyError(forecast)

    def skill(self) -> tuple[float, ...]:
        """1 − MSE / MSE of persistence at every lead time and then over all; 1 is best, below 0 is worse than doing
        nothing. NaN where persistence has no error."""
        model, other = (self.of(name).column("MSE") for name in (MODEL, PERSISTENCE))
        pairs = zip((*model.values, model.overall), (*other.values, other.overall), strict=True)
        return tuple(1 - ours / theirs if theirs > 0 else math.nan for ours, theirs in pairs)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; what is undefined is null."""
        *skill, overall = (None if math.isnan(value) else value for value in self.skill())
        return {
            "name": self.name,
            "split": self.split,
            "windows": self.windows,
            "variable": self.variable,
            "units": self.units,
            "convention": f"{CONVENTION}; events are values at or above the threshold",
            "skill": {"definition": "1 - MSE / MSE of persistence", "values": skill, "overall": overall},
            "forecasts": [table.to_dict() for table in self.tables],
        }

    def to_csv(self) -> str:
        return to_csv(self.tables)
