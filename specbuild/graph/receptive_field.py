"""Receptive fields: how many frames and pixels of the model's inputs one output value of each node sees.

Worked out position by position. For every node, input and input axis there is a list of what each position sees, as
the first and last entry of the axis; the receptive field of a layer (`Layer.receptive_field`) turns the list of its
input into its own. Borders, strides, dilation and the recurrence are then exact, with two simplifications: what lies
between the first and the last entry counts as seen, and so does all that any channel of the output sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from specbuild.catalog import Dim, Recurrent, Shape, ShapeError
from specbuild.catalog.receptive_field import AxisField, Interval, ReceptiveField, is_empty
from specbuild.graph.model import OUTPUT, Graph, Node, Port
from specbuild.graph.ports import port_shapes

STAND_INS = (480, 960)
"""Lengths that stand in for an axis known only at run time: what is the same for both does not depend on it."""
MAX_POSITIONS = 4_000_000
"""Positions that are worked out, over the axes of all nodes, when receptive fields are asked for."""
MAX_STEPS = 400_000
"""The same for every check, which must not take longer for it."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of one input axis is seen, at most. `length` is None where it depends on a length not yet known."""

    length: Dim
    whole: bool
    """Whether that is all of the axis."""

    def __str__(self) -> str:
        return str(self.length) if self.length is not None else "all" if self.whole else "?"


Field = Mapping[str, tuple[Extent, ...]]
"""For each input that a node sees: the extent along each of its axes, the batch left out."""


