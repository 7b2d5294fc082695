"""From graph to `keras.Model`: every node becomes the Keras layer of its name. No layer has a builder of its own."""

from __future__ import annotations

import re
from typing import Any

from specbuild.catalog import Bidirectional, Shape, ShapeError
from specbuild.document import Diagnostic, SpecError, dotted
from specbuild.graph import Graph, Node, Port
from specbuild.graph.model import OUTPUT
from specbuild.model.backend import keras, start
from specbuild.model.make import WeightsError, call, make


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
        shapes = [tuple(tensors[port].shape[1:]) for port in node.inputs]
        layers[node.id] = layers[node.shares] if node.shares else make_layer(node, policy, shapes)
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


def make_layer(node: Node, policy: str, inputs: list[Shape]) -> Any:
    """The Keras layer of one node on inputs of given shapes, with the flags that its use calls for.

    Raises:
        SpecError: the weights that the node names do not fit it, or Keras refuses what an argument names.
    """
    flags: dict[str, Any] = {}
    if node.state:
        flags = {"return_sequences": node.return_sequences, "return_state": node.return_state}
    try:
        made = make(node.layer, policy, inputs, flags, node.id)
    except WeightsError as error:
        raise _refused(node, "weights", str(error), error.reason, "", "weights") from error
    except ShapeError as error:
        raise _refused(node, error.argument or "layer", error.message, error.reason, error.help, "argument") from error
    if not node.layer.trainable:
        # Set on the finished layer, once: as an argument it would leave the inside of a ConvLSTM trainable.
        made.trainable = False
    return made


def _refused(node: Node, key: str, message: str, reason: str, help: str, code: str) -> SpecError:
    return SpecError([Diagnostic(message, node.spec.span(key), dotted((*node.spec.path, key)), reason, help, code)])


def _call(node: Node, layer: Any, tensors: dict[Port, Any]) -> dict[Port, Any]:
    inputs = [tensors[port] for port in node.inputs]
    state = [tensors[port] for port in node.initial_state]
    result = call(node.layer, layer, inputs, **({"initial_state": state} if state else {}))
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
