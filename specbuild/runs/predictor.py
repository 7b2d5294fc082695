"""The function from inputs to outputs of a model, in batches. Imports Keras when it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from specbuild.data.arrays import Floats


def predictor(model: Any, size: int, outputs: Iterable[str] = ()) -> Callable[[Any], Any]:
    """Return the function from any number of inputs to the outputs of a model, in batches of up to `size`.

    Args:
        outputs: names of the outputs, which are then given as a dict; none: the model has one, which is given alone.
    """
    from specbuild.model.backend import keras

    outputs = tuple(outputs)

    def joined(tensors: list[Any]) -> Floats:
        return np.concatenate([keras.ops.convert_to_numpy(tensor) for tensor in tensors]).astype(np.float32)

    def predict(x: Any) -> Any:
        count = len(next(iter(x.values())) if isinstance(x, dict) else x)
        parts = [model.predict_on_batch(_part(x, first, first + size)) for first in range(0, count, size)]
        if not outputs:
            return joined(
                [tensor for part in parts for tensor in keras.tree.flatten(part)]
            )  # one each, perhaps by name
        named = (part if isinstance(part, dict) else dict(zip(outputs, _listed(part), strict=True)) for part in parts)
        each = list(named)
        return {name: joined([part[name] for part in each]) for name in outputs}

    return predict


def _listed(part: Any) -> list[Any]:
    """Return the outputs of a model as a list: one alone is not in one."""
    return list(part) if isinstance(part, list | tuple) else [part]


def _part(x: Any, start: int, stop: int) -> Any:
    """Return some samples of a batch."""
    return {name: values[start:stop] for name, values in x.items()} if isinstance(x, dict) else x[start:stop]
