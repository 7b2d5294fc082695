"""A graph as rows: what `specbuild summary` prints, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from specbuild.catalog import Dim, Shape, size
from specbuild.catalog.shapes import times
from specbuild.graph.axis_names import Names, axis_names
from specbuild.graph.memory import StepMemory, step_memory
from specbuild.graph.model import Graph, Input, Node, Port, Step, spent
from specbuild.graph.receptive_field import Extent, receptive_fields

MOST_SHOWN = 40
"""Characters of an equation in a table or a diagram."""
AXES = ("time", "depth", "height", "width", "channels")
"""The columns that a shape is spread over."""


@dataclass(frozen=True, slots=True)
class Row:
    """One input or node. `shape` is its output without the batch axis; `axes` names its axes where that is known.

    `activation_bytes` is what training keeps of it for the backward pass, `receptive_field` what one place of its
    output depends on in each model input, at most: an extent for every axis of that input.
    """

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
    activation_bytes: Dim
    receptive_field: dict[str, tuple[Extent, ...]]
    inside: str = ""
    """The autoregressive or recurrent node that runs it; that node's numbers count it already."""
    shares: str = ""
    """The node whose weights it uses; they are counted there."""
    equation: str = ""
    """What an equation computes."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A model in numbers. FLOPs are for one sample, a multiply-add counting two; memory is in bytes.

    `flops` is the sum of what is known, `flops_unknown` the ids of the rows that are missing from it.
    """

    name: str
    rows: tuple[Row, ...]
    outputs: dict[str, str]
    parameters: int
    trainable_parameters: int
    flops: int
    flops_unknown: tuple[str, ...]
    batch: int
    activation_bytes: Dim
    step: StepMemory | None
    """The memory of a training step; None where a length is known only at run time."""

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON-able values."""
        return asdict(self)


def summarize(graph: Graph, *, batch: int) -> Summary:
    """Return the rows and totals of a graph, activation memory for training with `batch` samples at float32."""
    fields = receptive_fields(graph)
    names = axis_names(graph)
    inputs = (_input_row(x, names, batch) for x in graph.inputs)
    whole = {node.id: _row(node, names, batch, dict(fields[node.id])) for node in graph.nodes}
    inside = {node.id: tuple(_inside(node, names, batch)) for node in graph.nodes}
    shared = _shared(graph)
    rows = tuple(replace(row, shares=shared.get(row.id, "")) for node in whole for row in (whole[node], *inside[node]))
    counted = [row for node in whole for row in ((inside[node] if whole[node].flops is None else ()) or (whole[node],))]
    return Summary(
        name=graph.name,
        rows=(*inputs, *rows),
        outputs={output.name: str(output.port) for output in graph.outputs},
        parameters=graph.parameters,
        trainable_parameters=graph.trainable_parameters,
        flops=sum(row.flops or 0 for row in counted),
        flops_unknown=tuple(row.id for row in counted if row.flops is None),
        batch=batch,
        activation_bytes=graph.activation_bytes(batch),
        step=step_memory(graph, batch),
    )


def shown_layer(label: str, equation: str) -> str:
    """Return how a table or a diagram calls a layer: by its label, or by its equation, cut where it is long."""
    if not equation:
        return label
    if len(equation) > MOST_SHOWN:
        equation = equation[: MOST_SHOWN - 1].rstrip(" +-*/(,") + "…"
    return f"= {equation}"


def _input_row(x: Input, names: Mapping[Port, Names], batch: int) -> Row:
    axes = _columns(names[Port(x.id)])
    return Row(x.id, "Input", (), x.shape, axes, {}, (), 0, 0, 0, _bytes(size(x.shape), batch), {})


def _shared(graph: Graph) -> dict[str, str]:
    """For each node that uses the weights of another: which."""
    weighted = {node.id for node in graph.every_node if node.weights}
    return {node.id: node.shares for node in graph.every_node if node.shares in weighted and node.shares is not None}


def _inside(node: Node, names: Mapping[Port, Names], batch: int) -> Iterator[Row]:
    """The layers that an autoregressive or a recurrent node runs, with what they cost over all its steps."""
    if node.step is not None:
        yield from _of_step(node, node.step, names, batch)
    if node.body is None:
        return
    given = node.body.given.inputs
    read = (names[port] for port in node.inputs)
    known = {x.id: own if len(own) == len(x.shape) else ("time", *own) for x, own in zip(given, read, strict=True)}
    names = axis_names(node.body.given, known)
    horizon = getattr(node.layer, "horizon", 1)
    inner_states = (port for inner in node.body.given.nodes for port in inner.initial_state)
    states = dict(zip(inner_states, map(str, node.initial_state), strict=True))
    for inner, step in zip(node.body.given.nodes, node.body.step.nodes, strict=True):
        starts = tuple(states[port] for port in inner.initial_state)
        flops, saved = spent(inner.flops, step.flops, horizon), spent(inner.saved, step.saved, horizon)
        row = replace(_row(inner, names, batch, {}), initial_state=starts, inside=node.id)
        yield replace(row, flops=flops, activation_bytes=_bytes(saved, batch))
        for first, later in zip(_inside(inner, names, batch), _inside(step, names, batch), strict=True):
            flops = spent(first.flops, later.flops, horizon)
            yield replace(
                first, flops=flops, activation_bytes=spent(first.activation_bytes, later.activation_bytes, horizon)
            )


def _of_step(node: Node, step: Step, names: Mapping[Port, Names], batch: int) -> Iterator[Row]:
    """The layers of a step: their shapes are those of one step, their costs those of all."""
    steps = node.shapes["sequence"][0]
    given = zip(step.graph.inputs, node.inputs, strict=False)
    known = {each.id: names[port][1:] if at < step.sequences else names[port] for at, (each, port) in enumerate(given)}
    own = axis_names(step.graph, {name: axes for name, axes in known.items() if axes})
    for inner in step.graph.nodes:
        flops, saved = times(steps, inner.flops), times(steps, inner.saved)
        yield replace(_row(inner, own, batch, {}), flops=flops, activation_bytes=_bytes(saved, batch), inside=node.id)
        for row in _inside(inner, own, batch):
            flops, saved = times(steps, row.flops), times(steps, row.activation_bytes)
            yield replace(row, flops=flops, activation_bytes=saved)


def _row(node: Node, names: Mapping[Port, Names], batch: int, receptive_field: dict[str, tuple[Extent, ...]]) -> Row:
    return Row(
        id=node.id,
        layer=node.layer.label,
        source=tuple(str(port) for port in node.inputs),
        shape=node.shape,
        axes=_columns(names[Port(node.id, node.port)]),
        state=node.state,
        initial_state=tuple(str(port) for port in node.initial_state),
        parameters=node.parameters,
        trainable_parameters=node.trainable_parameters,
        flops=node.flops,
        activation_bytes=_bytes(node.saved, batch),
        receptive_field=receptive_field,
        equation=node.layer.text([str(port) for port in node.inputs]),
    )


def _columns(names: Names) -> Names:
    """The names under which a shape is spread over columns; none where an axis has no name of its own."""
    return () if "" in names or len(set(names)) < len(names) else names


def _bytes(numbers: Dim, batch: int) -> Dim:
    """The size of so many numbers per sample at float32."""
    return None if numbers is None else numbers * batch * 4
