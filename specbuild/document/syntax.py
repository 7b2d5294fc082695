"""Explain YAML syntax errors in plain words.

PyYAML names a fault in the terms of its grammar ("expected <block end>, but found '-'"), often far from its cause.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import yaml

from specbuild.document.diagnostics import Diagnostic
from specbuild.document.nodes import Source


def explain(source: Source, fault: Exception, bracket: int | None, start: int = 0) -> Diagnostic:
    """Return the diagnostic for an exception of PyYAML's reader, scanner or parser; its code is `syntax` or `tab`.

    `bracket` is the offset of the innermost "[" or "{" that was open when the fault was met, `start` that of the text
    which PyYAML read.
    """
    seen = _seen(source, fault, start)
    if bracket is not None and not source.text[seen.at :].strip():
        return _never_closed(source, bracket)
    if _tab_indents(source, seen.at):
        return _tab(source, seen.at)
    for phrase, explanation in _EXPLANATIONS.items():
        if phrase in seen.words:
            return explanation(source, seen)
    return _unnamed(source, seen)


class _Seen(NamedTuple):
    """A fault as PyYAML reports it: its words, and the offsets where it was noticed and where its construct began."""

    words: str
    at: int
    began: int


def _seen(source: Source, fault: Exception, start: int) -> _Seen:
    size = len(source.text)
    if not isinstance(fault, yaml.MarkedYAMLError):
        escape = _LARGE_ESCAPE.search(source.text, start)
        return _Seen("escape code", escape.start() + 1, size) if escape else _Seen(str(fault), size, size)
    noticed = fault.problem_mark or fault.context_mark
    at = min(start + noticed.index, size) if noticed else size
    began = min(start + fault.context_mark.index, size) if fault.context_mark else at
    return _Seen(f"{fault.context or ''}: {fault.problem or ''}", at, began)


def _tab_indents(source: Source, at: int) -> bool:
    """Whether the line at `at` has a tab among the blanks that it starts with, and the fault stands there."""
    start = source.text.rfind("\n", 0, at) + 1
    blanks = _BLANKS.match(source.text, start)
    return blanks is not None and "\t" in blanks.group() and at <= blanks.end()


def _tab(source: Source, at: int) -> Diagnostic:
    start = source.text.rfind("\n", 0, at) + 1
    tab = source.text.index("\t", start)
    message = "a tab cannot indent a line"
    reason = "YAML indents with spaces only"
    return replace(_diagnostic(source, message, tab, reason=reason, help="replace the tab with spaces"), code="tab")


def _never_closed(source: Source, bracket: int) -> Diagnostic:
    opening = source.text[bracket]
    message = f'this "{opening}" is never closed'
    help = f'add the closing "{_CLOSING_OF.get(opening, "]")}"'
    return _diagnostic(source, message, bracket, reason="the document ends inside it", help=help)


# One explanation per fault. Each gets the source and the fault as seen.


def _here(message: str, help: str, reason: str = "") -> Callable[[Source, _Seen], Diagnostic]:
    """An explanation with fixed words, at the place where the fault was noticed."""
    return lambda source, seen: _diagnostic(source, message, seen.at, reason=reason, help=help)


def _unclosed(opening: str, closing: str) -> Callable[[Source, _Seen], Diagnostic]:
    def explanation(source: Source, seen: _Seen) -> Diagnostic:
        expected = f'expected "," or "{closing}" {_before(source, seen.at)}'
        help = f'close it with "{closing}", or put "," between its items'
        return _diagnostic(source, f'this "{opening}" is not closed', seen.began, reason=expected, help=help)

    return explanation


def _unclosed_quote(source: Source, seen: _Seen) -> Diagnostic:
    quote = source.text[seen.began : seen.began + 1]
    help = f"add the closing {quote}"
    if quote == "'":
        help += "; inside single quotes an apostrophe is written twice ('')"
    return _diagnostic(source, "this quote is not closed", seen.began, help=help)


def _missing_colon(source: Source, seen: _Seen) -> Diagnostic:
    line = source.text[seen.began :].partition("\n")[0].rstrip()
    reason = "among the keys of a mapping every line is a key and its value"
    help = 'write "key: value"; indent the line further if it continues the text above it'
    return _diagnostic(source, 'this line has no ":"', seen.began, len(line), reason=reason, help=help)


def _cannot_start(source: Source, seen: _Seen) -> Diagnostic:
    character = source.text[seen.at : seen.at + 1]
    if character == "\t":
        return _diagnostic(source, "a tab cannot stand here", seen.at, help="replace it with spaces")
    return _diagnostic(source, f'text cannot start with "{character}"', seen.at, help="put the text in quotes")


def _reference(source: Source, seen: _Seen) -> Diagnostic:
    character = source.text[seen.began : seen.began + 1]
    meaning = {"&": "declares an anchor", "*": "refers to an anchor"}.get(character, "has a meaning of its own")
    reason = f'a "{character}" at the start of a value {meaning}, and a name must follow it'
    message = f'text cannot start with "{character}"'
    return _diagnostic(source, message, seen.began, reason=reason, help="put the text in quotes")


def _escape(source: Source, seen: _Seen) -> Diagnostic:
    at = max(seen.at - 1, 0) if seen.at < len(source.text) else seen.at
    help = r'write "\\" for a backslash, or use single quotes, in which a backslash is only a backslash'
    return _diagnostic(source, "this is not an escape of a text in double quotes", at, help=help)


def _misfit(what: str, part: str) -> Callable[[Source, _Seen], Diagnostic]:
    def explanation(source: Source, seen: _Seen) -> Diagnostic:
        if source.text[seen.at : seen.at + 1] in _CLOSING_OF.values():
            return _closes_nothing(source, seen)
        if not _starts_line(source, seen.at):
            help = 'put the whole value in quotes, or a "," between two values'
            return _diagnostic(source, "text follows a value that has already ended", seen.at, help=help)
        here, first = source.span(seen.at, seen.at), source.span(seen.began, seen.began)
        reason = f"the {what} that starts on line {first.line} has {part} at column {first.column}"
        if here.column != first.column:
            reason += f", this line starts at column {here.column}"
        message = f"this line does not belong to the {what} above it"
        return _diagnostic(source, message, seen.at, reason=reason, help="indent it like its neighbors")

    return explanation


def _closes_nothing(source: Source, seen: _Seen) -> Diagnostic:
    message = f'this "{source.text[seen.at]}" closes nothing'
    return _diagnostic(source, message, seen.at, help="delete it, or put the text in quotes")


def _no_value(source: Source, seen: _Seen) -> Diagnostic:
    character = source.text[seen.at : seen.at + 1].strip()
    where = f'before "{character}"' if character else _before(source, seen.at)
    return _diagnostic(source, f"expected a value {where}", seen.at, help="write the value, or put the text in quotes")


def _after_the_end(source: Source, seen: _Seen) -> Diagnostic:
    if source.text[seen.at : seen.at + 1] in _CLOSING_OF.values():
        return _closes_nothing(source, seen)
    help = "indent it as part of the value above it, or put the whole value in quotes"
    return _diagnostic(source, "text follows the end of the document", seen.at, help=help)


def _block_text(source: Source, seen: _Seen) -> Diagnostic:
    character = source.text[seen.began : seen.began + 1]
    message = f'the text of "{character}" starts on the next line'
    return _diagnostic(source, message, seen.at, help=f'break the line after "{character}", or put the text in quotes')


def _unnamed(source: Source, seen: _Seen) -> Diagnostic:
    words = seen.words.partition(": ")[2] or seen.words
    return _diagnostic(source, "this is not YAML", seen.at, reason=words)


_RESERVED = _here("this line is not a YAML directive", 'delete it; a line that starts with "%" is reserved')
_EXPLANATIONS: dict[str, Callable[[Source, _Seen], Diagnostic]] = {
    "parsing a flow sequence: expected ',' or ']'": _unclosed("[", "]"),
    "parsing a flow sequence: did not find": _unclosed("[", "]"),
    "parsing a flow mapping: expected ',' or '}'": _unclosed("{", "}"),
    "parsing a flow mapping: did not find": _unclosed("{", "}"),
    "found unexpected end of stream": _unclosed_quote,
    "found unexpected document separator": _unclosed_quote,
    "found unexpected document indicator": _unclosed_quote,
    "mapping values are not allowed": _here(
        'a key with ":" cannot stand here',
        'indent the line like the keys beside it; put text that holds ": " in quotes',
        "the text before it already is a value, or its line is indented further than the key above it",
    ),
    "sequence entries are not allowed": _here(
        'a list item "-" cannot stand here',
        'start the list on the next line or write it as [a, b]; put text that starts with "- " in quotes',
    ),
    "mapping keys are not allowed": _here(
        'a key marked with "?" cannot stand here', 'put text that starts with "? " in quotes'
    ),
    "could not find expected ':'": _missing_colon,
    "cannot start any token": _cannot_start,
    "scanning an alias": _reference,
    "scanning an anchor": _reference,
    "escape character": _escape,
    "escape sequence": _escape,
    "escape code": _escape,
    "hexdecimal number": _escape,
    "tag": _here(
        "tags are not supported",
        "remove the tag; put the text in quotes if the ! belongs to it",
        "a spec holds only words, numbers, lists and mappings",
    ),
    "parsing a block mapping": _misfit("mapping", "its keys"),
    "parsing a block collection": _misfit("list", "its items"),
    "expected the node content": _no_value,
    "did not find expected node content": _no_value,
    "document start": _after_the_end,
    "scanning a block scalar": _block_text,
    "directive": _RESERVED,
    "YAML document": _RESERVED,
}
_LARGE_ESCAPE = re.compile(r"\\U(?!000|0010)(?=[0-9a-fA-F]{8})")
_BLANKS = re.compile(r"[ \t]*")
_CLOSING_OF = {"[": "]", "{": "}"}


def _diagnostic(source: Source, message: str, at: int, size: int = 1, reason: str = "", help: str = "") -> Diagnostic:
    end = min(at + size, len(source.text))
    return Diagnostic(message, source.span(at, end), reason=reason, help=help, code="syntax")


def _before(source: Source, at: int) -> str:
    if not source.text[at:].strip():
        return "before the end of the document"
    span = source.span(at, at)
    return f"before line {span.line}, column {span.column}"


def _starts_line(source: Source, at: int) -> bool:
    return not source.text[source.text.rfind("\n", 0, at) + 1 : at].strip(" -")
