"""The nodes that plain Keras cannot load, as its files store layers. Found in the graph, without any framework."""

from __future__ import annotations

from specbuild.catalog.generic import PluginLayer
from specbuild.catalog.wrappers import innermost
from specbuild.document import Diagnostic, Span, SpecError
from specbuild.graph import Graph, Node

HELP = "use --format savedmodel or --format onnx, which hold the operations of every layer"


def check_plain_keras(graphs: tuple[Graph, ...]) -> None:
    """Refuse graphs with layers that Keras does not have.

    Our layers without weights become operations. Recurrent layers of ours that a mask reaches compute something other
    than Keras's; that is known only once the model is built, so `convert` refuses them.

    Raises:
        SpecError: there are such layers; with the place and the name of each.
    """
    findings: dict[Span, Diagnostic] = {}
    for graph in graphs:
        for node in graph.nodes:
            if reason := _reason(node):
                span, kind = node.spec.span(), innermost(node.layer).kind
                message = f"plain Keras cannot load {kind}"
                findings.setdefault(span, Diagnostic(message, span, reason=reason, help=HELP, code="plain-keras"))
    if findings:
        raise SpecError(list(findings.values()))


def _reason(node: Node) -> str:
    """Return why a node cannot be in a `.keras` file; empty if it can."""
    layer = innermost(node.layer)
    if node.inside:
        return "it runs layers in a specbuild loop" if any(each.weights for each in node.with_inside) else ""
    if isinstance(layer, PluginLayer):
        return "it is a layer of a plugin"
    if layer.origin != "specbuild" or not (node.weights or hasattr(layer, "seed")):
        return ""
    return "Keras has no such layer" if layer.package == "specbuild" else "Keras's layer lacks some of these options"
