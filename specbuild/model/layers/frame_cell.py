"""Base class of the cells over frames: axes, weights and saving.

Inside, channels come last. Shape comments: N batch, T time, H W the spatial axes of the input, P Q those of the state,
C channels of the input, F filters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, TypeAlias

from specbuild.catalog import KINDS, KerasObject, Recurrent, Shape
from specbuild.catalog.generic import FAMILIES
from specbuild.model.backend import Registered, keras
from specbuild.model.layers.base import entry_of, output_shape
from specbuild.model.objects import MODULES

ops = keras.ops

Tensors: TypeAlias = Sequence[Any]


class FrameCell(Registered, keras.layers.Layer):  # type: ignore[misc]
    """One step of a recurrence over frames: `project` reads the input, `step` does what needs the state.

    Arguments, weights and shapes are those of the kind in the catalog, `entry`; all arguments are saved.

    Args:
        rank: how many spatial axes there are.
        filters: channels of the state; what else it can be, the kind says.
        kernel_size: extent of the input's kernel.
        data_format: where the channels of inputs, states and outputs stand; default: what Keras is set to.
        arguments: those of the kind, and those of every Keras layer.
    """

    family: ClassVar[str]
    """The name of the kinds in the catalog without the number of axes: `ConvLSTM`."""
    cell_name: ClassVar[str]
    """What the Keras layer of the cell is called: `conv_lstm_cell`."""
    groups: ClassVar[Mapping[str, str]] = {
        "kernel": "kernel",
        "recurrent_kernel": "recurrent",
        "bias": "bias",
        "beta": "bias",
        "gamma": "gamma",
    }
    """Which initializer, regularizer and constraint each weight has: `recurrent` for `recurrent_initializer`."""
    gamma_initializer, gamma_regularizer, gamma_constraint = "ones", None, None
    kernel: Any = None
    bias: Any = None
    gamma: Any = None
    beta: Any = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0

    def __init__(
        self, rank: int, filters: Any, kernel_size: Any, data_format: str | None = None, **arguments: Any
    ) -> None:
        names = argument_names(self.family, rank)
        given = {name: arguments.pop(name) for name in names if name in arguments}
        given |= {"filters": filters, "kernel_size": kernel_size}
        given["data_format"] = data_format or keras.config.image_data_format()
        super().__init__(**arguments)
        kind = KINDS[f"{self.family}{rank}D"]
        self.rank = rank
        self.entry: Any = entry_of(kind, {name: value for name, value in given.items() if module_of(name) is None})
        if "seed" in names:
            # The first to be drawn, as in Keras's cell, so that one global seed gives both the same weights.
            self.seed_generator = keras.random.SeedGenerator(given.get("seed"))
        for name in names:
            setattr(self, name, self._argument(name, given))

    def _argument(self, name: str, given: Mapping[str, Any]) -> Any:
        module = module_of(name)
        if module is None:
            return getattr(self.entry, name)
        default = type(self.entry).model_fields[name].default
        return module.get(given.get(name, default.name if isinstance(default, KerasObject) else default))

    def build(self, inputs_shape: Shape, states_shape: Any = None) -> None:  # noqa: ARG002
        """Make the weights for frames `(N, H, W, C)`, whose axes must be known but for the batch.

        Raises:
            ValueError: frames of an unknown size, or smaller than the kernel.
        """
        sequence = (1, *inputs_shape[1:])
        output_shape(self.entry, sequence)
        self.state_shape = self.entry.state_shape(sequence)
        for weight in self.entry.weights(sequence):
            group = self.groups[weight.name.rstrip("_0123456789")]
            variable = self.add_weight(
                shape=weight.shape,
                name=weight.name,
                initializer=self.initializer(weight.name, group),
                regularizer=getattr(self, f"{group}_regularizer"),
                constraint=getattr(self, f"{group}_constraint"),
            )
            setattr(self, weight.name, variable)
        self.built = True

    def initializer(self, weight: str, group: str) -> Any:  # noqa: ARG002 - one of several kinds of answer
        """Return what gives a weight of a group its first values."""
        return getattr(self, f"{group}_initializer")

    def call(self, inputs: Any, states: Tensors, training: bool = False) -> tuple[Any, list[Any]]:
        """Run one step on a frame, with new masks of dropout where there is any.

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
        """Compute what does not depend on the state, for frames of any number of steps.

        `(N, …, H, W, C)` → `(N, …, P, Q, projected)`.
        """
        raise NotImplementedError

    def step(self, projected: Any, states: Tensors, masks: Tensors | None = None) -> tuple[Any, list[Any]]:
        """Run one step of the recurrence, channels last.

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
        filters = self.entry.filters
        return int(filters if isinstance(filters, int) else filters[0])

    @property
    def state_size(self) -> list[int]:
        return [self.width] * len(self.entry.state_names)

    def masks(self, like: Any, rate: float, training: bool) -> list[Any] | None:  # noqa: ARG002
        """Return dropout masks in the shape of `like`; None where nothing is dropped."""
        return None

    def compute_output_shape(self, inputs_shape: Shape, states_shape: Any = None) -> tuple[Shape, list[Shape]]:  # noqa: ARG002
        shape = (inputs_shape[0], *self.entry.state_shape((1, *inputs_shape[1:])))
        return shape, [shape] * len(self.state_size)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        return [ops.zeros((batch_size, *self.state_shape), dtype=self.compute_dtype) for _ in self.state_size]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rank": self.rank, **self.arguments()}

    def arguments(self) -> dict[str, Any]:
        """Return what the cell was made with, but for `rank`, as plain values that can be saved."""
        return {name: _saved(name, getattr(self, name)) for name in argument_names(self.family, self.rank)}

    def inward(self, tensor: Any) -> Any:
        """Return a frame, a sequence of frames or a state with its channels moved to the end."""
        return ops.moveaxis(tensor, -self.rank - 1, -1) if self.entry.channels_first else tensor

    def outward(self, tensor: Any) -> Any:
        """Undo `inward`."""
        return ops.moveaxis(tensor, -1, -self.rank - 1) if self.entry.channels_first else tensor

    def unread(self, frames: Any) -> Any:
        """Return what `project` gives of frames that are not read: zeros (N, …, 1, 1, projected), for all places."""
        point = ops.zeros_like(frames[(..., *[slice(0, 1)] * (self.rank + 1))])
        return ops.repeat(point, self.projected, axis=-1)

    def standardized(self, x: Any, epsilon: float) -> Any:
        """Return each frame of each sample with mean zero and variance one over all its axes.

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


