"""Arithmetic on variables: `$filters * 2`, `($size + 1) // 2`.

A small grammar with a parser of its own, so that a spec can never run code. Numbers, `$name`, `+ - * / // % **`, signs
and parentheses; nothing else. `/` gives a whole number where it divides evenly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

LIMIT = 2**63
"""No number of a spec reaches this; a result beyond it is a mistake, or an attack."""
_MAX_LENGTH = 1_000
_MAX_DEPTH = 50

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?)|\$(?P<name>[A-Za-z_]\w*)|(?P<operator>\*\*|//|[-+*/%()]))"
)


class ExpressionError(Exception):
    """An expression that has no value; the text is for the user. `unknown` is set to the name that does not exist."""

    def __init__(self, message: str, unknown: str | None = None) -> None:
        super().__init__(message)
        self.unknown = unknown


class Unknown:
    """The value of a variable whose own fault was already reported."""


class UnknownUsed(ExpressionError):
    """An expression that uses an `Unknown`: it has no value, and there is nothing new to say about that."""


def evaluate(text: str, values: Mapping[str, Any]) -> Any:
    """The value of an expression. A lone `$name` gives whatever the variable holds; arithmetic needs numbers.

    Raises:
        ExpressionError: unknown name, bad syntax, a value that is no number, or a result out of bounds.
    """
    parser = _Parser(_tokens(text), values)
    value = parser.sum(0)
    if parser.peek is not None:
        raise ExpressionError(f'"{parser.peek.text}" is not expected there')
    return value


def is_expression(text: str) -> bool:
    """Whether text is arithmetic throughout and names a variable; otherwise it is prose that may hold `$name`."""
    if "$" not in text or len(text) > _MAX_LENGTH:
        return False
    position, named = 0, False
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            return False
        named = named or match["name"] is not None
        position = match.end()
    return named


def names(text: str) -> set[str]:
    """The variables that text refers to, as arithmetic or inside prose."""
    return set(re.findall(r"(?<!\$)\$\{?([A-Za-z_]\w*)", text.replace("$$", "")))


class _Token(NamedTuple):
    kind: str
    text: str


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            rest = text[position:].strip()[:20]
            raise ExpressionError(f'"{rest}" is not arithmetic; that is numbers, $name, + - * / // % ** and ( )')
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind]))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent: sum → product → sign → power → atom."""

    def __init__(self, tokens: list[_Token], values: Mapping[str, Any]) -> None:
        self._tokens, self._values, self._at = tokens, values, 0

    @property
    def peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _operator(self, *wanted: str) -> str | None:
        token = self.peek
        if token is not None and token.kind == "operator" and token.text in wanted:
            self._at += 1
            return token.text
        return None

    def sum(self, depth: int) -> Any:
        value = self.product(depth)
        while operator := self._operator("+", "-"):
            value = _apply(operator, value, self.product(depth))
        return value

    def product(self, depth: int) -> Any:
        value = self.sign(depth)
        while operator := self._operator("*", "/", "//", "%"):
            value = _apply(operator, value, self.sign(depth))
        return value

    def sign(self, depth: int) -> Any:
        negative = False
        signed = False
        while operator := self._operator("+", "-"):
            signed = True
            negative ^= operator == "-"
        value = self.power(depth)
        if signed:
            value = _bounded(-_number(value) if negative else _number(value))
        return value

    def power(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ExpressionError(f"parentheses and powers are nested more than {_MAX_DEPTH} deep")
        value = self.atom(depth)
        if self._operator("**"):
            negative = bool(self._operator("-"))
            exponent = self.power(depth + 1)
            value = _apply("**", value, -_number(exponent) if negative else exponent)
        return value

    def atom(self, depth: int) -> Any:
        token = self.peek
        if token is None:
            raise ExpressionError("it ends where a number or a $name is expected")
        self._at += 1
        if token.kind == "number":
            return _bounded(int(token.text) if token.text.isdigit() else float(token.text))
        if token.kind == "name":
            if token.text not in self._values:
                raise ExpressionError(f"no variable is called ${token.text}", unknown=token.text)
            value = self._values[token.text]
            if isinstance(value, Unknown):
                raise UnknownUsed(f"${token.text} has no value")
            return value
        if token.text != "(":
            raise ExpressionError(f'"{token.text}" is not expected there')
        value = self.sum(depth + 1)
        if not self._operator(")"):
            raise ExpressionError('a ")" is missing')
        return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ExpressionError(f"arithmetic needs numbers, got {_show(value)}")
    return value


def _apply(operator: str, left: Any, right: Any) -> int | float:
    a, b = _number(left), _number(right)
    if operator in ("/", "//", "%") and b == 0:
        raise ExpressionError("it divides by zero")
    if operator == "**":
        return _power(a, b)
    if operator == "/":
        return _bounded(a // b if isinstance(a, int) and isinstance(b, int) and a % b == 0 else a / b)
    return _bounded(_OPERATIONS[operator](a, b))


_OPERATIONS: dict[str, Any] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def _power(base: int | float, exponent: int | float) -> int | float:
    if base == 0 and exponent < 0:
        raise ExpressionError("it divides by zero")
    if base < 0 and not float(exponent).is_integer():
        raise ExpressionError("a negative number has no broken power")
    if abs(base) > 1 and abs(exponent) * math.log2(abs(base)) > 64:
        raise ExpressionError("the result is too large")
    return _bounded(base**exponent)


def _bounded(value: int | float) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("the result is too large")
    if isinstance(value, int) and abs(value) >= LIMIT:
        raise ExpressionError("the result is too large")
    return value


def _show(value: Any) -> str:
    return (
        f'"{value}"' if isinstance(value, str) else "a list" if isinstance(value, (list, tuple)) else str(value).lower()
    )
