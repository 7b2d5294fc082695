"""The page of scores has every score, under the name that a spec writes and the one that tables give."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.language.sections.evaluate import SCORES, EvaluateSection

PAGE = (Path(__file__).parent.parent / "docs" / "scores.md").read_text("utf-8")


@pytest.mark.parametrize("name", SCORES)
def test_every_score_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert f"`{SCORES[name]}`" in PAGE


def test_every_key_is_on_the_page() -> None:
    assert [key for key in EvaluateSection.model_fields if f"  {key}: " not in PAGE] == []
