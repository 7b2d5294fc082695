"""Findings about a document, each with its place, its reason and its fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partialmethod
from typing import Literal, TypeAlias

from specbuild.document.errors import SpecError, TooManyErrors
from specbuild.document.nodes import FilledIds, Node, PathPart, Scalar, Span, kind_of, path_of

MAX_FINDINGS = 100
"""Errors after which the reading of a document ends, and warnings after which no more are kept."""
MAX_TEXT = 1_000
"""Characters of a message, of its path, its reason and its help."""
MAX_WORK = 250_000
"""Values into which a document may unroll through its variables, loops and blocks."""


Severity: TypeAlias = Literal["error", "warning", "accepted"]
"""`accepted` is a warning that the document accepts."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding about a document.

    `message` is the fault in one line, `span` its place, `where` the place in words if `span` does not give it,
    `reason` why it is one, `help` what to write instead, `code` its stable name for machines (`unknown-key`).
    """

    message: str
    span: Span | None = None
    where: str = ""
    reason: str = ""
    help: str = ""
    code: str = "invalid"
    severity: Severity = "error"
    times: int = 1
    """How often it was found at its place, with different numbers: in rounds of a loop, or uses of a block."""
    accepted: str = ""
    """Why the document accepts the warning; empty if it does not."""

    def __post_init__(self) -> None:
        if len(lines := self.message.splitlines()) > 1:
            object.__setattr__(self, "message", " ".join(filter(None, map(str.strip, lines))))

    @property
    def why(self) -> str:
        """The reason, and how often it was found."""
        often = f"found {self.times} times, in rounds of a loop or uses of a block" if self.times > 1 else ""
        return "; ".join(filter(None, [self.reason, often]))

    @property
    def path(self) -> str:
        """The place in words, such as `layers.dec1.initial_state`; empty for the document as a whole."""
        return self.where or (dotted(path_of(self.span))[:MAX_TEXT] if self.span else "")


class Report:
    """Collects the findings about a document, so that all of them are shown at once.

    Adding an error too many raises TooManyErrors with all of them, so that no document can keep the reader busy.
    """

    def __init__(self) -> None:
        self._left = {"error": MAX_FINDINGS, "warning": MAX_FINDINGS}
        self._work = 0
        self._findings: dict[tuple[object, ...], Diagnostic] = {}
        self._messages: set[tuple[object, ...]] = set()
        """Every message that was found at each place."""
        self._faulty: set[tuple[str, int, int]] = set()
        self.ids: FilledIds = {}
        """The ids with variables around the node that is being read, with their values filled in."""

    def error(
        self,
        message: str,
        span: Span | None = None,
        *,
        where: str = "",
        reason: str = "",
        help: str = "",
        code: str = "invalid",
        severity: Severity = "error",
    ) -> None:
        """Add a finding. Its texts are cut where they quote too much of the document."""
        message, where, reason, help = (text[:MAX_TEXT] for text in (message, where, reason, help))
        self.add(Diagnostic(message, span, where, reason, help, code, severity))

    warning = partialmethod(error, severity="warning")
    """Add a warning, with the arguments of `error`."""

    def wrong_type(self, rule: str, node: Node, help: str = "") -> None:
        """Report that a node is not what `rule` says it must be, and what it is; not where it is known to be wrong."""
        if not self.is_known(node.span):
            self.error(f"{rule}, got {kind_of(node)}", node.span, help=help, code="wrong-type")

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    @contextmanager
    def naming(self, written: Node | None, value: Node | None) -> Iterator[None]:
        """Set the value of a written id, for the paths of diagnostics reported in the meantime."""
        outside = self.ids
        if written is not None and written is not value and isinstance(value, Scalar) and isinstance(value.value, str):
            self.ids = {**outside, written.span: value.value}
        try:
            yield
        finally:
            self.ids = outside

    def named(self, span: Span) -> Span:
        """Return a span that knows the ids around it."""
        return replace(span, ids=self.ids) if self.ids and span.ids is None else span

    def add(self, diagnostic: Diagnostic) -> None:
        """Add a finding, unless the same is there: the nodes of a block are read at each use, and wrong once.

        What differs in numbers alone, from one round of a loop to the next, is counted.
        """
        d = diagnostic
        if d.span and self.ids:
            d = replace(d, span=self.named(d.span))
        place: tuple[object, ...] = (d.severity, *((d.span,) if d.span else (d.where, d.reason)))
        identity = (*place, re.sub(r"\d+", "#", d.message) if d.span else d.message)
        known = (*place, d.message) in self._messages
        self._messages.add((*place, d.message))
        if identity in self._findings and not known:
            self._findings[identity] = replace(self._findings[identity], times=self._findings[identity].times + 1)
        elif identity not in self._findings and self._left[d.severity]:
            self._findings[identity] = d
            self._left[d.severity] -= 1
        if d.span and d.severity == "error":
            self._faulty.add(_start(d.span))
        if not self._left["error"]:
            raise TooManyErrors(self.sorted_errors())

    def accept(self, reason: Callable[[Diagnostic], str | None]) -> None:
        """Mark the warnings that the document accepts, with the reason; where that is None, the warning stands."""
        for identity, diagnostic in self._findings.items():
            accepted = reason(diagnostic) if diagnostic.severity == "warning" else None
            if accepted is not None:
                self._findings[identity] = replace(diagnostic, severity="accepted", accepted=accepted)

    def spend(self, values: int, span: Span) -> None:
        """Count the values into which a document unrolls.

        Raises:
            TooManyErrors: they are more than MAX_WORK.
        """
        self._work += values
        if self._work > MAX_WORK:
            reason = "each use of a list, each round of a loop and each use of a block counts"
            self.error(f"the spec unrolls into more than {MAX_WORK:,} values", span, reason=reason, code="too-large")
            raise TooManyErrors(self.sorted_errors())

    def mute(self, span: Span) -> None:
        """Mark a place whose fault was reported elsewhere, so that its consequences are not reported."""
        self._faulty.add(_start(span))

    def is_known(self, span: Span) -> bool:
        """Whether the value at `span` is already known to be wrong."""
        return bool(self._faulty) and _start(span) in self._faulty

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._findings.values())

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self if d.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self if d.severity == "warning")

    @property
    def accepted(self) -> tuple[Diagnostic, ...]:
        """The warnings that the document accepts."""
        return tuple(d for d in self if d.severity == "accepted")

    def raise_errors(self) -> None:
        """Raise SpecError with every error, in the order of the document, if there is one."""
        if self.failed:
            raise SpecError(self.sorted_errors())

    def sorted_errors(self) -> tuple[Diagnostic, ...]:
        """Return the errors in the order of the document."""
        return tuple(sorted(self.errors, key=_place))

    def warnings_as_errors(self) -> tuple[Diagnostic, ...]:
        return tuple(replace(d, severity="error") for d in self.warnings)


def dotted(path: tuple[PathPart, ...]) -> str:
    return ".".join(str(part) for part in path)


def _start(span: Span) -> tuple[str, int, int]:
    return (span.source.name, span.line, span.column)


def _place(diagnostic: Diagnostic) -> tuple[str, int, int]:
    return _start(diagnostic.span) if diagnostic.span else ("", 0, 0)
