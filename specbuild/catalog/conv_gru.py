"""ConvGRU, a recurrence over frames, which Keras does not have."""

from pydantic import Field

from specbuild.catalog.conv_recurrent import Convolutional
from specbuild.catalog.values import Flag


class _ConvGRU(Convolutional):
    """GRU with convolutions instead of matrix products.

    `(T, H, W, C)` → `(T, H′, W′, filters)`. z, r = σ(W∗x + U∗h + b); g = tanh(W∗x + b + r∘(U∗h + b′)), or with
    `reset_after: false` tanh(W∗x + U∗(r∘h) + b); h′ = z∘h + (1 − z)∘g. W∗x has the strides, padding and dilation;
    U∗h keeps the state's size. The order of the gates in the weights is z, r, g.

    Resetting after the convolution is that of Shi et al. 2017 (arXiv 1706.03458, with leaky_relu for tanh); before it,
    that of Ballas et al. 2016 (arXiv 1511.06432, with z and 1 − z swapped) and of the TensorFlow-1 cell.
    """

    reset_after: Flag = Field(True, description="Whether the reset gate is applied after the recurrent convolution.")
    unit_gate_bias: Flag | None = Field(
        None,
        description="Whether the bias of both gates starts at one; default: without reset_after and normalization.",
    )

    package = "specbuild"
    gates = 3
    normalized = 3  # z, r, g
    kept = 5  # z, r, what r gates, g, h′

    @property
    def bias_shape(self) -> tuple[int, ...]:
        width = self.gates * self.filters
        return (2, width) if self.reset_after and self.use_input else (width,)

    @property
    def element_flops(self) -> int:
        """The product with r, and four operations for h′."""
        return 1 + 4

    @property
    def recurrent_convolutions(self) -> int:
        return 1 if self.reset_after else 2


class ConvGRU1D(_ConvGRU, spatial=1):
    """ConvGRU over frames with one spatial axis."""


class ConvGRU2D(_ConvGRU, spatial=2):
    """ConvGRU over images."""


class ConvGRU3D(_ConvGRU, spatial=3):
    """ConvGRU over volumes."""
