"""The page of scores has every score, under the name that a spec writes and the one that tables give."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.catalog.scores import CONVENTIONS, SCORES, SELECTABLE, SHOWN, score_titled
from specbuild.evaluation.scores import errors, events, probability
from specbuild.evaluation.scores.selection import ON_DEMAND
from specbuild.language.sections.evaluate import EvaluateSection
from tests.tools import tool

ROOT = Path(__file__).parent.parent
score_docs = tool("score_docs")
PAGE = score_docs.PAGE.read_text("utf-8")


def test_the_table_is_fresh() -> None:
    assert score_docs.page() == PAGE, "run python tools/score_docs.py --write"


PROBABILITY = {**probability.crps().formulas, **probability.spread().formulas}


@pytest.mark.parametrize("name", SCORES)
def test_every_score_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE or name not in SELECTABLE
    assert f"`{SCORES[name].title}`" in PAGE


@pytest.mark.parametrize("name", SCORES)
def test_every_score_is_computed(name: str) -> None:
    computed = {
        "always": errors.ERRORS.formulas,
        "with thresholds": events.events(0).formulas,
        "by name": ON_DEMAND,
        "with latitudes": ON_DEMAND,
        "with a distribution": PROBABILITY,
        "with a distribution and thresholds": probability.brier(0).formulas,
    }
    assert name in computed[SCORES[name].computed]


def test_nothing_is_computed_that_is_not_declared() -> None:
    of_events = {**events.events(0).formulas, **probability.brier(0).formulas}
    assert {*errors.ERRORS.formulas, *of_events, *PROBABILITY, *ON_DEMAND} == set(SCORES)


def test_names_and_titles_are_of_declared_scores() -> None:
    assert {*SHOWN, *(name for names in CONVENTIONS.values() for name in names)} <= set(SCORES)
    assert [score_titled(score.title) for score in SCORES.values()] == list(SCORES.values())
    with pytest.raises(KeyError, match="RSME"):
        score_titled("RSME")


def test_every_key_is_on_the_page() -> None:
    assert [key for key in EvaluateSection.model_fields if f"  {key}: " not in PAGE] == []
