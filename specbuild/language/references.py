"""References: how one node names another, or one of its ports."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from specbuild.document import Node, Report, Scalar, Span, kind_of

ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
"""What may be the id of a node: up to 100 letters, digits, _ and -, not starting with a digit."""
ID_HELP = "use letters, digits, _ and -, not starting with a digit"
REFERENCE = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)(?:\.([A-Za-z0-9_][A-Za-z0-9_.-]*))?")


@dataclass(frozen=True, slots=True)
class Reference:
    """`id` or `id.port`. The ports of a recurrent node are `sequence`, `last`, `state` and `state.<name>`."""

    id: str
    port: str | None
    span: Span
    implied: bool = False
    """Not written: the node before, or the last node as output."""
    by_default: bool = False
    """Whether the port is what a bare id means here, so that another port may be named instead."""

    def __str__(self) -> str:
        return f"{self.id}.{self.port}" if self.port else self.id

    def renamed(self, rename: Rename) -> Reference:
        return replace(self, id=rename(self.id))


References: TypeAlias = tuple[Reference, ...]
Rename: TypeAlias = Callable[[str], str]
"""Gives for the id of a node another one, or the same."""


def reference(node: Node, report: Report) -> Reference | None:
    """Read a reference; report what is not one."""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        if match := REFERENCE.fullmatch(node.value):
            return Reference(match[1], match[2], report.named(node.span))
        help = "write the id of a node or input, such as enc1, or one of its ports, such as enc1.last"
        report.error(f'"{node.value}" names no node', node.span, help=help, code="bad-reference")
    elif not report.is_known(node.span):
        report.error(f"expected the id of a node, got {kind_of(node)}", node.span, code="bad-reference")
    return None
