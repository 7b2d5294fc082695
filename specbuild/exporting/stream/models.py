"""The graphs of one step as functional Keras models with the weights of a trained one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from specbuild.exporting.stream.graphs import Streams, stream_graphs
from specbuild.exporting.stream.side import Given, StreamGraph, Taken
from specbuild.graph import Graph, Port
from specbuild.model.backend import keras, start
from specbuild.model.build import call_layers
from specbuild.model.layers.autoregressive import Autoregressive
from specbuild.model.layers.plumbing import ExpandDims, Squeeze


@dataclass(frozen=True, slots=True)
class StreamModels:
    """A streaming model.

    Attributes:
        streams: its graphs.
        models: for each graph by its name a functional `keras.Model` from the list of its inputs to that of its
            outputs, in their order.
        initial: the first value of each state by its name, without the batch axis.
    """

    streams: Streams
    models: dict[str, Any]
    initial: dict[str, npt.NDArray[np.float32]]


def stream_models(graph: Graph, model: Any, precision: str = "float32") -> StreamModels:
    """Return a model as graphs of one step, with the weights that it has.

    Args:
        graph: the whole model.
        model: built of it.
        precision: a Keras dtype policy.

    Raises:
        SpecError: the model cannot run step by step.
    """
    streams = stream_graphs(graph)
    start()
    weights = {layer.name: layer for layer in _every_layer(model)}
    models = {each.name: _model(each, weights, precision) for each in streams.graphs}
    return StreamModels(streams, models, _initial(streams, weights))


def _initial(streams: Streams, weights: dict[str, Any]) -> dict[str, npt.NDArray[np.float32]]:
    """Return what each state is before the first step: what weights say that are learned, a number otherwise."""
    first = {}
    for graph in streams.graphs:
        for given in graph.inputs:
            if given.role != "state":
                continue
            node, _, state = given.origin.partition(".state.")
            if given.initial == "learned":
                first[given.name] = keras.ops.convert_to_numpy(weights[node].learned[state])
            else:
                number = given.initial if isinstance(given.initial, float) else 0.0
                first[given.name] = np.full(given.outer, number, given.dtype)
    return first


def _model(stream: StreamGraph, weights: dict[str, Any], precision: str) -> Any:
    """Return a graph as a model: a list of the inputs in order to a list of the outputs in order."""
    inputs = {given.name: keras.Input(given.outer, dtype=given.dtype, name=given.name) for given in stream.inputs}
    tensors = {Port(given.name): _inward(given, inputs[given.name]) for given in stream.inputs}
    ends = {taken.port.node for taken in stream.outputs if taken.role == "frame"}
    call_layers(stream.graph, tensors, precision, ends, ours=True)
    outputs = [_outward(taken, tensors[taken.port]) for taken in stream.outputs]
    model = keras.Model(list(inputs.values()), outputs, name=stream.name)
    for layer in _every_layer(model):
        trained = weights.get(stream.owners.get(layer.name, layer.name))
        if trained is not None and layer.weights:
            layer.set_weights(trained.get_weights())
    return model


def _inward(given: Given, tensor: Any) -> Any:
    """A frame as a sequence of one."""
    if not given.frame:
        return tensor
    if None in given.shape:
        return ExpandDims(axis=1, name=f"{given.name}_as_sequence")(tensor)
    return keras.layers.Reshape(given.shape, name=f"{given.name}_as_sequence")(tensor)


def _outward(taken: Taken, tensor: Any) -> Any:
    """An output under its own name, a sequence of one as a frame."""
    name = f"{taken.name}_out"
    if not taken.frame:
        return keras.layers.Identity(name=name, dtype="float32")(tensor)
    if None in taken.shape:
        return Squeeze(axis=1, name=name, dtype="float32")(tensor)
    return keras.layers.Reshape(taken.outer, name=name, dtype="float32")(tensor)


def _every_layer(model: Any) -> Iterator[Any]:
    """Yield the layers of a model, and those that autoregressive ones run."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, Autoregressive):
            yield from _every_layer(layer.body)
