"""From a spec or a graph to `keras.Model`: every node becomes the Keras layer of its name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from specbuild.catalog import Bidirectional, Shape, ShapeError
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.catalog.plumbing import SplitPart
from specbuild.catalog.wrappers import MERGES, innermost
from specbuild.document import Diagnostic, SpecError
from specbuild.graph import Graph, Node, Port, build_graph
from specbuild.graph.body_checks import changes_in_training
from specbuild.graph.masks import masked_nodes
from specbuild.graph.model import OUTPUT, Body, Step
from specbuild.language import Spec
from specbuild.model.backend import keras, start
from specbuild.model.keras_internals import mask_of
from specbuild.model.layers.autoregressive import Autoregressive as AutoregressiveLayer
from specbuild.model.layers.plumbing import LastFrame
from specbuild.model.layers.recurrence import Recurrence as RecurrenceLayer
from specbuild.model.make import WeightsError, call, keras_arguments, make, needs_exact, stock_layers
from specbuild.model.plugins import import_plugins
from specbuild.model.resolve import KerasResolver
from specbuild.model.splits import Splits


def build_model(
    spec: Graph | Spec | str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
    roots: Iterable[str | Path] = (),
    precision: str = "float32",
    stock: bool = False,
    teacher: bool = False,
) -> Any:
    """Compile a spec into an ordinary `keras.Model`.

    Args:
        spec: a path, YAML text, a mapping, or the result of `load_spec` or `build_graph`.
        overrides: `{"vars.filters": 64}` or `["vars.filters=64"]`.
        plugins: modules to import, which register custom layers.
        roots: folders besides the spec's own under which the files may lie that it names.
        precision: a Keras dtype policy.
        stock: whether to use Keras's own ConvLSTM even where ours is faster (see `specbuild.model.make`).
        teacher: whether to build the model for scheduled sampling, with an extra input `<id>_teacher` for the true
            future frames of each autoregressive node with `sampling`. Its weights are those of the model without it.

    Returns:
        keras.Model: not compiled. Its input and layer names are the spec's ids.

    Raises:
        SpecError: with every fault of the spec, found before Keras builds anything.
    """
    import_plugins(plugins)
    if not isinstance(spec, Graph):
        spec = build_graph(spec, overrides=overrides, resolver=KerasResolver(), roots=roots)
    with stock_layers() if stock else nullcontext():
        return build(spec, precision, teacher=teacher)


def build(graph: Graph, precision: str = "float32", *, teacher: bool = False) -> Any:
    """Return the graph as an ordinary functional `keras.Model`.

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
    inputs = {x.id: keras.Input(x.shape, batch_size=x.batch, dtype=x.dtype, name=x.id) for x in graph.inputs}
    if teacher:
        inputs |= {node.teacher: _teacher(node, graph) for node in graph.nodes if node.teacher}
    tensors: dict[Port, Any] = {Port(name): tensor for name, tensor in inputs.items()}
    call_layers(graph, tensors, precision, {output.port.node for output in graph.outputs})
    outputs: Any = [tensors[output.port] for output in graph.outputs]
    if graph.spec.named_outputs:
        outputs = {output.name: tensors[output.port] for output in graph.outputs}
    model = keras.Model(
        _one_or_all(list(inputs.values())),
        outputs if len(graph.outputs) > 1 or graph.spec.named_outputs else outputs[0],
        name=re.sub(r"[^A-Za-z0-9.]+", "-", graph.name).strip("-") or "model",
    )
    _check_agreement(graph, model)
    return model


def _one_or_all(inputs: list[Any]) -> Any:
    """Inputs as a model takes them: a single one by itself."""
    return inputs if len(inputs) > 1 else inputs[0]


