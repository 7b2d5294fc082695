"""Receptive fields: how many frames and pixels of the model's inputs one output value of each node depends on.

Worked out position by position. For every port, input and input axis there is a list with the span that each position
depends on, from its first to its last entry on that axis; the receptive field of a layer (`Layer.receptive_field`)
turns the list of its input into its own. Borders, strides, dilation and the recurrence are then exact, with two
simplifications: what lies between the first and the last entry counts, and so does all that any channel depends on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from specbuild.catalog import Dim, Recurrent, Shape, ShapeError
from specbuild.catalog.receptive_field import AxisField, Ends, ReceptiveField, is_empty
from specbuild.graph.model import OUTPUT, Graph, Node, Port
from specbuild.graph.ports import port_shapes

STAND_INS = (480, 960)
"""Two trial lengths for an axis known only at run time; a result that is equal for both does not depend on it."""
MAX_POSITIONS = 4_000_000
"""Ends that are worked out, over the axes of all nodes, when receptive fields are asked for."""
MAX_CHECKED = 400_000
"""The same for every check, which must not take longer for it."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The length of a receptive field on one input axis, at most; None where it depends on a length not yet known."""

    length: Dim
    whole: bool
    """Whether that is all of the axis."""

    def __str__(self) -> str:
        return str(self.length) if self.length is not None else "all" if self.whole else "?"


Extents: TypeAlias = Mapping[str, tuple[Extent, ...]]
"""For each input that a node depends on: the extent along each of its axes, the batch left out."""
FrameSpans: TypeAlias = tuple[Ends, ...]
"""For each step of a port, the first and the last frame of an input in its receptive field."""


PortField: TypeAlias = dict[str, tuple[AxisField, ...]]
"""The receptive field of a port: for each input that it depends on, one entry for each of its axes."""


def receptive_fields(graph: Graph) -> dict[str, Extents]:
    """Return for each node what one value of its output depends on, at most, of each of the model's inputs.

    A node that cannot be traced with trial lengths for the unknown ones has an empty field, and so
    have those after the first few million positions.
    """
    axes = {x.id: x.shape for x in graph.inputs if positions(x.shape) <= MAX_POSITIONS}
    if not any(None in shape for shape in axes.values()):
        return _extents(graph, axes)
    small, large = (
        _extents(graph, {name: tuple(n or length for n in shape) for name, shape in axes.items()})
        for length in STAND_INS
    )
    return {
        node: {
            name: tuple(map(_independent, extents, large[node][name], axes[name]))
            for name, extents in small[node].items()
            if name in large[node]
        }
        for node in small
    }


def frame_spans(graph: Graph) -> dict[Port, dict[str, FrameSpans]]:
    """Return for each port with steps in time the frames of each input that each step depends on.

    A port has steps where its first axis goes along with the input's, or where a layer mixed that axis and the port
    still has as many axes: each step then depends on the same frames. Open times are taken to be long.
    """
    inputs = {
        x.id: tuple(n or STAND_INS[0] for n in x.shape)
        for x in graph.inputs
        if x.shape and positions(x.shape) <= MAX_CHECKED
    }
    shapes: dict[Port, Shape] = {Port(name): shape for name, shape in inputs.items()}
    fields = {Port(name): {name: own_field(name, shape)[name][:1]} for name, shape in inputs.items()}
    for node in _within(graph, MAX_CHECKED):
        with suppress(KeyError, ShapeError):
            propagate(node, shapes, fields)
    return {
        port: {
            name: time.spans if time.axis == 0 else time.spans * (shapes[port][0] or 0)
            for name, (time,) in field.items()
            if time.axis == 0 or (time.axis is None and len(shapes[port]) == len(inputs[name]))
        }
        for port, field in fields.items()
    }


def own_field(name: str, shape: Shape) -> PortField:
    """Return the field of an input: each position depends on itself."""
    return {name: tuple(AxisField(axis, tuple((p, p) for p in range(n or 0))) for axis, n in enumerate(shape))}


def positions(shape: Shape) -> int:
    """The number of positions over all axes, unknown lengths counting as long."""
    return sum(length or max(STAND_INS) for length in shape)


