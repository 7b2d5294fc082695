"""States of recurrent nodes that can grow without bound, found along the paths from a state to its next value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from specbuild.catalog import KerasObject, Layer, Recurrent
from specbuild.catalog.equation import Equation, input_index
from specbuild.catalog.wrappers import innermost
from specbuild.document.arithmetic import Call, Chain, Literal, Name, Power, Signed, Tree
from specbuild.graph.loss_lints import activation_of
from specbuild.graph.model import Node, Port, Step

UNBOUNDED = frozenset(
    {
        *("relu", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish", "softplus", "squareplus"),
        *("linear", "exponential"),
    }
)
"""Activations of Keras without an upper bound."""
_UNJUDGED = ("linear", "leaky_relu", "exponential")
"""Unbounded ones that give no warning: published cells use leaky ones behind a gate, which averages."""
_WEIGHING = ("Conv", "DepthwiseConv", "SeparableConv", "Dense")
_PASSING = (
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Concatenate", "Activation", "ReLU", "ELU", "Dropout"),
    *("Identity", "Slice", "SplitPart", "Reshape", "Permute", "ZeroPadding", "Cropping", "UpSampling"),
    *("MaxPooling", "AveragePooling", "SpaceToDepth", "DepthToSpace"),
)
"""Kinds of layers that keep a growing number growing; any other kind is unknown."""


class Growth(NamedTuple):
    """An unbounded activation on the path from a state to itself in a later step."""

    node: str
    """The node inside that has it."""
    activation: str


class _Way(NamedTuple):
    """How a value depends on a state along a path without a bound."""

    weighted: bool
    """Whether the path passes weights, which can make the value larger."""
    through: Growth | None
    """The first unbounded activation on the path."""


def growing(step: Step) -> Growth | None:
    """Return an activation by which a state can grow in every step, where that is certain; None otherwise.

    The path from the state to itself must pass weights, and neither a bound, such as tanh, nor a normalization.
    """
    after = [output.port for output in step.graph.outputs[1:]]
    ways = {state: _ways(step, Port(state)) for state in step.states}
    reached = {(state, state, _Way(False, None)) for state in step.states}
    waiting = list(reached)
    while waiting:
        start, state, way = waiting.pop()
        for follower, end in zip(step.states, after, strict=True):
            for further in ways[state].get(end, ()):
                whole = _Way(way.weighted or further.weighted, way.through or further.through)
                if follower == start and whole.weighted and whole.through is not None:
                    return whole.through
                if (entry := (start, follower, whole)) not in reached:
                    reached.add(entry)
                    waiting.append(entry)
    return None


def _ways(step: Step, state: Port) -> Mapping[Port, frozenset[_Way]]:
    """For each port of a step how it depends on a state."""
    ways: dict[Port, frozenset[_Way]] = {state: frozenset({_Way(False, None)})}
    for node in step.graph.nodes:
        weighted = innermost(node.layer).kind.startswith(_WEIGHING)
        after = set()
        for port, activation in _passed(node):
            through = Growth(node.id, activation) if activation in UNBOUNDED.difference(_UNJUDGED) else None
            after |= {_Way(way.weighted or weighted, way.through or through) for way in ways.get(port, ())}
        if after:
            ways |= {Port(node.id, name): frozenset(after) for name in node.shapes}
    return ways


def _passed(node: Node) -> Iterator[tuple[Port, str]]:
    """Yield the inputs with which a node's output grows, and the activation in between; none where that is unknown."""
    layer = innermost(node.layer)
    if isinstance(layer, Equation):
        yield from ((node.inputs[input_index(name)], function) for name, function in _open(layer.tree))
    elif layer.kind.startswith((*_WEIGHING, *_PASSING)) and not isinstance(layer, Recurrent):
        activation = activation_of(layer)
        if activation in ("", *UNBOUNDED) and not _has_maximum(layer):
            yield from ((port, activation) for port in node.inputs)


def _has_maximum(layer: Layer) -> bool:
    """Whether a relu has an upper bound."""
    given = getattr(layer, "activation", None)
    arguments = given.arguments if isinstance(given, KerasObject) else {}
    return arguments.get("max_value", getattr(layer, "max_value", None)) is not None


def _open(tree: Tree, function: str = "") -> Iterator[tuple[str, str]]:
    """Yield the names through which an equation has no bound, each with the outermost activation around it."""
    match tree:
        case Name(name=name):
            yield name, function
        case Call(function=called, arguments=arguments):
            if called.name in (*UNBOUNDED, "abs", "square", "maximum"):
                around = function or (called.name if called.name in UNBOUNDED else "")
                for argument in arguments:
                    yield from _open(argument, around)
        case Signed(operand=operand):
            yield from _open(operand, function)
        case Power(base=base, exponent=Literal(value=int(exponent))) if exponent > 0:
            yield from _open(base, function)
        case Chain(first=first, rest=rest):
            divided = any(symbol == "/" and not isinstance(part, Literal) for symbol, part in rest)
            for part in () if divided else (first, *(part for _, part in rest)):
                yield from _open(part, function)
