"""Faults that lie in what a model gives: where they are shown, and when lengths differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specbuild.catalog.shapes import Shape
from specbuild.document import Diagnostic, SpecError, dotted

if TYPE_CHECKING:
    from specbuild.graph.model import Graph
    from specbuild.language import Spec


def output_fault(spec: Spec, graph: Graph, message: str, *, reason: str = "", help: str) -> SpecError:
    """A fault of the output, at `outputs` or, where that is left out, at the node that the model ends in."""
    end = next((node.spec for node in graph.nodes if node.id == graph.outputs[0].port.node), None)
    if spec.document.get("outputs") is not None or end is None:
        return spec.error(("outputs",), message, reason=reason, help=help, code="data-shape")
    return SpecError([Diagnostic(message, end.span(), dotted(end.path), reason, help, "data-shape")])


def differ(one: Shape, other: Shape) -> bool:
    """Whether a length differs; what is None is not known and fits."""
    return any(a is not None and b is not None and a != b for a, b in zip(one, other, strict=False))
