"""The table of errors, `docs/errors.md`: each spec there gives exactly the message beside it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_spec = importlib.util.spec_from_file_location("error_examples", ROOT / "tools" / "error_examples.py")
assert _spec is not None
assert _spec.loader is not None
error_examples = importlib.util.module_from_spec(_spec)
sys.modules["error_examples"] = error_examples
_spec.loader.exec_module(error_examples)

EXAMPLES = list(error_examples.examples(error_examples.PAGE.read_text("utf-8")))


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.title for example in EXAMPLES])
def test_message_is_word_for_word(example: error_examples.Example) -> None:
    assert error_examples.messages(example) == example.said
    assert "error: " in example.said or "warning: " in example.said


def test_every_example_of_the_page_is_read() -> None:
    page = error_examples.PAGE.read_text("utf-8")
    assert len(EXAMPLES) == page.count("\n### ") >= 60
    assert len({example.title for example in EXAMPLES}) == len(EXAMPLES)
