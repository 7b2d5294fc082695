"""Arithmetic on variables, and comparisons: `$filters * 2`, `($size + 1) // 2`, `$f != $g`, `$norm == 'batch'`.

Numbers, `$name`, `+ - * / // % **`, signs, parentheses, `== != < <= > >=`, text in quotes, `true`, `false`,
and `not`, `and` and `or` between those; nothing else. `/` gives a whole number where it divides evenly. The parser is
our own because Python's `ast` knows no `$name`, refuses numbers such as 012, which YAML reads as twelve, and describes
its faults in terms of Python.
"""

from __future__ import annotations

import math
import operator
import re
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

from specbuild.document import shown

LIMIT = 2**63
"""No number of a spec reaches this; a result beyond it is a mistake, or an attack."""
_MAX_LENGTH = 1_000
_MAX_DEPTH = 50

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?)|\$(?P<name>[A-Za-z_]\w*)|(?P<quote>['\"])(?P<text>[^'\"$]*)(?P=quote)"
    r"|(?P<operator>\*\*|//|[=!<>]=|[-+*/%()<>])|(?P<word>(?:not|and|or|true|false)\b))"
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
    """Return the value of an expression. A lone `$name` may have a value of any type; arithmetic needs numbers.

    Raises:
        ExpressionError: unknown name, bad syntax, a value that is not a number, or a result out of bounds.
    """
    tokens, rest = _tokens(text)
    if rest:
        raise ExpressionError(
            f'"{rest[:20]}" cannot be part of an expression; it may have numbers, $name, text in quotes, '
            "+ - * / // % **, comparisons and ( )"
        )
    parser = _Parser(tokens, values)
    value = parser.choice(0)
    if parser.tokens:
        raise _unexpected(parser.tokens[0])
    return value


def is_expression(text: str) -> bool:
    """Whether text is arithmetic throughout and names a variable; otherwise it is prose that may hold `$name`."""
    if "$" not in text or len(text) > _MAX_LENGTH:
        return False
    tokens, rest = _tokens(text)
    return not rest and any(token["name"] for token in tokens) and not any(token["word"] for token in tokens)


def names(text: str) -> set[str]:
    """Return the variables that text refers to, as arithmetic or inside prose."""
    return set(re.findall(r"(?<!\$)\$\{?([A-Za-z_]\w*)", text.replace("$$", "")))


def _tokens(text: str) -> tuple[deque[re.Match[str]], str]:
    """Return the tokens that text starts with, and what follows the last of them."""
    tokens: deque[re.Match[str]] = deque()
    position, text = 0, text.rstrip()
    while match := _TOKEN.match(text, position):
        tokens.append(match)
        position = match.end()
    return tokens, text[position:].strip()


class _Parser:
    """Recursive descent: sums of products of operands. `tokens` are those still to be read."""

    def __init__(self, tokens: deque[re.Match[str]], values: Mapping[str, Any]) -> None:
        self.tokens, self._values = tokens, values

    def _operator(self, wanted: Collection[str]) -> str | None:
        if self.tokens and self.tokens[0]["operator"] in wanted:
            return self.tokens.popleft()["operator"]
        return None

    def _word(self, wanted: str) -> bool:
        found = bool(self.tokens) and self.tokens[0]["word"] == wanted
        if found:
            self.tokens.popleft()
        return found

    def choice(self, depth: int, word: str = "or") -> Any:
        """Read what `or` joins, or one level below `and`; a single operand may have a value of any type."""
        value = self.choice(depth, "and") if word == "or" else self.negation(depth)
        while self._word(word):
            other = self.choice(depth, "and") if word == "or" else self.negation(depth)
            left, right = _truth(value), _truth(other)
            value = (left or right) if word == "or" else (left and right)
        return value

    def negation(self, depth: int) -> Any:
        """Read a comparison, with any number of `not` before it."""
        count = 0
        while self._word("not"):
            count += 1
        value = self.comparison(depth)
        return value if count == 0 else _truth(value) == (count % 2 == 0)

    def comparison(self, depth: int) -> Any:
        """Read one or two sums; of two, whether they compare as the operator between them says."""
        left = self.operation(depth)
        symbol = self._operator(_COMPARISONS)
        return left if symbol is None else _compared(symbol, left, self.operation(depth))

    def operation(self, depth: int, level: int = 0) -> Any:
        if level == len(_LEVELS):
            return self.operand(depth)
        value = self.operation(depth, level + 1)
        while symbol := self._operator(_LEVELS[level]):
            value = _apply(symbol, value, self.operation(depth, level + 1))
        return value

    def operand(self, depth: int) -> Any:
        """Read an atom, its power and the signs before it, which bind less tightly than the power."""
        if depth > _MAX_DEPTH:
            raise ExpressionError(f"parentheses and powers are nested more than {_MAX_DEPTH} deep")
        signs = []
        while sign := self._operator(_LEVELS[0]):
            signs.append(sign)
        value = self.atom(depth)
        if self._operator(("**",)):
            value = _apply("**", value, self.operand(depth + 1))
        if signs:
            value = _bounded(-_number(value) if signs.count("-") % 2 else _number(value))
        return value

    def atom(self, depth: int) -> Any:
        if not self.tokens:
            raise ExpressionError("it ends where a number or a $name is expected")
        token = self.tokens.popleft()
        if number := token["number"]:
            return _bounded(int(number) if number.isdigit() else float(number))
        if name := token["name"]:
            if name not in self._values:
                raise ExpressionError(f"no variable is called ${name}", unknown=name)
            value = self._values[name]
            if isinstance(value, Unknown):
                raise UnknownUsed(f"${name} has no value")
            return value
        if token["text"] is not None:
            return token["text"]
        if token["word"] in ("true", "false"):
            return token["word"] == "true"
        if token["operator"] != "(":
            raise _unexpected(token)
        value = self.choice(depth + 1)
        if not self._operator((")",)):
            raise ExpressionError('a ")" is missing')
        return value


def _unexpected(token: re.Match[str]) -> ExpressionError:
    return ExpressionError(f'"{token[str(token.lastgroup)]}" is not expected there')


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ExpressionError(f"not, and and or need true or false, got {shown(value)}")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ExpressionError(f"arithmetic needs numbers, got {shown(value)}")
    return value


def _apply(symbol: str, left: Any, right: Any) -> int | float:
    a, b = _number(left), _number(right)
    if symbol in ("/", "//", "%") and b == 0:
        raise ExpressionError("it divides by zero")
    return _bounded(_OPERATIONS[symbol](a, b))


def _compared(symbol: str, left: Any, right: Any) -> bool:
    if symbol not in ("==", "!="):
        left, right = _number(left), _number(right)
    elif _sort(left) != _sort(right):
        raise ExpressionError(f"{shown(left)} and {shown(right)} cannot be compared")
    return bool(_COMPARISONS[symbol](left, right))


def _sort(value: Any) -> type:
    """Whether a value is a number, text, a boolean or a list."""
    return float if type(value) is int else type(value)


def _divided(a: int | float, b: int | float) -> int | float:
    return a // b if isinstance(a, int) and isinstance(b, int) and a % b == 0 else a / b


def _power(base: int | float, exponent: int | float) -> int | float:
    if base == 0 and exponent < 0:
        raise ExpressionError("it divides by zero")
    if base < 0 and not float(exponent).is_integer():
        raise ExpressionError("a negative number has no broken power")
    if abs(base) > 1 and abs(exponent) * math.log2(abs(base)) > 64:
        raise ExpressionError("the result is too large")
    return base**exponent


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": _power,
}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LEVELS = (("+", "-"), ("*", "/", "//", "%"))
"""The operators by how tightly they bind, the loosest first; those of a level are applied from left to right."""


def _bounded(value: int | float) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("the result is too large")
    if isinstance(value, int) and abs(value) >= LIMIT:
        raise ExpressionError("the result is too large")
    return value
