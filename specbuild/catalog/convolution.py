"""Convolutions over one, two and three spatial axes: plain, transposed, depthwise and separable.

Each of the four is written once, over any number of axes; the kinds at the end of each part only say how many.
"""

from math import prod
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from specbuild.catalog.axis_values import NON_NEGATIVE
from specbuild.catalog.kernel import WithBias, WithKernel
from specbuild.catalog.objects import Constraint, Initializer, Regularizer
from specbuild.catalog.receptive_field import AxisField, ReceptiveField, spread
from specbuild.catalog.shapes import Dim, Shape, ShapeError, Weight, plus, size, times
from specbuild.catalog.spatial import Strided, each_written
from specbuild.catalog.values import CausalPadding, PositiveInt, read_default, refuse


class _Window(Strided, WithBias):
    """A layer that slides a kernel over its input; what it does not name is common to all convolutions."""

    keeps_rank = True

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        self.known_channels(inputs[0])
        self.refuse_small(inputs[0])

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.join(self.positions(inputs[0]), self.output_channels(inputs[0]))

    def output_channels(self, x: Shape) -> int:
        """Channels of the output."""
        raise NotImplementedError

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return (self.spatial_field(self.axis_fields(inputs[0])),)


class _Kernel(_Window, WithKernel):
    """A convolution with one kernel over all channels."""

    filters: PositiveInt = Field(description="Channels of the output.")

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
            message = f"cannot split {channels} channels into {self.groups} groups"
            raise self.unfit(message, inputs[0], f"; {channels} is not a multiple of {self.groups}", argument="groups")

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels = self.known_channels(inputs[0]) // self.groups
        kernel = self.weight("kernel", *self.kernel_size, channels, self.filters)
        return (kernel, *self.bias(self.output_channels(inputs[0])))

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
            refuse(
                "output_padding",
                f"expected less than strides, which is {each_written(strides)}, got {each_written(value)}",
            )
        return value

    def check(self, *inputs: Shape) -> None:
        # Any input is large enough here, so only its rank and channels matter.
        Strided.check(self, *inputs)
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

    def axis_fields(self, x: Shape) -> tuple[AxisField, ...]:
        axes = zip(self.spatial_axes, self.split(x)[0], self.positions(x), self.spans, self.strides, strict=True)
        return tuple(spread(*axis, self.padding) for axis in axes)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        kernel = self.weight("kernel", *self.kernel_size, self.filters, self.known_channels(inputs[0]))
        return (kernel, *self.bias(self.output_channels(inputs[0])))

    def flops(self, *inputs: Shape) -> Dim:
        """For each input value a multiply-add per kernel entry and filter; for each output value its bias."""
        spread = times(2 * self.filters * prod(self.kernel_size), *inputs[0])
        return plus(spread, size(self.output_shape(*inputs)) if self.use_bias else 0)


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
        return (self.depthwise_kernel(inputs[0]), *self.bias(self.output_channels(inputs[0])))

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
        return (self.depthwise_kernel(inputs[0]), pointwise, *self.bias(self.output_channels(inputs[0])))

    def flops(self, *inputs: Shape) -> Dim:
        """At each position a multiply-add per depthwise kernel entry, one per pointwise entry, and the biases."""
        mixed = self.depthwise_channels(inputs[0])
        each = 2 * mixed * (prod(self.kernel_size) + self.filters) + self.use_bias * self.filters
        return times(each, *self.positions(inputs[0]))


class SeparableConv1D(_Separable, spatial=1):
    """Depthwise, then 1×1 convolution along one axis."""


class SeparableConv2D(_Separable, spatial=2):
    """Depthwise, then 1×1 convolution over height and width."""


def _spread(length: Dim, span: int, stride: int, extra: int | None, padding: str) -> Dim:
    if length is None:
        return None
    if extra is None:
        return length * stride if padding == "same" else (length - 1) * stride + max(span, stride)
    return (length - 1) * stride + (span % 2 if padding == "same" else span) + extra
