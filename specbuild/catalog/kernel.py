"""Arguments of layers that multiply their input by a kernel and add a bias: dense layers and convolutions."""

from pydantic import Field

from specbuild.catalog.base import Layer
from specbuild.catalog.objects import Activation, Constraint, Initializer, Regularizer
from specbuild.catalog.shapes import Weight
from specbuild.catalog.values import Flag, read_default


class WithBias(Layer):
    """A layer that adds a bias and applies an activation."""

    activation: Activation = Field(None, description="Function applied to the output.")
    use_bias: Flag = Field(True, description="Whether a learned value is added to each output channel.")
    bias_initializer: Initializer = read_default("zeros", "First values of the bias.")
    bias_regularizer: Regularizer = Field(None, description="Penalty on the bias.")
    bias_constraint: Constraint = Field(None, description="Limit on the bias.")
    activity_regularizer: Regularizer = Field(None, description="Penalty on the output.")

    def bias(self, channels: int) -> tuple[Weight, ...]:
        """Return the bias for a number of output channels, if there is one."""
        return (self.weight("bias", channels),) if self.use_bias else ()


class WithKernel(WithBias):
    """A layer that also has one kernel over all channels."""

    kernel_initializer: Initializer = read_default("glorot_uniform", "First values of the kernel.")
    kernel_regularizer: Regularizer = Field(None, description="Penalty on the kernel.")
    kernel_constraint: Constraint = Field(None, description="Limit on the kernel.")
