"""Whether clips and classes are what the model reads and gives; if not, which line to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from specbuild.catalog.shapes import Dim, Shape, show
from specbuild.document import Diagnostic, SpecError, dotted

if TYPE_CHECKING:
    from specbuild.graph.model import Graph
    from specbuild.spec import Spec


def class_faults(spec: Spec, graph: Graph, frame: Shape, channels: Dim) -> Iterator[SpecError]:
    """Every number in which the model differs from clips of frames (H, W) with `channels`.

    What is None is not known and fits. The spec has `data.target: class`, the model one input and one output.
    """
    data = spec.data
    assert data is not None
    name, shape = graph.inputs[0].id, graph.inputs[0].shape
    wanted = (data.windows.past, *data.crop_shape(frame), channels)
    if len(shape) != 4 or _differ(shape, wanted):
        known = [a if b is None else b for a, b in zip(shape, wanted, strict=True)] if len(shape) == 4 else wanted
        meant = "[" + ", ".join("null" if dim is None else str(dim) for dim in known) + "]"
        yield spec.error(
            ("inputs", name),
            f"{name} is {show(shape)}, a clip is {show(wanted)} (frames, height, width, channels)",
            help=f"write {name}: {meant}, or change data.windows.past, data.source.size or data.crop",
            code="data-shape",
        )
    given = graph.outputs[0]
    if len(given.shape) != 1:
        yield output_error(
            spec,
            graph,
            f"the output {given.name} is {show(given.shape)}, the class of a clip needs one axis",
            help="end the model with a Dense layer of one unit for each class",
        )


def _differ(one: Shape, other: Shape) -> bool:
    return any(a is not None and b is not None and a != b for a, b in zip(one, other, strict=True))


def output_error(spec: Spec, graph: Graph, message: str, *, help: str) -> SpecError:
    """A fault of the output, at the node that the model ends in."""
    end = next((node.spec for node in graph.nodes if node.id == graph.outputs[0].port.node), None)
    if end is None:
        return spec.error(("outputs",), message, help=help, code="data-shape")
    return SpecError([Diagnostic(message, end.span(), dotted(end.path), "", help, "data-shape")])
