"""Types of unquoted scalars: the core schema of YAML 1.2."""

from __future__ import annotations

import math
import re

from specbuild.document.nodes import Value

MAX_DIGITS = 200
"""Few enough that every whole number, including hexadecimal ones, fits into a float."""
NULLS = ("", "~", "null", "Null", "NULL")


class UnreadableNumber(ValueError):
    """A number that no spec can mean. `message` says why, `help` what to write instead."""

    def __init__(self, message: str, help: str) -> None:
        self.message = message
        self.help = help
        super().__init__(message)


def resolve(text: str) -> Value:
    """Return the value of a plain (unquoted) scalar.

    Null, booleans, integers and floats as in YAML 1.2 (section 10.3.2); everything else is text. `yes`, `no`, `on`,
    `off` and `12:30:45` are text, `012` is twelve. Raises UnreadableNumber for integers of more than 200 digits and
    for floats that overflow.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(text):
            return _integer(text, base)
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text


_WORDS: dict[str, Value] = {
    **dict.fromkeys(NULLS, None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: float(sign + "inf") for sign in ("", "-", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_NUMBER_STARTS = frozenset("0123456789+-.")
_INTEGERS = (
    (re.compile(r"[-+]?[0-9]+"), 10),
    (re.compile(r"0o[0-7]+"), 8),
    (re.compile(r"0x[0-9a-fA-F]+"), 16),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _integer(text: str, base: int) -> int:
    if len(text) > MAX_DIGITS:
        raise UnreadableNumber(
            f"a whole number of {len(text):,} characters is too long",
            f"write at most {MAX_DIGITS} digits, or put the text in quotes",
        )
    return int(text, base)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise UnreadableNumber(
            f"the number {shorten(text)} is too large",
            "the largest is about 1.8e308; write .inf for infinity, or put the text in quotes",
        )
    return value


def shorten(text: str, width: int = 40) -> str:
    """Return the text on one line, cut to `width` characters, for use inside a message."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"
