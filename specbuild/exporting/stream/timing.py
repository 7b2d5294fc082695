"""What a tensor of a model is in time: a sequence of the frames observed, of those forecast, or a value.

Shapes leave out the batch axis; the time axis of a sequence is its first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import Enum
from itertools import product
from typing import TypeAlias

from specbuild.catalog import Layer, Shape, ShapeError, TimeDistributed
from specbuild.catalog.plumbing import LastFrame
from specbuild.catalog.receptive_field import AxisField, is_empty
from specbuild.catalog.shapes import size
from specbuild.graph import Graph, Port
from specbuild.graph.model import closed
from specbuild.language.sections.feeds import MotionFeed

TRIALS = (5, 7)
"""Lengths of sequences with which a layer is tried; one length alone could be that of another axis."""


class When(Enum):
    """When a tensor is known, and whether it has an entry for each frame."""

    STATIC = "static"
    """A value that no frame changes."""
    SO_FAR = "so far"
    """A value that follows from the frames observed so far."""
    LATER = "later"
    """A value that follows from the frames forecast so far."""
    PAST = "past"
    """A sequence with an entry for each frame observed."""
    AHEAD = "ahead"
    """A sequence with an entry for each frame forecast."""
    THROUGHOUT = "throughout"
    """A sequence with an entry for each frame observed, then one for each frame forecast."""
    SAME = "same"
    """A sequence of any length whose entries are one static value."""
    SAME_SO_FAR = "same so far"
    """A sequence of any length whose entries are one value that follows from the frames observed so far."""

    @property
    def is_sequence(self) -> bool:
        return self not in (When.STATIC, When.SO_FAR, When.LATER)

    @property
    def is_uniform(self) -> bool:
        return self in (When.SAME, When.SAME_SO_FAR)

    @property
    def follows_past(self) -> bool:
        """Whether it changes with each frame observed, without being a sequence of them."""
        return self in (When.SO_FAR, When.SAME_SO_FAR)


Inputs: TypeAlias = dict[str, When]
"""What each input is, by its id."""


def possible_inputs(graph: Graph) -> Iterator[Inputs]:
    """Yield what the inputs may be: as the data say or, without data, every assignment, the likeliest first."""
    data = graph.spec.data
    if data is not None and data.inputs:
        named = {"past": When.PAST, "future": When.AHEAD, "all": When.THROUGHOUT}
        sections = {x.id: data.inputs[x.id] for x in graph.inputs}
        yield {
            name: When.SO_FAR
            if isinstance(section, MotionFeed)
            else When.STATIC
            if section.count(data.windows) is None
            else named[getattr(section, "frames", None) or "future"]  # a baseline has no other frames
            for name, section in sections.items()
        }
        return
    sequences = _read_in_steps(graph)
    if not sequences:
        sequences = {x.id for x in graph.inputs[:1] if len(x.shape) > 3 or (len(x.shape) == 2 and data is not None)}
    if not sequences:
        if data is not None:  # a single frame, without a time axis
            yield {x.id: When.SO_FAR for x in graph.inputs}
        return
    first = next(x for x in graph.inputs if x.id in sequences)
    length = first.shape[0]
    others = [x for x in graph.inputs if x.id in sequences and x.id != first.id]
    static = {x.id: When.STATIC for x in graph.inputs if x.id not in sequences}
    usual = (When.PAST, When.AHEAD, When.THROUGHOUT)
    orders = [usual if x.shape[0] == length else (*usual[1:], When.PAST) for x in others]
    for kinds in product(*orders):
        yield {first.id: When.PAST, **static, **{x.id: kind for x, kind in zip(others, kinds, strict=True)}}


def _read_in_steps(graph: Graph) -> set[str]:
    """The inputs whose first axis is read as time by some layer, directly or through layers that keep that axis."""
    wanted: set[Port] = set()
    shapes = graph.shapes
    for node in reversed(graph.nodes):
        own = [Port(node.id, name) for name in node.shapes]
        if node.state or node.body is not None:
            static = node.spec.body.static if node.spec.body is not None else 0
            wanted.update(node.inputs[: len(node.inputs) - static])
        elif isinstance(node.layer, TimeDistributed | LastFrame):
            wanted.update(node.inputs[:1])
        elif any(port in wanted for port in own):
            length, rank = node.shape[0], len(node.shape) - (node.layer.kind == "Embedding")
            same = (port for port in node.inputs if len(shapes[port]) == rank and shapes[port][0] == length)
            wanted.update(same)
    return {x.id for x in graph.inputs if Port(x.id) in wanted}


class Reach(Enum):
    """What an entry of a layer's output depends on in a sequence that the layer reads."""

    FRAME = "the same entry"
    CAUSAL = "the same entry and some before it"
    MIXED = "other entries"


