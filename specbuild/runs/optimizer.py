"""The optimizer of a resumed run: its state from the checkpoint, its arguments from the spec. Imports Keras."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from specbuild.catalog import KerasObject
from specbuild.catalog.schedules import in_steps
from specbuild.catalog.signatures import signature
from specbuild.document import ArgumentError
from specbuild.model.backend import keras
from specbuild.model.objects import to_keras
from specbuild.runs.checkpoint import WEIGHTS, build_optimizer, load_weights
from specbuild.runs.records import LEARNING_RATE


@contextmanager
def arguments_kept(model: Any, path: Path, *, rate_too: bool = True) -> Iterator[None]:
    """Load a checkpoint inside: the optimizer then has its state, with the learning rate of the spec.

    Keras stores a learning rate that is a number among the state, and none where it is a schedule, so that a checkpoint
    would put the old number back, and one of the other kind would not load at all.

    Args:
        model: compiled as the spec says; its optimizer is built.
        path: the checkpoint.
        rate_too: whether the learning rate is that of the spec as well. A callback may have changed it during training:
            it is then that of the checkpoint.

    Raises:
        ArgumentError: the arguments of the optimizer in the spec need other state than the checkpoint has.
    """
    optimizer = model.optimizer
    own = _innermost(optimizer)
    rate = float(own.learning_rate) if _has_number(own) else None
    saved = _variables_in(path, "optimizer/inner_optimizer" if own is not optimizer else "optimizer")
    if saved in (None, len(own.variables)):
        yield
    else:
        stand_in = _with_other_rate(own, model.trainable_variables)
        if own is not optimizer or len(stand_in.variables) != saved:
            raise ArgumentError(
                f"the arguments of {type(own).__name__} in train.optimizer do not fit this run: they need a different "
                f"state from that in {path}",
                help="a resumed run can change the learning rate and other arguments without state, such as clipnorm",
            )
        model.optimizer = stand_in
        try:
            yield
        finally:
            model.optimizer = optimizer
        for variable, value in zip(_besides_rate(own), _besides_rate(stand_in), strict=True):
            variable.assign(value)
    if rate is not None and rate_too:
        own.learning_rate = rate


def learning_rate(model: Any) -> float:
    """Return the learning rate of the next step, with the digits that a float32 has."""
    rate = keras.ops.convert_to_numpy(model.optimizer.learning_rate)
    return float(str(np.float32(rate)))


def set_learning_rate(model: Any, rate: float) -> None:
    """Set the learning rate, unless it follows a schedule."""
    own = _innermost(model.optimizer)
    if _has_number(own):
        own.learning_rate = rate


@contextmanager
def averaged_weights(model: Any) -> Iterator[None]:
    """Put the moving averages of the weights into a compiled model inside, if its optimizer has any (`use_ema`)."""
    optimizer = model.optimizer
    if not getattr(_innermost(optimizer), "use_ema", False):
        yield
        return
    trained = [(weight, _copy(weight)) for weight in model.trainable_variables]
    take_averages(model)
    for weight, _ in trained:  # on JAX it is the array of the optimizer now, which the steps inside would free
        weight.assign(_copy(weight))
    try:
        yield
    finally:
        for weight, value in trained:
            weight.assign(value)


def _copy(variable: Any) -> Any:
    return np.array(keras.ops.convert_to_numpy(variable))


def take_averages(model: Any) -> None:
    """Put the moving averages of the weights into a compiled model for good."""
    type(model.optimizer).finalize_variable_values(model.optimizer, model.trainable_variables)


def load_averages(model: Any, optimizer: KerasObject, path: Path) -> None:
    """Put the moving averages in a checkpoint into a model that is not compiled."""
    model.compile(optimizer=to_keras(in_steps(optimizer, 1), "optimizers"))
    build_optimizer(model)
    load_weights(model, path)
    take_averages(model)


def written_rate(optimizer: KerasObject) -> float | None:
    """Return the learning rate that a spec gives an optimizer as a number, or by default; None: a schedule."""
    inner = optimizer.arguments.get("inner_optimizer")
    if isinstance(inner, KerasObject):
        return written_rate(inner)
    known = signature("optimizers", optimizer.name)
    default = known.optional.get(LEARNING_RATE) if known is not None else None
    rate = optimizer.arguments.get(LEARNING_RATE, default)
    return float(rate) if isinstance(rate, int | float) else None


def _innermost(optimizer: Any) -> Any:
    """Return the optimizer inside one that scales the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _has_number(optimizer: Any) -> bool:
    return isinstance(optimizer.get_config().get("learning_rate"), float)


def _with_other_rate(optimizer: Any, variables: list[Any]) -> Any:
    """Return a copy of an optimizer with a schedule in place of a constant learning rate, or the reverse."""
    schedule = keras.optimizers.schedules.ExponentialDecay(1.0, 1, 1.0)
    other = schedule if _has_number(optimizer) else 1.0
    made = type(optimizer).from_config({**optimizer.get_config(), "learning_rate": other})
    made.build(variables)
    return made


def _besides_rate(optimizer: Any) -> list[Any]:
    """Return the variables of an optimizer without the learning rate, which is the second where it is a number."""
    first, *rest = optimizer.variables
    return [first, *(rest[1:] if _has_number(optimizer) else rest)]


def _variables_in(path: Path, place: str) -> int | None:
    """Return how many variables of the optimizer a checkpoint has; None where it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read(WEIGHTS))) as file:
            return len(file[f"{place}/vars"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
