"""Whether a layer kind says what Keras does: shapes, weights, counts, and a real forward pass."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

from specbuild.catalog.base import Layer, Recurrent
from specbuild.catalog.objects import KerasObject
from specbuild.catalog.shapes import Shape, ShapeError
from specbuild.model.backend import backend_name, keras
from specbuild.model.layers import LAYERS
from tests.catalog.flops import Case, flops


def backend_refusals() -> tuple[type[Exception], ...]:
    """Return what the kernels of the backend raise for shapes that do not fit."""
    if backend_name() != "tensorflow":
        return ()
    import tensorflow as tf

    return (tf.errors.InvalidArgumentError, tf.errors.AbortedError)  # the second comes from oneDNN


BATCH = 2
STAND_IN = 6
"""The length that an axis of unknown length gets in the forward pass."""


def assert_agreement(layer: Layer, shapes: tuple[Shape, ...]) -> None:
    """Asserts that Keras gives the layer the output shape, the weights and the counts that the catalogue says."""
    layer.check(*shapes)
    keras_layer = keras_of(layer)
    assert symbolic_shapes(keras_layer, layer, shapes) == expected_shapes(layer, shapes)
    if not keras_layer.built:
        keras_layer.build(_with_batch(layer, shapes, None))

    weights = layer.weights(*shapes)
    assert [tuple(weight.shape) for weight in keras_layer.weights] == [weight.shape for weight in weights]
    trained = {id(weight) for weight in keras_layer.trainable_weights}
    assert [id(weight) in trained for weight in keras_layer.weights] == [weight.trainable for weight in weights]
    assert keras_layer.count_params() == sum(weight.size for weight in weights)

    concrete = tuple(tuple(STAND_IN if dim is None else dim for dim in shape) for shape in shapes)
    if fault(layer, concrete) is None:
        got = real_shapes(keras_layer, layer, concrete)
        assert got is None or got == expected_shapes(layer, concrete)
        output = expected_shapes(layer, concrete)[0]
        assert layer.flops(*concrete) == flops(Case(layer, keras_layer, concrete, output)), "FLOPs"
        assert all(map(_compatible, expected_shapes(layer, shapes), expected_shapes(layer, concrete)))


REFUSALS: tuple[type[Exception], ...] = (ValueError, TypeError, IndexError, *backend_refusals())
"""What Keras and its backends raise for inputs that do not fit. Anything else is a fault of the test or of a layer."""
NAMES_THE_FAULT = (
    r"(?i)shape|rank|ndim|dimension|axis|axes|channel|group|crop|size|length|index out of range|unpack|matrix"
)
"""What a refusal of Keras speaks of."""


def assert_refused(layer: Layer, shapes: tuple[Shape, ...]) -> None:
    """Assert that Keras also refuses the inputs, when it builds the layer or in the first batch.

    A layer of ours says what the catalogue says. One of Keras's raises an error of its own about shapes.
    """
    refusal = fault(layer, shapes)
    assert refusal is not None, "the catalogue accepts the inputs"
    words = f"^{re.escape(refusal.message)}" if layer.origin == "specbuild" else NAMES_THE_FAULT
    keras_layer = keras_of(layer)
    with pytest.raises(REFUSALS, match=words):
        _shapes_of_both(keras_layer, layer, shapes)


def fault(layer: Layer, shapes: tuple[Shape, ...]) -> ShapeError | None:
    """What the catalogue has against the inputs."""
    try:
        layer.check(*shapes)
        layer.output_shape(*shapes)
    except ShapeError as error:
        return error
    return None


def expected_shapes(layer: Layer, shapes: tuple[Shape, ...]) -> list[Shape]:
    """The outputs the catalogue promises: one, and a recurrent layer's states where it returns them."""
    output = layer.output_shape(*shapes)
    if isinstance(layer, Recurrent) and layer.return_state:
        return [output, *layer.state_shapes(shapes[0]).values()]
    return [output]


def symbolic_shapes(keras_layer: Any, layer: Layer, shapes: tuple[Shape, ...]) -> list[Shape]:
    """The outputs that Keras promises before it has seen a number, without the batch axis."""
    return [
        _without_batch(shape) for shape in _listed(keras_layer.compute_output_shape(_with_batch(layer, shapes, None)))
    ]


def real_shapes(keras_layer: Any, layer: Layer, shapes: tuple[Shape, ...]) -> list[Shape] | None:
    """The outputs of a forward pass; None where this machine has no kernel for channels_first."""
    arrays = [np.zeros((BATCH, *shape), "float32") for shape in shapes]
    try:
        with warnings.catch_warnings(action="ignore"):  # Keras's advice on arguments that make little sense
            outputs = keras_layer(arrays if layer.arity == "many" else arrays[0])
    except Exception as error:
        if getattr(layer, "data_format", None) == "channels_first" and "NHWC" in str(error):
            return None
        raise
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    assert all(output.shape[0] == BATCH for output in outputs)
    return [tuple(output.shape[1:]) for output in outputs]


def _shapes_of_both(keras_layer: Any, layer: Layer, shapes: tuple[Shape, ...]) -> None:
    symbolic_shapes(keras_layer, layer, shapes)
    real_shapes(keras_layer, layer, shapes)


def keras_of(layer: Layer) -> Any:
    """The Keras layer, made as lowering makes it: `trainable` is set afterwards, so that it reaches a layer's cells."""
    kind = getattr(keras.layers, layer.kind) if layer.origin == "keras" else LAYERS[layer.kind]
    made = kind(**{name: _plain(value) for name, value in layer.arguments().items()})
    if not layer.trainable:
        made.trainable = False
    return made


def _plain(value: Any) -> Any:
    if isinstance(value, Layer):
        return keras_of(value)
    if isinstance(value, KerasObject):
        return value.name
    return value


def _with_batch(layer: Layer, shapes: tuple[Shape, ...], batch: int | None) -> Any:
    batched = [(batch, *shape) for shape in shapes]
    return batched if layer.arity == "many" else batched[0]


def _listed(shapes: Any) -> list[Any]:
    """Keras gives one shape as a tuple or list of lengths, several as a tuple or list of those."""
    return list(shapes) if shapes and isinstance(shapes[0], list | tuple) else [shapes]


def _without_batch(shape: Any) -> Shape:
    return tuple(None if dim is None else int(dim) for dim in tuple(shape)[1:])


def _compatible(open_shape: Shape, shape: Shape) -> bool:
    return len(open_shape) == len(shape) and all(a in (None, b) for a, b in zip(open_shape, shape, strict=True))
