"""Parts of one tensor, which come from one layer."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any

from specbuild.catalog.plumbing import SplitPart
from specbuild.graph import Graph, Node, Port
from specbuild.model.layers.plumbing import Split


class Splits:
    """The nodes of a graph that are parts of one tensor, cut in the same way: outputs of one layer, `Split`.

    The gradient of that is one tensor. That of n slices is n tensors of the size of the whole.
    """

    def __init__(self, graph: Graph) -> None:
        groups: dict[Hashable, list[tuple[Node, SplitPart]]] = {}
        for node in graph.nodes:
            if isinstance(layer := node.layer, SplitPart):
                axis = layer.axis % (len(node.shape) + 1)
                groups.setdefault((node.inputs, axis, layer.parts, layer.dtype), []).append((node, layer))
        several = [group for group in groups.values() if len(group) > 1]
        self._groups = {node.id: group for group in several for node, _ in group}

    def add(self, node: Node, tensors: dict[Port, Any], precision: str, ends: Collection[str]) -> bool:
        """Add the tensors of a node, and of all that are parts of the same, to those of the ports so far.

        Returns:
            Whether the node is one of several parts; otherwise nothing is added.
        """
        group = self._groups.get(node.id)
        if group is not None and Port(node.id) not in tensors:
            first, layer = group[0]
            names: list[str | None] = [None] * layer.count
            for each, part in group:
                names[part.index] = names[part.index] or each.id
            is_end = precision.startswith("mixed_") and any(each.id in ends for each, _ in group)
            policy = layer.dtype or ("float32" if is_end else precision)
            split = Split(layer.parts, layer.axis, names, dtype=policy, name=first.id)
            parts = split(tensors[first.inputs[0]])
            tensors.update({Port(each.id): parts[part.index] for each, part in group})
        return group is not None
