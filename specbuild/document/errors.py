"""The tree of exceptions.

    SpecbuildError                 exit code 1
    ├── SpecError                  exit code 2: the spec, or what it names, is wrong; carries located diagnostics
    │   └── TooManyErrors          the same, its reading given up
    └── RunError                   exit code 1: a correct spec whose run failed (a NaN loss, a full disk)
        └── ArgumentError          exit code 2: what a run was asked for, or was given, does not fit it

No other exception of ours reaches a user; anything else is a defect of specbuild.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from specbuild.document.printable import printable

if TYPE_CHECKING:
    from specbuild.document.diagnostics import Diagnostic


class SpecbuildError(Exception):
    """Root of every error that specbuild raises on purpose."""

    exit_code: ClassVar[int] = 1


class SpecError(SpecbuildError):
    """A spec that cannot be built. `diagnostics` holds every error found, each with its line and column."""

    exit_code: ClassVar[int] = 2

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from specbuild.document.render import render_text

        return "\n" + "\n\n".join(render_text(diagnostic) for diagnostic in self.diagnostics)


class TooManyErrors(SpecError):
    """A spec whose reading ended early: it has more errors than anybody reads, or asks for more work than it may."""


class RunError(SpecbuildError):
    """A run that failed although its spec is right. `help` says what to do about it."""

    def __init__(self, message: str, help: str = "") -> None:
        self.message = message
        self.help = help
        super().__init__(message)

    def __str__(self) -> str:
        return printable(f"{self.message}\n  = help: {self.help}" if self.help else self.message)


class ArgumentError(RunError):
    """An argument that does not fit the run that it is for: an override, a split, a file with past frames."""

    exit_code: ClassVar[int] = 2
