"""Stage 4: build a graph with shapes, states, parameters and costs from a typed spec."""

from specbuild.graph.build import build_graph, check
from specbuild.graph.model import Graph, Input, Node, Output, Port

__all__ = ["Graph", "Input", "Node", "Output", "Port", "build_graph", "check"]
