"""ConvLSTM, a recurrence over frames: Keras's, plus peepholes, layer normalization and a recurrent kernel size."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from specbuild.catalog.conv_recurrent import Convolutional
from specbuild.catalog.objects import Constraint, Initializer, KerasObject, Regularizer
from specbuild.catalog.shapes import Shape, Weight
from specbuild.catalog.values import Choice, Flag, Number, read_default, refuse

Peephole = Annotated[Literal["none", "per_pixel", "per_channel"], Choice()]


class _ConvLSTM(Convolutional):
    """LSTM with convolutions instead of matrix products (Shi et al. 2015, arXiv 1506.04214).

    `(T, H, W, C)` → `(T, H′, W′, filters)`. i, f, o = σ(W∗x + U∗h + b); g = tanh(W∗x + U∗h + b); c′ = f∘c + i∘g;
    h′ = o∘tanh(c′). W∗x has the strides, padding and dilation; U∗h keeps the state's size. The order of the gates in
    the weights is i, f, g, o. With peepholes i and f see c, o sees c′, each through a factor of its own. With layer
    normalization (the TensorFlow-1 cell) c′ is normalized too, and carried on so.
    """

    unit_forget_bias: Flag = Field(True, description="Whether the forget gate's bias starts at one.")
    forget_bias: Number | None = Field(
        None, description="Constant added to the forget gate, in place of unit_forget_bias."
    )
    peephole: Peephole = Field(
        "none", description="Whether the gates read the cell state, with a weight for each pixel or each channel."
    )
    peephole_initializer: Initializer = read_default("zeros", "First values of the peepholes.")
    peephole_regularizer: Regularizer = Field(None, description="Penalty on the peepholes.")
    peephole_constraint: Constraint = Field(None, description="Limit on the peepholes.")

    state_names = ("h", "c")
    gates = 4
    normalized = 5  # i, f, g, o, c′
    kept = 7  # i, f, g, o, c′, tanh(c′), h′
    beyond_keras: ClassVar[tuple[str, ...]] = (
        *("recurrent_kernel_size", "normalization", "use_input", "forget_bias"),
        *("peephole", "peephole_initializer", "peephole_regularizer", "peephole_constraint", "remat"),
    )
    """Arguments that Keras's layer of this name does not have."""

    @field_validator("peephole_initializer", "peephole_regularizer", "peephole_constraint")
    @classmethod
    def _with_peepholes(cls, value: Any, info: Any) -> Any:
        if info.data.get("peephole") == "none" and value not in (None, KerasObject("zeros")):
            refuse("peephole", f"expected peephole to be per_pixel or per_channel where {info.field_name} is written")
        return value

    @property
    def origin(self) -> str:
        """The package of the class: Keras's layer if it has all options used, otherwise ours.

        Ours also for channels_first, which Keras's cannot compute without a GPU. Without options, the weights and
        results of both are the same, and the model takes ours too where it is faster.
        """
        options = (
            self.peephole != "none",
            self.normalization != "none",
            self.forget_bias is not None,
            not self.use_input,
            self.recurrent_kernel != self.kernel_size,
            self.remat,
        )
        return "specbuild" if any(options) or self.channels_first else "keras"

    def arguments(self) -> dict[str, Any]:
        given = super().arguments()
        return {name: value for name, value in given.items() if self.origin != "keras" or name not in self.beyond_keras}

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        if self.peephole == "none":
            return super().weights(*inputs)
        lengths = self.split(self.state_shape(inputs[0]))[0] if self.peephole == "per_pixel" else ()
        lead = tuple(length for length in lengths if length is not None)
        return (*super().weights(*inputs), self.weight("peephole_kernel", *lead, 3 * self.filters))

    @property
    def element_flops(self) -> int:
        """Two products and a sum for c′, a product for h′; a multiply-add for each peephole; the constant for f."""
        return 4 + (6 if self.peephole != "none" else 0) + (self.forget_bias is not None)


class ConvLSTM1D(_ConvLSTM, spatial=1):
    """ConvLSTM over frames with one spatial axis."""


class ConvLSTM2D(_ConvLSTM, spatial=2):
    """ConvLSTM over images."""


class ConvLSTM3D(_ConvLSTM, spatial=3):
    """ConvLSTM over volumes."""
