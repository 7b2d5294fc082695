"""What one step of every convolutional recurrence is made of, for one, two or three spatial axes.

A step is a convolution of the input, which does not depend on the step before and can be done for all steps at once
(`project`), and the recurrence itself (`step`). Inside, channels come last.

Shape comments: N batch, T time, H W the spatial axes of the input, P Q those of the state, C channels of the input,
F filters, G gates.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from specbuild.model.backend import keras

ops = keras.ops

Shape: TypeAlias = tuple[int | None, ...]
Tensors: TypeAlias = Sequence[Any]

EPSILON = 1e-12
"""What layer normalization adds to the variance, as in the TensorFlow-1 cell."""


class ConvCell(keras.layers.Layer):  # type: ignore[misc]
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
    states: ClassVar[int]
    normalized: ClassVar[int]
    """How many tensors of a step are normalized."""

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        recurrent_kernel_size: int | Sequence[int] | None = None,
        normalization: str = "none",
        use_input: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rank, self.filters = rank, filters
        self.kernel_size = each_axis("kernel_size", kernel_size, rank)
        self.strides = each_axis("strides", strides, rank)
        self.padding = one_of("padding", padding.lower(), "valid", "same")
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        self.dilation_rate = each_axis("dilation_rate", dilation_rate, rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(f"expected strides or dilation_rate of 1, got {self.strides} and {self.dilation_rate}")
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        self.seed, self.seed_generator = seed, keras.random.SeedGenerator(seed)
        self.recurrent_kernel_size = each_axis("recurrent_kernel_size", recurrent_kernel_size or kernel_size, rank)
        self.normalization = one_of("normalization", normalization, "none", "layer")
        self.use_input = use_input
        self.state_size = [filters] * self.states

    def build(self, inputs_shape: Shape, states_shape: Any = None) -> None:  # noqa: ARG002
        """Makes the weights for frames `(N, H, W, C)`, whose axes must be known but for the batch."""
        if None in inputs_shape[1:]:
            raise ValueError(f"{type(self).__name__} needs frames of a known size, got {inputs_shape}")
        self.frame_shape = tuple(inputs_shape[1:])
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
        self.built = True

    def call(self, inputs: Any, states: Tensors, training: bool = False) -> tuple[Any, list[Any]]:
        """One step on a frame; dropout, where there is any, is drawn anew.

        Args:
            inputs: a frame (N, H, W, C), in the order of `data_format`, as are the states.
            states: the tensors of the state, each (N, P, Q, F).
            training: whether inputs and states are dropped.

        Returns:
            The output (N, P, Q, F) and the new state.
        """
        frame, inside = self.inward(inputs), [self.inward(state) for state in states]
        masks = self.masks(frame, self.dropout, training), self.masks(inside[0], self.recurrent_dropout, training)
        output, new = self.step(self.project(frame, masks[0]), inside, masks[1])
        return self.outward(output), [self.outward(state) for state in new]

    def project(self, frames: Any, masks: Tensors | None = None) -> Any:
        """The input's share of all gates, bias included: `(N, …, H, W, C)` → `(N, …, P, Q, G·F)`.

        Frames of any number of steps go through one convolution. Without an input, H and W become 1.
        """
        if self.kernel is None:
            point = ops.zeros_like(frames[(..., *[slice(0, 1)] * (self.rank + 1))])
            convolved = ops.repeat(point, self.gates * self.filters, axis=-1)
        else:
            convolved = _masked(self._convolve, frames, self.kernel, masks)
        bias = self.input_bias
        return convolved if bias is None else convolved + bias

    def step(self, projected: Any, states: Tensors, masks: Tensors | None = None) -> tuple[Any, list[Any]]:
        """One step of the recurrence, channels last.

        Args:
            projected: what `project` made of the step's frame, (N, P, Q, G·F).
            states: (N, P, Q, F) each.
            masks: what is dropped of the state, one mask for each gate.
        """
        raise NotImplementedError

    def masks(self, like: Any, rate: float, training: bool) -> list[Any] | None:
        """A dropout mask for each gate, in the shape of `like`; None where nothing is dropped."""
        if not training or not rate:
            return None
        ones = ops.ones_like(like)
        return [keras.random.dropout(ones, rate, seed=self.seed_generator) for _ in range(self.gates)]

    def compute_output_shape(self, inputs_shape: Shape, states_shape: Any = None) -> tuple[Shape, list[Shape]]:  # noqa: ARG002
        lengths = inputs_shape[2:] if self.channels_first else inputs_shape[1:-1]
        if self.use_input:
            axes = zip(lengths, self.kernel_size, self.strides, self.dilation_rate, strict=True)
            lengths = tuple(_positions(*axis, self.padding) for axis in axes)
        frame = (self.filters, *lengths) if self.channels_first else (*lengths, self.filters)
        shape = (inputs_shape[0], *frame)
        return shape, [shape] * self.states

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        shape = self.compute_output_shape((batch_size, *self.frame_shape))[0]
        return [ops.zeros(shape, dtype=self.compute_dtype) for _ in range(self.states)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rank": self.rank, **self.arguments()}

    def arguments(self) -> dict[str, Any]:
        """What the cell was made with, but for `rank`, as plain values that can be saved."""
        return {name: _saved(name, getattr(self, name)) for name in argument_names(type(self))}

    @property
    def channels_first(self) -> bool:
        return bool(self.data_format == "channels_first")

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

    def inward(self, tensor: Any) -> Any:
        """A frame, a sequence of frames or a state, with its channels moved to the end."""
        return ops.moveaxis(tensor, -self.rank - 1, -1) if self.channels_first else tensor

    def outward(self, tensor: Any) -> Any:
        """The reverse of `inward`."""
        return ops.moveaxis(tensor, -1, -self.rank - 1) if self.channels_first else tensor

    def convolve_state(self, state: Any, kernel: Any, masks: Tensors | None) -> Any:
        """The state's share of the gates whose kernels are given: `(N, P, Q, F)` → `(N, P, Q, gates·F)`."""
        return _masked(_keep_size, state, kernel, masks)

    def normalize(self, place: int, x: Any) -> Any:
        """Layer normalization over all axes of each sample, with row `place` of gamma and beta, if the cell has any.

        The gradient of a constant x, such as frames without any rain, is taken as if its variance were one: with ε
        alone it would grow by 10⁶ in every step back.
        """
        if self.normalization == "none":
            return x
        dtype = "float32" if self.compute_dtype in ("float16", "bfloat16") else self.compute_dtype
        wide = ops.cast(x, dtype)
        axes = tuple(range(1, self.rank + 2))
        centred = wide - ops.mean(wide, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=axes, keepdims=True)
        scale = ops.rsqrt(ops.where(variance > 0, variance, ops.ones_like(variance)) + EPSILON)
        normal = ops.cast(centred * scale, self.compute_dtype) * self.gamma[place]
        return normal if self.beta is None else normal + self.beta[place]

    def _convolve(self, frames: Any, kernel: Any) -> Any:
        lead = len(frames.shape) - self.rank - 1
        lengths = [n if n is not None else ops.shape(frames)[at] for at, n in enumerate(frames.shape[:lead])]
        flat = frames if lead == 1 else ops.reshape(frames, (-1, *frames.shape[lead:]))
        convolved = ops.conv(flat, kernel, self.strides, self.padding, "channels_last", self.dilation_rate)
        return convolved if lead == 1 else ops.reshape(convolved, (*lengths, *convolved.shape[1:]))

    def _weight(self, name: str, shape: Shape, initializer: Any, kind: str = "kernel") -> Any:
        regularizer, constraint = getattr(self, f"{kind}_regularizer"), getattr(self, f"{kind}_constraint")
        return self.add_weight(
            shape=shape, name=name, initializer=initializer, regularizer=regularizer, constraint=constraint
        )

    def _first_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """`bias_initializer`, but ones for the gates that start there."""
        first = self.bias_initializer(shape, dtype=dtype)
        gate = np.arange(math.prod(shape)).reshape(shape) // self.filters
        return ops.where(np.isin(gate, self.gates_from_one), ops.ones_like(first), first)


