"""Recurrent layers: LSTM, GRU and SimpleRNN over sequences of vectors, ConvLSTM over sequences of frames.

Each cell's equations stand above its weights and its arithmetic; x is the input of a step, h and c the state, ∗ a
convolution (a matrix product for vectors) and ∘ the product of elements.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, field_validator

from specbuild.catalog.base import Recurrent
from specbuild.catalog.checks import refuse, written
from specbuild.catalog.fields import Flag, Fraction, Ints1, Ints2, Ints3, NonNegativeInt, Padding, PositiveInt
from specbuild.catalog.objects import Activation, Constraint, Initializer, Regularizer
from specbuild.catalog.shapes import Dim, Shape, ShapeError, Weight, show, size, times
from specbuild.catalog.sight import Along, Sight, everything, known, moved, same, widened, windows
from specbuild.catalog.spatial import AXIS_NAMES, Formatted, window_length, window_span


def _use_cudnn(value: Any) -> bool | str:
    if not isinstance(value, bool) and value != "auto":
        refuse("choice", f"expected true, false or auto, got {written(value)}")
    return value  # type: ignore[no-any-return]  # one of the three


UseCudnn = Annotated[
    bool | Literal["auto"], PlainValidator(_use_cudnn), WithJsonSchema({"enum": [True, False, "auto"]})
]


class _Cell(Recurrent):
    """What every recurrent layer takes, and the two sums that each is made of.

    A step costs the input's share and the state's share of every gate, and arithmetic on single elements.
    """

    activation: Activation = Field(
        "tanh", validate_default=True, description="Function applied to the candidate and the output."
    )
    use_bias: Flag = Field(True, description="Whether the gates have a bias.")
    kernel_initializer: Initializer = Field(
        "glorot_uniform",
        validate_default=True,
        description="First values of the kernel, which is applied to the input.",
    )
    recurrent_initializer: Initializer = Field(
        "orthogonal",
        validate_default=True,
        description="First values of the recurrent kernel, which is applied to the state.",
    )
    bias_initializer: Initializer = Field("zeros", validate_default=True, description="First values of the bias.")
    kernel_regularizer: Regularizer = Field(None, description="Penalty on the kernel.")
    recurrent_regularizer: Regularizer = Field(None, description="Penalty on the recurrent kernel.")
    bias_regularizer: Regularizer = Field(None, description="Penalty on the bias.")
    activity_regularizer: Regularizer = Field(None, description="Penalty on the output.")
    kernel_constraint: Constraint = Field(None, description="Limit on the kernel.")
    recurrent_constraint: Constraint = Field(None, description="Limit on the recurrent kernel.")
    bias_constraint: Constraint = Field(None, description="Limit on the bias.")
    dropout: Fraction = Field(0.0, description="Fraction of the input that training drops in each step.")
    recurrent_dropout: Fraction = Field(0.0, description="Fraction of the state that training drops in each step.")
    seed: NonNegativeInt | None = Field(None, description="Seed of the dropout.")
    go_backwards: Flag = Field(False, description="Whether the sequence is read from its end; outputs are reversed.")
    stateful: Flag = Field(False, description="Whether a batch starts from the state that the batch before it left.")

    state_names: ClassVar[tuple[str, ...]] = ("h",)
    kept: ClassVar[int]
    """Tensors of the state's size that training keeps for each step: the gates, the state and what lies between."""

    def state_shape(self, x: Shape) -> Shape:
        """The shape of h, which is that of every state and gate."""
        raise NotImplementedError

    def step_flops(self, x: Shape) -> int:
        """Operations of one step."""
        raise NotImplementedError

    def sequence_shape(self, x: Shape) -> Shape:
        return (x[0], *self.state_shape(x))

    def state_shapes(self, x: Shape) -> dict[str, Shape]:
        return dict.fromkeys(self.state_names, self.state_shape(x))

    def flops(self, *inputs: Shape) -> Dim:
        return times(inputs[0][0], self.step_flops(inputs[0]))

    def saved_elements(self, *inputs: Shape) -> Dim:
        """The gates, the state and their products, for every step."""
        return times(self.kept, size(self.sequence_shape(*inputs)))

    def receptive_field(self, *inputs: Shape) -> tuple[Sight, ...]:
        """Every step sees itself and the steps before it; backward outputs, which are reversed, are taken as all."""
        steps = known(inputs[0][0])
        past = None if self.go_backwards else Along(0, tuple((0, step) for step in range(steps)))
        return ((past, *moved(self.frame_sight(inputs[0]), 1)),)

    def frame_sight(self, x: Shape) -> Sight:
        """What a value of the last step sees of each frame: most of the first one, whose trace has spread furthest."""
        return everything(x[1:])

    def weight(self, name: str, *shape: int) -> Weight:
        """A weight that is trained if the layer is."""
        return Weight(name, shape, self.trainable)


