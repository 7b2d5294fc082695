"""Shapes and weights of layers without their own rule, from a symbolic call of Keras."""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

from specbuild.catalog import Dim, Shape, ShapeError, Weight, size
from specbuild.catalog.application import Application
from specbuild.catalog.generic import AskedLayer, PluginLayer, Resolved, bind
from specbuild.catalog.shapes import times
from specbuild.graph.model import total
from specbuild.model.backend import backend_name, keras, start
from specbuild.model.keras_internals import without_memory
from specbuild.model.make import OWN_DTYPE, WeightsError, call, make
from specbuild.model.objects import words


class KerasResolver:
    """Build each layer once for each of its inputs, and remember the answer.

    A layer that reads whole numbers alone is tried with them where it refuses floating-point ones.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, bool, bool, tuple[Shape, ...]], Resolved] = {}

    def resolve(self, layer: AskedLayer, inputs: tuple[Shape, ...]) -> Resolved:
        """Return what Keras makes of a layer on inputs without their batch axis.

        Raises:
            ShapeError: Keras refuses the arguments or the inputs.
        """
        key = (layer.kind, repr(layer.arguments()), layer.trainable, layer.on_frames, inputs)
        if key not in self._known:
            start()
            with warnings.catch_warnings(action="ignore"):
                self._known[key] = _resolved(layer, inputs)
        return self._known[key]


def _resolved(layer: AskedLayer, inputs: tuple[Shape, ...]) -> Resolved:
    keras_layer, outputs = _called(layer, inputs)
    if isinstance(layer, Application) and layer.weights_file is not None:
        _check_weights(layer, layer.weights_file, inputs)
    if len(outputs) != 1:
        raise ShapeError(
            f"{layer.label} gives {len(outputs)} tensors; a node of a spec gives one",
            help="split it into layers that give one each",
        )
    if layer.on_frames and type(keras_layer).compute_output_shape is keras.layers.Layer.compute_output_shape:
        raise ShapeError(
            f"{layer.label} cannot stand in time_distributed",
            reason="Keras asks it for its output's shape there, and its class does not say",
            help="give the class a method compute_output_shape(self, input_shape)",
        )
    shape = _without_batch(outputs[0])
    if not layer.trainable:
        keras_layer.trainable = False
    trained = {id(weight) for weight in keras_layer.trainable_weights}
    weights = tuple(Weight(x.name, tuple(x.shape), id(x) in trained) for x in keras_layer.weights)
    if isinstance(layer, Application):
        return Resolved(shape, weights, _saved(keras_layer), _flops(keras_layer))
    return Resolved(shape, weights, size(shape))


def _called(layer: AskedLayer, inputs: tuple[Shape, ...]) -> tuple[Any, list[Any]]:
    """The Keras layer, and the symbolic tensors that it gives; its weights have shapes, but no numbers.

    A plugin's layer that cannot do without the numbers gets them.
    """
    bare = layer.with_weights(None) if isinstance(layer, Application) else layer
    try:
        with without_memory():
            return _called_with(bare, inputs, "float32")
    except _Uncallable as error:  # whatever a layer raises is what a user has to know
        with suppress(_Uncallable), without_memory():
            return _called_with(bare, inputs, "int32")
        with suppress(_Uncallable):
            if isinstance(layer, PluginLayer):
                return _called_with(layer, inputs, "float32")
        raise ShapeError(f"{layer.label} does not take this input", reason=words(error.fault)) from error.fault


class _Uncallable(Exception):
    """What Keras raises when a layer is called."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault


def _called_with(layer: AskedLayer, inputs: tuple[Shape, ...], dtype: str) -> tuple[Any, list[Any]]:
    keras_layer = _made(layer, inputs)
    try:
        tensors = [keras.KerasTensor((None, *shape), dtype=dtype) for shape in inputs]
        outputs = list(keras.tree.flatten(call(layer, keras_layer, tensors)))
        if any(output is tensor for output in outputs for tensor in tensors):
            raise ValueError("its output is its input, which Keras would treat as a cycle")
        if _is_traceable(layer, keras_layer):
            _Traced(layer, keras_layer).compute_output_spec(tensors)
        return keras_layer, outputs
    except Exception as error:
        raise _Uncallable(error) from error


def _is_traceable(layer: AskedLayer, keras_layer: Any) -> bool:
    """Whether a layer says its output's shape itself, so that Keras has not tried what it computes.

    A network has no more to say than its layers, and JAX cannot follow layers that look things up with TensorFlow.
    """
    silent = type(keras_layer).compute_output_shape is keras.layers.Layer.compute_output_shape
    follows = backend_name() == "tensorflow" or layer.kind not in OWN_DTYPE
    return follows and not silent and not isinstance(layer, Application)


class _Traced(keras.Operation):  # type: ignore[misc]  # Keras has no types
    """What a layer computes, as an operation that follows it without numbers."""

    def __init__(self, layer: AskedLayer, keras_layer: Any) -> None:
        super().__init__()
        self._layer, self._keras_layer = layer, keras_layer

    def call(self, tensors: list[Any]) -> Any:
        return call(self._layer, self._keras_layer, tensors)


def _check_weights(layer: Application, file: str, inputs: tuple[Shape, ...]) -> None:
    """Load a file of weights into the network, unless it is too small to hold them."""
    with without_memory():
        whole = _made(layer.with_weights(None).model_copy(update={"until": None}), inputs)
    count, stored = sum(prod(weight.shape) for weight in whole.weights), Path(file).stat().st_size
    if count > stored:
        reason = f"the network has {count:,} parameters, the file {stored:,} bytes"
        raise WeightsError(f"these weights do not fit {layer.kind}", reason=reason, argument="weights")
    _made(layer, inputs)


def _made(layer: AskedLayer, inputs: tuple[Shape, ...]) -> Any:
    try:
        return make(layer, "float32", inputs, {}, re.sub(r"\W", "_", layer.kind))
    except ShapeError:
        raise
    except Exception as error:
        raise ShapeError(f"Keras cannot make {layer.label} as written", reason=words(error)) from error


def _saved(network: Any) -> Dim:
    """Values that the layers of a network give for one sample, all together."""
    return total(
        size(_without_batch(tensor)) for layer in network.layers for tensor in keras.tree.flatten(layer.output)
    )


def _flops(network: Any) -> Dim:
    """Operations of all layers of a network on one sample, by the rules of the catalog; None where one has none."""
    return total(_flops(layer) if hasattr(layer, "layers") else _flops_of(layer) for layer in network.layers)


OPERATIONS = {"LayerScale": 1, "StochasticDepth": 0}
"""Operations per value of layers that Keras has only inside its networks."""


def _flops_of(keras_layer: Any) -> Dim:
    if isinstance(keras_layer, keras.layers.InputLayer):
        return 0
    from specbuild.model.importing.layers import spec_layer
    from specbuild.model.importing.records import read_record
    from specbuild.model.importing.steps import Findings, Refused

    shapes = [_without_batch(tensor) for tensor in keras.tree.flatten(keras_layer.input)]
    if (each := OPERATIONS.get(type(keras_layer).__name__)) is not None:
        return times(each, *shapes[0])
    try:
        record = read_record(keras.saving.serialize_keras_object(keras_layer))
        layer = spec_layer(record, Findings(""), keras_layer.name, frozen=False).layer
        return bind(layer, KerasResolver()).flops(*shapes)
    except (Refused, ShapeError):
        return None


def _without_batch(tensor: Any) -> Shape:
    return tuple(None if dim is None else int(dim) for dim in tensor.shape[1:])
