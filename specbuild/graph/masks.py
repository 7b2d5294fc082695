"""Which nodes may be reached by a mask."""

from __future__ import annotations

from specbuild.catalog.wrappers import innermost
from specbuild.graph.model import Graph


def masked_nodes(graph: Graph) -> frozenset[str]:
    """The nodes that may be reached by the mask of a Masking or Embedding layer: Keras's ConvLSTM takes none."""
    masked: set[str] = set()
    for node in graph.nodes:
        layer = innermost(node.layer)
        masks = layer.kind == "Masking" or getattr(layer, "mask_zero", False)
        if masks or any(port.node in masked for port in node.inputs):
            masked.add(node.id)
    return frozenset(masked)
