"""TrajGRU: a ConvGRU whose state is gathered along learned flows instead of from fixed neighbors."""

from math import prod

from pydantic import Field

from specbuild.catalog.axis_values import Ints2
from specbuild.catalog.conv_recurrent import OptionalInput
from specbuild.catalog.objects import Activation, Initializer
from specbuild.catalog.receptive_field import known
from specbuild.catalog.shapes import Dim, Shape, Weight, size, times
from specbuild.catalog.values import PositiveInt, read_default


class TrajGRU2D(OptionalInput, spatial=2):
    """GRU over images that gathers its state along learned flows (Shi et al. 2017, arXiv 1706.03458).

    `(T, H, W, C)` → `(T, H, W, filters)`. In every step a small network computes `links` displacements (u, v) for each
    pixel from x and h: q = φ(P∗x + Q∗h + a + a′), flows S∗q + d. The state is read at (y − v, x − u) for each of them,
    with bilinear interpolation and zeros beyond the border: s. Then z, r = σ(W∗x + b + R∗s + b′);
    g = φ(W∗x + b + r∘(R∗s + b′)); h′ = z∘h + (1 − z)∘g, where R is 1 × 1 and φ the activation. The order of the gates
    in the weights is z, r, g. All convolutions keep the size of the frames. As a flow may lead anywhere, the receptive
    field is all of every frame.
    """

    activation: Activation = read_default("leaky_relu", "Function applied to the candidate and inside the flows.")
    kernel_size: Ints2 = Field(description="Extent of the input's kernel.")
    links: PositiveInt = Field(
        5, description="Number of flows, that is of positions from which each pixel gathers the state."
    )
    flow_kernel_size: Ints2 = Field((5, 5), description="Extent of the kernels that compute the flows.")
    flow_filters: PositiveInt = Field(32, description="Channels between the two convolutions that compute the flows.")
    flow_initializer: Initializer = read_default("zeros", "First values of the last kernel that computes the flows.")

    package = "specbuild"

    def state_shape(self, x: Shape) -> Shape:
        return self.join(self.split(x[1:])[0], self.filters)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels, gates, hidden, paths = self._sizes(inputs[0])
        flow, rows = self.flow_kernel_size, (2,) if self.use_input else ()
        read: dict[str, tuple[int, ...]] = {
            "kernel": (*self.kernel_size, channels, gates),
            "flow_input_kernel": (*flow, channels, hidden),
        }
        own: dict[str, tuple[int, ...]] = {
            "flow_state_kernel": (*flow, self.filters, hidden),
            "flow_kernel": (*flow, hidden, paths),
            "recurrent_kernel": (1, 1, self.links * self.filters, gates),
        }
        biases: dict[str, tuple[int, ...]] = {
            "bias": (*rows, gates),
            "flow_hidden_bias": (*rows, hidden),
            "flow_bias": (paths,),
        }
        shapes = (read if self.use_input else {}) | own | (biases if self.use_bias else {})
        return tuple(self.weight(name, *shape) for name, shape in shapes.items())

    def step_flops(self, x: Shape) -> int:
        """For each place: every kernel and bias, and the sums of what x and h give.

        Reading the state takes ten operations for the place and the shares of its four neighbors in each link, and
        seven for each channel; the gates take the product with r and four operations for h′.
        """
        channels, gates, hidden, paths = self._sizes(x)
        flow = prod(self.flow_kernel_size)
        products = flow * (self.filters * hidden + hidden * paths) + self.links * self.filters * gates
        if self.use_input:
            products += channels * (prod(self.kernel_size) * gates + flow * hidden)
        biases = sum(weight.size for weight in self.weights(x) if weight.name.endswith("bias"))
        sums = gates + hidden if self.use_input else 0
        single = biases + sums + self.links * (10 + 7 * self.filters) + (1 + 4) * self.filters
        return prod(map(known, self.split(x[1:])[0])) * (2 * products + single)

    def step_elements(self, x: Shape) -> Dim:
        """For every place: z, r, what r gates, g, h′; q and the flows; the state at the end of each path, and
        its four neighbors there.
        """
        _, _, hidden, paths = self._sizes(x)
        kept = 5 * self.filters + hidden + paths + 5 * self.links * self.filters
        return times(kept, size(self.split(x[1:])[0]))

    def _sizes(self, x: Shape) -> tuple[int, int, int, int]:
        """Channels of the input, of the gates, inside the flow network, and of the flows."""
        return self.known_channels(x[1:]), 3 * self.filters, self.flow_filters, 2 * self.links