def propagate(node: Node, shapes: dict[Port, Shape], fields: dict[Port, PortField]) -> None:
    """Add the shapes and fields of a node's ports to those of the ports that it reads.

    Raises:
        KeyError: an input of the node is not there.
        ShapeError: its inputs do not fit.
    """
    layer, inputs = node.layer, [shapes[port] for port in node.inputs]
    known = node.shapes
    if any(None in shape for shape in known.values()):
        layer.check(*inputs)
        known = port_shapes(layer, inputs)
    through = [
        _through(fields[port], own) for port, own in zip(node.inputs, layer.receptive_field(*inputs), strict=True)
    ]
    if isinstance(layer, Recurrent):
        states = layer.state_receptive_fields(inputs[0]).values()
        through += [_through(fields[port], own) for port, own in zip(node.initial_state, states, strict=False)]
    field = _union(through)
    for name, shape in known.items():
        shapes[Port(node.id, name)] = shape
        fields[Port(node.id, name)] = field if name in (OUTPUT, "sequence") else _at_the_end(field)


def hull(spans: Iterable[Ends]) -> Ends:
    """Return the span from the first entry of all to the last."""
    spans = tuple(spans)
    return min((low for low, _ in spans), default=_NOTHING[0]), max((high for _, high in spans), default=_NOTHING[1])


_NOTHING: Ends = (1 << 62, -1)
"""A first entry beyond every axis, a last one before it."""


def _extents(graph: Graph, inputs: Mapping[str, Shape]) -> dict[str, Extents]:
    """The extents of all nodes, every input length being known."""
    shapes: dict[Port, Shape] = {Port(name): shape for name, shape in inputs.items()}
    fields = {Port(name): own_field(name, shape) for name, shape in inputs.items()}
    for node in _within(graph, MAX_POSITIONS):
        with suppress(KeyError, ShapeError):  # A stand-in does not fit, or an input of it could not be followed.
            propagate(node, shapes, fields)
    return {
        node.id: {
            name: tuple(_extent(axis, length) for axis, length in zip(axes, inputs[name], strict=True))
            for name, axes in fields.get(Port(node.id, node.port), {}).items()
        }
        for node in graph.nodes
    }


def _within(graph: Graph, limit: int) -> Iterator[Node]:
    """The nodes, in order, until the axes that they read and give come to more than `limit` positions."""
    lengths = {Port(x.id): positions(x.shape) for x in graph.inputs}
    for node in graph.nodes:
        own = {Port(node.id, name): positions(shape) for name, shape in node.shapes.items()}
        lengths.update(own)
        limit -= sum(own.values()) + sum(lengths[port] for port in (*node.inputs, *node.initial_state))
        if limit < 0:
            return
        yield node


def _through(field: PortField, layer: ReceptiveField) -> PortField:
    """The field of an input, carried through the layer that reads it."""
    if is_empty(layer):
        return {}
    return {name: tuple(_axis_through(axis, layer) for axis in axes) for name, axes in field.items()}


def _axis_through(field: AxisField, layer: ReceptiveField) -> AxisField:
    along: AxisField | None = None if field.axis is None else layer[field.axis]
    if along is None:
        return AxisField(None, (hull(field.spans),))
    lows, highs = [low for low, _ in field.spans], [high for _, high in field.spans]
    ranges = (slice(max(first, 0), max(last + 1, 0)) for first, last in along.spans)
    spans = tuple((min(lows[part], default=_NOTHING[0]), max(highs[part], default=_NOTHING[1])) for part in ranges)
    return AxisField(along.axis, spans)


def _union(fields: Sequence[PortField]) -> PortField:
    """What depends on any of several inputs depends on all that they do."""
    names = dict.fromkeys(name for field in fields for name in field)
    return {name: tuple(map(_axis_union, *(field[name] for field in fields if name in field))) for name in names}


def _axis_union(*fields: AxisField) -> AxisField:
    axes = {field.axis for field in fields}
    if len(axes) == 1 and len({len(field.spans) for field in fields}) == 1:
        return AxisField(fields[0].axis, tuple(hull(spans) for spans in zip(*(f.spans for f in fields), strict=True)))
    return AxisField(None, (hull(span for field in fields for span in field.spans),))


def _at_the_end(field: PortField) -> PortField:
    """The field of the last output and the final state: the end of the sequence, without its axis of time."""
    return {name: tuple(map(_axis_at_the_end, axes)) for name, axes in field.items()}


def _axis_at_the_end(field: AxisField) -> AxisField:
    if field.axis is None:
        return field
    return AxisField(None, (hull(field.spans),)) if field.axis == 0 else AxisField(field.axis - 1, field.spans)


def _extent(field: AxisField, length: Dim) -> Extent:
    most = max((max(high - low + 1, 0) for low, high in field.spans), default=0)
    return Extent(most, most == length)


def _independent(small: Extent, large: Extent, length: Dim) -> Extent:
    """What two stand-ins agree on."""
    if small == large or (small.length == large.length and length is not None):
        return Extent(small.length, small.whole and length is not None)
    return Extent(None, small.whole and large.whole and length is None)
