"""From graph to `keras.Model`: every node becomes the Keras layer of its name. No layer has a builder of its own."""

from __future__ import annotations

import re
from typing import Any

from specbuild.catalog import Bidirectional, KerasObject, Layer, TimeDistributed
from specbuild.catalog.signatures import Family
from specbuild.graph import Graph, Node, Port
from specbuild.graph.model import OUTPUT
from specbuild.model import layers as own_layers
from specbuild.model.backend import keras, start
from specbuild.model.objects import to_keras


def build(graph: Graph, precision: str = "float32") -> Any:
    """The graph as an ordinary functional `keras.Model`.

    Args:
        graph: what `build_graph` gave.
        precision: a Keras dtype policy such as `float32` or `mixed_bfloat16`. Under a mixed one, the layers that give
            the model's outputs stay in float32, so that losses are computed in full precision.

    Returns:
        keras.Model: inputs and layers are named by the spec's ids; several outputs come as a list, or as a dict where
        the spec names them.
    """
    start()
    inputs = {
        one.id: keras.Input(one.shape, batch_size=one.batch, dtype=one.dtype, name=one.id) for one in graph.inputs
    }
    tensors: dict[Port, Any] = {Port(name): tensor for name, tensor in inputs.items()}
    layers: dict[str, Any] = {}
    ends = {output.port.node for output in graph.outputs}
    for node in graph.nodes:
        policy = "float32" if node.id in ends and precision.startswith("mixed_") else precision
        layers[node.id] = layers[node.shares] if node.shares else make_layer(node, policy)
        tensors.update(_call(node, layers[node.id], tensors))
    outputs: Any = {output.name: tensors[output.port] for output in graph.outputs}
    if not graph.spec.named_outputs:
        several = (
            list(outputs.values()) if len(outputs) == len(graph.outputs) else [tensors[o.port] for o in graph.outputs]
        )
        outputs = several if len(several) > 1 else several[0]
    given = list(inputs.values())
    model = keras.Model(
        given if len(given) > 1 else given[0],
        outputs,
        name=re.sub(r"[^A-Za-z0-9.]+", "-", graph.name).strip("-") or "model",
    )
    _agree(graph, model)
    return model


def make_layer(node: Node, policy: str) -> Any:
    """The Keras layer of one node, with the flags that its use calls for."""
    arguments: dict[str, Any] = {}
    if node.state:
        arguments = {"return_sequences": node.return_sequences, "return_state": node.return_state}
    made = _make(node.layer, policy, arguments, name=node.id)
    if not node.layer.trainable:
        # Set on the finished layer, once: as an argument it would leave the inside of a ConvLSTM or a wrapper trainable.
        made.trainable = False
    return made


def _make(layer: Layer, policy: str, flags: dict[str, Any], **names: Any) -> Any:
    if isinstance(layer, (TimeDistributed, Bidirectional)):
        inner = _make(layer.layer, policy, flags, **names)
        return getattr(keras.layers, layer.kind)(inner, **keras_arguments(layer, policy), **names)
    cls = getattr(own_layers if layer.package == "specbuild" else keras.layers, layer.kind)
    return cls(**{**keras_arguments(layer, policy), **flags}, **names)


def keras_arguments(layer: Layer, policy: str) -> dict[str, Any]:
    """A layer's arguments as Keras takes them: sub-objects built, the precision filled in."""
    arguments = {
        name: to_keras(value, _FAMILIES[name.rpartition("_")[2]]) if isinstance(value, KerasObject) else value
        for name, value in layer.arguments().items()
    }
    if "data_format" in type(layer).model_fields and arguments.get("data_format") is None:
        # A spec means the same everywhere, whatever the user's keras.json says.
        arguments["data_format"] = "channels_last"
    if arguments.get("dtype") is None:
        arguments["dtype"] = policy
    return arguments


_FAMILIES: dict[str, Family] = {
    "activation": "activations",
    "constraint": "constraints",
    "initializer": "initializers",
    "regularizer": "regularizers",
}
"""What kind of object an argument holds, by the last word of its name: `recurrent_activation`."""


def _call(node: Node, layer: Any, tensors: dict[Port, Any]) -> dict[Port, Any]:
    inputs = [tensors[port] for port in node.inputs]
    x = inputs if node.layer.arity == "many" else inputs[0]
    state = [tensors[port] for port in node.initial_state]
    result = layer(x, initial_state=state) if state else layer(x)
    if not node.state:
        return {Port(node.id, OUTPUT): result}
    if not node.return_state:
        return {Port(node.id, node.port): result}
    output, *states = result
    ports = {Port(node.id, f"state.{name}"): tensor for name, tensor in zip(node.state, states, strict=True)}
    ports[Port(node.id, node.port)] = output
    if node.port == "sequence":
        ports[Port(node.id, "last")] = _last(node, states) if "last" in node.used else None
    return ports


def _last(node: Node, states: list[Any]) -> Any:
    """The output after the last step, where the layer itself gives every step: its state h, both directions merged."""
    layer = node.layer
    if not isinstance(layer, Bidirectional):
        return states[0]
    forward, backward = states[0], states[len(states) // 2]
    return _MERGES[layer.merge_mode](name=f"{node.id}_last")([forward, backward])


_MERGES: dict[str, Any] = {
    "concat": keras.layers.Concatenate,
    "sum": keras.layers.Add,
    "ave": keras.layers.Average,
    "mul": keras.layers.Multiply,
}


def _agree(graph: Graph, model: Any) -> None:
    """Keras must have built what the graph says; anything else is a defect of specbuild, and is not trained on."""
    built = [tuple(tensor.shape)[1:] for tensor in keras.tree.flatten(model.outputs)]
    stated = [output.shape for output in graph.outputs]
    if built != stated and sorted(map(str, built)) != sorted(map(str, stated)):
        raise AssertionError(f"specbuild inferred outputs {stated}, Keras built {built}")
    if model.count_params() != graph.parameters:
        raise AssertionError(f"specbuild counted {graph.parameters} parameters, Keras {model.count_params()}")
