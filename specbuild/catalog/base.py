"""The base of every layer kind: its arguments, its shape rule, its weights and its cost, in one class.

A kind is a subclass of `Layer` with the name of a Keras class, whose arguments and defaults it has as fields.
Lowering needs nothing else: `keras.layers.<kind>(**layer.arguments())`.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from specbuild.catalog.receptive_field import ReceptiveField, in_place, whole_input
from specbuild.catalog.shapes import Dim, Shape, ShapeError, Weight, show, size
from specbuild.catalog.values import Policy


class Layer(BaseModel):
    """A layer kind. Shapes leave out the batch axis throughout.

    Subclasses state what they accept (`ranks`, `arity`) and override `output_shape`, `weights` and `flops`;
    all three may be asked only with shapes that `check` has let pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True, arbitrary_types_allowed=True)

    trainable: bool = Field(True, description="Whether training changes the weights.")
    dtype: Policy | None = Field(
        None, description="Computation and weight precision, e.g. float32; default: train.precision."
    )

    package: ClassVar[str] = "keras"
    """`keras` for `keras.layers.<kind>`, `specbuild` for our own."""
    arity: ClassVar[Literal["one", "many", "any"]] = "one"
    """`many`: a merge, which takes a list of inputs; `any`: as many as Keras takes."""
    joins_one: ClassVar[bool] = False
    """Whether a merge makes sense of a single input that is not written as a list."""
    keeps_rank: ClassVar[bool] = False
    """Whether the output has as many axes as the input."""
    asks_keras: ClassVar[bool] = False
    """Whether its shapes and weights come from Keras itself, through a resolver."""
    keeps_values: ClassVar[bool] = False
    """Whether the output has the values of the input and no others, so that it is in the same range."""
    pointwise: ClassVar[bool] = False
    """Whether an output value depends only on the input value at the same position."""

    @property
    def kind(self) -> str:
        """Keras's class name, as written in the spec."""
        return type(self).__name__

    @property
    def origin(self) -> str:
        """The package of the class that the layer becomes: `package`, unless its arguments decide."""
        return self.package

    @property
    def label(self) -> str:
        """Name of the layer in tables, including wrappers: `TimeDistributed(Conv2D)`."""
        return self.kind

    @property
    def ranks(self) -> tuple[int, ...] | None:
        """Numbers of input axes (without batch) that the layer accepts; None: any."""
        return None

    def check(self, *inputs: Shape) -> None:
        """Refuse inputs that the layer does not accept.

        Raises:
            ShapeError: what does not fit, and what would.
        """
        for shape in inputs:
            if self.ranks is not None and len(shape) not in self.ranks:
                wanted = " or ".join(str(rank) for rank in self.ranks)
                message = f"needs an input with {wanted} axes, got {len(shape)}"
                raise self.unfit(message, shape, " (without the batch axis)")

    def unfit(
        self, message: str, shape: Shape, more: str = "", *, argument: str | None = None, help: str = ""
    ) -> ShapeError:
        """Return the error of an input that the layer does not accept.

        Args:
            message: the fault, which follows the name of the layer.
            shape: that of the input.
            more: of the reason, which follows the shape.
            argument: the argument to point at; None: the input itself.
            help: the fix.
        """
        reason = f"its input is {show(shape)}{more}"
        return ShapeError(f"{self.label} {message}", reason=reason, argument=argument, help=help)

    def with_names(self, text: str, inputs: Sequence[str]) -> str:
        """Return a message of this layer, which knows its inputs by their numbers, with their names."""
        named = re.sub(r"(?<=\bin )input (\d+)\b", lambda match: inputs[int(match[1]) - 1], text)
        return re.sub(r"\bits input is\b", f"its input, {inputs[0]}, is", named)

    def text(self, inputs: Sequence[str]) -> str:  # noqa: ARG002
        """Return what the layer computes from inputs of these names, if a text says it; otherwise nothing."""
        return ""

    def output_shape(self, *inputs: Shape) -> Shape:
        """Return the shape of the output.

        Raises:
            ShapeError: the arguments do not fit the input.
        """
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:  # noqa: ARG002
        """Return every weight, in Keras's order, with its shape."""
        return ()

    def weight(self, name: str, *shape: int) -> Weight:
        """Return a weight that is trainable if the layer is."""
        return Weight(name, shape, self.trainable)

    def flops(self, *inputs: Shape) -> Dim:  # noqa: ARG002
        """Return the floating-point operations for one sample, 2 for a multiply-add; None where an axis is unknown.

        Counted are convolutions, matrix products, their biases, pooling and element-wise arithmetic; activations
        are left out, as is everything that only moves data.
        """
        return 0

    def saved_elements(self, *inputs: Shape) -> Dim:
        """Return how many numbers per sample training keeps for the backward pass: by default the output."""
        return size(self.output_shape(*inputs))

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        """Return the receptive field in each input, whose lengths are all known; by default all of it.

        Of a recurrent layer it is the output of every step, the `sequence`.
        """
        return tuple(in_place(shape) if self.pointwise else whole_input(shape) for shape in inputs)

    def arguments(self) -> dict[str, Any]:
        """Return the constructor arguments for Keras: those written in the spec.

        `trainable` is not among them: Keras freezes the inside of ConvLSTM, TimeDistributed and Bidirectional only
        where the attribute is set on the finished layer.
        """
        written = self.model_fields_set - {"trainable"}
        return {name: getattr(self, name) for name in sorted(written) if name in type(self).model_fields}


class View(Layer):
    """A layer whose output is the memory of its input, in another shape."""

    keeps_values = True

    def saved_elements(self, *inputs: Shape) -> Dim:  # noqa: ARG002 - whatever the input
        return 0


class Recurrent(Layer):
    """A layer with a state: it reads a sequence and outputs every step, the last step and the final state.

    `return_sequences` and `return_state` are derived from how the spec uses the layer's ports; written out, they
    are obeyed. `None` is "derive it", and counts as Keras's False outside a graph.
    """

    documented_states: ClassVar[tuple[str, ...]] = ()
    """The names of the states in the documentation, where the arguments decide which there are."""

    return_sequences: bool | None = Field(
        None, description="Whether the output is every step; derived where not written."
    )
    return_state: bool | None = Field(
        None, description="Whether the final state is returned; derived where not written."
    )

    def sequence_shape(self, x: Shape) -> Shape:
        """Return the shape of the `sequence` port: every step. `(T, …)`."""
        raise NotImplementedError

    def last_shape(self, x: Shape) -> Shape:
        """Return the shape of the `last` port: the output after the last step, the sequence without its time axis."""
        return self.sequence_shape(x)[1:]

    def state_shapes(self, x: Shape) -> dict[str, Shape]:
        """Return the shapes of the state's tensors by name, in Keras's order: `{"h": …, "c": …}`."""
        raise NotImplementedError

    def frame_receptive_field(self, x: Shape, delay: int, *, from_zero: bool) -> ReceptiveField:  # noqa: ARG002
        """Return the field of a step's output in the frame read `delay` steps before it; by default all of the frame.

        Neither the frame nor the output counts its time axis. `from_zero`: whether the state that the frame met was
        zero, so that it could not carry the frame further.
        """
        return whole_input(x[1:])

    def state_receptive_fields(self, x: Shape, delay: int) -> dict[str, ReceptiveField]:  # noqa: ARG002
        """Return the field of a step's output in each initial state, `delay` steps having gone before; by default all.

        The output counts without its time axis.
        """
        return {name: whole_input(shape) for name, shape in self.state_shapes(x).items()}

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.sequence_shape(*inputs) if self.return_sequences else self.last_shape(*inputs)
