"""Findings about a document, each with its place, its reason and its fix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from specbuild.document.errors import SpecError, TooManyErrors
from specbuild.document.nodes import PathPart, Span

MAX_FINDINGS = 100
"""Errors after which the reading of a document ends, and warnings after which no more are kept."""
MAX_TEXT = 1_000
"""Characters of a message, of its path, its reason and its help."""
MAX_WORK = 250_000
"""Values that a document may come to once its variables, loops and blocks are carried out."""


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
    """Collects the findings of one document, so that all of them are shown at once.

    Adding one error too many raises TooManyErrors with all of them, so that no document can keep the reader busy.
    """

    def __init__(self) -> None:
        self._left = {"error": MAX_FINDINGS, "warning": MAX_FINDINGS}
        self._work = 0
        self._found: dict[tuple[object, ...], Diagnostic] = {}
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
        self.add(_brief(message, span, path, reason, help, code, "error"))

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
        self.add(_brief(message, span, path, reason, help, code, "warning"))

    def add(self, diagnostic: Diagnostic) -> None:
        fault = _fault(diagnostic)
        if fault not in self._found and self._left[diagnostic.severity]:
            self._found[fault] = diagnostic
            self._left[diagnostic.severity] -= 1
        if diagnostic.span and diagnostic.severity == "error":
            self._faulty.add(_start(diagnostic.span))
        if not self._left["error"]:
            raise TooManyErrors(self.sorted_errors())

    def spend(self, values: int, span: Span, path: str | tuple[PathPart, ...] = "") -> None:
        """Counts values that a document makes of those that it holds.

        Raises:
            TooManyErrors: they are more than MAX_WORK.
        """
        self._work += values
        if self._work > MAX_WORK:
            reason = "each use of a list, each round of a loop and each use of a block counts"
            message = f"the spec unrolls into more than {MAX_WORK:,} values"
            self.error(message, span, path=path, reason=reason, code="too-large")
            raise TooManyErrors(self.sorted_errors())

    def mute(self, span: Span) -> None:
        """Marks a place whose fault was reported elsewhere, so that its consequences are not."""
        self._faulty.add(_start(span))

    def is_known(self, span: Span) -> bool:
        """Whether the value at `span` is already known to be at fault."""
        return bool(self._faulty) and _start(span) in self._faulty

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._found.values())

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self if d.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self if d.severity == "warning")

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


def _brief(
    message: str,
    span: Span | None,
    path: str | tuple[PathPart, ...],
    reason: str,
    help: str,
    code: str,
    severity: Literal["error", "warning"],
) -> Diagnostic:
    """A finding whose texts are cut where they quote too much of the document."""
    return Diagnostic(
        message[:MAX_TEXT], span, dotted(path)[:MAX_TEXT], reason[:MAX_TEXT], help[:MAX_TEXT], code, severity
    )


def _fault(one: Diagnostic) -> tuple[object, ...]:
    """What makes two findings the same: a block's nodes are read at every use of it, and are at fault once."""
    return (one.severity, one.message, *((one.span,) if one.span else (one.path, one.reason)))


def _start(span: Span) -> tuple[str, int, int]:
    return (span.source.name, span.line, span.column)


def _place(diagnostic: Diagnostic) -> tuple[str, int, int]:
    return _start(diagnostic.span) if diagnostic.span else ("", 0, 0)
