"""Checks of argument values, each with the sentence a user reads when a value does not fit.

Numbers are strict: a boolean is never a number, a whole float is not a whole number, and no count exceeds `LARGEST`.
Functions named `…_field` make a check; the others are one.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from pydantic_core import PydanticCustomError

LARGEST = 2**31 - 1
"""The largest whole number accepted anywhere: frameworks count axes in 32 bits."""


def refuse(code: str, message: str) -> NoReturn:
    """Raises the error whose message a user reads; `code` is its stable machine name."""
    raise PydanticCustomError("specbuild." + code, "{message}", {"message": message})


def written(value: Any) -> str:
    """A value as a spec writes it, cut where it is long: `true`, `null`, `"same"`, `[1, 2]`."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:  # an integer beyond Python's limit of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}…"


def whole(value: Any, expected: str, minimum: int, maximum: int = LARGEST) -> int:
    """A whole number within bounds, or the error `expected <expected>, got <value>`."""
    if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum:
        return value
    refuse("number", f"expected {expected}, got {written(value)}{_hint(value, maximum)}")


def number(value: Any, expected: str, accepts: Callable[[float], bool]) -> float:
    """A finite number that `accepts` lets pass, or the error `expected <expected>, got <value>`."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if numeric and abs(value) <= sys.float_info.max and accepts(value):
        return float(value)
    refuse("number", f"expected {expected}, got {written(value)}{_hint(value)}")


def whole_field(expected: str, minimum: int) -> Callable[[Any], int]:
    return lambda value: whole(value, expected, minimum)


def number_field(expected: str, accepts: Callable[[float], bool]) -> Callable[[Any], float]:
    return lambda value: number(value, expected, accepts)


def flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    refuse("boolean", f"expected true or false, got {written(value)}")


def word_field(*choices: str) -> Callable[[Any], Any]:
    listed = " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))

    def check(value: Any) -> str:
        if isinstance(value, str) and value in choices:
            return value
        refuse("choice", f"expected {listed}, got {written(value)}")

    return check


def ints_field(count: int, minimum: int) -> Callable[[Any], Any]:
    size = "a positive whole number" if minimum else "a whole number of at least 0"
    expected = f"{size} or a list of {count}"

    def check(value: Any) -> tuple[int, ...]:
        if isinstance(value, list | tuple) and len(value) == count:
            return tuple(whole(item, f"{expected} such numbers", minimum) for item in value)
        return (whole(value, expected, minimum),) * count

    return check


def margins_field(count: int) -> Callable[[Any], Any]:
    size = "a whole number of at least 0"
    expected = f"{size}, or a list of {count} such numbers or [before, after] pairs"

    def side(value: Any) -> tuple[int, int]:
        if isinstance(value, list | tuple) and len(value) == 2:
            return whole(value[0], expected, 0), whole(value[1], expected, 0)
        return (whole(value, expected, 0),) * 2

    def check(value: Any) -> tuple[tuple[int, int], ...]:
        if isinstance(value, list | tuple) and len(value) == count:
            return tuple(side(item) for item in value)
        return ((whole(value, expected, 0),) * 2,) * count

    return check


def margin(value: Any) -> tuple[int, int]:
    expected = "a whole number of at least 0 or a pair [before, after]"
    if isinstance(value, list | tuple) and len(value) == 2:
        return whole(value[0], expected, 0), whole(value[1], expected, 0)
    return (whole(value, expected, 0),) * 2


def target_shape(value: Any) -> tuple[int, ...]:
    expected = "a list of positive whole numbers, one of which may be -1"
    if isinstance(value, list | tuple) and 0 not in value and list(value).count(-1) <= 1:
        return tuple(whole(item, expected, -1) for item in value)
    refuse("shape", f"expected {expected}, got {written(value)}")


def permutation(value: Any) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and all(isinstance(item, int) and item is not True for item in value):
        dims = tuple(value)
        if dims and sorted(dims) == list(range(1, len(dims) + 1)):
            return dims
    refuse("permutation", f"expected the axes 1, 2, … in a new order, each once, got {written(value)}")


def axis(value: Any) -> int:
    return whole(value, "a whole number (an axis, the batch axis being 0)", -LARGEST)


def axes(value: Any) -> int | tuple[int, ...]:
    expected = "an axis or a list of axes"
    if isinstance(value, list | tuple) and value:
        return tuple(whole(item, expected, -LARGEST) for item in value)
    return whole(value, expected, -LARGEST)


def axis_pair(value: Any) -> int | tuple[int, int]:
    expected = "an axis or a list of 2 axes, the batch axis being 0"
    if isinstance(value, list | tuple) and len(value) == 2:
        return whole(value[0], expected, -LARGEST), whole(value[1], expected, -LARGEST)
    return whole(value, expected, -LARGEST)


def _hint(value: Any, maximum: int = LARGEST) -> str:
    if isinstance(value, bool):
        return " (true and false are not numbers)"
    if isinstance(value, float) and value.is_integer() and abs(value) <= maximum:
        return f" (write {int(value)}, without the fraction)"
    if isinstance(value, int) and value > maximum:
        return f" (the largest is {maximum})"
    return ""