class _Vectors(_Cell):
    """A recurrence over vectors: `(T, C)` → `(T, units)`."""

    units: PositiveInt = Field(description="Length of the state and the output.")
    unroll: Flag = Field(False, description="Whether the steps are written out instead of looped: fast, but large.")

    gates: ClassVar[int]

    @property
    def ranks(self) -> tuple[int, ...]:
        return (2,)

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        steps, channels = inputs[0]
        if channels is None:
            raise ShapeError(
                f"{self.label} needs to know how many channels its input has", reason=f"its input is {show(inputs[0])}"
            )
        if self.unroll and steps is None:
            raise ShapeError(
                f"{self.label} can unroll only a known number of steps",
                reason=f"its input is {show(inputs[0])} (time, channels)",
                argument="unroll",
            )

    def state_shape(self, x: Shape) -> Shape:  # noqa: ARG002 - a frame's state depends on the input
        return (self.units,)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        width = self.gates * self.units
        kernel = self.weight("kernel", _channels(inputs[0]), width)
        return (kernel, self.weight("recurrent_kernel", self.units, width), *self.bias())

    def bias(self) -> tuple[Weight, ...]:
        """The bias, where there is one."""
        return (self.weight("bias", self.gates * self.units),) if self.use_bias else ()

    def step_flops(self, x: Shape) -> int:
        products = 2 * (_channels(x) + self.units) * self.gates * self.units
        return products + sum(weight.size for weight in self.bias()) + self.element_flops * self.units

    @property
    def element_flops(self) -> int:
        """Operations on each element of the state besides the products and the bias."""
        raise NotImplementedError


class LSTM(_Vectors):
    """Long short-term memory.

    i, f, o = σ(W x + U h + b); g = tanh(W x + U h + b); c′ = f∘c + i∘g; h′ = o∘tanh(c′). The order of the gates in
    the weights is i, f, g, o.
    """

    recurrent_activation: Activation = Field(
        "sigmoid", validate_default=True, description="Function applied to the gates."
    )
    unit_forget_bias: Flag = Field(True, description="Whether the forget gate's bias starts at one.")
    use_cudnn: UseCudnn = Field("auto", description="Whether a GPU runs the fused kernel.")

    state_names = ("h", "c")
    gates = 4
    kept = 7  # i, f, g, o, c′, tanh(c′), h′

    @property
    def element_flops(self) -> int:
        """One sum in each gate, two products and a sum for c′, a product for h′."""
        return 4 + 3 + 1


class GRU(_Vectors):
    """Gated recurrent unit.

    z, r = σ(W x + U h + b); g = tanh(W x + r∘(U h) + b), or with `reset_after: false` tanh(W x + U (r∘h) + b);
    h′ = z∘h + (1 − z)∘g. The order of the gates in the weights is z, r, g; with `reset_after` W and U each have a bias.
    """

    recurrent_activation: Activation = Field(
        "sigmoid", validate_default=True, description="Function applied to the gates."
    )
    reset_after: Flag = Field(True, description="Whether the reset gate is applied after the recurrent product.")
    use_cudnn: UseCudnn = Field("auto", description="Whether a GPU runs the fused kernel.")

    gates = 3
    kept = 5  # z, r, what r gates, g, h′

    def bias(self) -> tuple[Weight, ...]:
        shape = (2, 3 * self.units) if self.reset_after else (3 * self.units,)
        return (self.weight("bias", *shape),) if self.use_bias else ()

    @property
    def element_flops(self) -> int:
        """One sum in each of z, r and g, the product with r, and four operations for h′."""
        return 3 + 1 + 4


class SimpleRNN(_Vectors):
    """The plain recurrence: h′ = tanh(W x + U h + b)."""

    gates = 1
    kept = 1

    @property
    def element_flops(self) -> int:
        """The sum of the two products."""
        return 1


