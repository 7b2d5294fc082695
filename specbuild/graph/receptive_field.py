"""Receptive fields: how many frames and pixels of the model's inputs one output value of each node depends on.

Worked out position by position. For every port, input and input axis there is a list with the span that each position
depends on, from its first to its last entry on that axis; the receptive field of a layer (`Layer.receptive_field`)
turns the list of its input into its own. A recurrence spreads in space from step to step, so what it has read at each
delay is kept apart (`regions`). Borders, strides, dilation and stacked recurrences are then exact.

What cannot be told exactly is too large, never too small:

- what lies between the first and the last entry counts, and so does all that any channel depends on;
- an axis that a layer folds into another (`Flatten`, `Reshape`) counts as a whole, and so do frames in which a layer
  reads where its values say (`TrajGRU2D`) or which it normalizes;
- all states count as depending on what the last output does, all forecasts of an autoregressive node on what its last
  one does, and each frame that this node reads as having spread through it as far as the first;
- where steps and positions are too many, every step of a recurrence counts as its last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from specbuild.catalog import Bidirectional, Dim, Recurrent, Shape, ShapeError
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.catalog.receptive_field import AxisField, Ends, ReceptiveField, is_empty, moved
from specbuild.graph.model import OUTPUT, Graph, Node, Port
from specbuild.graph.ports import port_shapes
from specbuild.graph.regions import (
    EMPTY,
    MOST,
    Region,
    Regions,
    at_last,
    extents,
    first_as_last,
    gated,
    merged,
    through,
)

STAND_INS = (480, 960)
"""Two trial lengths for an axis known only at run time; a result that is equal for both does not depend on it."""
MAX_POSITIONS = 2_000_000
"""Ends that are worked out, over the axes of all nodes, when receptive fields are asked for."""
MAX_CHECKED = 400_000
"""The same for every check, which must not take longer for it."""
MAX_STEPS = 64
"""Steps of a recurrence whose delays are kept apart."""
MAX_DELAYED = 400_000
"""Ends that are worked out for a single recurrence with its delays kept apart."""


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


PortField: TypeAlias = dict[str, Regions]
"""The receptive field of a port: the regions of each input that it depends on."""


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
    tracer = FieldTracer(inputs, most=1)
    for name, field in tracer.fields.items():
        tracer.fields[name] = {input: (region[:1],) for input, (region,) in field.items()}
    tracer.add_all(_within(graph, MAX_CHECKED))
    shapes = tracer.shapes
    return {
        port: {
            name: time.spans if time.axis == 0 else time.spans * (shapes[port][0] or 0)
            for name, ((time,),) in field.items()
            if time.axis == 0 or (time.axis is None and len(shapes[port]) == len(inputs[name]))
        }
        for port, field in tracer.fields.items()
    }


def own_field(name: str, shape: Shape) -> PortField:
    """Return the field of an input: each position depends on itself."""
    return {name: (tuple(AxisField(axis, tuple((p, p) for p in range(n or 0))) for axis, n in enumerate(shape)),)}


def positions(shape: Shape) -> int:
    """The number of positions over all axes, unknown lengths counting as long."""
    return sum(length or max(STAND_INS) for length in shape)


class FieldTracer:
    """The shapes and fields of the ports of a graph, to which those of one node after the other are added."""

    def __init__(self, inputs: Mapping[str, Shape], *, most: int = MOST) -> None:
        self.shapes: dict[Port, Shape] = {Port(name): shape for name, shape in inputs.items()}
        self.fields: dict[Port, PortField] = {Port(name): own_field(name, shape) for name, shape in inputs.items()}
        self.most = most
        """Regions that a port may have for each input; 1: the steps of a recurrence are not told apart."""
        self.apart: dict[str, set[int]] = {}
        """The axes of each input that recurrences run along, on which regions are told apart."""

    def add_all(self, nodes: Iterable[Node]) -> None:
        """Add nodes in order, leaving out those of which an input could not be followed or a trial length not fit."""
        for node in nodes:
            with suppress(KeyError, ShapeError):
                self.add(node)

    def add(self, node: Node) -> None:
        """Add the ports of a node.

        Raises:
            KeyError: an input of the node is not there.
            ShapeError: its inputs do not fit.
        """
        layer, inputs = node.layer, [self.shapes[port] for port in node.inputs]
        known = node.shapes
        if any(None in shape for shape in known.values()):
            layer.check(*inputs)
            known = port_shapes(layer, inputs)
        if isinstance(layer, Recurrent):
            every, last = self._recurrence(node, layer, inputs[0])
            if len(inputs) > 1:  # read by a recurrent node besides the sequence that it runs over
                more = zip(node.inputs[1:], layer.receptive_field(*inputs)[1:], strict=True)
                others = self._union(_through(self.fields[port], field) for port, field in more)
                every = self._union((every, others))
                last = self._union((last, {name: at_last(regions) for name, regions in others.items()}))
        else:
            fields = layer.receptive_field(*inputs)
            if node.initial_state and isinstance(layer, Autoregressive):
                fields += layer.state_receptive_fields(*inputs)
            own = zip((*node.inputs, *node.initial_state), fields, strict=True)
            every = last = self._union(_through(self.fields[port], field) for port, field in own)
        for name, shape in known.items():
            self.shapes[Port(node.id, name)] = shape
            self.fields[Port(node.id, name)] = every if name in (OUTPUT, "sequence") else last

    def _recurrence(self, node: Node, layer: Recurrent, x: Shape) -> tuple[PortField, PortField]:
        """The field of every step of a recurrence, and that of the last step, which counts for the final state."""
        given, states = self.fields[node.inputs[0]], [self.fields[port] for port in node.initial_state]
        regions = max((len(regions) for field in (given, *states) for regions in field.values()), default=0)
        steps = x[0] or 0
        if self.most == 1 or steps > MAX_STEPS or regions * steps * positions(x) > MAX_DELAYED:
            own = layer.receptive_field(x)[0]
            starts = (moved(field, 1) for field in layer.state_receptive_fields(x, steps - 1).values())
            fields = [_through(given, own), *map(_through, states, starts)]
            every = self._union(fields, most=1)
            return every, {name: at_last(regions) for name, regions in every.items()}
        if not isinstance(layer, Bidirectional):
            every = self._one_way(layer, x, given, states, backwards=getattr(layer, "go_backwards", False))
            return every, self._last(every)
        half = len(states) // 2
        forward = self._one_way(layer.layer, x, given, states[:half], backwards=False)
        backward = self._one_way(layer.layer, x, given, states[half:], backwards=True)
        last = self._union((self._last(forward), self._last(backward)))
        reversed_back = {name: first_as_last(regions) for name, regions in backward.items()}
        return self._union((forward, reversed_back)), last

    def _one_way(
        self, layer: Recurrent, x: Shape, given: PortField, states: list[PortField], *, backwards: bool
    ) -> PortField:
        """The field of each step, in the order of the steps."""
        steps, fields = x[0] or 0, []
        reads_nothing = is_empty(layer.receptive_field(x)[0])
        for delay in range(steps):
            starts = {not states and step == delay for step in range(delay, steps)}
            for from_zero in sorted(starts, reverse=True) if not reads_nothing else ():
                gates = [step >= delay and (not states and step == delay) == from_zero for step in range(steps)]
                read = [steps - 1 - step + delay if backwards else step - delay for step in range(steps)]
                spans = ((frame, frame) if gate else EMPTY for frame, gate in zip(read, gates, strict=True))
                own = (
                    AxisField(0, tuple(spans)),
                    *moved(layer.frame_receptive_field(x, delay, from_zero=from_zero), 1),
                )
                fields.append({name: gated(regions, gates) for name, regions in _through(given, own).items()})
            gates = [step == delay for step in range(steps)]
            for state, own in zip(states, layer.state_receptive_fields(x, delay).values(), strict=False):
                spread = _through(state, moved(own, 1))
                fields.append({name: gated(regions, gates) for name, regions in spread.items()})
        self._set_apart(fields)
        return self._union(fields)

    def _set_apart(self, fields: Iterable[PortField]) -> None:
        """Note the input axes that go along with the steps of a recurrence."""
        for field in fields:
            for name, regions in field.items():
                tied = (at for region in regions for at, axis in enumerate(region) if axis.axis == 0)
                self.apart.setdefault(name, set()).update(tied)

    def _last(self, field: PortField) -> PortField:
        return self._union([{name: at_last(regions) for name, regions in field.items()}])

    def _union(self, fields: Iterable[PortField], *, most: int | None = None) -> PortField:
        """What depends on any of several inputs depends on all that they do."""
        together: dict[str, list[Region]] = {}
        for field in fields:
            for name, regions in field.items():
                together.setdefault(name, []).extend(regions)
        return {
            name: merged(regions, sorted(self.apart.get(name, ())), most or self.most)
            for name, regions in together.items()
            if regions
        }


def _extents(graph: Graph, inputs: Mapping[str, Shape]) -> dict[str, Extents]:
    """The extents of all nodes, every input length being known."""
    tracer = FieldTracer(inputs)
    tracer.add_all(_within(graph, MAX_POSITIONS))
    return {
        node.id: {
            name: tuple(
                Extent(most, most == length)
                for most, length in zip(extents(regions, tracer.apart.get(name, ())), inputs[name], strict=True)
            )
            for name, regions in tracer.fields.get(Port(node.id, node.port), {}).items()
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
    carried = {name: through(regions, layer) for name, regions in field.items()}
    return {name: regions for name, regions in carried.items() if regions}


def _independent(small: Extent, large: Extent, length: Dim) -> Extent:
    """What two stand-ins agree on."""
    if small == large or (small.length == large.length and length is not None):
        return Extent(small.length, small.whole and length is not None)
    return Extent(None, small.whole and large.whole and length is None)
