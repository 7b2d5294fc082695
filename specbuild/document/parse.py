"""YAML text to located nodes: the entry point of the document stage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from specbuild.document.compose import Composer
from specbuild.document.diagnostics import Diagnostic
from specbuild.document.errors import SpecError
from specbuild.document.files import MAX_BYTES, read_text
from specbuild.document.nodes import Node, Source
from specbuild.document.syntax import explain

MAX_EXPLAINED = 200_000


def read(path: str | Path) -> tuple[Source, Node]:
    """Read the file `path` as text and as nodes. Raises SpecError if it cannot be read, and wherever `parse` does."""
    source = Source(str(path), read_text(path))
    return source, parse_from(source)


def parse(text: str, name: str = "<text>") -> Node:
    """Return the nodes of a YAML document.

    Values follow the core schema of YAML 1.2; keys are always words. `name` is what the text is called in messages.
    Raises SpecError with every duplicate key, tag, merge key, bad key and unknown alias of the document, and with its
    first syntax error. No text makes it raise anything else.
    """
    return parse_from(Source(name, text.removeprefix("\ufeff")))


def parse_from(source: Source, start: int = 0) -> Node:
    """Parse the text of `source` from the offset `start` on, with places counted in the whole text."""
    if len(source.text) > MAX_BYTES:
        raise SpecError([Diagnostic(f"{source.name} is larger than {MAX_BYTES // 10**6} MB", code="too-large")])
    _refuse_invisible_characters(source, start)
    errors: tuple[Diagnostic, ...] = ()
    for loader_class in _loaders(source):
        composer = Composer(source, start)
        loader = loader_class(source.text[start:])
        try:
            source.root = composer.compose(_events(loader))
            return source.root
        except (yaml.YAMLError, ValueError, OverflowError) as fault:
            errors = (*composer.report.errors, explain(source, fault, composer.bracket, start))
        finally:
            loader.dispose()
    raise SpecError(errors)


def _loaders(source: Source) -> tuple[type[yaml.SafeLoader], ...]:
    """Return the readers to try in turn: libyaml where it is installed, then PyYAML's own.

    PyYAML's own describes faults better, but is some thirty times slower: a long text keeps libyaml's description.
    """
    fast: type[yaml.SafeLoader] | None = getattr(yaml, "CSafeLoader", None)
    if fast is None:
        return (yaml.SafeLoader,)
    return (fast, yaml.SafeLoader) if len(source.text) <= MAX_EXPLAINED else (fast,)


def _events(loader: yaml.SafeLoader) -> Iterator[yaml.Event]:
    while loader.check_event():
        yield loader.get_event()  # type: ignore[no-untyped-call]


# Everything that YAML cannot hold, and line breaks that other tools count differently.
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]|\r(?!\n)")


def _refuse_invisible_characters(source: Source, start: int) -> None:
    match = _INVISIBLE.search(source.text, start)
    if match is None:
        return
    message = f"the invisible character U+{ord(match.group()):04X} is not allowed"
    help = "delete it; inside double quotes it can be written as an escape, such as \\t or \\u2028"
    if match.group() == "\r":
        message = "a line ends with a carriage return alone (U+000D)"
        help = "save the file with the line endings of Unix or Windows"
    raise SpecError([Diagnostic(message, source.span(*match.span()), help=help, code="character")])
