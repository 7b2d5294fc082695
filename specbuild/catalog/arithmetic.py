"""Arithmetic without weights: functions of every value, bounds, division, matrix products, and reductions."""

from typing import Annotated, Self, TypeAlias

from pydantic import Field, model_validator

from specbuild.catalog.axes import OverAxes, positions
from specbuild.catalog.axis_values import Axes
from specbuild.catalog.base import Layer
from specbuild.catalog.merging import Broadcasting, broadcast, check_two, misfit
from specbuild.catalog.receptive_field import ReceptiveField, same
from specbuild.catalog.shapes import Dim, Shape, ShapeError, show, times
from specbuild.catalog.values import Choice, Flag, Number, refuse, written

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


class MatMul(Layer):
    """Matrix products of two inputs, `(…, I, K)`, `(…, K, J)` → `(…, I, J)`: one for each entry of the axes before.

    The axes before them broadcast as in `Multiply`: an input that lacks some is repeated over the first ones. So the
    scores of an attention with several heads are one product: `(heads, queries, C)`, `(heads, keys, C)` → `(heads,
    queries, keys)` with `transpose_second`.
    """

    transpose_second: Flag = Field(False, description="Whether the last two axes of the second input are exchanged.")

    package = "specbuild"
    arity = "many"

    def check(self, *inputs: Shape) -> None:
        check_two(self, inputs)
        for position, shape in enumerate(inputs, start=1):
            if len(shape) < 2:
                reason = f"input {position} is {show(shape)} (without the batch axis)"
                raise ShapeError(f"{self.label} needs inputs with two axes or more", reason=reason)
        (*lead, _, summed), (*other_lead, other_summed, _) = self._matrices(*inputs)
        if None not in (summed, other_summed) and summed != other_summed:
            back = 1 if self.transpose_second else 2
            reason = f"axis -1 of input 1 is {summed} ({show(inputs[0])}), "
            reason += f"axis -{back} of input 2 is {other_summed} ({show(inputs[1])})"
            fixed = summed == self._matrices(*inputs)[1][-1]
            help = f"write transpose_second: {str(not self.transpose_second).lower()}" if fixed else ""
            raise ShapeError(f"{self.label} needs the same length on the axes it sums over", reason=reason, help=help)
        if (unlike := misfit(tuple(lead), tuple(other_lead))) is not None:
            back, one, other = unlike
            reason = f"it is {one} in input 1 ({show(inputs[0])}) and {other} in input 2 ({show(inputs[1])})"
            message = f"{self.label} cannot match its inputs on axis -{back + 2}"
            raise ShapeError(message, reason=reason, help="lengths must be equal, or one of them 1")

    def output_shape(self, *inputs: Shape) -> Shape:
        (*lead, rows, _), (*other_lead, _, columns) = self._matrices(*inputs)
        return (*broadcast(tuple(lead), tuple(other_lead)), rows, columns)

    def flops(self, *inputs: Shape) -> Dim:
        """A multiply-add for each term."""
        return times(2, *self.output_shape(*inputs), inputs[0][-1])

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        """Each value depends on a row of the first input and a column of the second, at its own place before them."""
        merged, fields = self.output_shape(*inputs), []
        for shape, own, target in zip(inputs, (-2, -2 if self.transpose_second else -1), (-2, -1), strict=True):
            lead = len(merged) - len(shape)
            before = (same(at + lead, n) if n == merged[at + lead] else None for at, n in enumerate(shape[:-2]))
            matrix = {own: same(len(merged) + target, shape[own])}
            fields.append((*before, matrix.get(-2), matrix.get(-1)))
        return tuple(fields)

    def _matrices(self, *inputs: Shape) -> tuple[Shape, Shape]:
        first, second = inputs
        return first, (*second[:-2], second[-1], second[-2]) if self.transpose_second else second


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
