"""Keras classes of the layers in `specbuild.catalog.patches`."""

from __future__ import annotations

from typing import Any

from specbuild.model.backend import keras
from specbuild.model.layers.base import OwnLayer


class SpaceToDepth(OwnLayer):
    """Every patch as a pixel, its values in the order (row, column, channel).

    `(…, H, W, C)` → `(…, H/a, W/b, a·b·C)`
    """

    def call(self, inputs: Any) -> Any:
        *lead, height, width, channels = _lengths(inputs)
        rows, columns = self.block_size
        patches = keras.ops.reshape(inputs, (*lead, height // rows, rows, width // columns, columns, channels))
        patches = _swap_middle(patches, len(lead))  # (…, H/a, W/b, a, b, C)
        return keras.ops.reshape(patches, (*lead, height // rows, width // columns, rows * columns * channels))


class DepthToSpace(OwnLayer):
    """The inverse of `SpaceToDepth`: `(…, H, W, a·b·C)` → `(…, a·H, b·W, C)`."""

    def call(self, inputs: Any) -> Any:
        *lead, height, width, channels = _lengths(inputs)
        rows, columns = self.block_size
        thin = channels // (rows * columns)
        patches = keras.ops.reshape(inputs, (*lead, height, width, rows, columns, thin))
        patches = _swap_middle(patches, len(lead))  # (…, H, a, W, b, C)
        return keras.ops.reshape(patches, (*lead, height * rows, width * columns, thin))


def _lengths(inputs: Any) -> tuple[Any, ...]:
    """Return the length of each axis; -1 for the batch, as `reshape` takes it, if no other is open."""
    batch, *rest = inputs.shape
    return (-1 if batch is None else batch, *rest) if None not in rest else tuple(keras.ops.shape(inputs))


def _swap_middle(patches: Any, lead: int) -> Any:
    """Swap the second and third of the five axes after the leading ones."""
    axes = (*range(lead), lead, lead + 2, lead + 1, lead + 3, lead + 4)
    return keras.ops.transpose(patches, axes)
