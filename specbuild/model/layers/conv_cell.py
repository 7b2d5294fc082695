"""What one step of every convolutional recurrence is made of, for one, two or three spatial axes.

A step is a convolution of the input, which does not depend on the step before and can be done for all steps at once
(`project`), and the recurrence itself (`step`). Inside, channels come last.

Shape comments: N batch, T time, H W the spatial axes of the input, P Q those of the state, C channels of the input,
F filters, G gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from specbuild.model.backend import keras
from specbuild.model.layers.frame_cell import FrameCell, Shape, Tensors, convolve, each_axis, one_of

ops = keras.ops

EPSILON = 1e-12
"""What layer normalization adds to the variance, as in the TensorFlow-1 cell."""


class ConvCell(FrameCell):
    """A cell whose products are convolutions; subclasses say what its gates do.

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

    gates: ClassVar[int]
    normalized: ClassVar[int]
    """How many tensors of a step are normalized."""

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        dilation_rate: int | Sequence[int] = 1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        recurrent_kernel_size: int | Sequence[int] | None = None,
        normalization: str = "none",
        use_input: bool = True,
        **kwargs: Any,
    ) -> None:
        # The first to be drawn, as in Keras's cell, so that one global seed gives both the same weights.
        seeds = keras.random.SeedGenerator(seed)
        super().__init__(rank, filters, kernel_size, **kwargs)
        self.seed, self.seed_generator = seed, seeds
        self.strides = each_axis("strides", strides, rank)
        self.padding = one_of("padding", padding.lower(), "valid", "same")
        self.dilation_rate = each_axis("dilation_rate", dilation_rate, rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(f"expected strides or dilation_rate of 1, got {self.strides} and {self.dilation_rate}")
        self.dropout = fraction("dropout", dropout)
        self.recurrent_dropout = fraction("recurrent_dropout", recurrent_dropout)
        self.recurrent_kernel_size = each_axis("recurrent_kernel_size", recurrent_kernel_size or kernel_size, rank)
        self.normalization = one_of("normalization", normalization, "none", "layer")
        self.use_input = use_input

    def build(self, inputs_shape: Shape, states_shape: Any = None) -> None:  # noqa: ARG002
        """Makes the weights for frames `(N, H, W, C)`, whose axes must be known but for the batch."""
        super().build(inputs_shape)
        channels = inputs_shape[1 if self.channels_first else -1]
        width = self.gates * self.filters
        self.kernel: Any = None
        if self.use_input:
            shape = (*self.kernel_size, channels, width)
            self.kernel = self._weight("kernel", shape, self.kernel_initializer)
        shape = (*self.recurrent_kernel_size, self.filters, width)
        self.recurrent_kernel = self._weight("recurrent_kernel", shape, self.recurrent_initializer, "recurrent")
        self.bias: Any = None
        self.gamma: Any = None
        self.beta: Any = None
        if self.normalization == "layer":
            shape = (self.normalized, self.filters)
            self.gamma = self.add_weight(shape=shape, name="gamma", initializer="ones")
            if self.use_bias:
                self.beta = self._weight("beta", shape, self._first_bias, "bias")
        elif self.use_bias:
            self.bias = self._weight("bias", self.bias_shape, self._first_bias, "bias")

    def project(self, frames: Any, masks: Tensors | None = None) -> Any:
        """The input's share of all gates, bias included: `(N, …, H, W, C)` → `(N, …, P, Q, G·F)`.

        Frames of any number of steps go through one convolution. Without an input, H and W become 1.
        """
        convolved = self.unread(frames) if self.kernel is None else _masked(self._convolve, frames, self.kernel, masks)
        bias = self.input_bias
        return convolved if bias is None else convolved + bias

    @property
    def projected(self) -> int:
        return self.gates * self.width

    def masks(self, like: Any, rate: float, training: bool) -> list[Any] | None:
        """A dropout mask for each gate, in the shape of `like`; None where nothing is dropped."""
        if not training or not rate:
            return None
        ones = ops.ones_like(like)
        return [keras.random.dropout(ones, rate, seed=self.seed_generator) for _ in range(self.gates)]

    def lengths(self, space: Shape) -> Shape:
        if not self.use_input:
            return space
        axes = zip(space, self.kernel_size, self.strides, self.dilation_rate, strict=True)
        return tuple(_positions(*axis, self.padding) for axis in axes)

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.filters,)

    @property
    def input_bias(self) -> Any:
        """The bias that goes with the input's convolution."""
        return self.bias

    @property
    def gates_from_one(self) -> tuple[int, ...]:
        """The gates, by their place in the weights, whose bias starts at one."""
        raise NotImplementedError

    def convolve_state(self, state: Any, kernel: Any, masks: Tensors | None) -> Any:
        """The state's share of the gates whose kernels are given: `(N, P, Q, F)` → `(N, P, Q, gates·F)`."""
        return _masked(convolve, state, kernel, masks)

    def normalize(self, place: int, x: Any) -> Any:
        """Layer normalization over all axes of each sample, with row `place` of gamma and beta, if the cell has any."""
        if self.normalization == "none":
            return x
        normal = self.standardized(x, EPSILON) * self.gamma[place]
        return normal if self.beta is None else normal + self.beta[place]

    def _convolve(self, frames: Any, kernel: Any) -> Any:
        return convolve(frames, kernel, self.strides, self.padding, self.dilation_rate)

    def _first_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """`bias_initializer`, but ones for the gates that start there."""
        first = self.bias_initializer(shape, dtype=dtype)
        gate = np.arange(math.prod(shape)).reshape(shape) // self.filters
        return ops.where(np.isin(gate, self.gates_from_one), ops.ones_like(first), first)


def fraction(name: str, value: float) -> float:
    """A rate of dropout."""
    if not 0 <= value < 1:
        raise ValueError(f"expected {name} to be a fraction from 0 to below 1, got {value!r}")
    return value


def _masked(apply: Callable[[Any, Any], Any], x: Any, kernel: Any, masks: Tensors | None) -> Any:
    """One convolution for all gates, or one for each where each has a mask of its own."""
    if masks is None:
        return apply(x, kernel)
    kernels = ops.split(kernel, len(masks), axis=-1)
    return ops.concatenate([apply(x * mask, one) for mask, one in zip(masks, kernels, strict=True)], axis=-1)


def _positions(length: int | None, size: int, stride: int, dilation: int, padding: str) -> int | None:
    if length is None:
        return None
    return -(-length // stride) if padding == "same" else (length - (size - 1) * dilation - 1) // stride + 1
