"""A short run of `tools/data_search.py`, and proof that it notices what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from specbuild.data.feeds.base import FeedContext
from specbuild.data.samples import opening
from specbuild.data.samples.windows import Stretch
from tests.tools import tool

search = tool("data_search")
cases = tool("data_cases")


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    search.leave_out_pictures(monkeypatch.setattr)


def found(numbers: Iterable[int], *, trained: bool = False, disturbed: bool = False) -> Any:
    findings = search.Findings()
    for number in numbers:
        random = Random(f"2026.{number}")
        case = cases.generate(random)
        if disturbed:
            cases.disturb(random, case)
        search.try_case(case, number, findings, trained=trained, disturbed=disturbed)
    return findings


def texts(findings: Any) -> dict[str, str]:
    return {where: f"case {number}: {what}\n{case.text()}" for where, (number, case, what) in findings.found.items()}


def test_samples_are_those_of_a_naive_reading() -> None:
    findings = found(range(40))
    assert texts(findings) == {}
    assert findings.counts["compared"] > 25
    assert len(findings.forms) > 45


def test_what_is_changed_is_read_or_refused_at_a_place() -> None:
    findings = found(range(200, 230), disturbed=True)
    assert texts(findings) == {}
    assert min(findings.counts[kind] for kind in ("disturbed", "refused")) > 5


def test_what_is_accepted_is_trained_scored_and_forecast() -> None:
    findings = found(range(102, 105), trained=True)
    assert texts(findings) == {}
    assert findings.counts["trained"] >= 2


def test_statistics_of_other_splits_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = opening.fit_transform

    def wrong(spec: Any, section: Any, source: Any, _train: Any) -> Any:
        whole = tuple(Stretch(event, range(length)) for event, length in enumerate(source.lengths))
        return fit(spec, section, source, whole)

    monkeypatch.setattr(opening, "fit_transform", wrong)
    assert found(range(6)).counts["wrong"] > 1


def test_later_frames_as_an_input_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = FeedContext.numbers
    monkeypatch.setattr(FeedContext, "numbers", lambda self, frames: [n + 1 for n in numbers(self, frames)])
    assert "wrong: input source" in found(range(12)).found
