"""Warnings that a spec accepts under `allow`, apart from those that remain."""

from __future__ import annotations

from collections.abc import Iterator

from specbuild.document import Diagnostic, Mapping, Report, Span, did_you_mean
from specbuild.graph.lints import LINTS
from specbuild.language import NodeSpec, Spec
from specbuild.language.spec import AcceptedWarning, every_node

WARNINGS = (*(lint.code for lint in LINTS), "unused-node")
"""The names of the warnings that can be accepted."""


def check_allowed(spec: Spec, report: Report) -> None:
    """Report names under `allow` that no warning has."""
    for accepted, _ in _allowed(spec):
        if accepted.code not in WARNINGS:
            help = did_you_mean(accepted.code, WARNINGS) or f"there are {', '.join(WARNINGS)}"
            message = f'no warning is called "{accepted.code}"'
            report.error(message, accepted.span, help=help, code="unknown-warning")


def accept_warnings(spec: Spec, report: Report) -> None:
    """Mark the warnings that the spec accepts, and warn of each entry of `allow` that accepts none.

    Entries of other files may accept warnings that occur only when the file is used alone.
    """
    allowed = list(_allowed(spec))
    used: set[Span] = set()

    def reason(warning: Diagnostic) -> str | None:
        matching = [accepted for accepted, node in allowed if _covers(accepted, node, warning)]
        used.update(accepted.span for accepted in matching)
        return matching[0].reason if matching else None

    report.accept(reason)
    for accepted, _ in allowed:
        if accepted.span not in used and accepted.span.source is spec.document.span.source:
            message = f"allow: no {accepted.code} warning is given here"
            report.warning(message, accepted.span, help="remove it", code="unused-allow")


def _allowed(spec: Spec) -> Iterator[tuple[AcceptedWarning, NodeSpec | None]]:
    """Yield every accepted warning with the node that it is accepted on; None is the whole spec."""
    for accepted in spec.allow:
        yield accepted, None
    for node in every_node(spec.layers):
        for accepted in node.allow:
            yield accepted, node


def _covers(accepted: AcceptedWarning, node: NodeSpec | None, warning: Diagnostic) -> bool:
    if accepted.code != warning.code:
        return False
    if node is None or warning.span is None:
        return node is None
    fed = node.levels.fed if node.levels is not None else None
    return warning.span == fed or _stands_in(warning.span, (node.at, node.arguments))


def _stands_in(span: Span, mappings: tuple[Mapping, ...]) -> bool:
    """Whether a place is inside one of the mappings, or is a value that an override put there."""
    return any(
        (mapping.span.source is span.source and mapping.span.encloses(span))
        or any(entry.value.span == span for entry in mapping.entries)
        for mapping in mappings
    )
