"""The output of a masked step in a streaming model.

Shape comments: N batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuild.model.backend import Registered, keras

ops = keras.ops


class Held(Registered, keras.layers.Layer):  # type: ignore[misc]
    """The output of a step; where the mask of the recurrence's input is False, the output of the step before.

    The inputs are a list: the output and the one before it, in the same shape, and the recurrence's input, a
    sequence of one step.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.supports_masking = True

    def call(self, inputs: Sequence[Any], mask: Sequence[Any] | None = None) -> Any:
        output, before, _ = inputs
        own = None if mask is None else mask[2]
        if own is None:
            return output
        shown = ops.any(ops.reshape(ops.cast(own, "bool"), (ops.shape(own)[0], -1)), axis=1)  # (N,)
        return ops.where(ops.reshape(shown, (-1, *(1,) * (len(output.shape) - 1))), output, before)

    def compute_mask(self, _: Any, previous_mask: Sequence[Any] | None = None) -> Any:
        """Return the mask of the output, which only a sequence has."""
        return None if previous_mask is None or previous_mask[0] is None else previous_mask[2]

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        return input_shape[0]
