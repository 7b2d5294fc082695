"""Arithmetic without weights: functions of every value, bounds, division, and reductions along axes."""

from typing import Annotated, Self, TypeAlias

from pydantic import Field, model_validator

from specbuild.catalog.axes import OverAxes, positions
from specbuild.catalog.base import Layer
from specbuild.catalog.merging import Broadcasting, check_two
from specbuild.catalog.receptive_field import ReceptiveField, same
from specbuild.catalog.shapes import Dim, Shape, times
from specbuild.catalog.values import Axes, Choice, Flag, Number, refuse, written

FUNCTIONS = (
    *("abs", "ceil", "cos", "exp", "expm1", "floor", "log", "log10", "log1p", "log2"),
    *("negative", "reciprocal", "round", "rsqrt", "sign", "sin", "sqrt", "square"),
)
"""What `Elementwise` can apply; the names are NumPy's, and rsqrt is 1 / √x."""
REDUCTIONS = ("mean", "max", "min", "sum", "std")


Function: TypeAlias = Annotated[str, Choice(*FUNCTIONS)]
Reduction: TypeAlias = Annotated[str, Choice(*REDUCTIONS)]


class Elementwise(Layer):
    """A function applied to every value. Where it is undefined, the result is NaN or infinity, as in NumPy."""

    function: Function = Field(description="The function, by its NumPy name.")

    package = "specbuild"
    keeps_rank = True
    pointwise = True

    def flops(self, *inputs: Shape) -> Dim:
        """One operation for each value."""
        return times(1, *inputs[0])


class Clip(Layer):
    """Clip every value to a range; null leaves one side open."""

    min: Number | None = Field(None, description="Smallest value of the output; null is none.")
    max: Number | None = Field(None, description="Largest value of the output; null is none.")

    package = "specbuild"
    keeps_rank = True
    pointwise = True

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min is None and self.max is None:
            refuse("range", "Clip needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            refuse("range", f"Clip needs a min of at most its max, got {written(self.min)} and {written(self.max)}")
        return self

    def flops(self, *inputs: Shape) -> Dim:
        """One comparison for each value and bound."""
        return times((self.min is not None) + (self.max is not None), *inputs[0])


class Divide(Broadcasting):
    """The first input divided by the second; dividing by zero gives infinity or NaN."""

    package = "specbuild"

    def check(self, *inputs: Shape) -> None:
        check_two(self, inputs)
        super().check(*inputs)


class Reduce(OverAxes):
    """Reduce the named axes to their mean, maximum, minimum, sum or standard deviation.

    `std` divides by the number of values, not by one less. Its gradient is undefined where all of them are equal.
    """

    function: Reduction = Field(description="mean, max, min, sum or std.")
    axis: Axes = Field(description="The axis, or axes, that are reduced; the batch axis is 0, the time axis 1.")
    keepdims: Flag = Field(False, description="Whether reduced axes stay, with length 1.")

    package = "specbuild"

    def output_shape(self, *inputs: Shape) -> Shape:
        reduced = positions(inputs[0], self.axis)
        kept = ((1 if at in reduced else dim, at in reduced) for at, dim in enumerate(inputs[0]))
        return tuple(dim for dim, gone in kept if self.keepdims or not gone)

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        reduced = positions(inputs[0], self.axis)
        ahead = [0 if self.keepdims else sum(gone < at for gone in reduced) for at in range(len(inputs[0]))]
        return (tuple(None if at in reduced else same(at - ahead[at], n) for at, n in enumerate(inputs[0])),)

    def flops(self, *inputs: Shape) -> Dim:
        """One operation for each value of the input; for `std` also its difference, square and their sum."""
        return times(4 if self.function == "std" else 1, *inputs[0])
