"""Convolutions over one, two and three spatial axes: plain, transposed, depthwise and separable.

Each of the four is written once, over any number of axes; the kinds at the end of each part only say how many.
"""

from math import prod
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from specbuild.catalog.objects import Activation, Constraint, Initializer, Regularizer
from specbuild.catalog.receptive_field import ReceptiveField, spread, windows
from specbuild.catalog.shapes import Dim, Shape, ShapeError, Weight, show, size, times
from specbuild.catalog.spatial import LENGTHS, EachAxis, Formatted, window_length, window_span
from specbuild.catalog.values import (
    CausalPadding,
    Flag,
    NonNegativeInts1,
    NonNegativeInts2,
    NonNegativeInts3,
    Padding,
    PositiveInt,
    read_default,
    refuse,
    written,
)

NON_NEGATIVE = EachAxis(NonNegativeInts1, NonNegativeInts2, NonNegativeInts3)
"""A whole number of at least 0 for each axis."""


class _Window(Formatted):
    """Arguments of every convolution."""

    kernel_size: Annotated[tuple[int, ...], LENGTHS] = Field(description="Extent of the kernel.")
    strides: Annotated[tuple[int, ...], LENGTHS] = read_default(1, "Step between kernel positions.")
    padding: Padding = Field(
        "valid", description="Whether the kernel may reach beyond the border (same) or not (valid)."
    )
    dilation_rate: Annotated[tuple[int, ...], LENGTHS] = read_default(1, "Distance between the kernel's entries.")
    activation: Activation | None = Field(None, description="Function applied to the output.")
    use_bias: Flag = Field(True, description="Whether a learned value is added to each output channel.")
    bias_initializer: Initializer = read_default("zeros", "First values of the bias.")
    bias_regularizer: Regularizer | None = Field(None, description="Penalty on the bias.")
    bias_constraint: Constraint | None = Field(None, description="Limit on the bias.")
    activity_regularizer: Regularizer | None = Field(None, description="Penalty on the output.")

    keeps_rank = True
    strided_dilation: ClassVar[bool] = False
    """Whether Keras takes strides and dilation above 1 together."""

    @field_validator("dilation_rate")
    @classmethod
    def _strides_or_dilation(cls, value: Any, info: ValidationInfo) -> Any:
        strides = info.data.get("strides", (1,))
        if not cls.strided_dilation and max(value) > 1 and max(strides) > 1:
            refuse(
                "dilation",
                f"expected 1, because strides is {_each(strides)} and {cls.__name__} takes strides or dilation, "
                f"not both; got {_each(value)}",
            )
        return value

    @property
    def spans(self) -> tuple[int, ...]:
        """How far the kernel reaches along each axis, dilation included."""
        return tuple(window_span(*pair) for pair in zip(self.kernel_size, self.dilation_rate, strict=True))

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        self.known_channels(inputs[0])
        if self.padding == "valid":
            self.refuse_window(inputs[0], self.kernel_size, "kernel_size", self.dilation_rate)

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.join(self.positions(inputs[0]), self.output_channels(inputs[0]))

    def output_channels(self, x: Shape) -> int:
        """Channels of the output."""
        raise NotImplementedError

    def positions(self, x: Shape) -> Shape:
        """How many positions the kernel takes along each axis."""
        steps = zip(self.split(x)[0], self.spans, self.strides, strict=True)
        return tuple(window_length(*step, self.padding) for step in steps)

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        lengths = self.split(inputs[0])[0]
        axes = zip(self.spatial_axes, lengths, self.positions(inputs[0]), self.spans, self.strides, strict=True)
        return (self.spatial_field(tuple(windows(*axis, self.padding) for axis in axes)),)

    def bias(self, x: Shape) -> tuple[Weight, ...]:
        """The bias, where there is one."""
        return (self.weight("bias", self.output_channels(x)),) if self.use_bias else ()


class _Kernel(_Window):
    """A convolution with one kernel over all channels."""

    filters: PositiveInt = Field(description="Channels of the output.")
    kernel_initializer: Initializer = read_default("glorot_uniform", "First values of the kernel.")
    kernel_regularizer: Regularizer | None = Field(None, description="Penalty on the kernel.")
    kernel_constraint: Constraint | None = Field(None, description="Limit on the kernel.")

    def output_channels(self, x: Shape) -> int:  # noqa: ARG002 - one of several kinds of answer
        return self.filters


