"""`allow`: warnings that a spec accepts, on a node or as a whole, each with the reason."""

from __future__ import annotations

from specbuild.document import Mapping, Node, Report, Scalar
from specbuild.language.spec import AcceptedWarning, is_written

SCHEMA = {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}
"""The JSON Schema of the key."""


def read_allow(node: Node | None, report: Report) -> tuple[AcceptedWarning, ...]:
    """Return the warnings that `allow` accepts; a faulty entry is reported and left out."""
    if not is_written(node) or node is None:
        return ()
    if not isinstance(node, Mapping):
        help = "write the name of the warning and the reason, such as allow: {unbounded-recurrence: as published}"
        report.wrong_type("allow: expected warnings with the reason why each is accepted", node, help=help)
        return ()
    accepted = []
    for entry in node.entries:
        reason = entry.value
        if isinstance(reason, Scalar) and isinstance(reason.value, str) and reason.value.strip():
            accepted.append(AcceptedWarning(entry.name, reason.value, entry.key.span))
        else:
            help = f"write the reason, such as allow: {{{entry.name}: as published}}"
            report.wrong_type(f"allow: expected the reason why {entry.name} is accepted", reason, help=help)
    return tuple(accepted)
