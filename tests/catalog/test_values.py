"""What a user reads when an argument's value does not fit."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from specbuild.catalog import axis_values, values
from specbuild.catalog.values import LARGEST, written

TAKEN: list[tuple[str, Any, Any]] = [
    ("PositiveInt", 1, 1),
    ("PositiveInt", LARGEST, LARGEST),
    ("NonNegativeInt", 0, 0),
    ("Number", 3, 3.0),
    ("PositiveNumber", 1e-3, 1e-3),
    ("Fraction", 0, 0.0),
    ("Share", 1, 1.0),
    ("Flag", False, False),
    ("Padding", "same", "same"),
    ("CausalPadding", "causal", "causal"),
    ("DataFormat", None, None),
    ("Ints1", 3, (3,)),
    ("Ints1", [3], (3,)),
    ("Ints2", 3, (3, 3)),
    ("Ints2", [3, 5], (3, 5)),
    ("Ints3", (1, 2, 3), (1, 2, 3)),
    ("NonNegativeInts2", 0, (0, 0)),
    ("Margins1", 2, (2, 2)),
    ("Margins1", [0, 2], (0, 2)),
    ("Margins2", 1, ((1, 1), (1, 1))),
    ("Margins2", [1, 2], ((1, 1), (2, 2))),
    ("Margins2", [[0, 1], 2], ((0, 1), (2, 2))),
    ("Margins3", [1, [2, 3], 0], ((1, 1), (2, 3), (0, 0))),
    ("TargetShape", [4, -1], (4, -1)),
    ("TargetShape", [], ()),
    ("Permutation", [2, 1, 3], (2, 1, 3)),
    ("Axis", -1, -1),
    ("Axes", [1, -1], (1, -1)),
    ("AxisPair", 1, 1),
    ("AxisPair", [2, 1], (2, 1)),
]

REFUSED: list[tuple[str, Any, str]] = [
    ("PositiveInt", 0, "expected a positive whole number, got 0"),
    ("PositiveInt", True, "expected a positive whole number, got true (true and false are not numbers)"),
    ("PositiveInt", 3.0, "expected a positive whole number, got 3.0 (write 3, without the fraction)"),
    ("PositiveInt", 2.5, "expected a positive whole number, got 2.5"),
    ("PositiveInt", "3", 'expected a positive whole number, got "3"'),
    ("PositiveInt", None, "expected a positive whole number, got null"),
    ("PositiveInt", 2**31, "expected a positive whole number, got 2147483648 (the largest is 2147483647)"),
    ("NonNegativeInt", -1, "expected a whole number of at least 0, got -1"),
    ("Number", math.nan, "expected a number, got .nan"),
    ("Number", -math.inf, "expected a number, got -.inf"),
    ("Number", False, "expected a number, got false (true and false are not numbers)"),
    ("PositiveNumber", 0, "expected a number above 0, got 0"),
    ("NonNegativeNumber", -0.5, "expected a number of at least 0, got -0.5"),
    ("Fraction", 1.7, "expected a fraction from 0 to below 1, got 1.7"),
    ("Fraction", 1, "expected a fraction from 0 to below 1, got 1"),
    ("Share", 1.1, "expected a number from 0 to 1, got 1.1"),
    ("Flag", "yes", 'expected true or false, got "yes"'),
    ("Flag", 1, "expected true or false, got 1"),
    ("Padding", "causal", 'expected valid or same, got "causal"'),
    ("CausalPadding", "full", 'expected valid, same or causal, got "full"'),
    ("DataFormat", "NCHW", 'expected channels_last or channels_first, got "NCHW"'),
    ("Ints2", -3, "expected a positive whole number or a list of 2, got -3"),
    ("Ints2", [1, 2, 3], "expected a positive whole number or a list of 2, got [1, 2, 3]"),
    ("Ints2", [1, 0], "expected a positive whole number or a list of 2 such numbers, got 0"),
    ("NonNegativeInts1", -1, "expected a whole number of at least 0 or a list of 1, got -1"),
    ("Margins1", [1, 2, 3], "expected a whole number of at least 0 or a pair [before, after], got [1, 2, 3]"),
    ("Margins2", [1], "expected a whole number of at least 0, or a list of 2 such numbers or [before, after] pairs,"
     " got [1]"),
    ("TargetShape", [-1, -1], "expected a list of positive whole numbers, one of which may be -1, got [-1, -1]"),
    ("TargetShape", [0], "expected a list of positive whole numbers, one of which may be -1, got [0]"),
    ("Permutation", [0, 1], "expected the axes 1, 2, … in a new order, each once, got [0, 1]"),
    ("Permutation", [1, 1], "expected the axes 1, 2, … in a new order, each once, got [1, 1]"),
    ("Axis", "last", 'expected a whole number (an axis, the batch axis being 0), got "last"'),
    ("AxisPair", [1, 2, 3], "expected an axis or a list of 2 axes, the batch axis being 0, got [1, 2, 3]"),
]  # fmt: skip


TYPES = vars(values) | vars(axis_values)


@pytest.mark.parametrize(("field", "value", "stored"), TAKEN, ids=str)
def test_value_is_taken(field: str, value: Any, stored: Any) -> None:
    assert TypeAdapter(TYPES[field]).validate_python(value) == stored


@pytest.mark.parametrize(("field", "value", "message"), REFUSED, ids=str)
def test_value_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(TYPES[field]).validate_python(value)
    assert [error["msg"] for error in caught.value.errors()] == [message]


@pytest.mark.parametrize(
    "field", ["PositiveInt", "Fraction", "Ints2", "Margins3", "TargetShape", "Permutation", "Axes"]
)
@given(value=st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.binary() | st.integers(), st.lists))
def test_any_value_is_taken_or_refused_in_words(field: str, value: Any) -> None:
    try:
        TypeAdapter(TYPES[field]).validate_python(value)
    except ValidationError as error:
        (fault,) = error.errors()
        assert fault["msg"].startswith("expected ")
        assert fault["type"].startswith("specbuild.")


def test_long_values_are_cut() -> None:
    assert written("x" * 100) == '"' + "x" * 56 + "…"
    assert written(10**5000) == "a number of thousands of digits"
