"""Find where numbers stopped being finite, by repeating the failing step layer by layer. Imports Keras."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from specbuild.document import RunError
from specbuild.model.backend import backend_name, keras
from specbuild.model.keras_internals import nodes_in_order
from specbuild.runs.checkpoint import Position, state_variables
from specbuild.training.batches import BatchSource

Batch: TypeAlias = tuple[Any, Any, Any]
"""Inputs, targets and weights (None: all equal)."""

LONGEST = 120.0
"""Longest time in seconds to repeat steps from the last good weights."""
NO_CHECKPOINT = "there are no earlier weights: no checkpoint was written yet"
"""What the help says where a run fails before its first checkpoint."""
LISTED = 8
"""Samples of a batch that are named."""


class Diverged(RunError):
    """The loss or the weights are no longer finite: seen after `step` steps of the epoch that begins at `epoch`.

    `validating`: it is the loss of validation, with weights that are finite.
    """

    def __init__(self, message: str, help: str, position: Position, *, validating: bool = False) -> None:
        super().__init__(message, help)
        self.position, self.validating = position, validating

    def because(self, explanation: str, kept: str = "") -> RunError:
        """Return the error with its cause, and with where weights are `kept` that no checkpoint has."""
        message = f"{self.message}: {explanation}" if explanation else self.message
        return RunError(message, self.help.replace(NO_CHECKPOINT, kept) if kept else self.help)


@dataclass(frozen=True, slots=True)
class State:
    """The values of all variables of a model and its optimizer."""

    values: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, model: Any) -> State:
        return cls(tuple(np.array(keras.ops.convert_to_numpy(variable)) for variable in state_variables(model)))

    def put_into(self, model: Any) -> None:
        for variable, value in zip(state_variables(model), self.values, strict=True):
            variable.assign(value)


def cause_in_training(
    model: Any, batches: BatchSource, fault: Diverged, first: Position
) -> tuple[str, tuple[int, State] | None]:
    """Describe the first number that is not finite, and return the failing step with the state before it.

    The description is empty if that cannot be told; the state is None if the step was not reached.

    Args:
        model: compiled, in the state of the position `first`, with an optimizer that is built.
        batches: those of training.
        fault: what was noticed.
        first: the last position whose state is known; steps from there on are repeated.
    """
    epoch, last = fault.position
    if first.epoch != epoch:
        return "", None
    began = time.monotonic()
    for index in range(first.step, last):
        if index + 1 < last and time.monotonic() - began > LONGEST:
            return f"the cause was not traced: the last good weights are {last - first.step} steps back", None
        before = State.of(model)
        x, y, weight = batches.batch(epoch, index)
        loss = float(model.train_on_batch(x, y, sample_weight=weight, return_dict=True)["loss"])
        model.reset_metrics()
        if np.isfinite(loss) and finite(model.trainable_variables):
            continue
        before.put_into(model)
        found = _first_in_step(model, (x, y, weight), before)
        words = f"{found} in step {index + 1}, {_named(batches, epoch, index)}" if found else ""
        return words, (index, before)
    return "", None


def cause_in_validation(model: Any, batches: BatchSource) -> str:
    """Describe the first number of validation that is not finite; empty if none is found."""
    for index in range(len(batches)):
        x, y, weight = batches.batch(0, index)
        if found := _first_in_forward(model, (x, y, weight), training=False):
            return f"{found} in batch {index + 1} of validation"
    return ""


def _first_in_step(model: Any, batch: Batch, state: State) -> str:
    """Return the first number of a training step that is not finite: in the data, a layer, the loss or a gradient."""
    if found := _first_in_forward(model, batch, training=True):
        return found
    state.put_into(model)
    gradients = _gradients(model, batch)
    if gradients is not None:
        # The backward pass goes from the output to the input, so the last layer is where it began.
        for variable, gradient in reversed(list(zip(model.trainable_variables, gradients, strict=True))):
            if gradient is not None and not np.isfinite(gradient).all():
                return f"the loss and all outputs are finite, but the gradient of {_label(model, variable)} is not"
    reached = max((float(np.abs(gradient).max()) for gradient in gradients or [] if gradient is not None), default=0.0)
    return f"the gradients reach {reached:.2g}, and the step of {type(model.optimizer).__name__} overflows"


def _first_in_forward(model: Any, batch: Batch, *, training: bool) -> str:
    """Return the first number that is not finite in a batch, or in the outputs of the layers in their order."""
    x, y, weight = batch
    for name, values in (("the input", x), ("the target", y), ("the weights of the target", weight)):
        for array in keras.tree.flatten(values):
            if array is not None and (count := int((~np.isfinite(array)).sum())):
                return f"{name} itself has {count:,} numbers that are not finite"
    nodes = nodes_in_order(model)
    tensors = {id(tensor): tensor for node in nodes for tensor in node.output_tensors}
    # One pass gives the outputs of all layers, so that what they draw at random is what the model draws.
    every = keras.Model(model.input, list(tensors.values()))
    values = dict(zip(tensors, every(_packed(model, x), training=training), strict=True))
    for node in nodes:
        given = [keras.ops.convert_to_numpy(values[id(tensor)]) for tensor in node.output_tensors]
        if node.is_input or all(array.dtype.kind in "iub" or np.isfinite(array).all() for array in given):
            continue
        layer = node.operation
        read = _largest([keras.ops.convert_to_numpy(values[id(tensor)]) for tensor in node.input_tensors])
        weights = "" if finite(layer.weights) else " and whose weights are not finite either"
        return (
            f"the first number that is not finite comes out of {layer.name} ({_kind(layer)}), whose input reaches "
            f"{read:.2g}{weights}"
        )
    output = keras.tree.map_structure(lambda tensor: values[id(tensor)], model.output)
    loss = float(model.compute_loss(x, y, output, sample_weight=weight, training=training))
    if np.isfinite(loss):
        return ""
    reached = _largest([keras.ops.convert_to_numpy(each) for each in keras.tree.flatten(output)])
    return f"every layer gives finite numbers, the output up to {reached:.2g}, but its loss is {loss}"


def _gradients(model: Any, batch: Batch) -> list[np.ndarray | None] | None:
    """Return the gradient of the loss with respect to every trainable variable; None for other backends."""
    x, y, weight = batch

    def loss() -> Any:
        return model.compute_loss(x, y, model(_packed(model, x), training=True), sample_weight=weight, training=True)

    values = [variable.value for variable in model.trainable_variables]
    ways: dict[str, Callable[[], Sequence[Any]]] = {
        "tensorflow": lambda: _by_tape(loss, values),
        "jax": lambda: _by_jax(loss, model, values),
    }
    if backend_name() not in ways:
        return None
    given = ways[backend_name()]()
    return [None if gradient is None else keras.ops.convert_to_numpy(gradient) for gradient in given]


def _by_tape(loss: Callable[[], Any], values: list[Any]) -> Sequence[Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = loss()
    gradients: Sequence[Any] = tape.gradient(value, values)
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]


def _by_jax(loss: Callable[[], Any], model: Any, values: list[Any]) -> Sequence[Any]:
    import jax

    others = [
        variable for variable in state_variables(model) if not any(variable is own for own in model.trainable_variables)
    ]
    rest = [(variable, variable.value) for variable in others]

    def of(arguments: list[Any]) -> Any:
        mapping = [*zip(model.trainable_variables, arguments, strict=True), *rest]
        with keras.StatelessScope(state_mapping=mapping):
            return loss()

    gradients: Sequence[Any] = jax.grad(of)(values)
    return gradients


def _packed(model: Any, x: Any) -> Any:
    """Return inputs in the structure that the model was built with."""
    return keras.tree.pack_sequence_as(model.input, keras.tree.flatten(x))


def finite(variables: Sequence[Any]) -> bool:
    """Return whether every value of every variable is finite."""
    return all(bool(np.isfinite(keras.ops.convert_to_numpy(variable)).all()) for variable in variables)


def _largest(arrays: Sequence[Any]) -> float:
    """Return the largest finite absolute value."""
    parts = [np.abs(np.asarray(array, np.float64)) for array in arrays]
    return max((float(part[np.isfinite(part)].max(initial=0.0)) for part in parts), default=0.0)


def _label(model: Any, variable: Any) -> str:
    """Return the layer and the weight: `dec/kernel`."""
    owner = next(layer for layer in model.layers if any(weight is variable for weight in layer.weights))
    return f"{owner.name}/{variable.name}"


def _kind(layer: Any) -> str:
    inner = getattr(layer, "layer", None)
    return type(layer).__name__ if inner is None else f"{type(layer).__name__}({type(inner).__name__})"


def _named(batches: BatchSource, epoch: int, index: int) -> str:
    """Return the samples of a batch in words."""
    numbers = batches.numbers(epoch, index)
    more = f" and {len(numbers) - LISTED:,} more" if len(numbers) > LISTED else ""
    return f"whose batch has the training samples {', '.join(map(str, numbers[:LISTED]))}{more}"
