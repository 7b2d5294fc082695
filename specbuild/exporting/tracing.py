"""NumPy code run on symbolic tensors, so that the arithmetic of `specbuild.data` becomes part of a graph as it stands.

`Traced` stands for the array of one sample. NumPy hands its functions over to it (NEP 13 and 18), and it calls the
functions of `keras.ops` of the same name. The batch axis is hidden: axis 0 of a `Traced` is axis 1 of its tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from specbuild.catalog.heads import LEAST_SHAPE
from specbuild.data.arrays import Array
from specbuild.model.backend import keras
from specbuild.model.layers.arithmetic import add
from specbuild.model.losses_likelihood import log_lower_gamma

ops = keras.ops

SHAPES = (LEAST_SHAPE, 1e6)
"""The least and the greatest shape of a gamma distribution whose quantiles are in a table, of `TABLE` values."""
TABLE = 4096


class Untraceable(Exception):
    """A function of NumPy or SciPy that no exported graph can compute. The message is its name."""


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """The array of one sample, whose numbers are known when the graph runs."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor

    @property
    def shape(self) -> tuple[int | None, ...]:
        return tuple(self.tensor.shape[1:])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(str(self.tensor.dtype))

    def __len__(self) -> int:
        length = self.shape[0]
        if length is None:
            raise Untraceable("the length of an open axis")
        return length

    def __bool__(self) -> bool:
        raise Untraceable("a branch that depends on values")

    def __array__(self, *_: Any, **__: Any) -> Array:
        raise Untraceable("the conversion to an array")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Traced:
        operation = _UFUNCS.get(ufunc.__name__)
        if operation is None or method != "__call__" or set(keywords) - {"out"}:
            raise Untraceable(ufunc.__name__)
        return Traced(operation(*_aligned(inputs)))

    def __array_function__(
        self, function: Any, _types: Any, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> Traced:
        if function not in _FUNCTIONS:
            raise Untraceable(function.__name__)
        return Traced(_FUNCTIONS[function](*arguments, **keywords))

    def __getitem__(self, key: Any) -> Traced:
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) == 2 and parts[0] is Ellipsis and isinstance(parts[1], list):
            return Traced(ops.take(self.tensor, np.asarray(parts[1], np.int32), axis=-1))
        whole = parts if parts[0] is Ellipsis else (slice(None), *parts)
        if any(not isinstance(part, slice | int | type(None) | type(Ellipsis)) for part in whole):
            raise Untraceable("an index that is an array")
        return Traced(self.tensor[whole])

    def astype(self, dtype: Any) -> Traced:
        """Return the values in another type; numbers are in single precision throughout."""
        return Traced(ops.cast(self.tensor, _single(dtype)))

    def reshape(self, shape: Sequence[int]) -> Traced:
        """Return the values in another shape of one sample."""
        return Traced(ops.reshape(self.tensor, (-1, *shape)))

    def any(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """Return whether any value along axes is true."""
        return self._reduced(ops.any, axis, keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """Return whether all values along axes are true."""
        return self._reduced(ops.all, axis, keepdims)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """Return the sum along axes; of booleans, how many are true."""
        return self.astype(np.float32)._reduced(ops.sum, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """Return the maximum along axes."""
        return self._reduced(ops.max, axis, keepdims)

    def _reduced(self, operation: Callable[..., Any], axis: Any, keepdims: bool) -> Traced:
        axes = range(self.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        tensor = self.tensor
        for each in sorted((_real(each) % (self.ndim + 1) for each in axes), reverse=True):
            tensor = _over_one(operation, tensor, each, keepdims)  # LiteRT takes one axis at a time
        return Traced(tensor)


def _over_one(operation: Callable[..., Any], tensor: Any, axis: int, keepdims: bool) -> Any:
    """Return a reduction of a tensor along one of its axes.

    The axes before and after it are joined to one each if their lengths are known: the kernels of LiteRT take six axes.
    """
    lengths = list(tensor.shape[1:])
    if None in lengths:
        return operation(tensor, axis=axis, keepdims=keepdims)
    joined = ops.reshape(
        tensor, (-1, *(prod(part) for part in (lengths[: axis - 1], [lengths[axis - 1]], lengths[axis:])))
    )
    rest = [*lengths[: axis - 1], *([1] if keepdims else []), *lengths[axis:]]
    return ops.reshape(operation(joined, axis=2), (-1, *rest))


class Lookup:
    """A constant array whose entries along its first axis are looked up by traced numbers."""

    def __init__(self, values: Array) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, key: Traced) -> Traced:
        return Traced(ops.take(self._values, key.tensor, axis=0))


def _real(axis: int) -> int:
    """Return the axis of the tensor that an axis of one sample is."""
    return axis if axis < 0 else axis + 1


def _single(dtype: Any) -> str:
    name = str(np.dtype(dtype))
    return {"float64": "float32", "int64": "int32"}.get(name, name)


def _plain(value: Any) -> Any:
    """Return a number or an array in single precision, as `keras.ops` takes them and Keras saves them."""
    if isinstance(value, np.generic):
        return value.item()
    return value.astype(_single(value.dtype)) if isinstance(value, np.ndarray) else value


def _aligned(values: Sequence[Any]) -> list[Any]:
    """Return tensors and constants that broadcast as the arrays of one sample do, whose axes are aligned at the end."""
    rank = max(value.ndim if isinstance(value, Traced) else np.ndim(value) for value in values)

    def expanded(value: Traced) -> Any:
        tensor = value.tensor
        for _ in range(rank - value.ndim):
            tensor = ops.expand_dims(tensor, axis=1)
        return tensor

    return [expanded(value) if isinstance(value, Traced) else _plain(value) for value in values]


def _tensors(values: Sequence[Any], dtype: Any = None) -> list[Any]:
    """Return the tensors of several traced arrays, or of constants among them, in one type."""
    like = next(value for value in values if isinstance(value, Traced))
    tensors = [
        value.tensor if isinstance(value, Traced) else add(ops.zeros_like(like.tensor), _plain(value))
        for value in values
    ]
    return tensors if dtype is None else [ops.cast(tensor, _single(dtype)) for tensor in tensors]


def _clip(x: Traced, least: Any = None, greatest: Any = None) -> Any:
    tensor = x.tensor
    if least is not None:
        tensor = ops.maximum(tensor, _plain(least))
    return tensor if greatest is None else ops.minimum(tensor, _plain(greatest))


def _broadcast_to(x: Traced, shape: Sequence[int]) -> Any:
    ones = np.ones((1, *shape), np.float32)
    return ops.multiply(_aligned([x, ones[0]])[0], ones)


def _gammainc(shape: Any, x: Any) -> Any:
    return ops.exp(log_lower_gamma(shape, x))


def gamma_quantile(shape: Any, level: float) -> Any:
    """Return where P(shape, x) is a level: x = shape · r³, with r from a table over log(shape).

    For large shapes r is linear in 1 / √shape (Wilson and Hilferty, 1931, PNAS 17, 684). Between the entries of the
    table it is interpolated linearly; the relative error is about 1e-6, of results below 1 the absolute one.
    """
    from scipy.special import gammaincinv

    logs = np.linspace(math.log(SHAPES[0]), math.log(SHAPES[1]), TABLE)
    roots = np.cbrt(gammaincinv(np.exp(logs), level) / np.exp(logs))
    place = (ops.log(shape) - float(logs[0])) * float((TABLE - 1) / (logs[-1] - logs[0]))
    place = ops.clip(place, 0, TABLE - 1)
    before = ops.minimum(ops.floor(place), TABLE - 2)
    number, steps = ops.cast(before, "int32"), np.diff(roots).astype(np.float32)
    root = ops.take(roots.astype(np.float32), number) + (place - before) * ops.take(steps, number)
    return shape * root * root * root


def _log10(x: Any) -> Any:
    return ops.log(x) * float(1 / np.log(10))


_SAME = (
    *("subtract", "multiply", "divide", "power", "negative", "absolute", "maximum", "minimum", "logaddexp"),
    *("square", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "tanh", "arctan", "floor", "ceil"),
    *("isnan", "isfinite", "greater", "greater_equal", "less", "less_equal", "equal", "not_equal"),
    *("logical_and", "logical_or", "logical_not"),
)
"""What NumPy and `keras.ops` call alike."""
_UFUNCS: dict[str, Callable[..., Any]] = {
    **{name: getattr(ops, name) for name in _SAME},
    "add": add,
    "log10": _log10,
    "remainder": ops.mod,
    "invert": ops.logical_not,
    "bitwise_and": ops.logical_and,
    "bitwise_or": ops.logical_or,
    "gammainc": _gammainc,
    "gammaincinv": gamma_quantile,
}
"""What computes each universal function of NumPy and SciPy, by its name; of `~`, `&` and `|` on truth values alone."""

_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: lambda condition, a, b: ops.where(*_aligned([condition, a, b])),
    np.clip: _clip,
    np.stack: lambda parts, axis=0: ops.stack(_tensors(parts), axis=_real(axis)),
    np.concatenate: lambda parts, axis=0, dtype=None: ops.concatenate(_tensors(parts, dtype), axis=_real(axis)),
    np.sort: lambda x, axis=-1: ops.sort(x.tensor, axis=_real(axis)),
    np.zeros_like: lambda x: ops.zeros_like(x.tensor),
    np.broadcast_to: _broadcast_to,
}
"""What computes each other function of NumPy."""
