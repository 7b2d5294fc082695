"""Arrays of a checkpoint rearranged for a layer: axes, channels and gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from specbuild.model.mapping.assign import reorder

Array = np.ndarray
Shape = tuple[int, ...]


class ArrangeError(Exception):
    """An array that cannot be rearranged as asked; the text says why."""


def _with_axes(least: int, words: str, rearrange: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def checked(array: Array) -> Array:
        if array.ndim < least:
            raise ArrangeError(f"expected {words}, got {array.ndim} {'axis' if array.ndim == 1 else 'axes'}")
        return rearrange(array)

    return checked


def _depthwise(array: Array) -> Array:
    """Every channel of the input has the same number of filters, m, which is known only from the weight's shape."""
    if array.shape[1] != 1:
        raise ArrangeError(f"a depthwise kernel has the length 1 on its second axis, got {array.shape[1]}")
    return np.moveaxis(array, (0, 1), (-2, -1))


ORDERS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "same": ("The axes as they are.", lambda array: array),
    "conv": (
        "Convolution: (out, in, *kernel) → (*kernel, in, out).",
        _with_axes(3, "(out, in, *kernel)", lambda array: np.moveaxis(array, (0, 1), (-1, -2))),
    ),
    "transposed_conv": (
        "Transposed convolution: (in, out, *kernel) → (*kernel, out, in).",
        _with_axes(3, "(in, out, *kernel)", lambda array: np.moveaxis(array, (0, 1), (-1, -2))),
    ),
    "depthwise_conv": (
        "Depthwise convolution: (in · m, 1, *kernel) → (*kernel, in, m).",
        _with_axes(3, "(in · m, 1, *kernel)", _depthwise),
    ),
    "linear": (
        "Matrix: (out, in) → (in, out).",
        _with_axes(2, "(out, in)", lambda array: np.moveaxis(array, 0, -1)),
    ),
    "channels_last": (
        "A number for each channel and position: (C, *space) → (*space, C).",
        _with_axes(1, "(C, *space)", lambda array: np.moveaxis(array, 0, -1)),
    ),
    "per_channel": ("A number for each channel: (C,) → (1, …, 1, C).", lambda array: array),
}
"""How axes may be moved, by name: what it is for, and the function. The lengths of some follow from the weight."""


def axes_moved(array: Array, order: str | Sequence[int], wanted: Shape) -> Array:
    """Return the array with its axes in another order: one of ORDERS, or the old position of each axis.

    Args:
        array: from the checkpoint.
        order: see above.
        wanted: shape of the weight.

    Raises:
        ArrangeError: the array does not have these axes.
    """
    if not isinstance(order, str):
        if len(order) != array.ndim:
            raise ArrangeError(f"order names {len(order)} axes, and the array has {array.ndim}")
        return array.transpose(order)
    moved = ORDERS[order][1](array)
    if order == "depthwise_conv" and len(wanted) == moved.ndim and wanted[-2] * wanted[-1] == moved.shape[-2]:
        return moved.reshape(*moved.shape[:-2], *wanted[-2:])
    if order == "per_channel" and array.ndim == 1:
        return array.reshape((1,) * (len(wanted) - 1) + array.shape)
    return moved


def channels_taken(array: Array, end: str, wanted: Shape) -> Array:
    """Return the `first` or `last` channels of the input, as many as the weight reads, of a kernel (…, in, out).

    Raises:
        ArrangeError: there are not so many.
    """
    if array.ndim < 2 or len(wanted) < 2 or array.shape[-2] < wanted[-2]:
        raise ArrangeError(f"the weight {wanted} reads more channels than {array.shape} has")
    count = wanted[-2]
    return array[..., :count, :] if end == "first" else array[..., array.shape[-2] - count :, :]


def gates_reordered(array: Array, gates: Sequence[int]) -> Array:
    """Return the array with equal parts of its last axis in another order, given by the old position of each.

    Raises:
        ArrangeError: the axis cannot be split into so many parts.
    """
    if array.ndim == 0 or array.shape[-1] % len(gates):
        raise ArrangeError(f"the last axis of {array.shape} cannot be split into {len(gates)} gates")
    return reorder(array, gates)


def unshuffled(array: Array, block: int) -> Array:
    """Return the output channels of the convolution before a pixel shuffle in the order that DepthToSpace reads.

    PyTorch's channel of row i, column j and channel c of a block is (c · block + i) · block + j; that of DepthToSpace
    is (i · block + j) · C + c.

    Raises:
        ArrangeError: the channels do not make blocks of this size.
    """
    if array.ndim == 0 or array.shape[-1] % block**2:
        raise ArrangeError(f"the last axis of {array.shape} is not a multiple of {block}²")
    parts = array.reshape(*array.shape[:-1], array.shape[-1] // block**2, block**2)
    return np.moveaxis(parts, -1, -2).reshape(array.shape)
