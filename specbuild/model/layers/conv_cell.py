"""Base class of the cells of convolutional recurrences, for one, two or three spatial axes.

A step is a convolution of the input, which does not depend on the step before and can be done for all steps at once
(`project`), and the recurrence itself (`step`). Inside, channels come last.

Shape comments: N batch, T time, H W the spatial axes of the input, P Q those of the state, C channels of the input,
F filters, G gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from specbuild.model.backend import keras
from specbuild.model.layers.frame_cell import FrameCell, Tensors, convolve

ops = keras.ops

EPSILON = 1e-12
"""What layer normalization adds to the variance, as in the TensorFlow-1 cell."""


class ConvCell(FrameCell):
    """A cell with convolutions instead of matrix products; subclasses define its gates.

    The arguments and weights that Keras's ConvLSTM cell has are named and laid out as there. Beyond them:

    Args:
        recurrent_kernel_size: extent of the recurrent kernel; default: that of `kernel_size`.
        normalization: `layer` normalizes each gate of each sample over all axes, with a gain and an offset for each
            channel, which take the place of the bias; ε is 1e-12.
        use_input: False for a recurrence that reads nothing (the forecaster of Shi et al. 2015): the input then only
            says how many steps there are, and how large the state.

    Weights, in order: `kernel` (*kernel_size, C, G·F), `recurrent_kernel` (*recurrent_kernel_size, F, G·F), and `bias`
    or, with normalization, `gamma` and `beta`, with a row of F for each tensor that is normalized.
    """

    def __init__(self, rank: int, filters: int, kernel_size: int | Sequence[int], **arguments: Any) -> None:
        super().__init__(rank, filters, kernel_size, **arguments)
        self.recurrent_kernel_size = self.entry.recurrent_kernel

    def project(self, frames: Any, masks: Tensors | None = None) -> Any:
        """Return the input's share of all gates, bias included: `(N, …, H, W, C)` → `(N, …, P, Q, G·F)`.

        Frames of any number of steps go through one convolution. Without an input, H and W become 1.
        """
        convolved = self.unread(frames) if self.kernel is None else _masked(self._convolve, frames, self.kernel, masks)
        bias = self.input_bias
        return (
            convolved if bias is None else ops.add(convolved, bias)
        )  # not +: TensorFlow adds a bias faster than an array

    @property
    def projected(self) -> int:
        return int(self.entry.gates) * self.width

    def masks(self, like: Any, rate: float, training: bool) -> list[Any] | None:
        """Return a dropout mask for each gate, in the shape of `like`; None where nothing is dropped."""
        if not training or not rate:
            return None
        ones = ops.ones_like(like)
        return [keras.random.dropout(ones, rate, seed=self.seed_generator) for _ in range(self.entry.gates)]

    @property
    def input_bias(self) -> Any:
        """The bias that goes with the input's convolution."""
        return self.bias

    @property
    def gates_from_one(self) -> tuple[int, ...]:
        """The gates, by their place in the weights, whose bias starts at one."""
        raise NotImplementedError

    def convolve_state(self, state: Any, kernel: Any, masks: Tensors | None) -> Any:
        """Return the state's share of the gates whose kernels are given: `(N, P, Q, F)` → `(N, P, Q, gates·F)`."""
        return _masked(convolve, state, kernel, masks)

    def normalize(self, place: int, x: Any) -> Any:
        """Normalize over all axes of each sample, with row `place` of gamma and beta, if the cell has any."""
        if self.normalization == "none":
            return x
        normal = self.standardized(x, EPSILON) * self.gamma[place]
        return normal if self.beta is None else normal + self.beta[place]

    def _convolve(self, frames: Any, kernel: Any) -> Any:
        return convolve(frames, kernel, self.strides, self.padding, self.dilation_rate)

    def initializer(self, weight: str, group: str) -> Any:
        return self._first_bias if group == "bias" else super().initializer(weight, group)

    def _first_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return what `bias_initializer` gives, but ones for the gates that start there."""
        first = self.bias_initializer(shape, dtype=dtype)
        gate = np.arange(math.prod(shape)).reshape(shape) // self.filters
        return ops.where(np.isin(gate, self.gates_from_one), ops.ones_like(first), first)


def _masked(apply: Callable[[Any, Any], Any], x: Any, kernel: Any, masks: Tensors | None) -> Any:
    """Apply one convolution for all gates, or one for each where each has a mask of its own."""
    if masks is None:
        return apply(x, kernel)
    kernels = ops.split(kernel, len(masks), axis=-1)
    return ops.concatenate([apply(x * mask, part) for mask, part in zip(masks, kernels, strict=True)], axis=-1)
