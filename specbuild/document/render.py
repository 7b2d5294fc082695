"""Diagnostics as text for people, as JSON for tools and as annotations for GitHub."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator

from specbuild.document.diagnostics import Diagnostic
from specbuild.document.nodes import Span
from specbuild.document.printable import printable

MAX_LINE = 120
TAB = "    "


def render_text(diagnostic: Diagnostic, color: bool = False) -> str:
    """Return a diagnostic for a terminal: the fault, its place, the line with the place marked, the reason and the fix.

        error: unknown key "filtres"
          --> nowcast.yaml:9:14  layers.enc1
           |
         9 |   - {id: enc1, filtres: 32}
           |                ^^^^^^^
           | ConvLSTM2D has no such argument
           = help: did you mean "filters"?

    Of a place of several lines the first is shown. Lines of more than 120 columns are cut around the place. Control
    characters and what turns the direction of text are shown as escapes, so no document can steer the terminal.
    """
    return "\n".join(_lines(diagnostic, _Paint(diagnostic.severity, color)))


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """Return a JSON list with an object per diagnostic; file, line and column are null where there is no place."""
    return json.dumps([_record(diagnostic) for diagnostic in diagnostics], indent=2, ensure_ascii=False)


def render_github(diagnostic: Diagnostic) -> str:
    """One workflow command of GitHub Actions: `::error file=...,line=...,col=...,endColumn=...,title=code::message`."""
    properties = {**_github_place(diagnostic.span), "title": diagnostic.code}
    written = ",".join(f"{name}={_github_property(printable(str(value)))}" for name, value in properties.items())
    help = f"help: {diagnostic.help}" if diagnostic.help else ""
    accepted = f"accepted: {diagnostic.accepted}" if diagnostic.accepted else ""
    message = "\n".join(part for part in (diagnostic.message, diagnostic.why, help, accepted) if part)
    return f"::{_GITHUB_COMMANDS[diagnostic.severity]} {written}::{_github_data(printable(message))}"


# Text


class _Paint:
    """Colors for one severity, or none."""

    def __init__(self, severity: str, color: bool) -> None:
        self.severity = "\033[1;31m" if severity == "error" else "\033[1;33m"
        self.color = color

    def __call__(self, text: str) -> str:
        return f"{self.severity}{text}\033[0m" if self.color else text


def _lines(diagnostic: Diagnostic, paint: _Paint) -> Iterator[str]:
    span, path = diagnostic.span, printable(diagnostic.path)
    gutter = " " * len(str(span.line)) if span else " "
    yield f"{paint(diagnostic.severity)}: {printable(diagnostic.message)}"
    if span:
        place = f"{printable(span.source.name)}:{span.line}:{span.column}"
        yield f"{gutter}--> {place}  {path}".rstrip()
        yield from _excerpt(span, gutter, paint)
    elif path:
        yield f"{gutter}--> {path}"
    for line in printable(diagnostic.why).splitlines():
        yield f"{gutter} | {line}".rstrip()
    for number, line in enumerate(printable(diagnostic.help).splitlines()):
        yield f"{gutter} = help: {line}" if number == 0 else f"{gutter}         {line}".rstrip()


def _excerpt(span: Span, gutter: str, paint: _Paint) -> Iterator[str]:
    line = span.source.line(span.line)
    if not line.strip():
        return
    start = min(span.column - 1, len(line))
    end = min(span.end_column - 1, len(line)) if span.end_line == span.line else len(line.rstrip())
    before, marked, after = _window(line, start, max(end, start))
    shown = f"{_visible_line(before)}{_visible_line(marked)}{_visible_line(after)}"
    carets = "^" * max(1, text_width(_visible_line(marked)))
    yield f"{gutter} |"
    yield f"{span.line} | {shown}".rstrip()
    yield f"{gutter} | {' ' * text_width(_visible_line(before))}{paint(carets)}"


def _window(line: str, start: int, end: int) -> tuple[str, str, str]:
    """Split a line into what is before, in and after the place, each cut so that the whole fits into MAX_LINE."""
    before, marked, after = line[:start], line[start:end], line[end:]
    if len(line) <= MAX_LINE:
        return before, marked, after
    if len(marked) > MAX_LINE // 2:
        marked, after = marked[: MAX_LINE // 2] + "…", ""
    room = (MAX_LINE - len(marked)) // 2
    if len(before) > room:
        before = "…" + before[-room:]
    if len(after) > room:
        after = after[:room] + "…"
    return before, marked, after


def _visible_line(text: str) -> str:
    return printable(text.replace("\t", TAB)).replace("\n", " ")


def text_width(text: str) -> int:
    """Return how many columns of a terminal the text takes: two per wide character, none per combining mark."""
    return len(text) if text.isascii() else sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


# JSON and GitHub


def _record(diagnostic: Diagnostic) -> dict[str, str | int | None]:
    span = diagnostic.span
    accepted = {"accepted": diagnostic.accepted} if diagnostic.accepted else {}
    return {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "reason": diagnostic.why,
        "help": diagnostic.help,
        "path": diagnostic.path,
        "file": span.source.name if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "end_line": span.end_line if span else None,
        "end_column": span.end_column if span else None,
        **accepted,
    }


_GITHUB_COMMANDS = {"error": "error", "warning": "warning", "accepted": "notice"}


def _github_place(span: Span | None) -> dict[str, str | int]:
    if span is None:
        return {}
    place: dict[str, str | int] = {"file": span.source.name, "line": span.line, "col": span.column}
    if span.end_line == span.line:
        place["endColumn"] = span.end_column
    return place


def _github_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _github_property(text: str) -> str:
    return _github_data(text).replace(":", "%3A").replace(",", "%2C")
