"""Training that runs out of memory, and the batch size that fits. Imports Keras."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from specbuild.document import RunError
from specbuild.language import Spec
from specbuild.model.backend import backend_name, keras
from specbuild.model.exhaustion import is_out_of_memory
from specbuild.runs.checkpoint import state_variables
from specbuild.runs.folder import RunFolder
from specbuild.training.batches import BatchSource
from specbuild.training.capacity import SAVING


@contextmanager
def room_for_weights(spec: Spec) -> Iterator[None]:
    """Say so where the weights, or what the optimizer keeps of them, do not fit into memory.

    Raises:
        RunError: they do not.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        optimizer = spec.train.optimizer.name
        raise RunError(
            f"the weights of the model and the state of {optimizer} do not fit into memory",
            help="use fewer filters or units, or an optimizer with less state, such as SGD; specbuild summary shows "
            "how much each layer takes",
        ) from error


def out_of_memory(model: Any, spec: Spec, folder: RunFolder, batches: BatchSource, least: int = 1) -> RunError:
    """Return the error of training that ran out of memory, with a batch size that was tried and fits.

    Args:
        model: compiled; its weights are lost.
        spec: of the run.
        folder: of the run.
        batches: those of training.
        least: the smallest batch size that may be tried: one window for each of several devices.
    """
    size = spec.batch_size
    message = f"a step did not fit into memory with a batch size of {size}"
    if any(x.section.batch is not None for x in spec.inputs):
        return RunError(message, help=f"an input of the spec fixes its batch: write a smaller number there; {SAVING}")
    try:
        fitting = next((half for half in _halves(size, least) if _fits(model, batches.sized(half))), None)
    except Exception:  # whatever else fails while sizes are tried: the user needs to know that memory ran out
        return RunError(
            message, help=f"train with a smaller one: --set train.batch_size={max(size // 2, least)}; {SAVING}"
        )
    if fitting is None:
        return RunError(f"{message}, nor with any smaller one" if size // 2 >= least else message, help=SAVING)
    override = f"--set train.batch_size={fitting}"
    saved = folder.reached
    if saved is None:
        command = f"train again with {override}"
    elif saved.step:
        command = f"train again with {override}; a resumed run changes it only between two epochs"
    else:
        command = f"resume with: specbuild train --resume {folder.path} {override}"
    return RunError(f"{message}; a batch size of {fitting} was tried and fits", help=f"{command}; {SAVING}")


def out_of_memory_together(spec: Spec, processes: int) -> RunError:
    """Return the error of training in several processes, one of which ran out of memory; none tries another size."""
    return RunError(
        f"a step did not fit into memory with a batch size of {spec.batch_size} over {processes} processes",
        help=f"train on more devices, or with a smaller one: --set train.batch_size={max(spec.batch_size // 2, 1)}",
    )


def _halves(size: int, least: int) -> Iterator[int]:
    while size // 2 >= least:
        size //= 2
        yield size


def _fits(model: Any, batches: BatchSource) -> bool:
    """Return whether a step with the first batch fits."""
    gc.collect()
    try:
        _with_values(model)
        x, y, weight = batches.batch(0, 0)
        model.train_on_batch(x, y, sample_weight=weight)
    except Exception as error:
        if is_out_of_memory(error):
            return False
        raise
    return True


def _with_values(model: Any) -> None:
    """Give the variables values again if the failed step consumed them, as on JAX."""
    if backend_name() == "jax":
        for variable in (*state_variables(model), *model.metrics_variables):
            variable.assign(np.zeros(variable.shape, keras.backend.standardize_dtype(variable.dtype)))
