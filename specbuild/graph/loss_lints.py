"""Lints of losses: a loss that does not fit the values of its output."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from specbuild.catalog import Bidirectional, KerasObject, Layer
from specbuild.catalog.losses import head_of, own_loss
from specbuild.catalog.wrappers import innermost
from specbuild.document import PathPart
from specbuild.graph.loss_checks import losses_of
from specbuild.graph.model import Graph, Node, Port

Warn: TypeAlias = Callable[..., None]
"""`Report.warning` with the code of a lint."""


def loss_and_output(graph: Graph, warn: Warn) -> None:
    """Warn of a loss that does not fit the activation of its output.

    Only activations whose range is known are judged, and losses that the spec writes or trains with.
    """
    if graph.spec.data is None and "loss" not in graph.spec.train.model_fields_set:
        return
    for output in graph.outputs:
        if (end := _end(graph, output.port)) is not None:
            for loss, path in losses_of(graph, output.name):
                _judge(loss, end, path, graph, warn)


def output_range(graph: Graph, warn: Warn) -> None:
    """Warn of an activation that cannot reach standardized frames, on both sides of 0 and beyond 1."""
    data = graph.spec.data
    if data is None or not data.transform or not data.transform[-1].centred or len(graph.outputs) != 1:
        return
    written = data.targets.get(graph.outputs[0].name)
    if data.target is not None or (written is not None and written.above is not None):
        return  # a class, or the probability of an event
    end = _end(graph, graph.outputs[0].port)
    if end is None or (end.range[0] < -1 and end.range[1] > 1):
        return
    message = f"{end.node.id} cannot reach the frames that it forecasts"
    reason = f"{end.words}; standardize gives frames with mean 0 and standard deviation 1"
    help = "leave the activation out, or write transform: [minmax] for frames from 0 to 1"
    warn(message, end.node.spec.span("activation"), reason=reason, help=help)


def heavy_tail(graph: Graph, warn: Warn) -> None:
    """Warn of a gamma distribution behind a logarithm: its exponential has a tail that may have no mean."""
    data = graph.spec.data
    for output in graph.outputs:
        for loss, _ in losses_of(graph, output.name):
            head = head_of(loss.name, loss.arguments)
            for number, section in enumerate(() if data is None else data.transform):
                if head is not None and head.kind == "censored gamma" and section.logarithmic:
                    message = f"{loss.name} behind {section.name} has a tail that may have no mean"
                    reason = "the inverse is an exponential, here of a gamma-distributed value"
                    help = "leave it out, or scale values by a factor instead: a gamma distribution is already skewed"
                    place = graph.spec.span(("data", "transform", number))
                    warn(message, place, reason=reason, help=help)


def learns_nothing(graph: Graph, warn: Warn) -> None:
    """Warn of a learning rate of 0, with which no step changes a weight."""
    given = graph.spec.train.optimizer.arguments
    if given.get("learning_rate") == 0:
        place = graph.spec.span(("train", "optimizer", "learning_rate"))
        warn("with a learning rate of 0 the model learns nothing", place, help="write a rate such as 1e-3")


@dataclass(frozen=True, slots=True)
class _End:
    """What gives an output its values: the last node with an activation, and the number of its channels."""

    node: Node
    activation: str
    channels: int | None

    @property
    def range(self) -> tuple[float, float]:
        return RANGES[self.activation]

    @property
    def words(self) -> str:
        low, high = self.range
        if (low, high) == (-math.inf, math.inf):
            return f"{self.node.id} ends in {self.activation}, which gives any number"
        if high == math.inf:
            return f"{self.node.id} ends in {self.activation}, which gives {low:g} and more"
        return f"{self.node.id} ends in {self.activation}, which gives {low:g} to {high:g}"


_ANY, _POSITIVE, _UNIT, _SIGNED = (-math.inf, math.inf), (0.0, math.inf), (0.0, 1.0), (-1.0, 1.0)

RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("sigmoid", "hard_sigmoid", "softmax"), _UNIT),
    **dict.fromkeys(("tanh", "hard_tanh", "softsign"), _SIGNED),
    **dict.fromkeys(("relu", "softplus", "exponential"), _POSITIVE),
    **dict.fromkeys(("linear", "leaky_relu"), _ANY),
    "relu6": (0.0, 6.0),
    "elu": (-1.0, math.inf),
}
"""What the activations whose range is known can give."""

_BINARY = ("binarycrossentropy", "binaryfocalcrossentropy", "bce")
_CATEGORICAL = ("categoricalcrossentropy", "categoricalfocalcrossentropy", "sparsecategoricalcrossentropy")
_OVERLAP = ("dice", "tversky")
_REGRESSION = ("meansquarederror", "mse", "meanabsoluteerror", "mae", "huber", "logcosh")
_COUNTS = ("poisson", "meansquaredlogarithmicerror", "msle")


def _judge(loss: KerasObject, end: _End, path: tuple[PathPart, ...], graph: Graph, warn: Warn) -> None:
    """Warn where a loss and an output do not fit; the first reason is enough."""
    misfit = next(_misfits(loss, end), None)
    if misfit is None:
        return
    message, reason, help = misfit
    written = graph.spec.document.entry("train") is not None and "loss" in graph.spec.train.model_fields_set
    span = graph.spec.span(path) if written else end.node.spec.span("activation")
    warn(message, span, reason=reason, help=help)


def _misfits(loss: KerasObject, end: _End) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a pair of loss and output, why, and what to write."""
    name, plain = loss.name, loss.name.replace("_", "").lower()
    node, (low, high) = end.node.id, end.range
    sure = plain in _BINARY + _CATEGORICAL + _OVERLAP
    if end.activation == "softmax" and end.channels == 1:
        yield f"{node} is always 1", "it ends in a softmax over one channel", f"write activation: sigmoid on {node}"
    if sure and loss.arguments.get("from_logits") is True:
        if end.range == _UNIT:
            reason = f"from_logits: true makes {name} apply one itself"
            yield f"{node} goes through two activations", reason, f"leave from_logits or {end.activation} out"
        return
    if sure and (low < 0 or high > 1):
        fit = "sigmoid" if plain not in _CATEGORICAL else "softmax"
        logits = "" if plain in _OVERLAP else f", or loss: {{name: {name}, from_logits: true}}"
        yield f"{name} reads probabilities, from 0 to 1", end.words, f"write activation: {fit} on {node}{logits}"
    if plain in _CATEGORICAL and end.channels == 1:
        reason = f"{node} has one channel, and one class has the probability 1 whatever the model gives"
        yield f"{name} needs a channel for each class", reason, "use binary_crossentropy"
    if plain in _CATEGORICAL and end.activation in ("sigmoid", "hard_sigmoid"):
        reason = f"{node} ends in {end.activation}, which decides on each class by itself"
        yield f"{name} reads one choice among classes", reason, f"write activation: softmax on {node}"
    if plain in _BINARY and end.activation == "softmax":
        reason = f"{node} ends in softmax, whose classes share one probability"
        help = f"use categorical_crossentropy, or write activation: sigmoid on {node}"
        yield f"{name} reads each channel as a yes or no of its own", reason, help
    own = own_loss(name)
    if (plain in _REGRESSION or (own and own.compares == "quantities")) and end.activation == "softmax":
        reason = f"{node} ends in softmax, which gives shares that sum to 1 over the channels"
        help = f"use categorical_crossentropy, or leave activation out on {node}"
        yield f"{name} compares quantities, not classes", reason, help
    if plain in _COUNTS and low < 0:
        help = f"write activation: softplus on {node}"
        yield f"{name} takes the logarithm of the output, which must not be negative", end.words, help