class _Convolution(_Kernel):
    """A weighted sum of every window. `(H, W, C)` → `(H', W', filters)`."""

    groups: PositiveInt = Field(
        1, description="Number of groups that channels are split into, each with separate filters."
    )

    @field_validator("groups")
    @classmethod
    def _groups_divide_filters(cls, value: int, info: ValidationInfo) -> int:
        filters = info.data.get("filters", 0)
        if filters % value:
            refuse("groups", f"expected a divisor of filters, which is {filters}, got {value}")
        return value

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        channels = self.known_channels(inputs[0])
        if channels % self.groups:
            message = f"{self.label} cannot split {channels} channels into {self.groups} groups"
            reason = f"its input is {show(inputs[0])}; {channels} is no multiple of {self.groups}"
            raise ShapeError(message, reason=reason, argument="groups")

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels = self.known_channels(inputs[0]) // self.groups
        kernel = self.weight("kernel", *self.kernel_size, channels, self.filters)
        return (kernel, *self.bias(inputs[0]))

    def flops(self, *inputs: Shape) -> Dim:
        """For each output value a multiply-add per kernel entry and channel of its group, and its bias."""
        channels = self.known_channels(inputs[0]) // self.groups
        each = 2 * channels * prod(self.kernel_size) + self.use_bias
        return times(each, *self.output_shape(*inputs))


class Conv1D(_Convolution, spatial=1):
    """Convolution along one axis."""

    padding: CausalPadding = Field(  # type: ignore[assignment]  # one word more than the other kinds
        "valid", description="Padding on both sides (same), only before the start (causal), or none (valid)."
    )


class Conv2D(_Convolution, spatial=2):
    """Convolution over height and width."""


class Conv3D(_Convolution, spatial=3):
    """Convolution over three axes: time or depth, height and width."""


class _Transpose(_Kernel):
    """The transpose of a convolution: every input value adds a kernel. `(H, W, C)` → `(sH, sW, filters)` for `same`."""

    output_padding: Annotated[tuple[int, ...] | None, NON_NEGATIVE] = Field(
        None, description="Entries added to one side of the output; less than the strides."
    )

    @field_validator("output_padding")
    @classmethod
    def _less_than_strides(cls, value: Any, info: ValidationInfo) -> Any:
        strides = info.data.get("strides")
        if value is not None and strides and any(extra >= step for extra, step in zip(value, strides, strict=True)):
            refuse("output_padding", f"expected less than strides, which is {_each(strides)}, got {_each(value)}")
        return value

    def check(self, *inputs: Shape) -> None:
        # Any input is large enough here, so only its rank and channels matter.
        Formatted.check(self, *inputs)
        self.known_channels(inputs[0])
        spans = zip(self.spans, self.output_padding or (1,) * self.spatial, strict=True)
        even = [span for span, extra in spans if span % 2 == 0 and extra == 0]
        if self.padding == "same" and even:
            message = f"{self.label} cannot pad to same with output_padding 0 and a kernel that spans {even[0]}"
            reason = "the output would be one entry too short for its input, and TensorFlow fails on the first batch"
            help = "leave output_padding out, set it to 1 or more, or take an odd kernel_size"
            raise ShapeError(message, reason=reason, argument="output_padding", help=help)

    def positions(self, x: Shape) -> Shape:
        """Lengths of the output: L·s for `same`, (L − 1)·s + max(span, s) for `valid`.

        With `output_padding` p: (L − 1)·s + (span mod 2) + p for `same`, (L − 1)·s + span + p for `valid`.
        """
        extras = self.output_padding or (None,) * self.spatial
        axes = zip(self.split(x)[0], self.spans, self.strides, extras, strict=True)
        return tuple(_spread(*axis, self.padding) for axis in axes)

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        lengths = self.split(inputs[0])[0]
        axes = zip(self.spatial_axes, lengths, self.positions(inputs[0]), self.spans, self.strides, strict=True)
        return (self.spatial_field(tuple(spread(*axis, self.padding) for axis in axes)),)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        kernel = self.weight("kernel", *self.kernel_size, self.filters, self.known_channels(inputs[0]))
        return (kernel, *self.bias(inputs[0]))

    def flops(self, *inputs: Shape) -> Dim:
        """For each input value a multiply-add per kernel entry and filter; for each output value its bias."""
        spread = times(2 * self.filters * prod(self.kernel_size), *inputs[0])
        bias = size(self.output_shape(*inputs)) if self.use_bias else 0
        return None if spread is None or bias is None else spread + bias


