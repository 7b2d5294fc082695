"""The function from inputs to outputs of a model, in batches. Imports Keras when it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.document import RunError


def predictor(model: Any, size: int, outputs: Iterable[str] = ()) -> Callable[[Any], Any]:
    """Return the function from any number of inputs to the outputs of a model, in batches of up to `size`.

    Where a batch does not fit into memory, that one and those after it are half as large; the outputs are the same.

    Args:
        outputs: names of the outputs, which are then given as a dict; none: the model has one, which is given alone.

    Raises:
        RunError: not even one input fits into memory.
    """
    from specbuild.model.backend import keras
    from specbuild.model.exhaustion import is_out_of_memory

    outputs = tuple(outputs)

    def joined(tensors: list[Any]) -> Floats:
        return np.concatenate([keras.ops.convert_to_numpy(tensor) for tensor in tensors]).astype(np.float32)

    def in_parts(x: Any, count: int) -> Iterator[Any]:
        nonlocal size
        first = 0
        while first < count:
            try:
                part = model.predict_on_batch(_part(x, first, first + size))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1 or model.inputs[0].shape[0] is not None:
                    raise _too_large(size) from error
                size //= 2
                continue
            yield part
            first += size

    def predict(x: Any) -> Any:
        count = len(next(iter(x.values())) if isinstance(x, dict) else x)
        parts = list(in_parts(x, count))
        if not outputs:
            return joined(
                [tensor for part in parts for tensor in keras.tree.flatten(part)]
            )  # one each, perhaps by name
        named = (part if isinstance(part, dict) else dict(zip(outputs, _listed(part), strict=True)) for part in parts)
        each = list(named)
        return {name: joined([part[name] for part in each]) for name in outputs}

    return predict


def _too_large(size: int) -> RunError:
    """Return the error of a batch that cannot be made smaller."""
    samples = "one sample does" if size == 1 else f"the {size} samples that an input fixes do"
    return RunError(
        f"{samples} not fit into memory, to be computed by the model",
        help="forecast fewer frames or a smaller region, or on the processor with CUDA_VISIBLE_DEVICES=-1",
    )


def _listed(part: Any) -> list[Any]:
    """Return the outputs of a model as a list: one alone is not in one."""
    return list(part) if isinstance(part, list | tuple) else [part]


def _part(x: Any, start: int, stop: int) -> Any:
    """Return some samples of a batch."""
    return {name: values[start:stop] for name, values in x.items()} if isinstance(x, dict) else x[start:stop]
