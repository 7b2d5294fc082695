"""Which nodes may be reached by a mask, and which tensors may have one."""

from __future__ import annotations

from specbuild.catalog import Layer
from specbuild.catalog.wrappers import innermost
from specbuild.graph.model import Graph, Port

_WITHOUT_MASK = ("convolution", "pooling", "reshaping")
"""The modules of the catalog whose layers pass no mask on; of our own layers, only pointwise ones pass it on."""


def masked_nodes(graph: Graph) -> frozenset[str]:
    """The nodes that may be reached by the mask of a Masking or Embedding layer: Keras's ConvLSTM takes none."""
    masked: set[str] = set()
    for node in graph.nodes:
        if _masks(innermost(node.layer)) or any(port.node in masked for port in node.inputs):
            masked.add(node.id)
    return frozenset(masked)


def masked_ports(graph: Graph) -> frozenset[Port]:
    """The ports whose tensors may have a mask; the last output and the states of a recurrence have none."""
    masked: set[Port] = set()
    for node in graph.nodes:
        if _masks(innermost(node.layer)):
            masked.add(Port(node.id))
        elif node.state:
            masked.update({Port(node.id, "sequence")} if node.inputs[0] in masked else ())
        elif takes_mask(node.layer) and any(port in masked for port in node.inputs):
            masked.add(Port(node.id))
    return frozenset(masked)


def takes_mask(layer: Layer) -> bool:
    """Whether a layer may use the mask of its input, or pass it on."""
    if layer.origin == "specbuild":
        return layer.pointwise or layer.kind == "Equation"
    return layer.kind == "GlobalAveragePooling1D" or type(layer).__module__.rpartition(".")[2] not in _WITHOUT_MASK


def _masks(layer: Layer) -> bool:
    """Whether a layer makes a mask."""
    return layer.kind == "Masking" or bool(getattr(layer, "mask_zero", False))