def call_layers(
    graph: Graph, tensors: dict[Port, Any], precision: str, ends: Collection[str], *, ours: bool = False
) -> None:
    """Make the layers of a graph and call them, from the tensors of its inputs to those of every port.

    Args:
        graph: whose nodes are made.
        tensors: those of the inputs; the ones of every port are added.
        precision: a Keras dtype policy.
        ends: ids of the nodes that stay in float32 under a mixed policy.
        ours: whether recurrent layers over frames are of our classes where Keras has one as well.
    """
    layers: dict[str, Any] = {}
    masked = masked_nodes(graph)
    splits = Splits(graph)
    for node in graph.nodes:
        if splits.add(node, tensors, precision, ends):
            continue
        policy = "float32" if node.id in ends and precision.startswith("mixed_") else precision
        shapes = [tuple(tensors[port].shape[1:]) for port in node.inputs]
        # A part may be an output of the layer of others, and a sum of other shapes needs a class of its own.
        if node.shares and not isinstance(node.layer, SplitPart) and not needs_exact(node.layer, shapes):
            layers[node.id] = layers[node.shares]
        elif node.body is not None:
            layers[node.id] = _autoregressive(
                node, node.body, [tensors[port] for port in node.inputs], policy, precision
            )
        elif node.step is not None:
            layers[node.id] = _recurrence(node, node.step, policy, precision)
        else:
            layers[node.id] = make_layer(node, policy, shapes, ours=ours or node.id in masked)
        if not node.layer.trainable:
            # Set on the finished layer: as an argument it would leave the inside of a ConvLSTM trainable.
            layers[node.id].trainable = False
        tensors.update(_call(node, layers[node.id], tensors))


def make_layer(node: Node, policy: str, inputs: list[Shape], *, ours: bool = False) -> Any:
    """Return the Keras layer of one node on inputs of given shapes, with the flags that its use calls for.

    Raises:
        SpecError: the weights that the node names do not fit it, or Keras refuses what an argument names.
    """
    flags: dict[str, Any] = {}
    if node.state:
        flags = {"return_sequences": node.return_sequences, "return_state": node.return_state}
    try:
        return make(node.layer, policy, inputs, flags, node.id, ours=ours)
    except ShapeError as error:
        key, code = error.argument or "layer", "weights" if isinstance(error, WeightsError) else "argument"
        fault = Diagnostic(error.message, node.spec.span(key), reason=error.reason, help=error.help, code=code)
        raise SpecError([fault]) from error


def _autoregressive(node: Node, body: Body, given: list[Any], policy: str, precision: str) -> Any:
    """The layer of an autoregressive node, its body a functional model of what is given and of every state."""
    graph, inside = body.open, str(node.layer.dtype or precision)
    (end,) = graph.outputs
    tensors = {}
    for index, (x, read) in enumerate(zip(graph.inputs, given, strict=True)):
        is_float = not index or keras.backend.is_float_dtype(read.dtype)
        dtype = keras.DTypePolicy(policy).compute_dtype if is_float else read.dtype
        tensors[Port(x.id)] = keras.Input(x.shape, dtype=dtype, name=x.id if index else "frames")
    for inner in graph.nodes:
        dtype = keras.DTypePolicy(str(inner.layer.dtype or inside)).compute_dtype
        for port, (name, shape) in zip(inner.initial_state, inner.state.items(), strict=True):
            tensors[port] = keras.Input(shape, dtype=dtype, name=f"{inner.id}_{name}")
    inputs = list(tensors.values())
    call_layers(graph, tensors, inside, {end.port.node} if policy != precision else (), ours=True)
    states = [tensors[Port(inner.id, f"state.{name}")] for inner in graph.nodes for name in inner.state]
    unroll = any(changes_in_training(inner.layer) for inner in graph.nodes)
    model = keras.Model(inputs, [tensors[end.port], *states], name=f"{node.id}_body")
    static = node.spec.body.static if node.spec.body is not None else 0
    arguments = keras_arguments(node.layer, policy)
    return AutoregressiveLayer(model, **arguments, unroll=unroll, static=static, name=node.id)


