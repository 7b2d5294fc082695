"""A model whose layers run on several devices of TensorFlow, each with its part of the rows. Imports TensorFlow.

The layers are called one after the other, each on all devices, so that one which reads all rows at once (the statistics
of a batch) has them at hand. Weights, loss, metrics and optimizer stay on the first device and see the whole batch:
they are those of one device, and so is everything that is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import tensorflow as tf

from specbuild.model.backend import keras
from specbuild.model.keras_internals import layers_inside, mask_of, nodes_in_order, set_mask, standardized_inputs
from specbuild.runs.checkpoint import seeds

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""What a layer is called with: `args` and `kwargs`."""

_APART = 0x9E3779B9
"""The difference between the seeds of two devices in one step, modulo 2³²."""


class Divided:
    """The `call` of a functional model, with its rows divided among devices.

    Dropout and other noise are drawn for each device by itself: from the seed of the step, which changes as on one
    device, and the number of the device.
    """

    def __init__(self, model: Any, devices: Sequence[str]) -> None:
        self._model, self._devices = model, tuple(devices)

    def __call__(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:  # noqa: ARG002 - Keras's
        model = self._model
        given = standardized_inputs(model, inputs)
        rows = _shares(tf.shape(given[0])[0], len(self._devices))
        tensors: list[dict[int, Any]] = [{} for _ in self._devices]
        for symbolic, whole in zip(model.inputs, given, strict=True):
            for known, part in zip(tensors, self._parts(whole, rows, "cpu:0"), strict=True):
                known[id(symbolic)] = part
        for node in nodes_in_order(model):
            if node.is_input:
                continue
            calls = [node.arguments.fill_in(known) for known in tensors]
            outputs = self._run(node.operation, calls, rows, bool(training))
            for known, each in zip(tensors, outputs, strict=True):
                known.update(zip(map(id, node.outputs), keras.tree.flatten(each), strict=True))
        joined = [self._joined([known[id(symbolic)] for known in tensors], rows) for symbolic in model.outputs]
        return keras.tree.pack_sequence_as(model.output, joined)

    def _run(self, layer: Any, calls: list[Arguments], rows: list[Any], training: bool) -> list[Any]:
        """Return what a layer gives on each device."""
        more = {"training": training} if isinstance(layer, keras.layers.Layer) else {}
        calls = [(args, {**kwargs, **more}) for args, kwargs in calls]
        if training and _is_plain_normalization(layer, calls[0]):
            return self._normalized(layer, [args[0] for args, _ in calls], rows)
        if training and reads_all_rows(layer):
            return self._together(layer, calls, rows)
        states = seeds(layer) if training and isinstance(layer, keras.layers.Layer) else []
        outputs = []
        with _as_one_step(states) as apart:
            for number, (args, kwargs) in enumerate(calls):
                apart(number)
                outputs.append(self._on(number, layer, args, kwargs))
        return outputs

    def _together(self, layer: Any, calls: list[Arguments], rows: list[Any]) -> list[Any]:
        """Return what a layer gives for all rows, computed on the first device, in parts."""
        flat = [keras.tree.flatten(call) for call in calls]
        whole = [self._joined(each, rows) if tf.is_tensor(each[0]) else each[0] for each in zip(*flat, strict=True)]
        args, kwargs = keras.tree.pack_sequence_as(calls[0], whole)
        with tf.device(self._devices[0]):
            outputs = layer(*args, **kwargs)
        parts = [self._parts(output, rows, self._devices[0]) for output in keras.tree.flatten(outputs)]
        return [keras.tree.pack_sequence_as(outputs, each) for each in zip(*parts, strict=True)]

    def _normalized(self, layer: Any, inputs: list[Any], rows: list[Any]) -> list[Any]:
        """Return what a BatchNormalization gives, whose mean and variance are those of all rows."""
        shape = [1] * len(inputs[0].shape)
        shape[layer.axis] = -1
        axes = [axis for axis, length in enumerate(shape) if length == 1]
        inputs = [tf.cast(x, layer.compute_dtype) for x in inputs]
        single = [tf.cast(x, keras.backend.result_type(x.dtype, "float32")) for x in inputs]
        own = [x[:count] for x, count in zip(single, rows, strict=True)]
        size = tf.add_n([tf.cast(tf.size(x), x.dtype) for x in own]) / float(own[0].shape[layer.axis])

        def total(x: Any) -> Any:
            return tf.reduce_sum(x, axes)

        def deviation(x: Any, mean: Any) -> Any:
            return tf.reduce_sum(tf.square(x - tf.reshape(mean, shape)), axes)

        def output(x: Any, mean: Any, variance: Any) -> Any:
            gamma, beta = (None if weight is None else tf.cast(weight, x.dtype) for weight in (layer.gamma, layer.beta))
            given = keras.ops.batch_normalization(
                x, mean, variance, layer.axis, offset=beta, scale=gamma, epsilon=layer.epsilon
            )
            return tf.cast(given, layer.compute_dtype)

        mean = tf.add_n([self._on(number, total, (x,)) for number, x in enumerate(own)]) / size
        squares = [self._on(number, deviation, (x, mean)) for number, x in enumerate(own)]
        variance = tf.add_n(squares) / size
        for moving, now in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + tf.cast(now, moving.dtype) * (1.0 - layer.momentum))
        return [self._on(number, output, (x, mean, variance)) for number, x in enumerate(single)]

    def _on(self, number: int, run: Callable[..., Any], args: Any, kwargs: dict[str, Any] | None = None) -> Any:
        """Call a layer on a device, and compute its gradient there as well.

        TensorFlow computes gradients where the tape is asked for them, which is the first device.
        """
        leaves = keras.tree.flatten((args, kwargs or {}))
        places = [index for index, leaf in enumerate(leaves) if tf.is_tensor(leaf)]
        masks = [mask_of(leaves[index]) for index in places]
        found: dict[str, Any] = {}

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def call(*tensors: Any) -> Any:
            with tf.GradientTape() as tape:
                floating = [tensor for tensor in tensors if tensor.dtype.is_floating]
                tape.watch(floating)
                for index, tensor, mask in zip(places, tensors, masks, strict=True):
                    leaves[index] = tensor
                    if mask is not None:
                        set_mask(tensor, mask)
                inner, more = keras.tree.pack_sequence_as((args, kwargs or {}), leaves)
                outputs = run(*inner, **more)
            found["outputs"] = outputs
            flat = keras.tree.flatten(outputs)
            differentiable = [output for output in flat if output.dtype.is_floating]

            def gradient(*upstream: Any, variables: Sequence[Any] = ()) -> Any:
                given = [each for each, output in zip(upstream, flat, strict=True) if output.dtype.is_floating]
                with tf.device(self._devices[number]):
                    values = tape.gradient(differentiable, [*floating, *variables], output_gradients=given)
                    values = [None if value is None else tf.convert_to_tensor(value) for value in values]
                by_input = iter(values[: len(floating)])
                of_inputs = [next(by_input) if tensor.dtype.is_floating else None for tensor in tensors]
                return (of_inputs, values[len(floating) :]) if variables else of_inputs

            return flat, gradient

        with tf.device(self._devices[number]):
            flat = call(*(leaves[index] for index in places))
        for tensor, inner in zip(flat, keras.tree.flatten(found["outputs"]), strict=True):
            if (mask := mask_of(inner)) is not None:
                set_mask(tensor, mask)
        return keras.tree.pack_sequence_as(found["outputs"], flat)

    def _parts(self, whole: Any, rows: list[Any], at: str) -> list[Any]:
        """Return the part of each device of a tensor, and of its mask, cut where the tensor is.

        A device without a row of its own gets the last one, as not every kernel takes none; what it gives is not read.
        """
        mask = mask_of(whole)
        parts, first, last = [], 0, tf.shape(whole)[0] - 1
        with tf.device(at):
            for count in rows:
                start = tf.minimum(first, last)
                part = whole[start : start + tf.maximum(count, 1)]
                if mask is not None:
                    set_mask(part, mask[start : start + tf.maximum(count, 1)])
                parts.append(part)
                first = first + count
        return parts

    def _joined(self, parts: Sequence[Any], rows: list[Any]) -> Any:
        """Return the tensor of all rows, with its mask."""
        with tf.device(self._devices[0]):
            whole = tf.concat([part[:count] for part, count in zip(parts, rows, strict=True)], 0)
            masks = [mask_of(part) for part in parts]
            if masks[0] is not None:
                set_mask(whole, tf.concat([mask[:count] for mask, count in zip(masks, rows, strict=True)], 0))
        return whole


