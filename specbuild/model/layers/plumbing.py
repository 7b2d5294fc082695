"""Layers that only move values, along one axis or from one to another. Every dtype is kept.

Shape comments: N batch, T time, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from specbuild.catalog import Shape
from specbuild.catalog import plumbing as catalog
from specbuild.model.backend import Registered, keras
from specbuild.model.layers.base import OwnLayer, entry_of, output_shape


class LastFrame(OwnLayer):
    """The last entry of the time axis: `(N, T, …)` → `(N, …)`."""

    def call(self, inputs: Any) -> Any:
        return inputs[:, -1]


class RepeatFrame(OwnLayer):
    """Repeats its input along a new time axis, the first after the batch: `(N, …)` → `(N, times, …)`.

    Unlike `keras.layers.RepeatVector` it takes frames of any shape.
    """

    def call(self, inputs: Any) -> Any:
        return keras.ops.repeat(keras.ops.expand_dims(inputs, axis=1), self.times, axis=1)  # (N, times, …)


class ZerosLike(OwnLayer):
    """Zeros in the shape of the input, whose number of channels `filters` may change."""

    def call(self, inputs: Any) -> Any:
        channels = inputs if self.filters is None else inputs[..., :1]
        zeros = keras.ops.zeros_like(channels)
        return zeros if self.filters is None else keras.ops.repeat(zeros, self.filters, axis=-1)


class Slice(OwnLayer):
    """`x[start:stop:step]` of one axis; the batch axis is 0."""

    def call(self, inputs: Any) -> Any:
        before = (slice(None),) * (self.axis % len(inputs.shape))
        return inputs[(*before, slice(self.start, self.stop, self.step))]


class SplitPart(OwnLayer):
    """One of the parts into which an axis is cut: `parts` equal ones, or ones of the lengths `parts`."""

    def call(self, inputs: Any) -> Any:
        axis = self.axis % len(inputs.shape)
        start, stop = self.entry.bounds(inputs.shape[axis])
        if start is None:
            size = keras.ops.shape(inputs)[axis] // self.parts
            start, stop = size * self.index, size * (self.index + 1)
        return inputs[(*(slice(None),) * axis, slice(start, stop))]


class Split(Registered, keras.layers.Layer):  # type: ignore[misc]
    """All parts into which an axis is cut, as a list: the nodes of kind `SplitPart` that read one tensor.

    The gradient of one operation that gives every part is one tensor; that of a slice is a tensor of zeros around it.

    Args:
        parts: how many equal parts, or the length of each.
        axis: the axis; the batch axis is 0.
        names: ids of the nodes of the parts, in order; None for a part without a node.
    """

    def __init__(
        self, parts: int | Sequence[int], axis: int = -1, names: Sequence[str | None] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.parts, self.axis = parts if isinstance(parts, int) else list(parts), axis
        first = entry_of(catalog.SplitPart, {"parts": self.parts, "axis": axis, "index": 0})
        self.names = [None] * first.count if names is None else list(names)
        self.entries = [first.model_copy(update={"index": index}) for index in range(first.count)]

    def build(self, input_shape: Any) -> None:
        """Refuse an input that cannot be cut so."""
        self.compute_output_shape(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> list[Shape]:
        """Return the shape of every part, batch axis included.

        Raises:
            ValueError: the input cannot be cut so.
        """
        batch, *shape = input_shape
        return [(batch, *output_shape(entry, tuple(shape))) for entry in self.entries]

    def compute_output_spec(self, inputs: Any) -> list[Any]:
        """Return the parts of a symbolic tensor."""
        return [keras.KerasTensor(shape, dtype=inputs.dtype) for shape in self.compute_output_shape(inputs.shape)]

    def call(self, inputs: Any) -> list[Any]:
        axis = self.axis % len(inputs.shape)
        if isinstance(self.parts, int):
            return list(keras.ops.split(inputs, self.parts, axis=axis))
        ends = list(accumulate(self.parts))
        before = (slice(None),) * axis
        if inputs.shape[axis] is None or len(ends) == 1:  # keras.ops.split needs the length, and a place to cut
            return [inputs[(*before, slice(stop - size, stop))] for size, stop in zip(self.parts, ends, strict=True)]
        return list(keras.ops.split(inputs, ends[:-1], axis=axis))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "parts": self.parts, "axis": self.axis, "names": self.names}


class Gather(OwnLayer):
    """The entries `indices` of one axis, in that order; negative ones count from the end."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.take(inputs, list(self.indices), axis=self.axis % len(inputs.shape))


class Roll(OwnLayer):
    """The entries of one axis, shifted with wraparound."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.roll(inputs, self.shift, axis=self.axis % len(inputs.shape))


class ExpandDims(OwnLayer):
    """Insert a new axis of length 1 at position `axis` of the output."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.expand_dims(inputs, self.axis)


class Squeeze(OwnLayer):
    """Remove an axis of length 1."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.squeeze(inputs, self.axis)


class Stack(OwnLayer):
    """n inputs of one shape along a new axis: n × `(N, …)` → `(N, n, …)` for `axis=1`."""

    def call(self, inputs: Sequence[Any]) -> Any:
        return keras.ops.stack(list(inputs), axis=self.axis)
