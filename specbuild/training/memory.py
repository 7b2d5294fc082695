"""Training that runs out of memory, and the batch size that fits. Imports Keras."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np

from specbuild.document import RunError
from specbuild.language import Spec
from specbuild.model.backend import backend_name, keras
from specbuild.runs.checkpoint import state_variables
from specbuild.runs.folder import RunFolder
from specbuild.training.batches import BatchSource

_TYPES = ("ResourceExhaustedError", "OutOfMemoryError")
"""Names of the frameworks' exceptions."""
_WORDS = ("RESOURCE_EXHAUSTED", "Out of memory", "OOM when allocating", "out of memory", "bad_alloc")
"""What other exceptions of theirs say."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error, or one that it comes from, says that memory ran out."""
    return any(
        isinstance(each, MemoryError)
        or type(each).__name__ in _TYPES
        or (isinstance(each, RuntimeError) and any(word in str(each) for word in _WORDS))
        for each in with_causes(error)
    )


def out_of_memory(model: Any, spec: Spec, folder: RunFolder, batches: BatchSource) -> RunError:
    """Return the error of training that ran out of memory, with a batch size that was tried and fits.

    Args:
        model: compiled; its weights are lost.
        spec: of the run.
        folder: of the run.
        batches: those of training.
    """
    size = spec.batch_size
    message = f"a step did not fit into memory with a batch size of {size}"
    saving = "data.crop, train.precision=bfloat16 and remat: true on recurrent layers also reduce memory use"
    if any(x.section.batch is not None for x in spec.inputs):
        return RunError(message, help=f"an input of the spec fixes its batch: write a smaller number there; {saving}")
    try:
        fitting = next((half for half in _halves(size) if _fits(model, batches.sized(half))), None)
    except Exception:  # whatever else fails while sizes are tried: the user needs to know that memory ran out
        return RunError(message, help=f"train with a smaller one: --set train.batch_size={max(size // 2, 1)}; {saving}")
    if fitting is None:
        return RunError(f"{message}, nor with any smaller one" if size > 1 else message, help=f"{saving}")
    override = f"--set train.batch_size={fitting}"
    saved = folder.reached
    if saved is None:
        command = f"train again with {override}"
    elif saved.step:
        command = f"train again with {override}; a resumed run changes it only between two epochs"
    else:
        command = f"resume with: specbuild train --resume {folder.path} {override}"
    return RunError(f"{message}; a batch size of {fitting} was tried and fits", help=f"{command}; {saving}")


def _halves(size: int) -> Iterator[int]:
    while size > 1:
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


def with_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and those that it comes from or that were handled when it came, each once."""
    known: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and id(each) not in known:
            known.add(id(each))
            yield each
            left += [each.__cause__, each.__context__]
