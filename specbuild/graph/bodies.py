"""Nodes that run other nodes: their layers, bound to the rules by which those are measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from specbuild.catalog.autoregressive import Autoregressive
from specbuild.catalog.recurrence import Recurrence
from specbuild.catalog.wrappers import innermost
from specbuild.graph.autoregressive import BodyRule, at_port, recurrent_ids
from specbuild.graph.model import Infer
from specbuild.graph.recurrence import StepRule
from specbuild.language import NodeSpec, Spec

Rule: TypeAlias = BodyRule | StepRule


def bind_bodies(spec: Spec, infer: Infer) -> tuple[Spec, dict[str, Rule]]:
    """Return the spec with each layer that runs nodes bound to them, and their rules by the id of its node.

    What such a node reads besides its frames is every step of a recurrent node where it is a sequence, else the last
    one. A recurrent node runs over every step as well.
    """
    rules: dict[str, Rule] = {}
    recurrent = recurrent_ids(spec.layers)

    def bound(node: NodeSpec) -> NodeSpec:
        if node.body is None:
            return node
        layer, inner = node.layer, innermost(node.layer)
        frames, *more = node.sources
        if isinstance(inner, Autoregressive):
            rules[node.id] = body = BodyRule(node, node.body, spec, infer)
            inner = inner.bound(body)
        else:
            assert isinstance(inner, Recurrence)
            rules[node.id] = step = StepRule(node, node.body, spec, infer)
            inner = inner.bound(step, node.body.static)
            frames = at_port(frames, "sequence", recurrent)
        moving = node.body.sequences - 1
        covariates = (at_port(source, "sequence", recurrent) for source in more[:moving])
        static = (at_port(source, "last", recurrent) for source in more[moving:])
        layer = inner if innermost(layer) is layer else layer.model_copy(update={"layer": inner})
        return replace(node, layer=layer, sources=(frames, *covariates, *static))

    return replace(spec, layers=tuple(map(bound, spec.layers))), rules
