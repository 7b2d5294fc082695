"""Findings about a document, each with its place, its reason and its fix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from specbuild.document.errors import SpecError
from specbuild.document.nodes import PathPart, Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    `message` is the fault in one line, `span` its place, `path` the place in words (`layers.dec1.initial_state`),
    `reason` why it is one, `help` what to write instead, `code` its stable name for machines (`unknown-key`).
    """

    message: str
    span: Span | None = None
    path: str = ""
    reason: str = ""
    help: str = ""
    code: str = "invalid"
    severity: Literal["error", "warning"] = "error"


class Report:
    """Collects the findings of one document, so that all of them are shown at once."""

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}
        self._faulty: set[tuple[str, int, int]] = set()

    def error(
        self,
        message: str,
        span: Span | None = None,
        *,
        path: str | tuple[PathPart, ...] = "",
        reason: str = "",
        help: str = "",
        code: str = "invalid",
    ) -> None:
        self.add(Diagnostic(message, span, dotted(path), reason, help, code))

    def warning(
        self,
        message: str,
        span: Span | None = None,
        *,
        path: str | tuple[PathPart, ...] = "",
        reason: str = "",
        help: str = "",
        code: str = "lint",
    ) -> None:
        self.add(Diagnostic(message, span, dotted(path), reason, help, code, "warning"))

    def add(self, diagnostic: Diagnostic) -> None:
        self._found.setdefault(diagnostic)
        if diagnostic.span and diagnostic.severity == "error":
            self._faulty.add(_start(diagnostic.span))

    def mute(self, span: Span) -> None:
        """Marks a place whose fault was reported elsewhere, so that its consequences are not."""
        self._faulty.add(_start(span))

    def is_known(self, span: Span) -> bool:
        """Whether the value at `span` is already known to be at fault."""
        return bool(self._faulty) and _start(span) in self._faulty

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._found)

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self._found)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self._found if d.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self._found if d.severity == "warning")

    def raise_errors(self) -> None:
        """Raises SpecError with every error, in the order of the document, if there is one."""
        if self.failed:
            raise SpecError(self.sorted_errors())

    def sorted_errors(self) -> tuple[Diagnostic, ...]:
        """The errors in the order of the document."""
        return tuple(sorted(self.errors, key=_place))

    def warnings_as_errors(self) -> tuple[Diagnostic, ...]:
        return tuple(replace(d, severity="error") for d in self.warnings)


def dotted(path: str | tuple[PathPart, ...]) -> str:
    return path if isinstance(path, str) else ".".join(str(part) for part in path)


def _start(span: Span) -> tuple[str, int, int]:
    return (span.source.name, span.line, span.column)


def _place(diagnostic: Diagnostic) -> tuple[str, int, int]:
    return _start(diagnostic.span) if diagnostic.span else ("", 0, 0)