def argument_names(cell: type[Any]) -> tuple[str, ...]:
    """The arguments of a cell class besides `rank`, those of its base first."""
    classes = [base for base in reversed(cell.__mro__) if issubclass(base, ConvCell) and "__init__" in vars(base)]
    named = [name for base in classes for name in inspect.signature(base).parameters]
    return tuple(name for name in dict.fromkeys(named) if name not in ("rank", "kwargs"))


def each_axis(name: str, value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """One number for every axis."""
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank or min(values) < 1:
        raise ValueError(f"expected {name} to be a positive whole number or {rank} of them, got {value!r}")
    return values


def one_of(name: str, value: str, *choices: str) -> str:
    if value not in choices:
        raise ValueError(f"expected {name} to be {' or '.join(choices)}, got {value!r}")
    return value


def _masked(convolve: Callable[[Any, Any], Any], x: Any, kernel: Any, masks: Tensors | None) -> Any:
    """One convolution for all gates, or one for each where each has a mask of its own."""
    if masks is None:
        return convolve(x, kernel)
    kernels = ops.split(kernel, len(masks), axis=-1)
    return ops.concatenate([convolve(x * mask, one) for mask, one in zip(masks, kernels, strict=True)], axis=-1)


def _keep_size(state: Any, kernel: Any) -> Any:
    return ops.conv(state, kernel, padding="same", data_format="channels_last")


def _positions(length: int | None, size: int, stride: int, dilation: int, padding: str) -> int | None:
    if length is None:
        return None
    return -(-length // stride) if padding == "same" else (length - (size - 1) * dilation - 1) // stride + 1


_FAMILIES = {
    "activation": keras.activations,
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
    "constraint": keras.constraints,
}


def _saved(name: str, value: Any) -> Any:
    family = _FAMILIES.get(name.rpartition("_")[2])
    return value if family is None or value is None else family.serialize(value)