def receptive_fields(graph: Graph) -> dict[str, Field]:
    """For each node what one value of its output sees, at most, of each of the model's inputs.

    A node that cannot be followed with lengths that stand in for unknown ones has an empty field, and so
    have those after the first few million positions.
    """
    axes = {one.id: one.shape for one in graph.inputs if positions(one.shape) <= MAX_POSITIONS}
    if not any(None in shape for shape in axes.values()):
        return _measured(graph, axes)
    small, large = (
        _measured(graph, {name: tuple(n or length for n in shape) for name, shape in axes.items()})
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


Frames: TypeAlias = tuple[Interval, ...]
"""For each step of a port, the first and the last frame of an input that it sees."""


def frames_seen(graph: Graph) -> dict[Port, dict[str, Frames]]:
    """For each port with steps in time, what each step sees of each input. Open times are taken to be long.

    A port has steps where its first axis goes along with the input's, or where a layer mixed that axis and the port
    still has as many axes: each step then sees the same frames.
    """
    inputs = {
        one.id: tuple(n or STAND_INS[0] for n in one.shape)
        for one in graph.inputs
        if one.shape and positions(one.shape) <= MAX_STEPS
    }
    shapes: dict[Port, Shape] = {Port(name): shape for name, shape in inputs.items()}
    traces: dict[Port, Traces] = {
        Port(name): {name: (Seen(0, tuple((p, p) for p in range(shape[0]))),)} for name, shape in inputs.items()
    }
    for node in _followed(graph, MAX_STEPS):
        with suppress(KeyError, ShapeError):
            follow(node, shapes, traces)
    return {
        port: {
            name: seen.spans if seen.axis == 0 else seen.spans * (shapes[port][0] or 0)
            for name, (seen,) in trace.items()
            if seen.axis == 0 or (seen.axis is None and len(shapes[port]) == len(inputs[name]))
        }
        for port, trace in traces.items()
    }


_NOTHING: Interval = (1 << 62, -1)
"""A first entry beyond every axis, a last one before it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of one input axis: `spans[p]` at position p of the node's `axis`; the same everywhere if None."""

    axis: int | None
    spans: tuple[Interval, ...]


Traces = dict[str, tuple[Seen, ...]]
"""For each input that a port sees, one entry for each of its axes."""


def _measured(graph: Graph, inputs: Mapping[str, Shape]) -> dict[str, Field]:
    """The fields of all nodes, every input length being known."""
    shapes: dict[Port, Shape] = {Port(name): shape for name, shape in inputs.items()}
    traces: dict[Port, Traces] = {Port(name): start(name, shape) for name, shape in inputs.items()}
    for node in _followed(graph, MAX_POSITIONS):
        try:
            follow(node, shapes, traces)
        except (KeyError, ShapeError):
            continue  # A stand-in does not fit, or an input could not be followed: neither can this node.
    return {
        node.id: {
            name: tuple(_extent(seen, length) for seen, length in zip(trace, inputs[name], strict=True))
            for name, trace in traces.get(Port(node.id, node.port), {}).items()
        }
        for node in graph.nodes
    }


def start(name: str, shape: Shape) -> Traces:
    """An input: each position of it sees itself."""
    return {name: tuple(Seen(axis, tuple((p, p) for p in range(n or 0))) for axis, n in enumerate(shape))}


def _followed(graph: Graph, limit: int) -> Iterator[Node]:
    """The nodes, in order, until the axes that they read and give come to more than `limit` positions."""
    lengths = {Port(one.id): positions(one.shape) for one in graph.inputs}
    for node in graph.nodes:
        own = {Port(node.id, name): positions(shape) for name, shape in node.shapes.items()}
        lengths.update(own)
        limit -= sum(own.values()) + sum(lengths[port] for port in (*node.inputs, *node.initial_state))
        if limit < 0:
            return
        yield node


def positions(shape: Shape) -> int:
    return sum(length or max(STAND_INS) for length in shape)


def follow(node: Node, shapes: dict[Port, Shape], traces: dict[Port, Traces]) -> None:
    """Adds the shapes and traces of a node's ports.

    Raises:
        KeyError: an input of the node is not there.
        ShapeError: its inputs do not fit.
    """
    layer, given = node.layer, [shapes[port] for port in node.inputs]
    known = node.shapes
    if any(None in shape for shape in known.values()):
        layer.check(*given)
        known = port_shapes(layer, given)
    through = [
        _through(traces[port], sight) for port, sight in zip(node.inputs, layer.receptive_field(*given), strict=True)
    ]
    if isinstance(layer, Recurrent):
        states = layer.state_receptive_fields(given[0]).values()
        through += [_through(traces[port], sight) for port, sight in zip(node.initial_state, states, strict=False)]
    seen = _union(through)
    for name, shape in known.items():
        shapes[Port(node.id, name)] = shape
        traces[Port(node.id, name)] = seen if name in (OUTPUT, "sequence") else _at_the_end(seen)


def _through(traces: Traces, sight: ReceptiveField) -> Traces:
    """What is seen through a layer by a value of its output."""
    if is_empty(sight):
        return {}
    return {name: tuple(_one_through(seen, sight) for seen in trace) for name, trace in traces.items()}


def _one_through(seen: Seen, sight: ReceptiveField) -> Seen:
    along: AxisField | None = None if seen.axis is None else sight[seen.axis]
    if along is None:
        return Seen(None, (hull(seen.spans),))
    lows, highs = [low for low, _ in seen.spans], [high for _, high in seen.spans]
    ranges = (slice(max(first, 0), max(last + 1, 0)) for first, last in along.spans)
    spans = tuple((min(lows[part], default=_NOTHING[0]), max(highs[part], default=_NOTHING[1])) for part in ranges)
    return Seen(along.axis, spans)


def _union(many: Sequence[Traces]) -> Traces:
    """What is seen through any of several inputs."""
    names = dict.fromkeys(name for traces in many for name in traces)
    return {name: tuple(map(_either, *(traces[name] for traces in many if name in traces))) for name in names}


def _either(*several: Seen) -> Seen:
    axes = {seen.axis for seen in several}
    if len(axes) == 1 and len({len(seen.spans) for seen in several}) == 1:
        return Seen(several[0].axis, tuple(hull(spans) for spans in zip(*(s.spans for s in several), strict=True)))
    return Seen(None, (hull(span for seen in several for span in seen.spans),))


def _at_the_end(seen: Traces) -> Traces:
    """What the last output and the final state see: the end of the sequence, which has the time axis before theirs."""
    return {name: tuple(map(_last, trace)) for name, trace in seen.items()}


def _last(seen: Seen) -> Seen:
    if seen.axis is None:
        return seen
    return Seen(None, (hull(seen.spans),)) if seen.axis == 0 else Seen(seen.axis - 1, seen.spans)


def hull(spans: Iterable[Interval]) -> Interval:
    spans = tuple(spans)
    return min((low for low, _ in spans), default=_NOTHING[0]), max((high for _, high in spans), default=_NOTHING[1])


def _extent(seen: Seen, length: Dim) -> Extent:
    most = max((max(high - low + 1, 0) for low, high in seen.spans), default=0)
    return Extent(most, most == length)


def _independent(small: Extent, large: Extent, length: Dim) -> Extent:
    """What two stand-ins agree on."""
    if small == large or (small.length == large.length and length is not None):
        return Extent(small.length, small.whole and length is not None)
    return Extent(None, small.whole and large.whole and length is None)
