"""Arithmetic on variables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuild.document.calculation import LIMIT, ExpressionError
from specbuild.language.expressions import evaluate, is_expression, names

VALUES = {"n": 8, "half": 0.5, "word": "conv", "sizes": [32, 64], "flag": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$n", 8),
        ("$n * 2", 16),
        ("$n*2 + 1", 17),
        ("1 + $n * 2", 17),
        ("(1 + $n) * 2", 18),
        ("$n / 2", 4),
        ("$n / 3", 8 / 3),
        ("$n // 3", 2),
        ("$n % 3", 2),
        ("-$n", -8),
        ("$n - -1", 9),
        ("$n ** 2", 64),
        ("-$n ** 2", -64),
        ("2 ** 3 ** 2 * ($n - 7)", 512),
        ("$n * 1e-3", 0.008),
        ("$half * $n", 4.0),
        ("$word", "conv"),
        ("$sizes", [32, 64]),
        ("$flag", True),
    ],
)
def test_value(text: str, value: object) -> None:
    result = evaluate(text, VALUES)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$m", "no variable is called $m"),
        ("$n +", "a number or a $name is missing at the end"),
        ("($n", 'a ")" is missing'),
        ("$n $n", 'unexpected "n"'),
        ("$n / 0", "division by zero"),
        ("$n % ($n - 8)", "division by zero"),
        ("$word * 2", 'arithmetic needs numbers, got "conv"'),
        ("$flag + 1", "arithmetic needs numbers, got true"),
        ("$sizes + 1", "arithmetic needs numbers, got a list"),
        ("10 ** 10 ** 10 * $n", "the result is too large"),
        ("$n ** 99999999", "the result is too large"),
        ("9223372036854775807 + $n", "the result is too large"),
        ("0 ** -1 + $n", "division by zero"),
        ("(0 - $n) ** 0.5", "a negative number has no fractional power"),
        ("(" * 60 + "$n" + ")" * 60, "parentheses and powers are nested more than 50 deep"),
        (
            "__import__('os')",
            "\"__import__('os')\" cannot be part of an expression; it may have numbers, $name, text in quotes, "
            "+ - * / // % **, comparisons and ( )",
        ),
    ],
)
def test_fault(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, VALUES)
    assert str(caught.value) == message


def test_prose_is_no_expression() -> None:
    assert is_expression("$n * 2")
    assert not is_expression("enc$n")
    assert not is_expression("n * 2")
    assert not is_expression("costs $5")
    assert names("enc${i}_$n, $$x") == {"i", "n"}


numbers = st.integers(0, 50)


@st.composite
def arithmetic(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(st.one_of(numbers.map(str), st.just("$n"), st.just("$half")))
    left, right = draw(arithmetic(depth=depth - 1)), draw(arithmetic(depth=depth - 1))
    operator = draw(st.sampled_from(["+", "-", "*"]))
    text = f"{left} {operator} {right}"
    return f"({text})" if draw(st.booleans()) else text


@given(arithmetic())
def test_same_as_python(text: str) -> None:
    python = text.replace("$n", "8").replace("$half", "0.5")
    expected = _python(python)
    if abs(expected) < LIMIT:
        assert evaluate(text, VALUES) == expected


def _python(text: str) -> float:
    """Python's own arithmetic, as an oracle for text that this test made itself."""
    import ast
    import operator

    operations = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.Constant):
            return node.value  # type: ignore[return-value]
        assert isinstance(node, ast.BinOp)
        return operations[type(node.op)](value(node.left), value(node.right))  # type: ignore[index]

    return value(ast.parse(text, mode="eval").body)


SYMBOLS = st.sampled_from([*"0129 .()$+-*/%<>=!'ne", "$n", "$half", " and ", "not ", "true", "//", "**", "<=", "=="])


def outcome(text: str) -> int | float | str | bool | ExpressionError:
    try:
        return evaluate(text, VALUES)
    except ExpressionError as error:
        return error


@given(st.text(max_size=60) | st.lists(SYMBOLS, max_size=12).map("".join))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text gives a value below the limit, or a fault with a message at a place inside the text."""
    found = outcome(text)
    if isinstance(found, ExpressionError):
        assert str(found)
        assert found.at is None or 0 <= found.at[0] <= found.at[1] <= len(text)
    else:
        assert isinstance(found, bool | int | float | str)
        assert isinstance(found, str) or abs(found) < LIMIT
