"""Whether clips and classes are what the model reads and gives; if not, which line to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from specbuild.catalog.shapes import Dim, Shape, show, written_shape
from specbuild.document import SpecError
from specbuild.graph.output_fault import differ, output_fault

if TYPE_CHECKING:
    from specbuild.graph.model import Graph
    from specbuild.language import Spec


def class_faults(spec: Spec, graph: Graph, frame: Shape, channels: Dim) -> Iterator[SpecError]:
    """Every number in which the model differs from clips of frames (H, W) with `channels`.

    What is None is not known and fits. The spec has `data.target: class`, the model one input and one output.
    """
    data = spec.data
    assert data is not None
    name, shape = graph.inputs[0].id, graph.inputs[0].shape
    wanted = (data.windows.past, *data.crop_shape(frame), channels)
    if len(shape) != 4 or differ(shape, wanted):
        known = [a if b is None else b for a, b in zip(shape, wanted, strict=True)] if len(shape) == 4 else wanted
        yield spec.error(
            ("inputs", name),
            f"{name} is {show(shape)}, a clip is {show(wanted)} (frames, height, width, channels)",
            help=f"write {name}: {written_shape(known)}, or change data.windows.past, data.source.size or data.crop",
            code="data-shape",
        )
    given = graph.outputs[0]
    if len(given.shape) != 1:
        yield output_fault(
            spec,
            graph,
            f"the output {given.name} is {show(given.shape)}, the class of a clip needs one axis",
            help="end the model with a Dense layer of one unit for each class",
        )
