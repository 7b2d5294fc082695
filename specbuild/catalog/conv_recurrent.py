"""Base classes of recurrent layers over sequences of frames: ConvLSTM and ConvGRU.

In the equations of the cells x is the input of a step, h and c are the state, ∗ is a convolution and ∘ the product of
elements.
"""

from math import isqrt, prod
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from specbuild.catalog.axis_values import LENGTHS
from specbuild.catalog.objects import Activation
from specbuild.catalog.receptive_field import (
    AxisField,
    ReceptiveField,
    no_input,
    same,
    whole_input,
    widened,
)
from specbuild.catalog.recurrent import Cell, PlainCell
from specbuild.catalog.shapes import Dim, Shape, Weight, plus, size, times
from specbuild.catalog.spatial import AXIS_NAMES, Formatted, Strided
from specbuild.catalog.values import Choice, Flag, PositiveInt, read_default

Normalization = Annotated[Literal["none", "layer"], Choice()]


def segment_length(steps: int) -> int:
    """Return how many of its steps a recurrence with `remat` recomputes at a time: √T, rounded up.

    A single segment has nothing to save.
    """
    return isqrt(steps - 1) + 1


class OverFrames(PlainCell, Formatted):
    """A recurrence over frames of a known size, which determines the size of the state."""

    recurrent_activation: Activation = read_default("sigmoid", "Function applied to the gates.")
    remat: Flag = Field(
        False, description="Whether the backward pass recomputes the steps, about √T at a time, to save memory."
    )

    @property
    def ranks(self) -> tuple[int, ...]:
        return (self.spatial + 2,)

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        frame = inputs[0][1:]
        self.known_channels(frame)
        for name, length in zip(AXIS_NAMES[self.spatial], self.split(frame)[0], strict=True):
            if length is None:
                message = f"needs to know the {name} of its frames"
                help = f"write the {name} in the input's shape; time alone may be left open"
                raise self.unfit(message, inputs[0], ", and its state has a fixed size", help=help)

    def step_elements(self, x: Shape) -> Dim:
        """Return how many numbers training keeps of one step: the gates, the state and their products."""
        return times(self.kept, size(self.state_shape(x)))

    def saved_elements(self, *inputs: Shape) -> Dim:
        """All of every step; with `remat` the output, the state before each segment and all of one segment's steps."""
        steps, each = inputs[0][0], self.step_elements(inputs[0])
        if not self.remat or steps is None or segment_length(steps) == steps:
            return times(steps, each)
        length = segment_length(steps)
        states = steps + -(-steps // length) * len(self.state_names)
        return plus(times(states, size(self.state_shape(inputs[0]))), times(length, each))


class OptionalInput(OverFrames):
    """A recurrence over frames that can do without reading them."""

    filters: PositiveInt = Field(description="Channels of the state and the output.")
    use_input: Flag = Field(
        True, description="Whether the input is read; if not, it only sets the number of steps and the frame size."
    )

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return super().receptive_field(*inputs) if self.use_input else (no_input(inputs[0]),)


class Convolutional(Strided, Cell, OptionalInput):
    """A recurrence with convolutions instead of matrix products.

    Strides, padding and dilation are those of the input's kernel; the recurrent one keeps the size of the state.
    """

    recurrent_kernel_size: Annotated[tuple[int, ...] | None, LENGTHS] = Field(
        None, description="Extent of the recurrent kernel, which has no strides or dilation; default: kernel_size."
    )
    normalization: Normalization = Field(
        "none", description="Whether each gate is normalized (layer); gains and offsets take the place of the bias."
    )

    gates: ClassVar[int]
    normalized: ClassVar[int]
    """Tensors of a step that layer normalization is applied to."""

    @property
    def recurrent_kernel(self) -> tuple[int, ...]:
        """The extent of the recurrent kernel."""
        return self.recurrent_kernel_size or self.kernel_size

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if self.use_input:
            self.refuse_small(inputs[0][1:])

    def state_shape(self, x: Shape) -> Shape:
        return self.join(self.positions(x[1:]) if self.use_input else self.split(x[1:])[0], self.filters)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        width = self.gates * self.filters
        channels = self.known_channels(inputs[0][1:])
        kernel = (self.weight("kernel", *self.kernel_size, channels, width),) if self.use_input else ()
        recurrent = self.weight("recurrent_kernel", *self.recurrent_kernel, self.filters, width)
        return (*kernel, recurrent, *self.offsets())

    def offsets(self) -> tuple[Weight, ...]:
        """The bias, or the gains and offsets of layer normalization."""
        if self.normalization == "none":
            return (self.weight("bias", *self.bias_shape),) if self.use_bias else ()
        names = ("gamma", "beta") if self.use_bias else ("gamma",)
        return tuple(self.weight(name, self.normalized, self.filters) for name in names)

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.filters,)

    def step_flops(self, x: Shape) -> int:
        """For each element of the state: both convolutions, the bias and the sum of each gate; then what the cell does.

        Layer normalization counts as the layer of that name.
        """
        entries = prod(self.recurrent_kernel) * self.filters
        if self.use_input:
            entries += prod(self.kernel_size) * self.known_channels(x[1:])
        biases = prod(self.bias_shape) // self.filters if self.use_bias and self.normalization == "none" else 0
        normalizing = self.normalized * (1 + 3 + 2 + 1 + self.use_bias) if self.normalization == "layer" else 0
        sums = self.gates if self.use_input else 0
        elements = prod(length for length in self.state_shape(x) if length is not None)
        return elements * (self.gates * 2 * entries + biases + sums + normalizing + self.element_flops)

    @property
    def element_flops(self) -> int:
        """Operations on each element of the state besides the convolutions, their sums, the bias and normalization."""
        raise NotImplementedError

    def step_elements(self, x: Shape) -> Dim:
        """The gates, the state and their products, and what is normalized."""
        kept = self.kept + (self.normalized if self.normalization == "layer" else 0)
        return times(kept, size(self.state_shape(x)))

    @property
    def recurrent_convolutions(self) -> int:
        """How many convolutions of the state follow each other in a step."""
        return 1

    def frame_receptive_field(self, x: Shape, delay: int, *, from_zero: bool) -> ReceptiveField:
        """The window of the input's kernel, widened by the recurrent kernel in every later step.

        A frame also gates the state that it meets; where that is convolved afterwards, it spreads at once. Layer
        normalization mixes whole frames.
        """
        if self.normalization == "layer":
            return whole_input(x[1:])
        at_once = 0 if from_zero else self.recurrent_convolutions - 1
        times = delay * self.recurrent_convolutions + at_once
        return self.spatial_field(self._spread(self.axis_fields(x[1:]), times))

    def state_receptive_fields(self, x: Shape, delay: int) -> dict[str, ReceptiveField]:
        """The recurrent kernel's window, once for every step."""
        if self.normalization == "layer":
            return super().state_receptive_fields(x, delay)
        positions = self.split(self.state_shape(x))[0]
        own = tuple(same(at, length) for at, length in zip(self.spatial_axes, positions, strict=True))
        spread = self._spread(own, (delay + 1) * self.recurrent_convolutions)
        return dict.fromkeys(self.state_names, self.spatial_field(spread))

    def _spread(self, axes: tuple[AxisField, ...], times: int) -> tuple[AxisField, ...]:
        """The axes after so many recurrent convolutions, each with the smaller half of the kernel in front."""
        pairs = zip(axes, self.recurrent_kernel, strict=True)
        return tuple(widened(axis, times * ((k - 1) // 2), times * (k // 2)) for axis, k in pairs)
