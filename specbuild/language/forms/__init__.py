"""The forms of node: what each item of `layers:` may be, one class for each.

A form says which keys it has, and `expand` returns the plain nodes that it comes to. From its class follow the checks,
the JSON Schema and the tables of the documentation. `FORMS` lists them all.
"""

from __future__ import annotations

from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from specbuild.document import Node, Report, Sequence
from specbuild.language.forms.base import COMMON, Expansion, frozen_together
from specbuild.language.forms.ids import snake
from specbuild.language.forms.scope import Definitions, Group, Scope
from specbuild.language.forms.walk import FORMS, Walk, form_of
from specbuild.language.references import Reference, References
from specbuild.language.spec import NodeSpecs

if TYPE_CHECKING:
    from specbuild.language.forms.blocks import Block


@dataclass(frozen=True)
class Expanded:
    """The nodes of a `layers:` list. `broken` are ids of nodes that could not be read."""

    nodes: NodeSpecs
    broken: frozenset[str]
    end: Reference | None
    walk: Walk
    scope: Scope

    def reference(self, node: Node) -> Reference | None:
        """Return a reference from outside the layers to one tensor, such as an output, as a full id."""
        return self.scope.reference(node, self.walk.report)

    def references(self, node: Node) -> References:
        """Return a reference from outside the layers as full ids."""
        return self.scope.references(node, self.walk.report)


def expand(
    node: Node | None, inputs: AnySequence[str], values: dict[str, Any], definitions: Definitions, report: Report
) -> Expanded:
    """Return every node of a `layers:` list, after variables, defaults, loops and blocks, with generated ids.

    `inputs` are the model's input ids: the first node reads the only one unless it says otherwise.
    """
    walk = Walk(inputs, report)
    start = Reference(inputs[0], None, node.span, implied=True) if len(inputs) == 1 and node is not None else None
    several = "the first node must say which input it reads" if len(inputs) > 1 else ""
    scope = Scope(values, definitions, previous=start, no_previous=several)
    expansion = Expansion((), None)
    if isinstance(node, Sequence):
        expansion = walk.items(node, scope)
    elif node is not None:
        report.wrong_type("layers must be a list", node, "start each node with a hyphen: - {layer: …}")
    end = expansion.end if expansion.nodes else None
    return Expanded(frozen_together(expansion.nodes), frozenset(walk.broken), end, walk, scope)


def read_blocks(node: Node | None, report: Report) -> dict[str, Block | None]:
    """Return the `blocks:` section by name; None for a block that could not be read, which was reported."""
    if node is None:
        return {}
    from specbuild.language.forms.blocks import read_blocks

    return read_blocks(node, report)


__all__ = ["COMMON", "FORMS", "Definitions", "Expanded", "Group", "expand", "form_of", "read_blocks", "snake"]
