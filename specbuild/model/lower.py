"""From graph to `keras.Model`: every node becomes the Keras layer of its name. No layer has a builder of its own."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from specbuild.catalog import Bidirectional, Shape, ShapeError
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.document import Diagnostic, SpecError, dotted
from specbuild.graph import Graph, Node, Port
from specbuild.graph.body_checks import changes_in_training
from specbuild.graph.model import OUTPUT, Body
from specbuild.model.backend import keras, start
from specbuild.model.layers.autoregressive import Autoregressive as Feedback
from specbuild.model.make import WeightsError, call, keras_arguments, make


def build(graph: Graph, precision: str = "float32", *, teacher: bool = False) -> Any:
    """The graph as an ordinary functional `keras.Model`.

    Args:
        graph: what `build_graph` gave.
        precision: a Keras dtype policy such as `float32` or `mixed_bfloat16`. Under a mixed one, the layers that give
            the model's outputs stay in float32, so that losses are computed in full precision.
        teacher: whether each autoregressive node with scheduled sampling gets one more input, `<id>_teacher`, for the
            true future frames `(horizon, *frame)` that training reads. The weights are the same with and without.

    Returns:
        keras.Model: inputs and layers are named by the spec's ids; several outputs come as a list, or as a dict where
        the spec names them.
    """
    start()
    inputs = {
        one.id: keras.Input(one.shape, batch_size=one.batch, dtype=one.dtype, name=one.id) for one in graph.inputs
    }
    if teacher:
        inputs |= {node.teacher: _teacher(node, graph) for node in graph.nodes if node.teacher}
    tensors: dict[Port, Any] = {Port(name): tensor for name, tensor in inputs.items()}
    lay(graph, tensors, precision, {output.port.node for output in graph.outputs})
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


def lay(graph: Graph, tensors: dict[Port, Any], precision: str, ends: Collection[str], *, ours: bool = False) -> None:
    """Makes the layers of a graph and calls them, from the tensors of its inputs to those of every port.

    Args:
        graph: whose nodes are made.
        tensors: those of the inputs; the ones of every port are added.
        precision: a Keras dtype policy.
        ends: ids of the nodes that stay in float32 under a mixed policy.
        ours: whether recurrent layers over frames are of our classes where Keras has one as well.
    """
    layers: dict[str, Any] = {}
    for node in graph.nodes:
        policy = "float32" if node.id in ends and precision.startswith("mixed_") else precision
        if node.shares:
            layers[node.id] = layers[node.shares]
        elif node.body is not None:
            layers[node.id] = _feedback(node, node.body, policy, precision)
        else:
            shapes = [tuple(tensors[port].shape[1:]) for port in node.inputs]
            layers[node.id] = make_layer(node, policy, shapes, ours=ours)
        tensors.update(_call(node, layers[node.id], tensors))


def make_layer(node: Node, policy: str, inputs: list[Shape], *, ours: bool = False) -> Any:
    """The Keras layer of one node on inputs of given shapes, with the flags that its use calls for.

    Raises:
        SpecError: the weights that the node names do not fit it, or Keras refuses what an argument names.
    """
    flags: dict[str, Any] = {}
    if node.state:
        flags = {"return_sequences": node.return_sequences, "return_state": node.return_state}
    try:
        made = make(node.layer, policy, inputs, flags, node.id, ours=ours)
    except WeightsError as error:
        raise _refused(node, "weights", str(error), error.reason, "", "weights") from error
    except ShapeError as error:
        raise _refused(node, error.argument or "layer", error.message, error.reason, error.help, "argument") from error
    if not node.layer.trainable:
        # Set on the finished layer, once: as an argument it would leave the inside of a ConvLSTM trainable.
        made.trainable = False
    return made


def _feedback(node: Node, body: Body, policy: str, precision: str) -> Any:
    """The layer of an autoregressive node, its body a functional model of the frames and of every state."""
    graph, inside = body.open, str(node.layer.dtype or precision)
    (frames,) = graph.inputs
    (end,) = graph.outputs
    tensors = {Port(frames.id): keras.Input(frames.shape, dtype=keras.DTypePolicy(policy).compute_dtype, name="frames")}
    for inner in graph.nodes:
        dtype = keras.DTypePolicy(str(inner.layer.dtype or inside)).compute_dtype
        for port, (name, shape) in zip(inner.initial_state, inner.state.items(), strict=True):
            tensors[port] = keras.Input(shape, dtype=dtype, name=f"{inner.id}_{name}")
    given = list(tensors.values())
    lay(graph, tensors, inside, {end.port.node} if policy != precision else (), ours=True)
    states = [tensors[Port(inner.id, f"state.{name}")] for inner in graph.nodes for name in inner.state]
    own = {**keras_arguments(node.layer, policy), "unroll": any(changes_in_training(one.layer) for one in graph.nodes)}
    model = keras.Model(given, [tensors[end.port], *states], name=f"{node.id}_body")
    made = Feedback(model, **own, name=node.id)
    if not node.layer.trainable:
        made.trainable = False
    return made


def _teacher(node: Node, graph: Graph) -> Any:
    """The input for the true frames that scheduled sampling reads: as many as are forecast."""
    batch = next((one.batch for one in graph.inputs if one.batch is not None), None)
    assert isinstance(node.layer, Autoregressive)
    return keras.Input((node.layer.horizon, *node.shape[1:]), batch_size=batch, name=node.teacher)


def _refused(node: Node, key: str, message: str, reason: str, help: str, code: str) -> SpecError:
    return SpecError([Diagnostic(message, node.spec.span(key), dotted((*node.spec.path, key)), reason, help, code)])


def _call(node: Node, layer: Any, tensors: dict[Port, Any]) -> dict[Port, Any]:
    inputs = [tensors[port] for port in node.inputs]
    state = [tensors[port] for port in node.initial_state]
    more: dict[str, Any] = {"initial_state": state} if state else {}
    if (true := tensors.get(Port(node.teacher))) is not None:
        more["teacher"] = true
    result = call(node.layer, layer, inputs, **more)
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
