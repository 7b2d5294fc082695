"""ConvGRU, which Keras does not have."""

from pydantic import Field

from specbuild.catalog.conv_recurrent import Convolutional
from specbuild.catalog.values import Flag, Ints1, Ints2, Ints3


class _ConvGRU(Convolutional):
    """GRU whose products are convolutions.

    `(T, H, W, C)` → `(T, H′, W′, filters)`. z, r = σ(W∗x + U∗h + b); g = tanh(W∗x + b + r∘(U∗h + b′)), or with
    `reset_after: false` tanh(W∗x + U∗(r∘h) + b); h′ = z∘h + (1 − z)∘g. The order of the gates in the weights is z, r,
    g.

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


class ConvGRU1D(_ConvGRU):
    """ConvGRU over frames with one spatial axis."""

    kernel_size: Ints1 = Field(description="Extent of both kernels.")
    strides: Ints1 = Field((1,), description="Step of the input's kernel.")
    dilation_rate: Ints1 = Field((1,), description="Distance between the entries of the input's kernel.")
    recurrent_kernel_size: Ints1 | None = Field(
        None, description="Extent of the recurrent kernel; default: kernel_size."
    )
    spatial = 1


class ConvGRU2D(_ConvGRU):
    """ConvGRU over images."""

    kernel_size: Ints2 = Field(description="Extent of both kernels.")
    strides: Ints2 = Field((1, 1), description="Step of the input's kernel.")
    dilation_rate: Ints2 = Field((1, 1), description="Distance between the entries of the input's kernel.")
    recurrent_kernel_size: Ints2 | None = Field(
        None, description="Extent of the recurrent kernel; default: kernel_size."
    )
    spatial = 2


class ConvGRU3D(_ConvGRU):
    """ConvGRU over volumes."""

    kernel_size: Ints3 = Field(description="Extent of both kernels.")
    strides: Ints3 = Field((1, 1, 1), description="Step of the input's kernel.")
    dilation_rate: Ints3 = Field((1, 1, 1), description="Distance between the entries of the input's kernel.")
    recurrent_kernel_size: Ints3 | None = Field(
        None, description="Extent of the recurrent kernel; default: kernel_size."
    )
    spatial = 3


KINDS: tuple[type[Convolutional], ...] = (ConvGRU1D, ConvGRU2D, ConvGRU3D)