def reach(layer: Layer, shapes: Sequence[Shape], sequences: Sequence[bool]) -> tuple[Reach, int]:
    """Return what a layer reads in time, and of a causal one how many entries before its own.

    Args:
        layer: without a state.
        shapes: those of its inputs.
        sequences: which of the inputs have time as their first axis.
    """
    before = {_reach_at(layer, shapes, sequences, length) for length in TRIALS}
    if len(before) > 1 or None in before:
        return Reach.MIXED, 0
    (count,) = before
    if count == 0 and not _same_weights(layer, shapes, sequences):
        return Reach.MIXED, 0
    return (Reach.CAUSAL if count else Reach.FRAME), count or 0


def _reach_at(layer: Layer, shapes: Sequence[Shape], sequences: Sequence[bool], length: int) -> int | None:
    """Return how many entries before its own a step reads of sequences of a length; None if it is not so."""
    tried = with_length(shapes, sequences, length)
    before = 0
    with suppress(ShapeError):
        layer.check(*tried)
        if layer.output_shape(*tried)[:1] != (length,):
            return None
        fields = layer.receptive_field(*map(closed, tried))
        for field, is_sequence in zip(fields, sequences, strict=True):
            if is_empty(field):
                continue
            if not is_sequence:
                if any(axis is not None and axis.axis == 0 and length == len(axis.spans) for axis in field):
                    return None
                continue
            back = _back(field[0])
            if back is None:
                return None
            before = max(before, back)
        return before
    return None


def _back(time: AxisField | None) -> int | None:
    """Return how far each entry reaches back, if all reach back equally far and none forward."""
    if time is None or time.axis != 0:
        return None
    back = {position - first for position, (first, _) in enumerate(time.spans)}
    forward = any(last != position for position, (_, last) in enumerate(time.spans))
    return back.pop() if len(back) == 1 and not forward else None


def _same_weights(layer: Layer, shapes: Sequence[Shape], sequences: Sequence[bool]) -> bool:
    """Whether a layer runs on one entry with the weights that it has for several."""
    one, several = (with_length(shapes, sequences, length) for length in (1, TRIALS[0]))
    try:
        layer.check(*one)
        own = layer.output_shape(*one)
        weights = [[weight.shape for weight in layer.weights(*tried)] for tried in (one, several)]
    except ShapeError:
        return False
    return own[:1] == (1,) and weights[0] == weights[1] and own[1:] == layer.output_shape(*several)[1:]


def with_length(shapes: Sequence[Shape], sequences: Sequence[bool], length: int | None) -> list[Shape]:
    """Return shapes with another length of the sequences among them."""
    return [(length, *shape[1:]) if own else shape for shape, own in zip(shapes, sequences, strict=True)]


def keeps_steps(layer: Layer, shape: Shape) -> tuple[int, ...] | None:
    """Return what a Reshape makes of each frame of a sequence; None where it mixes frames."""
    target = layer.output_shape(shape)
    rest = target[1:]
    if target[0] != shape[0] or None in rest or size(rest) != size(shape[1:]):
        return None
    return tuple(length or 0 for length in rest)
