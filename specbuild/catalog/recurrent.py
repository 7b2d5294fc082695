"""Recurrent layers over sequences of vectors: LSTM, GRU and SimpleRNN; and the base of every recurrence.

Each cell's equations stand above its weights and its arithmetic; x is the input of a step, h and c the state, and ∘ the
product of elements.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from specbuild.catalog.base import Recurrent
from specbuild.catalog.objects import Activation, Constraint, Initializer, Regularizer
from specbuild.catalog.receptive_field import AxisField, ReceptiveField, known, moved
from specbuild.catalog.shapes import Dim, Shape, Weight, size, times
from specbuild.catalog.values import Choice, Flag, Fraction, NonNegativeInt, PositiveInt, read_default

UseCudnn = Annotated[Literal[True, False, "auto"], Choice()]


class PlainCell(Recurrent):
    """Arguments of every recurrent layer, and the costs common to all.

    A step costs the input's share and the state's share of every gate, and arithmetic on single elements.
    """

    activation: Activation = read_default("tanh", "Function applied to the candidate and the output.")
    use_bias: Flag = Field(True, description="Whether the gates have a bias.")
    kernel_initializer: Initializer = read_default(
        "glorot_uniform", "First values of the kernel, which is applied to the input."
    )
    recurrent_initializer: Initializer = read_default(
        "orthogonal", "First values of the recurrent kernel, which is applied to the state."
    )
    bias_initializer: Initializer = read_default("zeros", "First values of the bias.")
    kernel_regularizer: Regularizer = Field(None, description="Penalty on the kernel.")
    recurrent_regularizer: Regularizer = Field(None, description="Penalty on the recurrent kernel.")
    bias_regularizer: Regularizer = Field(None, description="Penalty on the bias.")
    activity_regularizer: Regularizer = Field(None, description="Penalty on the output.")
    kernel_constraint: Constraint = Field(None, description="Limit on the kernel.")
    recurrent_constraint: Constraint = Field(None, description="Limit on the recurrent kernel.")
    bias_constraint: Constraint = Field(None, description="Limit on the bias.")
    go_backwards: Flag = Field(False, description="Whether the sequence is read from its end; outputs are reversed.")
    stateful: Flag = Field(False, description="Whether a batch starts from the state that the batch before it left.")
    zero_output_for_mask: Flag = Field(
        False, description="Whether the output of a masked step is zero instead of that of the step before."
    )

    state_names: ClassVar[tuple[str, ...]] = ("h",)
    kept: ClassVar[int]
    """Tensors of the state's size that training keeps for each step: the gates, the state and intermediate results."""

    def state_shape(self, x: Shape) -> Shape:
        """Return the shape of h, which is that of every state and gate."""
        raise NotImplementedError

    def step_flops(self, x: Shape) -> int:
        """Return the operations of one step."""
        raise NotImplementedError

    def sequence_shape(self, x: Shape) -> Shape:
        return (x[0], *self.state_shape(x))

    def state_shapes(self, x: Shape) -> dict[str, Shape]:
        return dict.fromkeys(self.state_names, self.state_shape(x))

    def flops(self, *inputs: Shape) -> Dim:
        return times(inputs[0][0], self.step_flops(inputs[0]))

    def saved_elements(self, *inputs: Shape) -> Dim:
        """Return the gates, the state and their products, for every step."""
        return times(self.kept, size(self.sequence_shape(*inputs)))

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        """Every step depends on itself and earlier steps; backward outputs, which are reversed, count as on all.

        In space, every step counts as the last, and every frame as the first, which has spread furthest.
        """
        steps = known(inputs[0][0])
        past = None if self.go_backwards else AxisField(0, tuple((0, step) for step in range(steps)))
        return ((past, *moved(self.frame_receptive_field(inputs[0], steps - 1, from_zero=False), 1)),)


class Cell(PlainCell):
    """A recurrence that can drop part of its input and of its state."""

    dropout: Fraction = Field(0.0, description="Fraction of the input that training drops in each step.")
    recurrent_dropout: Fraction = Field(0.0, description="Fraction of the state that training drops in each step.")
    seed: NonNegativeInt | None = Field(None, description="Seed of the dropout.")


class _Vectors(Cell):
    """A recurrence over vectors: `(T, C)` → `(T, units)`."""

    units: PositiveInt = Field(description="Length of the state and the output.")
    unroll: Flag = Field(False, description="Whether the steps are written out instead of looped: fast, but large.")

    gates: ClassVar[int]
    element_flops: ClassVar[int]
    """Operations on each element of the state besides the products and the bias."""

    @property
    def ranks(self) -> tuple[int, ...]:
        return (2,)

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        steps, channels = inputs[0]
        if channels is None:
            raise self.unfit("needs to know how many channels its input has", inputs[0])
        if self.unroll and steps is None:
            message = "can unroll only a known number of steps"
            raise self.unfit(message, inputs[0], " (time, channels)", argument="unroll")

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


class LSTM(_Vectors):
    """Long short-term memory.

    i, f, o = σ(W x + U h + b); g = tanh(W x + U h + b); c′ = f∘c + i∘g; h′ = o∘tanh(c′). The order of the gates in
    the weights is i, f, g, o.
    """

    recurrent_activation: Activation = read_default("sigmoid", "Function applied to the gates.")
    unit_forget_bias: Flag = Field(True, description="Whether the forget gate's bias starts at one.")
    use_cudnn: UseCudnn = Field("auto", description="Whether a GPU runs the fused kernel.")

    state_names = ("h", "c")
    gates = 4
    kept = 7  # i, f, g, o, c′, tanh(c′), h′
    element_flops = 4 + 3 + 1  # a sum in each gate, two products and a sum for c′, a product for h′


class GRU(_Vectors):
    """Gated recurrent unit.

    z, r = σ(W x + U h + b); g = tanh(W x + r∘(U h) + b), or with `reset_after: false` tanh(W x + U (r∘h) + b);
    h′ = z∘h + (1 − z)∘g. The order of the gates in the weights is z, r, g; with `reset_after` W and U each have a bias.
    """

    recurrent_activation: Activation = read_default("sigmoid", "Function applied to the gates.")
    reset_after: Flag = Field(True, description="Whether the reset gate is applied after the recurrent product.")
    use_cudnn: UseCudnn = Field("auto", description="Whether a GPU runs the fused kernel.")

    gates = 3
    kept = 5  # z, r, what r gates, g, h′
    element_flops = 3 + 1 + 4  # a sum in each of z, r and g, the product with r, and four operations for h′

    def bias(self) -> tuple[Weight, ...]:
        shape = (2, 3 * self.units) if self.reset_after else (3 * self.units,)
        return (self.weight("bias", *shape),) if self.use_bias else ()


class SimpleRNN(_Vectors):
    """The plain recurrence: h′ = tanh(W x + U h + b)."""

    gates = 1
    kept = 1
    element_flops = 1  # the sum of the two products


def _channels(x: Shape) -> int:
    channels = x[-1]
    assert channels is not None, "check refuses it"
    return channels