def reads_all_rows(layer: Any) -> bool:
    """Whether what a layer gives for a row in training, or what it keeps, depends on the others or on their number.

    So it is with the statistics of a batch, a state that is kept from batch to batch, a weight that is normalized in
    each call, a penalty on what the layer gives, and noise whose shape names the number of rows.
    """
    if not isinstance(layer, keras.layers.Layer):
        return False
    kinds = (keras.layers.BatchNormalization, keras.layers.SpectralNormalization)
    return any(
        (isinstance(each, kinds) and each.trainable)
        or getattr(each, "stateful", False)
        or getattr(each, "activity_regularizer", None) is not None
        or getattr(each, "noise_shape", None) is not None
        for each in layers_inside(layer)
    )


def _is_plain_normalization(layer: Any, call: Arguments) -> bool:
    """Whether a layer is a BatchNormalization that learns, called without a mask."""
    if type(layer) is not keras.layers.BatchNormalization or not layer.trainable or getattr(layer, "renorm", False):
        return False
    args, kwargs = call
    return len(args) == 1 and kwargs.get("mask") is None and mask_of(args[0]) is None


def _shares(rows: Any, count: int) -> list[Any]:
    """Return the numbers of rows of `count` devices, which differ by one at most."""
    return [(rows + count - 1 - number) // count for number in range(count)]


@contextmanager
def _as_one_step(states: list[Any]) -> Iterator[Callable[[int], None]]:
    """Let random seeds change within as they do in one call, however many devices draw from them.

    What is yielded is called with the number of a device before its layer runs.
    """
    first = [tf.convert_to_tensor(state) for state in states]

    def apart(number: int) -> None:
        if not number:
            return
        for state, (seed, count) in zip(states, map(tf.unstack, first), strict=True):
            shift = tf.constant(number * _APART % 2**32, seed.dtype)
            state.assign(tf.stack([seed + shift, count]))

    yield apart
    for state, before in zip(states, first, strict=True):
        state.assign(tf.stack([before[0], tf.convert_to_tensor(state)[1]]))
