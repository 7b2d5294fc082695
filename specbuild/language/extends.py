"""`extends: base.yaml` and `set:`: a spec that contains only its differences from another.

Whatever else an extending spec writes is merged over the base: mappings merge, anything else replaces. Then `set:` is
applied, in the grammar of `--set`. The order is: the base (with its own base first), this file, `set:`, `--set`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from specbuild.document import Mapping, Node, Report, Scalar, SpecError, read
from specbuild.language.declarations import section_mapping
from specbuild.language.overrides import apply_nodes, overlay

_MAX_DEPTH = 16


def extended(
    document: Mapping, directory: Path, report: Report, files: list[Path], chain: tuple[Path, ...] = ()
) -> Mapping | None:
    """Return the document merged over its base, with its `set:` applied; None if there is no such base.

    The files of its bases, which are relative to `directory`, are added to `files`.
    Reports a base that cannot be read, is not a mapping, or extends itself.
    """
    named = document.get("extends")
    base = _base(named, directory, report, files, chain) if named is not None else None
    if named is not None and base is None:
        return None
    own = document.without("extends", "set")
    merged = overlay(base, own) if base is not None else own
    changes = section_mapping(document.get("set"), report, "set", "paths to values", "{vars.filters: 64}")
    return merged if changes is None else apply_nodes(merged, changes, report)


def _base(named: Node, directory: Path, report: Report, files: list[Path], chain: tuple[Path, ...]) -> Mapping | None:
    if not isinstance(named, Scalar) or not isinstance(named.value, str):
        report.wrong_type("extends: expected the path of a spec", named)
        return None
    path = directory / named.value
    try:
        identity = path.resolve()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, or links in a circle
        identity = path
    if identity in chain or len(chain) >= _MAX_DEPTH:
        reason = " → ".join(path.name for path in (*chain, identity))
        report.error(f"{named.value} extends itself", named.span, reason=reason, code="extends-cycle")
        return None
    base = opened(path, named, report)
    files.append(path)
    return extended(base, path.parent, report, files, (*chain, identity)) if base is not None else None


def opened(path: Path, named: Node, report: Report) -> Mapping | None:
    """Return the document of another spec; None after reporting, at its name, why there is none."""
    try:
        _, document = read(path)
    except SpecError as error:
        report.extend(replace(diagnostic, span=diagnostic.span or named.span) for diagnostic in error.diagnostics)
        return None
    if not isinstance(document, Mapping):
        report.wrong_type("a spec must be a mapping", document)
        return None
    return document
