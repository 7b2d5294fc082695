"""The table of errors, `docs/errors.md`: each spec there gives exactly the message beside it, and none is missing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import specbuild.graph
import specbuild.language
from specbuild.catalog import equation
from specbuild.document import arithmetic
from tests.tools import tool

ROOT = Path(__file__).parent.parent
error_examples = tool("error_examples")

EXAMPLES = list(error_examples.examples(error_examples.PAGE.read_text("utf-8")))
STAGES = [Path(str(stage.__file__)).parent for stage in (specbuild.language, specbuild.graph)]
SOURCES = [path for stage in STAGES for path in sorted(stage.rglob("*.py"))]
SOURCES += [Path(arithmetic.__file__), Path(equation.__file__)]
RAISES = {"error", "warning", "refuse", "_error", "_at", "fault", "Diagnostic", "ExpressionError"}
"""The functions that make a diagnostic, or the error that becomes one."""
ELSEWHERE = {
    "Home.of": "a root is named by the user, not by a spec",
    "Spec.error": "what later stages call, with the data at hand",
    "Spec.require_data": "a spec without data is right until a stage needs its data",
}
"""Where a fault is made that no spec alone can show, and why."""
LIMITS = ("too-large", "too-deep", "deeper than", "longer than", "at most ", "too long", "too much")
"""What a fault says that only a very long spec has; the tests of the stages show those."""


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.title for example in EXAMPLES])
def test_message_is_word_for_word(example: error_examples.Example) -> None:
    assert error_examples.messages(example) == example.said
    assert "error: " in example.said or "warning: " in example.said


def test_every_example_of_the_page_is_read() -> None:
    page = error_examples.PAGE.read_text("utf-8")
    assert len(EXAMPLES) == page.count("\n### ") >= 130
    assert len({example.title for example in EXAMPLES}) == len(EXAMPLES)


def test_five_mistakes_give_five_errors() -> None:
    (example,) = (one for one in EXAMPLES if one.title == "Five mistakes, five errors")
    assert len(error_examples.findings(example)) == 5


def test_one_mistake_gives_one_error() -> None:
    several = {one.title: len(error_examples.findings(one)) for one in EXAMPLES}
    assert {title: count for title, count in several.items() if count != 1} == {
        "An argument on the wrong side of a wrapper": 2,
        "A monitor that training does not report": 2,
        "A share that is not a share": 2,
        "Every mistake is named": 4,
        "Five mistakes, five errors": 5,
        "Several mistakes in a search, several errors": 4,
    }


def test_every_fault_that_the_language_knows_has_an_example() -> None:
    reached = lines_reached()
    missing = [
        f"{path.relative_to(ROOT)}:{call.lineno} in {name}"
        for path in SOURCES
        for name, call in calls(path)
        if name not in ELSEWHERE
        and not any(word in ast.unparse(call) for word in LIMITS)
        and not any((str(path), line) in reached for line in range(call.lineno, (call.end_lineno or call.lineno) + 1))
    ]
    assert missing == [], "write an example of each into docs/errors.md"


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """The calls that make a diagnostic, each with the function it stands in."""

    def visit(node: ast.AST, inside: tuple[str, ...]) -> Iterator[tuple[str, ast.Call]]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inside = (*inside, node.name)
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in RAISES:
                yield ".".join(inside), node
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(ast.parse(path.read_text("utf-8")), ())


def lines_reached() -> set[tuple[str, int]]:
    """Every line of the two stages that runs while the examples are checked."""
    reached: set[tuple[str, int]] = set()
    watched = {str(path) for path in SOURCES}

    def line(frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return line

    def call(frame: FrameType, _event: str, _argument: Any) -> Any:
        return line if frame.f_code.co_filename in watched else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        for example in EXAMPLES:
            error_examples.findings(example)
    finally:
        sys.settrace(before)
    return reached
