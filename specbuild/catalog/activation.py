"""Activations as layers: any by name, and those that have arguments or weights."""

from pydantic import Field

from specbuild.catalog import objects
from specbuild.catalog.axes import MixesAxes
from specbuild.catalog.axis_values import Axes
from specbuild.catalog.base import Layer
from specbuild.catalog.objects import Constraint, Initializer, Regularizer
from specbuild.catalog.shapes import Shape, Weight
from specbuild.catalog.values import NonNegativeNumber, Number, read_default


class _ElementWise(Layer):
    keeps_rank = True
    pointwise = True


class Activation(_ElementWise):
    """Any activation by its name."""

    activation: objects.Activation = Field(description="The function; null is linear.")


class ReLU(_ElementWise):
    """max(x, 0), with an optional upper limit, threshold, and slope below the threshold."""

    max_value: NonNegativeNumber | None = Field(None, description="Ceiling of the output; null is none.")
    negative_slope: NonNegativeNumber = Field(0.0, description="Slope below the threshold.")
    threshold: NonNegativeNumber = Field(0.0, description="Value up to which the input counts as negative.")


class LeakyReLU(_ElementWise):
    """x, or negative_slope · x below zero."""

    negative_slope: NonNegativeNumber = Field(0.3, description="Slope below zero.")


class ELU(_ElementWise):
    """x, or alpha · (eˣ − 1) below zero."""

    alpha: Number = Field(1.0, description="The negative of the limit toward minus infinity.")


class PReLU(_ElementWise):
    """x, or a learned slope times x below zero; one slope for each value of a sample, or shared along axes."""

    alpha_initializer: Initializer = read_default("zeros", "First values of the slopes.")
    alpha_regularizer: Regularizer = Field(None, description="Penalty on the slopes.")
    alpha_constraint: Constraint = Field(None, description="Limit on the slopes.")
    shared_axes: Axes | None = Field(
        None, description="Axes along which the slope is shared; 1 is the first after batch."
    )

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        shape, shared = inputs[0], self._shared
        if any(not 1 <= axis <= len(shape) for axis in shared):
            message = f"cannot share its slopes along axes {list(shared)}"
            raise self.unfit(message, shape, f": its axes are 1 to {len(shape)}", argument="shared_axes")
        open_axes = [axis for axis, length in enumerate(shape, start=1) if length is None and axis not in shared]
        if open_axes:
            message = f"needs to know the length of axis {open_axes[0]}"
            help = f"share the slopes there with shared_axes: {sorted({*shared, *open_axes})}"
            raise self.unfit(message, shape, ", and it has a slope for each value of a sample", help=help)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        shape = tuple(1 if axis in self._shared else length or 1 for axis, length in enumerate(inputs[0], start=1))
        return (self.weight("alpha", *shape),)

    @property
    def _shared(self) -> tuple[int, ...]:
        return (self.shared_axes,) if isinstance(self.shared_axes, int) else self.shared_axes or ()


class Softmax(MixesAxes):
    """Positive values that sum to one along an axis."""

    axis: Axes = Field(-1, description="The axis, or axes, along which the values sum to one.")

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if isinstance(self.axis, int) and (None, *inputs[0])[self.axis] == 1:
            message = "along an axis of length 1 always gives 1"
            help = "for a probability take {layer: Activation, activation: sigmoid}"
            raise self.unfit(message, inputs[0], f", its axis {self.axis}", help=help)
