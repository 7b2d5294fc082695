"""`extends: base.yaml` and `set:`: a spec that contains only its differences from another.

Whatever else an extending spec writes is merged over the base: mappings merge, anything else replaces. Then `set:` is
applied, in the grammar of `--set`. The order is: the base (with its own base first), this file, `set:`, `--set`.
"""

from __future__ import annotations

from pathlib import Path

from specbuild.document import Mapping, Node, Report, Scalar
from specbuild.language.declarations import section_mapping
from specbuild.language.files import Home, document_of
from specbuild.language.overrides import apply_nodes, overlay

_MAX_DEPTH = 16


def extended(
    document: Mapping, home: Home, report: Report, files: list[Path], chain: tuple[Path, ...] = ()
) -> Mapping | None:
    """Return the document merged over its base, with its `set:` applied; None if there is no such base.

    The files of its bases, which are relative to `home`, are added to `files`.
    Reports a base that cannot be read, is not a mapping, or extends itself.
    """
    named = document.get("extends")
    base = _base(named, home, report, files, chain) if named is not None else None
    if named is not None and base is None:
        return None
    own = document.without("extends", "set")
    merged = overlay(base, own) if base is not None else own
    changes = section_mapping(document.get("set"), report, "set", "paths to values", "{vars.filters: 64}")
    return merged if changes is None else apply_nodes(merged, changes, report)


def _base(named: Node, home: Home, report: Report, files: list[Path], chain: tuple[Path, ...]) -> Mapping | None:
    if not isinstance(named, Scalar) or not isinstance(named.value, str):
        report.wrong_type("extends: expected the path of a spec", named)
        return None
    path = home.folder / named.value
    try:
        identity = path.resolve()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, or links in a circle
        identity = path
    if identity in chain or len(chain) >= _MAX_DEPTH:
        reason = " → ".join(path.name for path in (*chain, identity))
        report.error(f"{named.value} extends itself", named.span, reason=reason, code="extends-cycle")
        return None
    base = document_of(path, home, named.span, report)
    files.append(path)
    return extended(base, home.beside(path), report, files, (*chain, identity)) if base is not None else None
