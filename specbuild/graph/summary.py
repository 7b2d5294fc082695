"""A graph as rows: what `specbuild summary` prints, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from specbuild.catalog import Bidirectional, Dim, Layer, Recurrent, Shape, TimeDistributed
from specbuild.graph.model import Graph, Input, Node

AXES = ("time", "depth", "height", "width", "channels")
"""The columns that a shape is spread over."""

_BY_RANK: dict[int, tuple[str, ...]] = {
    1: ("channels",),
    2: ("time", "channels"),
    3: ("height", "width", "channels"),
    4: ("time", "height", "width", "channels"),
    5: ("time", "depth", "height", "width", "channels"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One input or node. `shape` is its output without the batch axis; `axes` names its axes where that is known."""

    id: str
    layer: str
    source: tuple[str, ...]
    shape: Shape
    axes: tuple[str, ...]
    state: dict[str, Shape]
    initial_state: tuple[str, ...]
    parameters: int
    trainable_parameters: int
    flops: Dim


@dataclass(frozen=True, slots=True)
class Summary:
    """A model in numbers. FLOPs are for one sample, a multiply-add counting two; memory is in bytes."""

    name: str
    rows: tuple[Row, ...]
    outputs: dict[str, str]
    parameters: int
    trainable_parameters: int
    flops: Dim
    batch: int
    activation_bytes: Dim

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON-able values."""
        return asdict(self)


def summarize(graph: Graph, *, batch: int) -> Summary:
    """The rows and totals of a graph; activation memory for training with `batch` samples at float32."""
    rows = (*(_input_row(one) for one in graph.inputs), *(_row(node) for node in graph.nodes))
    return Summary(
        name=graph.name,
        rows=rows,
        outputs={output.name: str(output.port) for output in graph.outputs},
        parameters=graph.parameters,
        trainable_parameters=graph.trainable_parameters,
        flops=graph.flops,
        batch=batch,
        activation_bytes=graph.activation_bytes(batch),
    )


def _input_row(one: Input) -> Row:
    return Row(one.id, "Input", (), one.shape, _BY_RANK.get(len(one.shape), ()), {}, (), 0, 0, 0)


def _row(node: Node) -> Row:
    return Row(
        id=node.id,
        layer=node.layer.label,
        source=tuple(str(port) for port in node.inputs),
        shape=node.shape,
        axes=axes(node.layer, node.shape),
        state=node.state,
        initial_state=tuple(str(port) for port in node.initial_state),
        parameters=node.parameters,
        trainable_parameters=node.trainable_parameters,
        flops=node.flops,
    )


def axes(layer: Layer, shape: Shape) -> tuple[str, ...]:
    """Names for the axes of a layer's output, by the convention of this field; empty beyond five axes."""
    if isinstance(layer, TimeDistributed):
        inner = axes(layer.layer, shape[1:])
        return (
            ("time", *inner) if len(inner) == len(shape) - 1 and "time" not in inner else _BY_RANK.get(len(shape), ())
        )
    if isinstance(layer, Bidirectional):
        return axes(layer.layer, shape)
    names = _BY_RANK.get(len(shape), ())
    if isinstance(layer, Recurrent) and layer.kind.endswith("1D"):
        names = {3: ("time", "width", "channels"), 2: ("width", "channels")}.get(len(shape), names)
    if getattr(layer, "data_format", None) == "channels_first" and names:
        space = tuple(name for name in names if name not in ("time", "channels"))
        lead = ("time",) if "time" in names else ()
        return (*lead, "channels", *space)
    return names