class Conv1DTranspose(_Transpose, spatial=1):
    """Transposed convolution along one axis."""


class Conv2DTranspose(_Transpose, spatial=2):
    """Transposed convolution over height and width."""


class Conv3DTranspose(_Transpose, spatial=3):
    """Transposed convolution over three axes."""


class _Depthwise(_Window):
    """A convolution of each channel by itself. `(H, W, C)` → `(H', W', C · depth_multiplier)`."""

    depth_multiplier: PositiveInt = Field(1, description="Outputs of the depthwise step for each input channel.")
    depthwise_initializer: Initializer = read_default("glorot_uniform", "First values of the depthwise kernel.")
    depthwise_regularizer: Regularizer | None = Field(None, description="Penalty on the depthwise kernel.")
    depthwise_constraint: Constraint | None = Field(None, description="Limit on the depthwise kernel.")

    strided_dilation = True
    depthwise_name: ClassVar[str] = "kernel"
    """What Keras calls the depthwise kernel."""

    def output_channels(self, x: Shape) -> int:
        return self.depthwise_channels(x)

    def depthwise_channels(self, x: Shape) -> int:
        """Channels after the depthwise step."""
        return self.known_channels(x) * self.depth_multiplier

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return (self.depthwise_kernel(inputs[0]), *self.bias(inputs[0]))

    def depthwise_kernel(self, x: Shape) -> Weight:
        """A kernel for each channel and multiple."""
        return self.weight(self.depthwise_name, *self.kernel_size, self.known_channels(x), self.depth_multiplier)

    def flops(self, *inputs: Shape) -> Dim:
        """For each output value a multiply-add per kernel entry, and its bias."""
        return times(2 * prod(self.kernel_size) + self.use_bias, *self.output_shape(*inputs))


class DepthwiseConv1D(_Depthwise, spatial=1):
    """Convolution of each channel by itself, along one axis."""


class DepthwiseConv2D(_Depthwise, spatial=2):
    """Convolution of each channel by itself, over height and width."""


class _Separable(_Depthwise):
    """A depthwise convolution, then a 1×1 convolution that mixes channels. `(H, W, C)` → `(H', W', filters)`."""

    filters: PositiveInt = Field(description="Channels of the output.")
    pointwise_initializer: Initializer = read_default("glorot_uniform", "First values of the pointwise kernel.")
    pointwise_regularizer: Regularizer | None = Field(None, description="Penalty on the pointwise kernel.")
    pointwise_constraint: Constraint | None = Field(None, description="Limit on the pointwise kernel.")

    depthwise_name = "depthwise_kernel"

    def output_channels(self, x: Shape) -> int:  # noqa: ARG002 - one of several kinds of answer
        return self.filters

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        ones = (1,) * self.spatial
        pointwise = self.weight("pointwise_kernel", *ones, self.depthwise_channels(inputs[0]), self.filters)
        return (self.depthwise_kernel(inputs[0]), pointwise, *self.bias(inputs[0]))

    def flops(self, *inputs: Shape) -> Dim:
        """At each position a multiply-add per depthwise kernel entry, one per pointwise entry, and the biases."""
        mixed = self.depthwise_channels(inputs[0])
        each = 2 * mixed * (prod(self.kernel_size) + self.filters) + self.use_bias * self.filters
        return times(each, *self.positions(inputs[0]))


class SeparableConv1D(_Separable, spatial=1):
    """Depthwise, then 1×1 convolution along one axis."""


class SeparableConv2D(_Separable, spatial=2):
    """Depthwise, then 1×1 convolution over height and width."""


def _each(numbers: tuple[int, ...]) -> str:
    """One number per axis, or the one that they all are."""
    return written(numbers[0] if len(set(numbers)) == 1 else numbers)


def _spread(length: Dim, span: int, stride: int, extra: int | None, padding: str) -> Dim:
    if length is None:
        return None
    if extra is None:
        return length * stride if padding == "same" else (length - 1) * stride + max(span, stride)
    return (length - 1) * stride + (span % 2 if padding == "same" else span) + extra
