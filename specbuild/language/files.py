"""The files that a spec names: where they may lie, and what may be said about them.

A spec may come from anybody, so `check` reads nothing that its reader would not show to its author. A file lies under
the folder of the spec that names it, or under a root that the user names; links count as where they lead. Only a spec
may lie elsewhere, and what is not a spec is never quoted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from specbuild.document import Diagnostic, Mapping, Report, Span, SpecError, did_you_mean, read
from specbuild.document.files import SUFFIXES, files_in


@dataclass(frozen=True)
class Home:
    """The folder of a spec, to which the paths of its files are relative, and the roots under which they lie."""

    folder: Path
    roots: tuple[Path, ...] = ()
    """The roots that the user names; the folder itself is always one."""

    @classmethod
    def of(cls, folder: Path, roots: Iterable[str | Path]) -> Home:
        """Return the home of a spec.

        Raises:
            SpecError: a root is not a folder.
        """
        named = tuple(Path(root).expanduser() for root in roots)
        for root in named:
            if not root.is_dir():
                message, help = f"the root {root} is not a folder", "name an existing folder"
                raise SpecError([Diagnostic(message, help=help, code="bad-root")])
        return cls(folder, named)

    def beside(self, file: Path) -> Home:
        """Return the home of another spec, with the same roots."""
        return replace(self, folder=file.parent)

    def holds(self, path: Path) -> bool:
        """Whether a path leads to a place under one of the roots."""
        real = os.path.realpath(path)
        return any(Path(real).is_relative_to(os.path.realpath(root)) for root in (self.folder, *self.roots))


def file_of(written: str, home: Home, span: Span, report: Report) -> Path | None:
    """Return the regular file under the roots that a spec names, absolute; None after reporting why there is none."""
    try:
        path = home.folder / Path(written).expanduser()
        if not home.holds(path):
            message, reason = f"{written} lies outside the spec's folder", "a spec reads only files under its folder"
            help = "move the file there, or allow its folder with --root FOLDER (in Python, roots=[…])"
            report.error(message, span, reason=reason, help=help, code="outside-root")
            return None
        if path.is_file():
            return path.absolute()
        there = path.exists()
        help = "" if there else did_you_mean(path.name, files_in(path.parent, path.suffix))
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, or that of no user after ~
        there, help = False, ""
    message = f"{written} is not a regular file" if there else f"there is no file {written}"
    reason = "" if there else "paths are relative to the spec's folder"
    report.error(message, span, reason=reason, help=help, code="missing-file")
    return None


def document_of(path: Path, home: Home, span: Span, report: Report) -> Mapping | None:
    """Return the document of another spec; None after reporting, at its name, why there is none."""
    try:
        known = home.holds(path)
    except (OSError, ValueError):  # a name that no file can have: reading it says so
        known = True
    if not known and path.suffix not in SUFFIXES:
        reason = f"outside the spec's folder, only files that end in {' or '.join(SUFFIXES)} are read"
        _refuse(path, span, report, reason)
        return None
    try:
        source, document = read(path)
    except SpecError as error:
        if any(d.span is not None and not _NAMED.search(d.span.source.text) for d in error.diagnostics):
            _refuse(path, span, report)
            return None
        for diagnostic in error.diagnostics:
            hidden = diagnostic if known or diagnostic.span is not None else replace(diagnostic, help="")
            report.add(replace(hidden, span=diagnostic.span or span))
        return None
    if not isinstance(document, Mapping) or not any(name in _MARKS for name in document.names()):
        source.root = None
        _refuse(path, span, report)
        return None
    return document


def _refuse(path: Path, span: Span, report: Report, reason: str = "") -> None:
    reason = reason or f"it has no {' or '.join(f'{mark}:' for mark in _MARKS)}"
    report.error(f"{path} is not a spec", span, reason=reason, code="not-a-spec")


_MARKS = ("specbuild", "extends")
"""The keys of which every spec has one."""
_NAMED = re.compile(rf"^[\s{{]*[\"']?(?:{'|'.join(_MARKS)})[\"']?\s*:", re.MULTILINE)
"""One of these keys at the start of a line, in a text that cannot be read as YAML."""
