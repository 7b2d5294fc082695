"""Learned weights for each position: a bias that is added or a factor that is multiplied, one for every pixel."""

from typing import ClassVar

from pydantic import Field

from specbuild.catalog.axes import positions
from specbuild.catalog.axis_values import Axes
from specbuild.catalog.base import Layer
from specbuild.catalog.objects import Constraint, Initializer, Regularizer
from specbuild.catalog.shapes import Dim, Shape, ShapeError, Weight, show, times
from specbuild.catalog.values import read_default


class _Local(Layer):
    """A weight for each value of a sample, or shared along some of its axes."""

    shared_axes: Axes | None = Field(
        None,
        description="Axes along which one weight is shared, such as 1 for all frames or -1 for all channels. "
        "Default: none.",
    )

    package = "specbuild"
    keeps_rank = True
    pointwise = True

    weight_name: ClassVar[str]

    def check(self, *inputs: Shape) -> None:
        """Also refuse axes that the input does not have, and weights along an axis of unknown length."""
        super().check(*inputs)
        shape, named = inputs[0], _listed(self.shared_axes)
        count = len(shape)
        for axis in named:
            if axis == 0 or not -count <= axis <= count:
                fault = "is the batch axis" if axis in (0, -count - 1) else "does not exist"
                message = f"{self.label} cannot share along axis {axis}, which {fault}"
                reason = f"its input is {show(shape)}: its axes are 1 to {count}, or -{count} to -1"
                raise ShapeError(message, reason=reason, argument="shared_axes")
        shared = positions(shape, named)
        if len(shared) < len(named):
            reason = f"shared_axes is {list(named)}, its input {show(shape)}"
            raise ShapeError(f"{self.label} names an axis twice", reason=reason, argument="shared_axes")
        open_axes = [at + 1 for at, length in enumerate(shape) if length is None and at not in shared]
        if open_axes:
            message = f"needs to know the length of axis {open_axes[0]}"
            help = f"share the weights there with shared_axes: {sorted({*(at + 1 for at in shared), *open_axes})}"
            raise self.unfit(message, shape, ", and it has a weight for each value of a sample", help=help)

    def weight_shape(self, shape: Shape) -> tuple[int, ...]:
        """Return the shape of the weight, with length 1 where it is shared."""
        shared = positions(shape, _listed(self.shared_axes))
        return tuple(1 if at in shared else length or 1 for at, length in enumerate(shape))

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return (self.weight(self.weight_name, *self.weight_shape(inputs[0])),)

    def flops(self, *inputs: Shape) -> Dim:
        """One operation for each value."""
        return times(1, *inputs[0])


class LocalBias(_Local):
    """Add a learned bias that differs from position to position: x + b.

    It learns what is particular to a place, such as its climate, which no convolution can tell from another.
    """

    bias_initializer: Initializer = read_default("zeros", "First values of the bias.")
    bias_regularizer: Regularizer = Field(None, description="Penalty on the bias.")
    bias_constraint: Constraint = Field(None, description="Limit on the bias.")

    weight_name = "bias"


class LocalScale(_Local):
    """Multiply by a learned factor that differs from position to position: w ∘ x, like the peepholes of a ConvLSTM."""

    scale_initializer: Initializer = read_default("ones", "First values of the factor.")
    scale_regularizer: Regularizer = Field(None, description="Penalty on the factor.")
    scale_constraint: Constraint = Field(None, description="Limit on the factor.")

    weight_name = "scale"


def _listed(axes: int | tuple[int, ...] | None) -> tuple[int, ...]:
    return (axes,) if isinstance(axes, int) else axes or ()
