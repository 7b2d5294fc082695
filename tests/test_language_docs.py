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
    epochs = "Number of passes over the training data, or over steps_per_epoch batches."
    assert f"| `epochs` | positive whole number | `10` | {epochs} |" in rows
    assert any(row.startswith("| `precision` | `float32`, `bfloat16`, `auto` | `float32` |") for row in rows)
