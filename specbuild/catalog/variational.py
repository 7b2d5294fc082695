"""Layers of variational models, which sample from a learned distribution."""

from pydantic import Field

from specbuild.catalog.base import Layer
from specbuild.catalog.merging import check_two
from specbuild.catalog.receptive_field import ReceptiveField, in_place
from specbuild.catalog.shapes import Dim, Shape, ShapeError, fits, show, times
from specbuild.catalog.values import Flag, NonNegativeInt


class GaussianSampling(Layer):
    """Draw from a normal distribution, given its mean and the logarithm of its variance: mean + exp(log_var / 2) · ε.

    Every call draws a new sample, in training and in inference, and gradients pass through it to both inputs (the
    reparameterization trick of Kingma & Welling 2014, Auto-Encoding Variational Bayes).
    """

    deterministic_in_use: Flag = Field(False, description="Whether the output is the mean outside of training.")
    seed: NonNegativeInt | None = Field(None, description="Seed of the draws.")

    package = "specbuild"
    arity = "many"
    keeps_rank = True

    def check(self, *inputs: Shape) -> None:
        check_two(self, inputs)
        super().check(*inputs)
        mean, log_var = inputs
        if not fits(mean, log_var):
            message = f"{self.label} needs a mean and a log-variance of one shape"
            reason = f"the mean, its first input, is {show(mean)}; the log-variance, its second, is {show(log_var)}"
            raise ShapeError(message, reason=reason)

    def output_shape(self, *inputs: Shape) -> Shape:
        mean, log_var = inputs
        return tuple(first if first is not None else second for first, second in zip(mean, log_var, strict=True))

    def flops(self, *inputs: Shape) -> Dim:
        """For each value: half of the logarithm, its exponential, a product and a sum, without the draw."""
        return times(4, *self.output_shape(*inputs))

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return tuple(in_place(shape) for shape in inputs)
