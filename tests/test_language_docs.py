"""The tables of the page of the language, `docs/language.md`, are what the language says."""

from __future__ import annotations

from pathlib import Path

from specbuild.language.sections.evaluate import EvaluateSection
from specbuild.language.sections.train import TrainSection
from tests.tools import tool

ROOT = Path(__file__).parent.parent
language_docs = tool("language_docs")


def test_the_tables_are_fresh() -> None:
    text = language_docs.PAGE.read_text("utf-8")
    assert text == language_docs.page(text), "run python tools/language_docs.py --write"


def test_every_key_of_a_section_has_a_row() -> None:
    rows = list(language_docs.section(EvaluateSection))
    assert [row.split("`")[1] for row in rows[2:]] == list(EvaluateSection.model_fields)


def test_a_row_tells_value_default_and_meaning() -> None:
    rows = list(language_docs.section(TrainSection))
    batch_size = "Windows per step; if an input fixes `batch`, that number. auto: as many as memory allows, up to 64."
    assert f"| `batch_size` | positive whole number or auto | `8` | {batch_size} |" in rows
    assert any(row.startswith("| `precision` | `float32`, `bfloat16`, `auto` | `float32` |") for row in rows)