class _ConvLSTM(_Cell, Formatted):
    """LSTM whose products are convolutions (Shi et al. 2015, arXiv 1506.04214), without peepholes.

    `(T, H, W, C)` → `(T, H′, W′, filters)`. i, f, o = σ(W∗x + U∗h + b); g = tanh(W∗x + U∗h + b); c′ = f∘c + i∘g;
    h′ = o∘tanh(c′). W∗x has the strides, padding and dilation; U∗h keeps the state's size. The order of the gates in
    the weights is i, f, g, o.
    """

    filters: PositiveInt = Field(description="Channels of the state and the output.")
    kernel_size: tuple[int, ...] = Field(description="Extent of both kernels.")
    strides: tuple[int, ...] = Field((1,), description="Step of the input's kernel.")
    padding: Padding = Field("valid", description="Whether the input's kernel may reach beyond the border (same).")
    dilation_rate: tuple[int, ...] = Field((1,), description="Distance between the entries of the input's kernel.")
    recurrent_activation: Activation = Field(
        "sigmoid", validate_default=True, description="Function applied to the gates."
    )
    unit_forget_bias: Flag = Field(True, description="Whether the forget gate's bias starts at one.")

    state_names = ("h", "c")
    kept = 7  # i, f, g, o, c′, tanh(c′), h′

    @field_validator("dilation_rate")
    @classmethod
    def _strides_or_dilation(cls, value: Any, info: Any) -> Any:
        strides = info.data.get("strides", (1,))
        if max(value) > 1 and max(strides) > 1:
            refuse(
                "dilation",
                f"expected 1, because strides is {written(strides)} and {cls.__name__} takes strides or dilation, "
                f"not both; got {written(value)}",
            )
        return value

    @property
    def ranks(self) -> tuple[int, ...]:
        return (self.spatial + 2,)

    def check(self, *inputs: Shape) -> None:
        Recurrent.check(self, *inputs)
        frame = inputs[0][1:]
        self.known_channels(frame)
        for name, length in zip(AXIS_NAMES[self.spatial], self.split(frame)[0], strict=True):
            if length is None:
                raise ShapeError(
                    f"{self.label} needs to know the {name} of its frames",
                    reason=f"its input is {show(inputs[0])}, and its state has a fixed size",
                    help=f"write the {name} in the input's shape; time alone may be left open",
                )
        if self.padding == "valid":
            self.refuse_window(frame, self.kernel_size, "kernel_size", self.dilation_rate)

    def state_shape(self, x: Shape) -> Shape:
        lengths = self.split(x[1:])[0]
        spans = (window_span(*pair) for pair in zip(self.kernel_size, self.dilation_rate, strict=True))
        steps = zip(lengths, spans, self.strides, strict=True)
        return self.join(tuple(window_length(*step, self.padding) for step in steps), self.filters)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        width = 4 * self.filters
        channels = self.known_channels(inputs[0][1:])
        bias = (self.weight("bias", width),) if self.use_bias else ()
        recurrent = self.weight("recurrent_kernel", *self.kernel_size, self.filters, width)
        return (self.weight("kernel", *self.kernel_size, channels, width), recurrent, *bias)

    def frame_sight(self, x: Shape) -> Sight:
        """The window of the input's kernel, widened by the recurrent kernel in every step after the first."""
        lengths, positions = self.split(x[1:])[0], self.split(self.state_shape(x))[0]
        spans = (window_span(*pair) for pair in zip(self.kernel_size, self.dilation_rate, strict=True))
        axes = zip(self.spatial_axes, lengths, positions, spans, self.strides, strict=True)
        return self.sight(self._spread(tuple(windows(*axis, self.padding) for axis in axes), known(x[0]) - 1))

    def state_sight(self, x: Shape) -> dict[str, Sight]:
        """The recurrent kernel's window, once for every step."""
        positions = self.split(self.state_shape(x))[0]
        own = tuple(same(at, length) for at, length in zip(self.spatial_axes, positions, strict=True))
        return dict.fromkeys(self.state_names, moved(self.sight(self._spread(own, known(x[0]))), 1))

    def _spread(self, axes: tuple[Along, ...], steps: int) -> tuple[Along, ...]:
        """The axes after so many convolutions of the state, each with the smaller half of its kernel in front."""
        pairs = zip(axes, self.kernel_size, strict=True)
        return tuple(widened(axis, steps * ((k - 1) // 2), steps * (k // 2)) for axis, k in pairs)

    def step_flops(self, x: Shape) -> int:
        """For each element of the state both convolutions, the bias and the sum of each gate; then 4 for c′ and h′."""
        entries = prod(self.kernel_size) * (self.known_channels(x[1:]) + self.filters)
        elements = prod(length for length in self.state_shape(x) if length is not None)
        return elements * (4 * (2 * entries + self.use_bias + 1) + 4)


class ConvLSTM1D(_ConvLSTM):
    """ConvLSTM over frames with one spatial axis."""

    kernel_size: Ints1 = Field(description="Extent of both kernels.")
    strides: Ints1 = Field((1,), description="Step of the input's kernel.")
    dilation_rate: Ints1 = Field((1,), description="Distance between the entries of the input's kernel.")
    spatial = 1


class ConvLSTM2D(_ConvLSTM):
    """ConvLSTM over images."""

    kernel_size: Ints2 = Field(description="Extent of both kernels.")
    strides: Ints2 = Field((1, 1), description="Step of the input's kernel.")
    dilation_rate: Ints2 = Field((1, 1), description="Distance between the entries of the input's kernel.")
    spatial = 2


class ConvLSTM3D(_ConvLSTM):
    """ConvLSTM over volumes."""

    kernel_size: Ints3 = Field(description="Extent of both kernels.")
    strides: Ints3 = Field((1, 1, 1), description="Step of the input's kernel.")
    dilation_rate: Ints3 = Field((1, 1, 1), description="Distance between the entries of the input's kernel.")
    spatial = 3


def _channels(x: Shape) -> int:
    channels = x[-1]
    assert channels is not None, "check refuses it"
    return channels


KINDS: tuple[type[Recurrent], ...] = (ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, LSTM, GRU, SimpleRNN)
