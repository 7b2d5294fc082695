"""The differences of the model's scores to those of the best baselines, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from specbuild.catalog.scores import score_titled
from specbuild.evaluation.forecast_scores import Difference, ScoreColumn, ScoreTable
from specbuild.evaluation.scores.bootstrap import Draws
from specbuild.evaluation.scores.sums import Scores


def with_differences(tables: Sequence[ScoreTable], sums: Mapping[str, Scores], draws: Draws) -> tuple[ScoreTable, ...]:
    """Return tables, the model's first, whose first has the differences of its scores to the best baselines.

    Args:
        sums: those that the tables were computed from, by the name of the forecast.
        draws: of blocks, the same for every forecast.
    """
    model, *baselines = tables
    columns = []
    for number, (ours, *theirs) in enumerate(zip(*(sums[table.name].drawn(draws) for table in tables), strict=True)):
        column = model.columns[number]
        intervals = [draws.intervals(ours - other) for other in theirs]
        differences = []
        for position, value in enumerate(column.all):
            best = _best([table.columns[number] for table in baselines], position)
            differences.append(
                None
                if best is None or not math.isfinite(value)
                else Difference(
                    baselines[best].name,
                    value - baselines[best].columns[number].all[position],
                    intervals[best][position],
                )
            )
        columns.append(replace(column, differences=tuple(differences)))
    return (replace(model, columns=tuple(columns)), *baselines)


def _best(columns: Sequence[ScoreColumn], position: int) -> int | None:
    """Return which baseline has the best score at a position of `ScoreColumn.all`; None where no score is finite.

    None also for scores that are best in the middle of their range, such as the bias: less of them is not better.
    """
    score = score_titled(columns[0].score)
    known = [number for number, column in enumerate(columns) if math.isfinite(column.all[position])]
    if not score.direction:
        return None
    return max(known, key=lambda number: score.direction * columns[number].all[position], default=None)
