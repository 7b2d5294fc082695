"""What to write where a layer reads too few or too many axes."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.catalog import Layer, Recurrent, Shape
from specbuild.catalog.shapes import written_shape
from specbuild.graph.model import Input, Port
from specbuild.language import NodeSpec, Spec

_MOST_CHANNELS = 4
"""An input whose last axis is longer is taken to lack its axis of channels, not of time."""


def rank_help(node: NodeSpec, ranks: set[int]) -> str:
    """Help for a reader of `ranks` axes that has one axis of time too many, or misses it."""
    layer = node.layer
    assert layer.ranks is not None
    if not isinstance(layer, Recurrent) and any(rank - 1 in layer.ranks for rank in ranks):
        return f"to run it on every frame, write {_every_frame(layer)}"
    if isinstance(layer, Recurrent) and any(rank + 1 in layer.ranks for rank in ranks):
        return "it reads a sequence; {layer: RepeatFrame, times: …} shows one frame at every step"
    return ""


def missed_steps(node: NodeSpec, spec: Spec, shapes: Mapping[str, Mapping[str, Shape]]) -> str:
    """Help where a recurrent node reads one frame because a layer before it read only the last step of another."""
    if not isinstance(node.layer, Recurrent):
        return ""
    nodes = {one.id: one for one in spec.layers}
    reader = nodes.get(node.sources[0].id)
    while reader is not None and not isinstance(reader.layer, Recurrent):
        source = reader.sources[0]
        before = nodes.get(source.id)
        if before is not None and _read_last(reader, before, shapes):
            return (
                f"{reader.id} read {before.id}.last, one frame; to run it on every step, write "
                f"{_every_frame(reader.layer)}"
            )
        reader = before
    return ""


def input_help(node: NodeSpec, ports: tuple[Port, ...], inputs: tuple[Input, ...]) -> str:
    """Help where a recurrent node reads an input without its axis of channels, or with the batch as an axis."""
    read = next((one for one in inputs if ports and one.id == ports[0].node), None)
    if read is None or not isinstance(node.layer, Recurrent) or not read.shape or node.layer.ranks is None:
        return ""
    if len(read.shape) - 1 in node.layer.ranks:
        return f"leave the batch axis out of inputs: {read.id}: {written_shape(read.shape[1:])}"
    last = read.shape[-1]
    if len(read.shape) + 1 in node.layer.ranks and last is not None and last > _MOST_CHANNELS:
        return f"add a channel axis: {read.id}: {written_shape((*read.shape, 1))}"
    return ""


def _read_last(reader: NodeSpec, before: NodeSpec, shapes: Mapping[str, Mapping[str, Shape]]) -> bool:
    """Whether a bare reference to a recurrent node meant its last step."""
    ranks = reader.layer.ranks
    return (
        isinstance(before.layer, Recurrent)
        and before.layer.return_sequences is None
        and reader.sources[0].port is None
        and ranks is not None
        and before.id in shapes
        and len(shapes[before.id]["last"]) in ranks
    )


def _every_frame(layer: Layer) -> str:
    form = "application" if layer.package == "applications" else "layer"
    return f"time_distributed: {{{form}: {layer.kind}, …}}"
