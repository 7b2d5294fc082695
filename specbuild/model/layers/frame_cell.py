"""What every cell over frames has: its axes, its weights, and how it is saved.

Inside, channels come last. Shape comments: N batch, T time, H W the spatial axes of the input, P Q those of the state,
C channels of the input, F filters.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, TypeAlias

from specbuild.model.backend import keras

ops = keras.ops

Shape: TypeAlias = tuple[int | None, ...]
Tensors: TypeAlias = Sequence[Any]


class FrameCell(keras.layers.Layer):  # type: ignore[misc]
    """One step of a recurrence over frames: `project` reads the input, `step` does what needs the state.

    Subclasses make their weights in `build`, and may have arguments of their own: all are saved. Unless one says
    otherwise, the state is `states` tensors of the size of the input, with `width` channels.
    """

    states: int
    """How many tensors the state is."""
    dropout: float = 0.0
    recurrent_dropout: float = 0.0

    def __init__(
        self,
        rank: int,
        filters: Any,
        kernel_size: int | Sequence[int],
        data_format: str | None = None,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rank, self.filters = rank, filters
        self.kernel_size = each_axis("kernel_size", kernel_size, rank)
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
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

    def build(self, inputs_shape: Shape, states_shape: Any = None) -> None:  # noqa: ARG002
        """Takes note of the frames `(N, H, W, C)`, whose axes must be known but for the batch."""
        if None in inputs_shape[1:]:
            raise ValueError(f"{type(self).__name__} needs frames of a known size, got {inputs_shape}")
        self.frame_shape = tuple(inputs_shape[1:])
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
        """What does not depend on the state, for frames of any number of steps.

        `(N, …, H, W, C)` → `(N, …, P, Q, projected)`.
        """
        raise NotImplementedError

    def step(self, projected: Any, states: Tensors, masks: Tensors | None = None) -> tuple[Any, list[Any]]:
        """One step of the recurrence, channels last.

        Args:
            projected: what `project` made of the step's frame, (N, P, Q, projected).
            states: (N, P, Q, F) each.
            masks: what is dropped of the state.

        Returns:
            The output (N, P, Q, F) and the new state.
        """
        raise NotImplementedError

    @property
    def projected(self) -> int:
        """Channels of what `project` gives."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        """Channels of the state and the output, F."""
        return int(self.filters)

    @property
    def state_size(self) -> list[int]:
        return [self.width] * self.states

    def masks(self, like: Any, rate: float, training: bool) -> list[Any] | None:  # noqa: ARG002
        """Dropout masks in the shape of `like`; None where nothing is dropped."""
        return None

    def compute_output_shape(self, inputs_shape: Shape, states_shape: Any = None) -> tuple[Shape, list[Shape]]:  # noqa: ARG002
        lengths = self.lengths(inputs_shape[2:] if self.channels_first else inputs_shape[1:-1])
        frame = (self.width, *lengths) if self.channels_first else (*lengths, self.width)
        shape = (inputs_shape[0], *frame)
        return shape, [shape] * self.states

    def lengths(self, space: Shape) -> Shape:
        """The spatial axes of the state, from those of the input."""
        return space

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

    def inward(self, tensor: Any) -> Any:
        """A frame, a sequence of frames or a state, with its channels moved to the end."""
        return ops.moveaxis(tensor, -self.rank - 1, -1) if self.channels_first else tensor

    def outward(self, tensor: Any) -> Any:
        """The reverse of `inward`."""
        return ops.moveaxis(tensor, -1, -self.rank - 1) if self.channels_first else tensor

    def unread(self, frames: Any) -> Any:
        """What `project` gives of frames that are not read: zeros (N, …, 1, 1, projected), for all places at once."""
        point = ops.zeros_like(frames[(..., *[slice(0, 1)] * (self.rank + 1))])
        return ops.repeat(point, self.projected, axis=-1)

    def standardized(self, x: Any, epsilon: float) -> Any:
        """Each frame of each sample with mean zero and variance one over all its axes.

        The gradient of a constant x, such as frames without any rain, is taken as if its variance were one: with ε
        alone it would grow by ε^−½ in every step back.
        """
        dtype = "float32" if self.compute_dtype in ("float16", "bfloat16") else self.compute_dtype
        wide = ops.cast(x, dtype)
        axes = tuple(range(-self.rank - 1, 0))
        centred = wide - ops.mean(wide, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=axes, keepdims=True)
        scale = ops.rsqrt(ops.where(variance > 0, variance, ops.ones_like(variance)) + epsilon)
        return ops.cast(centred * scale, self.compute_dtype)

    def _weight(self, name: str, shape: Shape, initializer: Any, kind: str = "kernel") -> Any:
        regularizer, constraint = getattr(self, f"{kind}_regularizer"), getattr(self, f"{kind}_constraint")
        return self.add_weight(
            shape=shape, name=name, initializer=initializer, regularizer=regularizer, constraint=constraint
        )


def convolve(
    frames: Any, kernel: Any, strides: Sequence[int] = (), padding: str = "same", dilation: Sequence[int] = ()
) -> Any:
    """One convolution of frames of any number of steps: `(N, …, H, W, C)` → `(N, …, P, Q, F)`, channels last."""
    rank = len(kernel.shape) - 2
    lead = len(frames.shape) - rank - 1
    lengths = [n if n is not None else ops.shape(frames)[at] for at, n in enumerate(frames.shape[:lead])]
    flat = frames if lead == 1 else ops.reshape(frames, (-1, *frames.shape[lead:]))
    convolved = ops.conv(flat, kernel, tuple(strides) or 1, padding, "channels_last", tuple(dilation) or 1)
    return convolved if lead == 1 else ops.reshape(convolved, (*lengths, *convolved.shape[1:]))


def argument_names(cell: type[Any]) -> tuple[str, ...]:
    """The arguments of a cell class besides `rank`, those of its base first."""
    classes = [base for base in reversed(cell.__mro__) if issubclass(base, FrameCell) and "__init__" in vars(base)]
    named = [name for base in classes for name in inspect.signature(base).parameters]
    return tuple(name for name in dict.fromkeys(named) if name not in ("self", "rank", "kwargs"))


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


_FAMILIES = {
    "activation": keras.activations,
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
    "constraint": keras.constraints,
}


def _saved(name: str, value: Any) -> Any:
    family = _FAMILIES.get(name.rpartition("_")[2])
    return value if family is None or value is None else family.serialize(value)
