"""Pictures of a graph: its boxes and edges as plain values, their places, and drawings of them."""

from specbuild.graph.drawing.diagram import Box, Diagram, Edge, diagram, folded, mermaid

__all__ = ["Box", "Diagram", "Edge", "diagram", "folded", "mermaid"]
