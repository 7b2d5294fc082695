"""The core schema of YAML 1.2, word by word."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuild.document.scalars import MAX_DIGITS, UnreadableNumber, resolve, shorten


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        ("0", 0),
        ("12", 12),
        ("012", 12),
        ("-7", -7),
        ("+7", 7),
        ("0o14", 12),
        ("0x1F", 31),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-1.5e+2", -150.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1.0", 1.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("+.Inf", math.inf),
    ],
)
def test_words_and_numbers(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number() -> None:
    for text in (".nan", ".NaN", ".NAN"):
        found = resolve(text)
        assert isinstance(found, float)
        assert math.isnan(found)


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "no",
        "on",
        "off",
        "Yes",
        "NO",
        "y",
        "n",
        "nUlL",
        "tRUE",
        "12:30:45",
        "1_000",
        "0b101",
        "-0x1F",
        "1e",
        "1e+",
        ".",
        "+",
        "-",
        "--",
        ".e1",
        "0o8",
        "0xG",
        "2019-06-10",
        "1.2.3",
        "$f",
        "١٢",
        ".Nan",
        "+.nan",
        "inf",
        "nan",
        "1,000",
        "3x3",
    ],
)
def test_everything_else_is_text(text: str) -> None:
    assert resolve(text) == text


def test_the_longest_integer_and_one_beyond() -> None:
    assert resolve("9" * MAX_DIGITS) == 10**MAX_DIGITS - 1
    with pytest.raises(UnreadableNumber, match="a whole number of 201 characters is too long"):
        resolve("9" * (MAX_DIGITS + 1))
    with pytest.raises(UnreadableNumber):
        resolve("9" * 1_000_000)


def test_an_overflowing_float_is_not_infinity() -> None:
    with pytest.raises(UnreadableNumber, match="the number 1e999 is too large"):
        resolve("1e999")
    assert resolve("1e-999") == 0.0


@given(st.integers(min_value=-(10**30), max_value=10**30))
def test_integers_come_back(number: int) -> None:
    assert resolve(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back(number: float) -> None:
    found = resolve(repr(number))
    assert found == number
    assert isinstance(found, float)


@given(st.text())
def test_any_text_has_a_value(text: str) -> None:
    found = resolve(text)
    assert not isinstance(found, str) or found == text


def test_shorten_keeps_one_line_of_bounded_width() -> None:
    assert shorten("a\n  b") == "a b"
    assert shorten("x" * 41) == "x" * 39 + "…"
    assert shorten("x" * 40) == "x" * 40
