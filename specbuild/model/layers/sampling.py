"""Reading frames between their pixels."""

from __future__ import annotations

from typing import Any

from specbuild.model.backend import keras

ops = keras.ops


def read_at(frames: Any, rows: Any, columns: Any, outside: float | None = 0.0) -> Any:
    """Return frames at places between pixels: `(N, H, W, F)` and twice `(N, h, w, L)` → `(N, h, w, L, F)`.

    Bilinear, and differentiable with respect to frames and places.

    Args:
        rows: in pixels, of single precision at least; 0 is the middle of the first row.
        columns: likewise.
        outside: the value beyond the border; None: that at the edge.
    """
    height, width = ops.shape(frames)[1:3]
    top, down = _whole_and_rest(rows, height, outside)
    left, right = _whole_and_rest(columns, width, outside)

    # A margin: one pixel before, two after, so that every place and its neighbors exist.
    padded = ops.pad(frames, [(0, 0), (1, 2), (1, 2), (0, 0)], constant_values=outside or 0.0)
    pixels = ops.reshape(padded, (-1, frames.shape[-1]))
    first = _numbers(frames) * ((height + 3) * (width + 3))
    place = ops.reshape(first, (-1, 1, 1, 1)) + (top + 1) * (width + 3) + (left + 1)  # (N, h, w, L)

    total = 0
    for below, across, share in [
        (0, 0, (1 - down) * (1 - right)),
        (0, 1, (1 - down) * right),
        (1, 0, down * (1 - right)),
        (1, 1, down * right),
    ]:
        corner = ops.take(pixels, place + (below * (width + 3) + across), axis=0)  # (N, h, w, L, F)
        total = total + corner * ops.expand_dims(ops.cast(share, frames.dtype), -1)
    return total


def _numbers(frames: Any) -> Any:
    """Return the number of each sample in its batch, (N,), also while a graph for any batch size is traced."""
    count = ops.shape(frames)[0]
    if count is not None:
        return ops.arange(count, dtype="int32")
    return ops.cumsum(ops.ones_like(frames[:, 0, 0, 0], dtype="int32"), axis=0) - 1


def single(tensor: Any) -> Any:
    """Return numbers that can say places: of single precision at least."""
    return ops.cast(tensor, "float32") if tensor.dtype in ("float16", "bfloat16") else tensor


def _whole_and_rest(places: Any, length: Any, outside: float | None) -> tuple[Any, Any]:
    """The pixel before each position along an axis, from −1 to `length`, and the distance of the position from it.

    Where the values at the edge go on beyond it, no position is.
    """
    beyond = 0 if outside is None else 1
    last = length - 1 + beyond
    inside = ops.clip(places, -beyond, last if isinstance(last, int) else ops.cast(last, places.dtype))
    before = ops.floor(inside)
    return ops.cast(before, "int32"), inside - before