def convolve(
    frames: Any, kernel: Any, strides: Sequence[int] = (), padding: str = "same", dilation: Sequence[int] = ()
) -> Any:
    """Convolve frames of any number of steps at once: `(N, …, H, W, C)` → `(N, …, P, Q, F)`, channels last."""
    rank = len(kernel.shape) - 2
    lead = len(frames.shape) - rank - 1
    lengths = [n if n is not None else ops.shape(frames)[at] for at, n in enumerate(frames.shape[:lead])]
    flat = frames if lead == 1 else ops.reshape(frames, (-1, *frames.shape[lead:]))
    convolved = ops.conv(flat, kernel, tuple(strides) or 1, padding, "channels_last", tuple(dilation) or 1)
    return convolved if lead == 1 else ops.reshape(convolved, (*lengths, *convolved.shape[1:]))


OF_THE_LAYER = frozenset(
    {*Recurrent.model_fields, "activity_regularizer", "go_backwards", "stateful", "zero_output_for_mask", "remat"}
)
"""Arguments of a recurrent layer that are not those of its cell."""


@cache
def argument_names(family: str, rank: int) -> tuple[str, ...]:
    """Return the arguments of a cell besides `rank`."""
    return tuple(name for name in KINDS[f"{family}{rank}D"].model_fields if name not in OF_THE_LAYER)


def module_of(name: str) -> Any:
    """Return the module of Keras that the object in an argument is from; None for a plain value."""
    family = FAMILIES.get(name.rpartition("_")[2])
    return None if family is None else MODULES[family]


def _saved(name: str, value: Any) -> Any:
    module = module_of(name)
    return value if module is None or value is None else module.serialize(value)
