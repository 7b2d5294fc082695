"""Arithmetic without weights: functions of every value, bounds, division, and reductions along axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from specbuild.model.backend import keras
from specbuild.model.layers.moving import Shape, positive

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "abs": keras.ops.absolute,
    "ceil": keras.ops.ceil,
    "cos": keras.ops.cos,
    "exp": keras.ops.exp,
    "expm1": keras.ops.expm1,
    "floor": keras.ops.floor,
    "log": keras.ops.log,
    "log10": keras.ops.log10,
    "log1p": keras.ops.log1p,
    "log2": keras.ops.log2,
    "negative": keras.ops.negative,
    "reciprocal": keras.ops.reciprocal,
    "round": keras.ops.round,
    "rsqrt": keras.ops.rsqrt,
    "sign": keras.ops.sign,
    "sin": keras.ops.sin,
    "sqrt": keras.ops.sqrt,
    "square": keras.ops.square,
}
REDUCTIONS: dict[str, Callable[..., Any]] = {
    "mean": keras.ops.mean,
    "max": keras.ops.max,
    "min": keras.ops.min,
    "sum": keras.ops.sum,
    "std": keras.ops.std,
}


@keras.saving.register_keras_serializable(package="specbuild")
class Elementwise(keras.layers.Layer):  # type: ignore[misc]
    """A function of every value, by its NumPy name."""

    def __init__(self, function: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.supports_masking = True
        self._apply = FUNCTIONS[function]

    def call(self, inputs: Any) -> Any:
        return self._apply(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": self.function}


@keras.saving.register_keras_serializable(package="specbuild")
class Clip(keras.layers.Layer):  # type: ignore[misc]
    """Every value brought into the range from `min` to `max`; None leaves a side open."""

    def __init__(self, min: float | None = None, max: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min, self.max = min, max
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        raised = inputs if self.min is None else keras.ops.maximum(inputs, self.min)
        return raised if self.max is None else keras.ops.minimum(raised, self.max)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "min": self.min, "max": self.max}


@keras.saving.register_keras_serializable(package="specbuild")
class Divide(keras.layers.Layer):  # type: ignore[misc]
    """The first of two inputs divided by the second.

    They broadcast as in `keras.layers.Subtract`: an input with fewer axes is repeated over the axes it lacks, which are
    the first after the batch.
    """

    def call(self, inputs: Sequence[Any]) -> Any:
        most = max(len(one.shape) for one in inputs)
        first, second = (_with_rank(one, most) for one in inputs)
        return keras.ops.divide(first, second)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        if len(input_shape) != 2:
            raise ValueError(f"Divide takes exactly two inputs, got {len(input_shape)}")
        shorter, longer = sorted((tuple(shape[1:]) for shape in input_shape), key=len)
        lead = longer[: len(longer) - len(shorter)]
        pairs = zip(longer[len(lead) :], shorter, strict=True)
        return (input_shape[0][0], *lead, *(_broadcast(a, b) for a, b in pairs))

    def compute_output_spec(self, inputs: Sequence[Any]) -> Any:
        shape = self.compute_output_shape([tuple(one.shape) for one in inputs])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="specbuild")
class Reduce(keras.layers.Layer):  # type: ignore[misc]
    """Mean, max, min, sum or (population) std along the axes named."""

    def __init__(self, function: str, axis: int | Sequence[int], keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function, self.keepdims = function, keepdims
        self.axis = axis if isinstance(axis, int) else list(axis)
        self._reduce = REDUCTIONS[function]

    def call(self, inputs: Any) -> Any:
        return self._reduce(inputs, axis=self._axes(len(inputs.shape)), keepdims=self.keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        axes = self._axes(len(input_shape))
        shape = [(at, 1 if at in axes else dim) for at, dim in enumerate(input_shape)]
        return tuple(dim for at, dim in shape if self.keepdims or at not in axes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": self.function, "axis": self.axis, "keepdims": self.keepdims}

    def _axes(self, count: int) -> tuple[int, ...]:
        written = [self.axis] if isinstance(self.axis, int) else self.axis
        axes = tuple(positive(axis, count) for axis in written)
        if len(set(axes)) < len(axes):
            raise ValueError(f"Reduce names an axis twice: {written}")
        return axes


def _with_rank(tensor: Any, count: int) -> Any:
    for _ in range(count - len(tensor.shape)):
        tensor = keras.ops.expand_dims(tensor, 1)
    return tensor


def _broadcast(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return None
    if a != b and 1 not in (a, b):
        raise ValueError(f"Divide cannot match the lengths {a} and {b}")
    return max(a, b)
