"""Layers that act only in training: dropout, noise and penalties. They have no weights and no cost in inference."""

from typing import Annotated

from pydantic import Field

from specbuild.catalog.base import Layer
from specbuild.catalog.list_values import ListOf
from specbuild.catalog.shapes import Shape, ShapeError, fits, show
from specbuild.catalog.spatial import Formatted, Spatial
from specbuild.catalog.values import Fraction, NonNegativeInt, NonNegativeNumber, Nullable, Share, Whole

NoiseShape = Annotated[
    tuple[int | None, ...],
    ListOf(Nullable(Whole(1)), "a list of positive whole numbers and nulls, one for each axis, the batch axis first"),
]


class _Noise(Layer):
    seed: NonNegativeInt | None = Field(None, description="Seed of the noise.")

    keeps_rank = True
    pointwise = True


class _Shaped(_Noise):
    """Dropout whose noise may be shared along axes."""

    rate: Fraction = Field(description="Fraction of the values that training drops.")
    noise_shape: NoiseShape | None = Field(
        None,
        description="Shape of the noise with the batch axis; 1 shares it along an axis, null is the input's length.",
    )

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if self.noise_shape is None:
            return
        axes = (None, *inputs[0])
        if not fits(tuple(None if length == 1 else length for length in self.noise_shape), axes):
            message = f"the noise_shape of {self.label} does not fit its input"
            reason = f"it is {show(self.noise_shape)} with the batch axis, the input {show(axes)}"
            help = "write null for each axis, or 1 where the noise is shared"
            raise ShapeError(message, reason=reason, argument="noise_shape", help=help)


class Dropout(_Shaped):
    """Set a fraction of the values to zero in training and scale up the rest."""


class AlphaDropout(_Shaped):
    """Dropout that keeps mean and variance, for networks with selu."""


class _SpatialDropout(_Noise, Spatial):
    """Dropout of whole channels: a channel is zero everywhere or nowhere."""

    rate: Fraction = Field(description="Fraction of the channels that training drops.")


class SpatialDropout1D(_SpatialDropout, spatial=1):
    """Drop whole channels of a sequence."""


class SpatialDropout2D(Formatted, _SpatialDropout, spatial=2):
    """Drop whole channels of an image."""


class SpatialDropout3D(Formatted, _SpatialDropout, spatial=3):
    """Drop whole channels of a volume or a sequence of images."""


class GaussianDropout(_Noise):
    """Multiply by noise of mean one and standard deviation √(rate / (1 − rate)) in training."""

    rate: Fraction = Field(description="As strong as a dropout of this rate.")


class GaussianNoise(_Noise):
    """Add Gaussian noise of mean zero in training."""

    stddev: Share = Field(description="Standard deviation of the noise, in units of the input.")


class ActivityRegularization(Layer):
    """Add a penalty on the input to the loss."""

    l1: NonNegativeNumber = Field(0.0, description="Weight of the sum of absolute values.")
    l2: NonNegativeNumber = Field(0.0, description="Weight of the sum of squares.")

    keeps_rank = True
    pointwise = True
