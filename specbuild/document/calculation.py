"""The operations of arithmetic on numbers, within limits.

A result beyond `LIMIT` is a mistake, or an attack.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TypeAlias

LIMIT = 2**63
"""No number of a spec reaches this; a result beyond it is a mistake, or an attack."""

Place: TypeAlias = tuple[int, int]
"""First character of a part of the text, and the first after it, counted from 0."""


class ExpressionError(Exception):
    """An expression that has no value; the text is for the user.

    `unknown` is set to the name of a variable that does not exist, `at` to the part of the text that is wrong, where
    that is known, `help` to what to write instead.
    """

    def __init__(self, message: str, *, unknown: str | None = None, at: Place | None = None, help: str = "") -> None:
        super().__init__(message)
        self.unknown, self.at, self.help = unknown, at, help


def apply(symbol: str, left: int | float, right: int | float) -> int | float:
    """Return the result of an operation on two numbers; `/` gives a whole number where it divides evenly.

    Raises:
        ExpressionError: it divides by zero, or the result is too large.
    """
    if symbol in ("/", "//", "%") and right == 0:
        raise ExpressionError("division by zero")
    return bounded(_OPERATIONS[symbol](left, right))


def bounded(value: int | float) -> int | float:
    """Return a number.

    Raises:
        ExpressionError: it is too large.
    """
    too_large = not math.isfinite(value) if isinstance(value, float) else abs(value) >= LIMIT
    if too_large:
        raise ExpressionError("the result is too large")
    return value


def _divided(a: int | float, b: int | float) -> int | float:
    return a // b if isinstance(a, int) and isinstance(b, int) and a % b == 0 else a / b


def _power(base: int | float, exponent: int | float) -> int | float:
    if base == 0 and exponent < 0:
        raise ExpressionError("division by zero")
    if base < 0 and not float(exponent).is_integer():
        raise ExpressionError("a negative number has no fractional power")
    if abs(base) > 1 and abs(exponent) * math.log2(abs(base)) > 64:
        raise ExpressionError("the result is too large")
    result: int | float = base**exponent
    return result


_OPERATIONS: dict[str, Callable[[int | float, int | float], int | float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": _power,
}
