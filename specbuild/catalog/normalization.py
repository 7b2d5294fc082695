"""Normalization: layers that bring values to mean zero and variance one, to length one, or to another scale.

FLOPs count per value 1 for the mean, 3 for the variance (a difference, its square and a sum) where they are taken from
the input, 2 for applying them, and 1 each for `scale` and `center`.
"""

from typing import Annotated, TypeAlias

from pydantic import Field, field_validator

from specbuild.catalog.axes import MixesAxes, OverAxes, lengths, named_axes
from specbuild.catalog.axis_values import Axes, Axis
from specbuild.catalog.base import Layer
from specbuild.catalog.list_values import OneOrList
from specbuild.catalog.objects import Constraint, Initializer, Regularizer
from specbuild.catalog.shapes import Dim, Shape, ShapeError, Weight, show, times
from specbuild.catalog.values import Flag, PositiveNumber, Real, Share, Whole, read_default, refuse, written

_GROUPS = Whole(1, words="a positive whole number, or -1 for one group a channel")


Factors: TypeAlias = Annotated[
    float | tuple[float, ...], OneOrList(Real(), "a number, or a list of one for each channel", 1)
]
"""One number, or one for each entry of the last axis."""


class _Affine(OverAxes):
    """A normalization followed by a learned factor and offset."""

    epsilon: PositiveNumber = Field(0.001, description="Added to the variance, against division by zero.")
    center: Flag = Field(True, description="Whether a learned offset, beta, is added.")
    scale: Flag = Field(True, description="Whether a learned factor, gamma, is applied.")
    beta_initializer: Initializer = read_default("zeros", "First values of the offset.")
    gamma_initializer: Initializer = read_default("ones", "First values of the factor.")
    beta_regularizer: Regularizer = Field(None, description="Penalty on the offset.")
    gamma_regularizer: Regularizer = Field(None, description="Penalty on the factor.")
    beta_constraint: Constraint = Field(None, description="Limit on the offset.")
    gamma_constraint: Constraint = Field(None, description="Limit on the factor.")

    keeps_rank = True
    needs_lengths = True

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        shape = lengths(inputs[0], self.axis)
        wanted = (("gamma", self.scale), ("beta", self.center))
        return tuple(self.weight(name, *shape) for name, there in wanted if there)

    def flops(self, *inputs: Shape) -> Dim:
        return times(1 + 3 + 2 + self.scale + self.center, *inputs[0])


class BatchNormalization(_Affine):
    """Normalize each channel over the batch and all other axes; after training, by moving mean and variance."""

    axis: Axis = Field(-1, description="The channel axis.")
    momentum: Share = Field(0.99, description="How much of the moving statistics a training step keeps.")
    moving_mean_initializer: Initializer = read_default("zeros", "First values of the moving mean.")
    moving_variance_initializer: Initializer = read_default("ones", "First values of the moving variance.")
    renorm: Flag = Field(False, description="Whether training uses moving statistics too (batch renormalization).")
    renorm_clipping: dict[str, float] | None = Field(None, description="Bounds rmax, rmin and dmax of renorm.")
    renorm_momentum: Share = Field(0.99, description="Momentum of renorm's statistics.")
    synchronized: Flag = Field(False, description="Whether statistics are shared by all replicas (TensorFlow only).")

    pointwise = True

    @field_validator("renorm_clipping", mode="before")
    @classmethod
    def _bounds(cls, value: object) -> object:
        if value is not None and not (isinstance(value, dict) and set(value) <= {"rmax", "rmin", "dmax"}):
            refuse("mapping", f"expected null or {{rmax: …, rmin: …, dmax: …}}, got {written(value)}")
        return value

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        moving = ("moving_mean", "moving_variance")
        renorm = ("moving_stddev", "renorm_mean", "renorm_stddev") if self.renorm else ()
        shape = lengths(inputs[0], self.axis)
        return (*super().weights(*inputs), *(Weight(name, shape, trainable=False) for name in (*moving, *renorm)))

    def flops(self, *inputs: Shape) -> Dim:
        """A multiply-add per value: mean, variance, scale and center are constants of the channel in use."""
        return times(2, *inputs[0])


class LayerNormalization(_Affine, MixesAxes):
    """Normalize each sample over the named axes, separately at each position of the others."""

    axis: Axes = Field(-1, description="The axis, or axes, that are normalized over.")


class GroupNormalization(_Affine):
    """Normalize each sample over groups of channels and all other axes; groups: -1 is one group per channel."""

    groups: int = Field(32, description="How many groups the channels are split into; -1: one for each channel.")
    axis: Axis = Field(-1, description="The channel axis.")

    @field_validator("groups", mode="before")
    @classmethod
    def _count(cls, value: object) -> int:
        return -1 if value == -1 else _GROUPS.read(value)

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        (channels,) = lengths(inputs[0], self.axis)
        if self.groups != -1 and channels % self.groups:
            divisors = [count for count in range(1, min(self.groups, channels) + 1) if channels % count == 0]
            message = f"cannot split {channels} channels into {self.groups} groups"
            more = f"; {channels} is not a multiple of {self.groups}"
            help = f"set groups to a divisor of {channels}, such as {divisors[-1]}"
            raise self.unfit(message, inputs[0], more, argument="groups", help=help)


class RMSNormalization(MixesAxes):
    """Divide by the root mean square over the named axes, and apply a learned factor."""

    axis: Axes = Field(-1, description="The axis, or axes, that are normalized over.")
    epsilon: PositiveNumber = Field(1e-6, description="Added to the mean square, against division by zero.")

    needs_lengths = True

    def check(self, *inputs: Shape) -> None:
        """Refuses also axes that are not the last ones: there Keras fails on the first batch, or mixes the axes up."""
        super().check(*inputs)
        count, named = len(inputs[0]), named_axes(self.axis)
        if [axis % (count + 1) for axis in named] != list(range(count + 1 - len(named), count + 1)):
            message = f"{self.label} normalizes only over the last axes"
            reason = f"axis is {written(self.axis)}, and its input is {show(inputs[0])}"
            help = "leave axis out, or move the axis to the end with Permute"
            raise ShapeError(message, reason=reason, argument="axis", help=help)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return (self.weight("scale", *lengths(inputs[0], self.axis)),)

    def flops(self, *inputs: Shape) -> Dim:
        """Per value a square, a sum, the division and the factor."""
        return times(4, *inputs[0])


class UnitNormalization(MixesAxes):
    """Divide by the Euclidean norm along the named axes."""

    axis: Axes = Field(-1, description="The axis, or axes, along which the length becomes one.")

    def flops(self, *inputs: Shape) -> Dim:
        """Per value a square, a sum and the division."""
        return times(3, *inputs[0])


class Rescaling(Layer):
    """`x · scale + offset`, with one number or one per channel."""

    scale: Factors = Field(description="The factor, or one for each channel (the last axis).")
    offset: Factors = Field(0.0, description="The offset, or one for each channel.")

    keeps_rank = True
    pointwise = True

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        for name in ("scale", "offset"):
            values = getattr(self, name)
            count = len(values) if isinstance(values, tuple) else 1
            if count > 1 and (not inputs[0] or inputs[0][-1] not in (None, count)):
                message = f"{name} of {self.label} has {count} numbers, which is not one for each channel"
                reason = f"its input is {show(inputs[0])}, the channels being the last axis"
                raise ShapeError(message, reason=reason, argument=name)

    def flops(self, *inputs: Shape) -> Dim:
        """A multiply-add for each value."""
        return times(2, *inputs[0])
