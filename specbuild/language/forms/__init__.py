"""The forms of node: what each item of `layers:` may be, one small file per family."""

from __future__ import annotations

from collections.abc import Sequence as AnySequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from specbuild.document import Node, Report, Sequence, kind_of
from specbuild.language.forms.applications import application_form
from specbuild.language.forms.autoregressive import autoregressive_form
from specbuild.language.forms.blocks import Block, block_form, read_blocks
from specbuild.language.forms.branches import branch_form, residual_form
from specbuild.language.forms.encoder_decoder import encoder_decoder_form
from specbuild.language.forms.expansion import COMMON, Expansion, Form, TooLarge
from specbuild.language.forms.ids import Ids, snake
from specbuild.language.forms.layers import bidirectional_form, layer_form, time_distributed_form
from specbuild.language.forms.loops import for_form, repeat_form
from specbuild.language.forms.models import model_form
from specbuild.language.forms.reuse import reuse_form
from specbuild.language.forms.scope import Definitions, Group, Scope
from specbuild.language.references import Reference
from specbuild.language.spec import NodeSpec

FORMS: dict[str, Form] = {
    "layer": layer_form,
    "application": application_form,
    "time_distributed": time_distributed_form,
    "bidirectional": bidirectional_form,
    "repeat": repeat_form,
    "for": for_form,
    "branch": branch_form,
    "residual": residual_form,
    "block": block_form,
    "reuse": reuse_form,
    "model": model_form,
    "encoder_decoder": encoder_decoder_form,
    "autoregressive": autoregressive_form,
}
"""Every form of node, by the key that marks it."""


@dataclass(frozen=True)
class Expanded:
    """The nodes of a `layers:` list. `broken` are ids of nodes that could not be read."""

    nodes: tuple[NodeSpec, ...]
    broken: frozenset[str]
    end: Reference | None
    walk: Expansion
    scope: Scope

    def reference(self, node: Node, path: tuple[str | int, ...]) -> tuple[Reference, ...]:
        """A reference from outside the layers, such as an output, as full ids."""
        return self.walk.reference(node, self.scope, path)


def expand(
    node: Node | None,
    inputs: AnySequence[str],
    values: dict[str, Any],
    definitions: Definitions,
    report: Report,
) -> Expanded:
    """Every node of a `layers:` list, with variables, defaults, loops, blocks and made-up ids carried out.

    `inputs` are the model's input ids: the first node reads the only one unless it says otherwise.
    """
    walk = Expansion(definitions, FORMS, Ids(inputs), report)
    scope = Scope(values)
    if len(inputs) == 1 and node is not None:
        walk.previous = Reference(inputs[0], None, node.span, implied=True)
    elif inputs:
        walk.no_previous = "the first node must say which input it reads"
    if isinstance(node, Sequence):
        with suppress(TooLarge):
            walk.items(node, scope, ("layers",))
    elif node is not None:
        report.error(
            f"layers must be a list, got {kind_of(node)}",
            node.span,
            path="layers",
            help="start each node with a hyphen: - {layer: …}",
            code="wrong-type",
        )
    end = walk.previous if walk.nodes else None
    return Expanded(tuple(walk.nodes), frozenset(walk.broken), end, walk, scope)


__all__ = [
    "COMMON",
    "FORMS",
    "Block",
    "Definitions",
    "Expanded",
    "Expansion",
    "Form",
    "Group",
    "Ids",
    "Scope",
    "expand",
    "read_blocks",
    "snake",
]
