"""Dense layers, embeddings, masking and identity."""

from pydantic import Field

from specbuild.catalog.base import Layer
from specbuild.catalog.kernel import WithKernel
from specbuild.catalog.objects import Constraint, Initializer, Regularizer
from specbuild.catalog.receptive_field import ReceptiveField, in_place
from specbuild.catalog.shapes import Dim, Shape, Weight, times
from specbuild.catalog.values import Flag, Number, PositiveInt, read_default


class Dense(WithKernel):
    """A matrix product over the last axis: `(…, C)` → `(…, units)`."""

    units: PositiveInt = Field(description="Channels of the output.")

    keeps_rank = True

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if not inputs[0] or inputs[0][-1] is None:
            message = "needs to know how many channels its input has"
            raise self.unfit(message, inputs[0], ", the channels being the last axis")

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0][:-1], self.units)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels = inputs[0][-1]
        assert channels is not None, "check refuses it"
        return (self.weight("kernel", channels, self.units), *self.bias(self.units))

    def flops(self, *inputs: Shape) -> Dim:
        """For each output value a multiply-add per channel of the input, and its bias."""
        channels = inputs[0][-1]
        return None if channels is None else times(2 * channels + self.use_bias, *self.output_shape(*inputs))

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return (in_place(inputs[0], mixed=(len(inputs[0]) - 1,)),)


class Embedding(Layer):
    """A learned vector for each whole number: `(…)` → `(…, output_dim)`."""

    input_dim: PositiveInt = Field(description="How many numbers there are; the input holds 0 to input_dim - 1.")
    output_dim: PositiveInt = Field(description="Length of the vectors.")
    embeddings_initializer: Initializer = read_default("uniform", "First values of the vectors.")
    embeddings_regularizer: Regularizer = Field(None, description="Penalty on the vectors.")
    embeddings_constraint: Constraint = Field(None, description="Limit on the vectors.")
    mask_zero: Flag = Field(False, description="Whether 0 is padding, which later layers leave out.")

    pointwise = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0], self.output_dim)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:  # noqa: ARG002 - depends on the arguments alone
        return (self.weight("embeddings", self.input_dim, self.output_dim),)


class Masking(Layer):
    """Mask time steps in which every channel has a given value; recurrent layers skip them."""

    mask_value: Number = Field(0.0, description="The value that marks a step as missing.")
    keeps_rank = True

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if len(inputs[0]) < 2:
            raise self.unfit("needs an input with a time axis", inputs[0], " (channels)")

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return (in_place(inputs[0], mixed=(len(inputs[0]) - 1,)),)


class Identity(Layer):
    """The input, unchanged."""

    keeps_rank = True
    keeps_values = True
    pointwise = True
