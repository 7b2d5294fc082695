"""Whole numbers and booleans among the inputs: which layers cannot compute with them.

Keras gives a layer the numbers as they come. A convolution of whole numbers with its floating-point kernel is an error,
which frameworks raise at the first batch; so is the average of several whole numbers.
"""

from __future__ import annotations

from specbuild.catalog.registry import MODULES
from specbuild.catalog.wrappers import innermost
from specbuild.document import Report
from specbuild.graph.model import Graph, Port


def check_number_types(graph: Graph, report: Report) -> None:
    """Report layers that need floating-point numbers and read an input of others."""
    whole = {Port(x.id): x for x in graph.inputs if "float" not in x.dtype}
    for node in graph.nodes if whole else ():
        layer = innermost(node.layer)
        read = [whole.get(port) for port in node.inputs]
        first = next(filter(None, read), None)
        if first is None or layer.dtype is not None:
            continue
        if layer.kind in _KEEP and all(read):
            whole |= {Port(node.id, name): first for name in node.shapes}
        elif layer.kind in _NEED_FLOATS or (first.dtype == "bool" and layer.kind in _REFUSE_BOOLEANS):
            message, reason = f"{node.id} needs floating-point numbers", f"{first.id} has numbers of type {first.dtype}"
            help = f"leave dtype out of {first.id}, or put {{layer: Rescaling, scale: 1}} before {node.id}"
            report.error(message, node.spec.span("layer"), reason=reason, help=help, code="number-type")


def _kinds(*modules: str) -> frozenset[str]:
    return frozenset(kind for module in modules for kind in MODULES[module].split())


_NEED_FLOATS = _kinds("convolution", "conv_lstm", "conv_gru", "st_lstm", "traj_gru") | {
    *("AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "MaxPooling3D"),
    *("ELU", "PReLU", "Softmax", "UnitNormalization"),
}
"""Layers that compute with floating-point numbers only."""
_REFUSE_BOOLEANS = frozenset({"Add", "Average", "LeakyReLU", "MaxPooling1D", "MaxPooling2D", "Multiply", "ReLU"})
_KEEP = _kinds("plumbing") - {"ZerosLike"} | {
    *(kind for kind in MODULES["reshaping"].split() if not kind.startswith("UpSampling")),
    *("Concatenate", "Identity"),
}
"""Layers whose output has the numbers of their input."""