def _recurrence(node: Node, step: Step, policy: str, precision: str) -> Any:
    """The layer of a recurrent node: a functional model of what needs no state, and one of the rest of a step."""
    own = innermost(node.layer)
    inside = str(own.dtype or precision)
    dtype = keras.DTypePolicy(inside).compute_dtype
    ends = {output.port.node for output in step.graph.outputs} if policy != precision else set()

    def given() -> dict[Port, Any]:
        return {Port(each.id): keras.Input(each.shape, dtype=dtype, name=each.id) for each in step.graph.inputs}

    before, after = step.at_once, step.by_steps
    at_once, tensors, first = None, given(), {}
    if before.nodes:
        first = {Port(each.id): tensors[Port(each.id)] for each in before.inputs}
        inputs = [*first.values()]
        call_layers(before, first, inside, ends, ours=True)
        at_once = keras.Model(
            _one_or_all(inputs), [first[output.port] for output in before.outputs], name=f"{node.id}_at_once"
        )
        tensors = given()
    taken = {
        output.port: keras.Input(output.shape, dtype=first[output.port].dtype, name=str(output.port).replace(".", "_"))
        for output in before.outputs
    }
    inputs = [*taken.values(), *tensors.values()]
    tensors |= taken
    call_layers(after, tensors, inside, ends, ours=True)
    by_step = keras.Model(
        _one_or_all(inputs), [tensors[output.port] for output in after.outputs], name=f"{node.id}_step"
    )
    layer = RecurrenceLayer(
        by_step,
        at_once,
        **keras_arguments(own, policy),
        sequences=step.sequences,
        unroll=any(changes_in_training(inner.layer) for inner in step.graph.nodes),
        return_sequences=node.return_sequences,
        return_state=node.return_state,
        name=node.id,
    )
    if isinstance(node.layer, Bidirectional):
        return keras.layers.Bidirectional(layer, **keras_arguments(node.layer, policy), name=node.id)
    return layer


def _teacher(node: Node, graph: Graph) -> Any:
    """The input for the true frames that scheduled sampling reads: as many as are forecast."""
    batch = next((x.batch for x in graph.inputs if x.batch is not None), None)
    assert isinstance(node.layer, Autoregressive)
    return keras.Input((node.layer.horizon, *node.shape[1:]), batch_size=batch, name=node.teacher)


def _call(node: Node, layer: Any, tensors: dict[Port, Any]) -> dict[Port, Any]:
    inputs = [tensors[port] for port in node.inputs]
    state = [None if port is None else tensors[port] for port in node.given_states]
    keywords: dict[str, Any] = {"initial_state": state} if state else {}
    if node.step is not None and len(inputs) > 1:
        inputs, keywords["extra"] = inputs[:1], inputs[1:]
    if (teacher := tensors.get(Port(node.teacher))) is not None:
        keywords["teacher"] = teacher
    if keywords and node.state and (mask := mask_of(inputs[0])) is not None:
        keywords["mask"] = mask  # Keras hands it on by itself only to layers that are called with one tensor.
    result = call(node.layer, layer, inputs, **keywords)
    if not node.state:
        return {Port(node.id, OUTPUT): result}
    if not node.return_state:
        return {Port(node.id, node.port): result}
    output, *states = result
    ports = {Port(node.id, f"state.{name}"): tensor for name, tensor in zip(node.state, states, strict=True)}
    ports[Port(node.id, node.port)] = output
    if node.port == "sequence":
        ports[Port(node.id, "last")] = _last(node, output, states) if "last" in node.used else None
    return ports


def _last(node: Node, sequence: Any, states: list[Any]) -> Any:
    """The output after the last step, where the layer itself gives every step: its state h, both directions merged."""
    layer = node.layer
    if not isinstance(layer, Bidirectional):
        return states[0] if node.step is None else LastFrame(name=f"{node.id}_last")(sequence)
    at = (node.step.output_state or 0) if node.step is not None else 0
    forward, backward = states[at], states[at + len(states) // 2]
    merge = getattr(keras.layers, MERGES[layer.merge_mode])
    return merge(name=f"{node.id}_last")([forward, backward])


def _check_agreement(graph: Graph, model: Any) -> None:
    """Keras must have built what the graph says; anything else is a defect of specbuild, and is not trained on."""
    built = [tuple(tensor.shape)[1:] for tensor in keras.tree.flatten(model.outputs)]
    stated = [output.shape for output in graph.outputs]
    if built != stated and sorted(map(str, built)) != sorted(map(str, stated)):
        raise AssertionError(f"specbuild inferred outputs {stated}, Keras built {built}")
    if model.count_params() != graph.parameters:
        raise AssertionError(f"specbuild counted {graph.parameters} parameters, Keras {model.count_params()}")
