"""Several runs side by side: what differs in their specs, and whether one forecasts better than the first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from specbuild.catalog.scores import SCORES
from specbuild.document import ArgumentError, SpecbuildError
from specbuild.document.html import html_table
from specbuild.document.text_table import Column
from specbuild.evaluation.compare import Compared, compare
from specbuild.language.difference import Difference, by_cause, differences
from specbuild.reporting.opened import ReportedRun, fault_of

RMSE = SCORES["rmse"].title
_VERDICTS = {"better": "better", "worse": "worse", "uncertain": "may be chance"}


@dataclass(frozen=True, slots=True)
class Changed:
    """How a run differs from the first."""

    letter: str
    name: str
    spec: str
    """A table of the values that differ in the spec, as HTML; empty where none does."""
    records: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """Runs beside the first of them."""

    changed: tuple[Changed, ...]
    table: str
    """Their scores with paired intervals, as HTML; empty where they cannot be compared."""
    sentences: tuple[str, ...]
    why_not: str = ""
    """Why scores cannot be compared; empty where they can."""


def beside(
    runs: Sequence[ReportedRun], split: str, overrides: Mapping[str, Any] | Iterable[str], plugins: Iterable[str]
) -> Beside:
    """Compare runs with the first of them. Forecasts every window of a split with each of them."""
    compared, why_not = None, next((f"{run.letter}: {run.fault}" for run in runs if run.fault), "")
    if not why_not:
        try:
            compared = compare([run.folder.path for run in runs], split, overrides=overrides, plugins=plugins)
        except SpecbuildError as error:
            why_not = error.message if isinstance(error, ArgumentError) else fault_of(error)
    first, *others = runs
    changed = tuple(
        Changed(
            run.letter,
            run.name,
            _spec_table(differences(first.spec, run.spec), run.letter),
            ()
            if compared is None
            else tuple(f"{each.what}: {each.before} → {each.after}" for each in compared.runs[number].records),
        )
        for number, run in enumerate(others, start=1)
    )
    if compared is None:
        return Beside(changed, "", (), why_not)
    return Beside(changed, _score_table(compared), tuple(_sentences(compared)))


def _spec_table(found: Sequence[Difference], letter: str) -> str:
    rows = []
    for cause, following in by_cause(found):
        rows.append(_row(cause, ""))
        rows += [_row(each, "↳ ") for each in following]
    if not rows:
        return ""
    return html_table([Column("path"), Column("A"), Column(letter)], rows, f"Differences in the spec of {letter}")


def _row(each: Difference, indent: str) -> tuple[str, str, str]:
    if each.kind == "renamed":
        return f"{indent}{each.path}", each.before, f"renamed {each.after}"
    return f"{indent}{each.path}", each.before or "–", each.after or "–"


def _score_table(compared: Compared) -> str:
    """Return the scores pooled over lead times; of each run but the first, the difference with its interval."""
    first = compared.runs[0].table
    columns = [column for column in first.columns if column.score in compared.shown]
    headings, cells = [Column("score")], [[column.label_with(compared.units) for column in columns]]
    for letter, run in compared.by_letter.items():
        own = [run.table.column(column.score, column.threshold, column.window) for column in columns]
        headings.append(Column(letter, number=True))
        cells.append([_number(column.overall) for column in own])
        if run.table is first:
            continue
        last = [column.differences[-1] if column.differences else None for column in own]
        headings += [Column(f"{letter} − A", number=True), Column("95 % interval", number=True), Column(f"{letter} is")]
        cells.append(["–" if each is None else f"{each.value:+#.2g}" for each in last])
        cells.append(
            [
                "–"
                if each is None or each.interval is None
                else f"{each.interval.low:+#.2g} to {each.interval.high:+#.2g}"
                for each in last
            ]
        )
        cells.append(
            ["not known" if compared.too_few_blocks else _VERDICTS[compared.verdict(column)] for column in own]
        )
    return html_table(headings, zip(*cells, strict=True), "Scores over all lead times, and differences from A")


def _sentences(compared: Compared) -> Iterable[str]:
    windows = f"{compared.windows} window{'s' if compared.windows != 1 else ''}"
    yield (
        f"All runs forecast the same {windows} of the {compared.split} split, in {compared.blocks} "
        f"block{'s' if compared.blocks != 1 else ''}; each score uses the pixels and lead times that all runs have."
    )
    shown = [column for column in compared.runs[0].table.columns if column.score in compared.shown]
    chief = next((column for column in shown if column.score == RMSE), shown[0] if shown else None)
    for letter, run in list(compared.by_letter.items())[1:]:
        if chief is None:
            continue
        column = run.table.column(chief.score, chief.threshold, chief.window)
        if compared.too_few_blocks:
            yield f"Whether {letter} is better than A is not known: there are too few windows for intervals."
        elif (verdict := compared.verdict(column)) == "uncertain":
            yield f"By {chief.score}, the difference between {letter} and A may be chance."
        else:
            yield f"By {chief.score}, {letter} is {verdict} than A by more than chance."
    yield from (f"{note[:1].upper()}{note[1:]}." for note in compared.notes)


def _number(value: float) -> str:
    return f"{value:#.3g}".rstrip(".") if math.isfinite(value) else "–"
