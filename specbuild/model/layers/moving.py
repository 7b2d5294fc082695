"""Layers that only move values, along one axis or from one to another. Any dtype goes through as it is.

Shape comments: N batch, T time, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from specbuild.model.backend import keras

Shape: TypeAlias = tuple[int | None, ...]


class _Moving(keras.layers.Layer):  # type: ignore[misc]
    """One tensor in, one tensor of the same dtype out."""

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(self.compute_output_shape(tuple(inputs.shape)), dtype=inputs.dtype)


@keras.saving.register_keras_serializable(package="specbuild")
class LastFrame(_Moving):
    """The last entry of the time axis: `(N, T, …)` → `(N, …)`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_spec = keras.InputSpec(min_ndim=3)

    def call(self, inputs: Any) -> Any:
        return inputs[:, -1]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *input_shape[2:])


@keras.saving.register_keras_serializable(package="specbuild")
class Slice(_Moving):
    """`x[start:stop:step]` of one axis; the batch axis is 0."""

    def __init__(
        self, axis: int, start: int | None = None, stop: int | None = None, step: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.axis, self.start, self.stop, self.step = axis, start, stop, step

    def call(self, inputs: Any) -> Any:
        at = positive(self.axis, len(inputs.shape))
        return inputs[(slice(None),) * at + (slice(self.start, self.stop, self.step),)]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        at = positive(self.axis, len(input_shape))
        length = input_shape[at]
        if length is not None:
            length = len(range(*slice(self.start, self.stop, self.step).indices(length)))
            if length == 0:
                raise ValueError(f"Slice leaves nothing of axis {self.axis} of {input_shape}")
        elif self.step > 0 and ((self.start in (None, 0) and self.stop == 1) or (self.start, self.stop) == (-1, None)):
            length = 1
        return (*input_shape[:at], length, *input_shape[at + 1 :])

    def get_config(self) -> dict[str, Any]:
        own = {"axis": self.axis, "start": self.start, "stop": self.stop, "step": self.step}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="specbuild")
class Gather(_Moving):
    """The entries `indices` of one axis, in that order; negative ones count from the end."""

    def __init__(self, axis: int, indices: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis, self.indices = axis, list(indices)

    def call(self, inputs: Any) -> Any:
        return keras.ops.take(inputs, self.indices, axis=positive(self.axis, len(inputs.shape)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        at = positive(self.axis, len(input_shape))
        length = input_shape[at]
        if length is not None and not all(-length <= one < length for one in self.indices):
            raise ValueError(f"Gather finds not all of {self.indices} on axis {self.axis} of {input_shape}")
        return (*input_shape[:at], len(self.indices), *input_shape[at + 1 :])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "indices": self.indices}


@keras.saving.register_keras_serializable(package="specbuild")
class ExpandDims(_Moving):
    """A new axis of length 1, which stands at `axis` in the output."""

    def __init__(self, axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        return keras.ops.expand_dims(inputs, positive(self.axis, len(inputs.shape) + 1))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        at = positive(self.axis, len(input_shape) + 1)
        return (*input_shape[:at], 1, *input_shape[at:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable(package="specbuild")
class Squeeze(_Moving):
    """The input without an axis of length 1."""

    def __init__(self, axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        return keras.ops.squeeze(inputs, positive(self.axis, len(inputs.shape)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        at = positive(self.axis, len(input_shape))
        if input_shape[at] not in (None, 1):
            raise ValueError(f"Squeeze needs axis {self.axis} to have length 1, got {input_shape}")
        return (*input_shape[:at], *input_shape[at + 1 :])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable(package="specbuild")
class Stack(keras.layers.Layer):  # type: ignore[misc]
    """n inputs of one shape along a new axis: n × `(N, …)` → `(N, n, …)` for `axis=1`."""

    def __init__(self, axis: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Sequence[Any]) -> Any:
        return keras.ops.stack(list(inputs), axis=positive(self.axis, len(inputs[0].shape) + 1))

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        if len({len(shape) for shape in input_shape}) > 1 or any(
            len({dim for dim in dims if dim is not None}) > 1 for dims in zip(*input_shape, strict=True)
        ):
            raise ValueError(f"Stack needs inputs of one shape, got {list(input_shape)}")
        shape = [next((dim for dim in dims if dim is not None), None) for dims in zip(*input_shape, strict=True)]
        shape.insert(positive(self.axis, len(shape) + 1), len(input_shape))
        return tuple(shape)

    def compute_output_spec(self, inputs: Sequence[Any]) -> Any:
        shape = self.compute_output_shape([tuple(one.shape) for one in inputs])
        return keras.KerasTensor(shape, dtype=inputs[0].dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class _Blocks(_Moving):
    """Between an image and its patches of `block_size` (rows, columns), on the last three axes (H, W, C)."""

    def __init__(self, block_size: int | Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block_size = (block_size, block_size) if isinstance(block_size, int) else tuple(block_size)
        self.input_spec = keras.InputSpec(min_ndim=4)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block_size": list(self.block_size)}


@keras.saving.register_keras_serializable(package="specbuild")
class SpaceToDepth(_Blocks):
    """Every patch as a pixel, its values in the order (row, column, channel).

    `(…, H, W, C)` → `(…, H/a, W/b, a·b·C)`
    """

    def call(self, inputs: Any) -> Any:
        *lead, height, width, channels = keras.ops.shape(inputs)
        rows, columns = self.block_size
        patches = keras.ops.reshape(inputs, (*lead, height // rows, rows, width // columns, columns, channels))
        patches = _swap_middle(patches, len(lead))  # (…, H/a, W/b, a, b, C)
        return keras.ops.reshape(patches, (*lead, height // rows, width // columns, rows * columns * channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        *lead, height, width, channels = input_shape
        rows, columns = self.block_size
        deep = None if channels is None else channels * rows * columns
        return (*lead, _divided(height, rows), _divided(width, columns), deep)


@keras.saving.register_keras_serializable(package="specbuild")
class DepthToSpace(_Blocks):
    """The inverse of `SpaceToDepth`: `(…, H, W, a·b·C)` → `(…, a·H, b·W, C)`."""

    def call(self, inputs: Any) -> Any:
        *lead, height, width, channels = keras.ops.shape(inputs)
        rows, columns = self.block_size
        thin = channels // (rows * columns)
        patches = keras.ops.reshape(inputs, (*lead, height, width, rows, columns, thin))
        patches = _swap_middle(patches, len(lead))  # (…, H, a, W, b, C)
        return keras.ops.reshape(patches, (*lead, height * rows, width * columns, thin))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        *lead, height, width, channels = input_shape
        rows, columns = self.block_size
        tall = None if height is None else height * rows
        wide = None if width is None else width * columns
        return (*lead, tall, wide, _divided(channels, rows * columns))


def positive(axis: int, count: int) -> int:
    """An axis of `count` (the batch axis being one of them) counted from 0; the batch axis itself is refused."""
    at = axis + count if axis < 0 else axis
    if not 1 <= at < count:
        raise ValueError(f"axis {axis} is the batch axis or does not exist among {count} axes")
    return at


def _swap_middle(patches: Any, lead: int) -> Any:
    """Swaps the second and third of the five axes after the leading ones."""
    axes = (*range(lead), lead, lead + 2, lead + 1, lead + 3, lead + 4)
    return keras.ops.transpose(patches, axes)


def _divided(length: int | None, divisor: int) -> int | None:
    if length is not None and length % divisor:
        raise ValueError(f"{length} is no multiple of {divisor}")
    return None if length is None else length // divisor