def _end(graph: Graph, port: Port) -> _End | None:
    """What an output's values come from; None where their range is not known."""
    nodes = {node.id: node for node in graph.nodes}
    node = nodes.get(port.node)
    while node is not None and innermost(node.layer).keeps_values and len(node.inputs) == 1:
        port = node.inputs[0]
        node = nodes.get(port.node)
    if node is None:
        return None
    if node.body is not None:
        return _end(node.body.given, node.body.given.outputs[0].port)
    activation = activation_of(node.layer)
    if activation not in RANGES or port.name.startswith("state."):
        return None
    return _End(node, activation, node.shapes[port.name][-1] if node.shapes[port.name] else None)


def activation_of(layer: Layer) -> str:
    """Return the activation that a layer ends in: `linear` for none, empty where no activation decides that."""
    if isinstance(layer, Bidirectional) and layer.merge_mode not in ("concat", "ave"):
        return ""
    inner = innermost(layer)
    if inner.kind in ACTIVATION_LAYERS:
        return ACTIVATION_LAYERS[inner.kind]
    if "activation" not in type(inner).model_fields:
        return ""
    given = getattr(inner, "activation", None)
    return given.name if isinstance(given, KerasObject) else "linear"


ACTIVATION_LAYERS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "Softmax": "softmax"}
"""Layers that are an activation, and the function that each is."""
