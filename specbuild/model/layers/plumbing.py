"""Layers that only move values, along one axis or from one to another. Every dtype is kept.

Shape comments: N batch, T time, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuild.model.backend import keras
from specbuild.model.layers.base import OwnLayer


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


class Gather(OwnLayer):
    """The entries `indices` of one axis, in that order; negative ones count from the end."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.take(inputs, list(self.indices), axis=self.axis % len(inputs.shape))


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


class SpaceToDepth(OwnLayer):
    """Every patch as a pixel, its values in the order (row, column, channel).

    `(…, H, W, C)` → `(…, H/a, W/b, a·b·C)`
    """

    def call(self, inputs: Any) -> Any:
        *lead, height, width, channels = keras.ops.shape(inputs)
        rows, columns = self.block_size
        patches = keras.ops.reshape(inputs, (*lead, height // rows, rows, width // columns, columns, channels))
        patches = _swap_middle(patches, len(lead))  # (…, H/a, W/b, a, b, C)
        return keras.ops.reshape(patches, (*lead, height // rows, width // columns, rows * columns * channels))


class DepthToSpace(OwnLayer):
    """The inverse of `SpaceToDepth`: `(…, H, W, a·b·C)` → `(…, a·H, b·W, C)`."""

    def call(self, inputs: Any) -> Any:
        *lead, height, width, channels = keras.ops.shape(inputs)
        rows, columns = self.block_size
        thin = channels // (rows * columns)
        patches = keras.ops.reshape(inputs, (*lead, height, width, rows, columns, thin))
        patches = _swap_middle(patches, len(lead))  # (…, H, a, W, b, C)
        return keras.ops.reshape(patches, (*lead, height * rows, width * columns, thin))


def _swap_middle(patches: Any, lead: int) -> Any:
    """Swap the second and third of the five axes after the leading ones."""
    axes = (*range(lead), lead, lead + 2, lead + 1, lead + 3, lead + 4)
    return keras.ops.transpose(patches, axes)
