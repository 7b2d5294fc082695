"""Arithmetic on variables, and comparisons: `$filters * 2`, `($size + 1) // 2`, `$f != $g`, `$norm == 'batch'`.

Numbers, `$name`, `+ - * / // % **`, signs, parentheses, `== != < <= > >=`, text in quotes, `true`, `false`,
and `not`, `and` and `or` between those; nothing else. `/` gives a whole number where it divides evenly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from specbuild.document import shown
from specbuild.document.arithmetic import (
    COMPARISONS,
    EXPRESSION,
    Chain,
    Choice,
    Comparison,
    Literal,
    Name,
    Negation,
    Power,
    Signed,
    Tree,
    parse,
    tokens,
)
from specbuild.document.calculation import ExpressionError, apply, bounded

_MAX_LENGTH = 1_000


class Unknown:
    """The value of a variable whose own fault was already reported."""


class UnknownUsed(ExpressionError):
    """An expression that uses an `Unknown`: it has no value, and there is nothing new to say about that."""


def evaluate(text: str, values: Mapping[str, Any]) -> Any:
    """Return the value of an expression. A lone `$name` may have a value of any type; arithmetic needs numbers.

    Raises:
        ExpressionError: unknown name, bad syntax, a value that is not a number, or a result out of bounds.
    """
    return _value(parse(text, EXPRESSION), values)


def is_expression(text: str) -> bool:
    """Whether text is arithmetic throughout and names a variable; otherwise it is prose that may hold `$name`."""
    if "$" not in text or len(text) > _MAX_LENGTH:
        return False
    read, rest = tokens(text, EXPRESSION)
    return not rest and any(token["name"] for token in read) and not any(token["word"] for token in read)


def names(text: str) -> set[str]:
    """Return the variables that text refers to, as arithmetic or inside prose."""
    return set(re.findall(r"(?<!\$)\$\{?([A-Za-z_]\w*)", text.replace("$$", "")))


def _value(tree: Tree, values: Mapping[str, Any]) -> Any:
    match tree:
        case Literal(_, value):
            return value
        case Name(_, name):
            return _variable(name, values)
        case Signed(_, negative, operand):
            number = _number(_value(operand, values))
            return bounded(-number if negative else number)
        case Power(_, base, exponent):
            return _applied("**", _value(base, values), _value(exponent, values))
        case Chain(_, first, rest):
            result = _value(first, values)
            for symbol, operand in rest:
                result = _applied(symbol, result, _value(operand, values))
            return result
        case Comparison(_, symbol, left, right):
            return _compared(symbol, _value(left, values), _value(right, values))
        case Negation(_, times, operand):
            return _truth(_value(operand, values)) == (times % 2 == 0)
        case Choice(_, word, operands):
            truths = [_truth(_value(operand, values)) for operand in operands]
            return any(truths) if word == "or" else all(truths)
    raise AssertionError(f"an expression has no {type(tree).__name__}")


def _variable(name: str, values: Mapping[str, Any]) -> Any:
    if name not in values:
        raise ExpressionError(f"no variable is called ${name}", unknown=name)
    if isinstance(values[name], Unknown):
        raise UnknownUsed(f"${name} has no value")
    return values[name]


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ExpressionError(f"not, and and or need true or false, got {shown(value)}")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ExpressionError(f"arithmetic needs numbers, got {shown(value)}")
    return value


def _applied(symbol: str, left: Any, right: Any) -> int | float:
    return apply(symbol, _number(left), _number(right))


def _compared(symbol: str, left: Any, right: Any) -> bool:
    if symbol not in ("==", "!="):
        left, right = _number(left), _number(right)
    elif _sort(left) != _sort(right):
        raise ExpressionError(f"{shown(left)} and {shown(right)} cannot be compared")
    return bool(COMPARISONS[symbol](left, right))


def _sort(value: Any) -> type:
    """Whether a value is a number, text, a boolean or a list."""
    return float if type(value) is int else type(value)
