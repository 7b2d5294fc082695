"""The spatiotemporal LSTM of PredRNN: a whole stack of cells in one node."""

from math import prod
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from specbuild.catalog.axis_values import Ints2
from specbuild.catalog.conv_recurrent import OverFrames
from specbuild.catalog.list_values import OneOrList
from specbuild.catalog.receptive_field import ReceptiveField, known, same, whole_input, widened
from specbuild.catalog.shapes import Dim, Shape, Weight, size, times
from specbuild.catalog.values import Choice, Number, Whole, refuse, written


def _same(widths: int | tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(widths, int):
        return (widths,)
    if len(set(widths)) > 1:
        refuse(
            "filters",
            f"expected the same number for every cell, because one memory passes through all of them; "
            f"got {written(widths)}",
        )
    return widths


Filters = Annotated[
    tuple[int, ...],
    OneOrList(Whole(1), "a positive whole number, or a list of such numbers, one for each cell of the stack", 1),
    AfterValidator(_same),
]
Normalization = Annotated[Literal["none", "layer", "layer_per_pixel"], Choice()]


class STLSTM2D(OverFrames, spatial=2):
    """A stack of spatiotemporal LSTM cells over images: PredRNN (Wang et al. 2017; 2021, arXiv 2103.09504).

    `(T, H, W, C)` → `(T, H, W, filters)`: h of the last cell. A cell reads the h of the cell below, or the input; its
    own h and c; and the memory m, which goes up the stack within a step and from the last cell on to the first cell of
    the next step. Each gate has its own part of W, U, V and b: i, f, g = σ, σ, tanh(W∗x + U∗h + b); c′ = f∘c + i∘g;
    j, k, n = σ, σ, tanh(W∗x + V∗m + b); m′ = k∘m + j∘n; o = σ(W∗x + U∗h + O∗[c′, m′] + b);
    h′ = o∘tanh(R∗[c′, m′]), where R is 1 × 1. The order of the gates in the weights is i, f, g, j, k, n, o. The states
    are h1, c1, h2, c2, …, from the input up, and m. All convolutions keep the size of the frames. The loss that
    decouples c from m (PredRNN-V2) is not part of it.

    Normalized are W∗x, U∗h, V∗m and O∗[c′, m′]; gains and offsets take the place of the bias.
    """

    filters: Filters = Field(
        description="Channels of the state and the output: a list with the same number for each cell, or a number for "
        "one cell."
    )
    kernel_size: Ints2 = Field(description="Extent of all kernels but the 1 × 1 one.")
    normalization: Normalization = Field(
        "none",
        description="Whether each convolution's result is normalized, with gains per channel, or also per pixel.",
    )
    forget_bias: Number = Field(1.0, description="Constant added to the forget gates of c and m.")

    package = "specbuild"
    documented_states = ("h1", "c1", "…", "m")
    kept = 11  # i, f, g, c′, j, k, n, m′, o, tanh(R∗[c′, m′]), h′

    @property
    def cells(self) -> int:
        """How many cells the stack has."""
        return len(self.filters)

    @property
    def width(self) -> int:
        return self.filters[0]

    def state_shape(self, x: Shape) -> Shape:
        return self.join(self.split(x[1:])[0], self.width)

    def state_shapes(self, x: Shape) -> dict[str, Shape]:
        return dict.fromkeys(self.state_names, self.state_shape(x))

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]  # of the instance: the stack decides
        pairs = (f"{name}{cell}" for cell in range(1, self.cells + 1) for name in "hc")
        return (*pairs, "m")

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        x = inputs[0]
        below = (self.known_channels(x[1:]), *self.filters[:-1])
        return tuple(weight for cell, read in enumerate(below, start=1) for weight in self._cell_weights(cell, read, x))

    def _cell_weights(self, cell: int, channels: int, x: Shape) -> tuple[Weight, ...]:
        width, extent = self.width, self.kernel_size
        shapes: dict[str, tuple[int, ...]] = {
            "kernel": (*extent, channels, 7 * width),
            "recurrent_kernel": (*extent, width, 4 * width),
            "memory_kernel": (*extent, width, 3 * width),
            "output_kernel": (*extent, 2 * width, width),
            "fusion_kernel": (1, 1, 2 * width, width),
        }
        if self.normalization != "none":
            space = self.split(x[1:])[0] if self.normalization == "layer_per_pixel" else ()
            names = ("gamma", "beta") if self.use_bias else ("gamma",)
            shapes |= dict.fromkeys(names, (*map(known, space), 15 * width))
        elif self.use_bias:
            shapes["bias"] = (7 * width,)
        return tuple(self.weight(f"{name}_{cell}", *shape) for name, shape in shapes.items())

    def step_flops(self, x: Shape) -> int:
        """For each element of a state, in each cell: the convolutions, the bias and the sum of each gate; seven
        operations for c′, m′ and h′; the constants of the forget gates. Layer normalization counts as the layer of that
        name.
        """
        below = (self.known_channels(x[1:]), *self.filters[:-1])
        entries = sum(7 * read + (4 + 3 + 2) * self.width for read in below) * prod(self.kernel_size)
        fusion = 2 * self.width * self.cells
        biases = 7 if self.use_bias and self.normalization == "none" else 0
        normalizing = 15 * (1 + 3 + 2 + 1 + self.use_bias) if self.normalization != "none" else 0
        sums = 3 + 3 + 2
        single = self.cells * (biases + sums + normalizing + 3 + 3 + 1 + (2 if self.forget_bias else 0))
        elements = prod(map(known, self.state_shape(x)))
        return elements * (2 * (entries + fusion) + single)

    def step_elements(self, x: Shape) -> Dim:
        """The gates, the states, their products and what is normalized, for every cell."""
        kept = self.kept + (15 if self.normalization != "none" else 0)
        return times(self.cells * kept, size(self.state_shape(x)))

    def frame_receptive_field(self, x: Shape, delay: int, *, from_zero: bool) -> ReceptiveField:  # noqa: ARG002
        return self._seen(x, "x", delay + 1)

    def state_receptive_fields(self, x: Shape, delay: int) -> dict[str, ReceptiveField]:
        return {name: self._seen(x, name, delay + 1) for name in self.state_names}

    def _seen(self, x: Shape, source: str, steps: int) -> ReceptiveField:
        """The field of h after so many steps in the first of their frames, or in an initial state.

        Layer normalization mixes frames.
        """
        if self.normalization != "none":
            return whole_input(x[1:])
        lengths = self.split(x[1:])[0]
        times = self._convolutions(source, steps)
        axes = zip(self.spatial_axes, lengths, self.kernel_size, strict=True)
        return self.spatial_field(
            tuple(widened(same(at, length), times * ((k - 1) // 2), times * (k // 2)) for at, length, k in axes)
        )

    def _convolutions(self, source: str, steps: int) -> int:
        """The largest number of convolutions between an initial tensor and the last output."""
        far = -(1 << 40)  # what cannot be reached, however many convolutions are added
        h, c = ([0 if source == f"{name}{cell + 1}" else far for cell in range(self.cells)] for name in "hc")
        x, m = (0 if source == name else far for name in "xm")
        for _ in range(steps):
            for cell in range(self.cells):
                m = max(m, x) + 1
                c[cell] = max(c[cell], x + 1, h[cell] + 1)
                x = h[cell] = max(c[cell], m) + 1
            x = far
        return h[-1]
