"""Text that comes from outside (a spec, a file's name, the attributes of data), as it may be shown."""

from __future__ import annotations

import os
import unicodedata
from typing import IO, Any

_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")


def printable(text: str) -> str:
    """Return the text with control characters other than line breaks, and invisible letters, written as escapes.

    No text can then steer the terminal, or turn the direction in which other text is read.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _UNSAFE and c != "\n" else c for c in text)


def steers(file: IO[Any]) -> bool:
    """Return whether a file is a terminal that obeys codes that move its cursor."""
    return file.isatty() and os.environ.get("TERM") != "dumb"


def shows_colors(file: IO[Any]) -> bool:
    """Return whether to color what is written to a file: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return steers(file) and not os.environ.get("NO_COLOR")


def one_line(text: str) -> str:
    """Return the text as `printable` does, its line breaks escaped as well."""
    return printable(text).replace("\n", "\\n")


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
