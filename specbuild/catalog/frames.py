"""Our own layers on the time axis."""

from pydantic import Field

from specbuild.catalog.base import Layer
from specbuild.catalog.receptive_field import ReceptiveField, in_place
from specbuild.catalog.shapes import Shape
from specbuild.catalog.values import PositiveInt


class RepeatFrame(Layer):
    """One frame, or a vector, as every step of a sequence: `(H, W, C)` → `(times, H, W, C)`.

    Keras's RepeatVector is its case for vectors.
    """

    times: PositiveInt = Field(description="Length of the sequence.")

    package = "specbuild"

    def output_shape(self, *inputs: Shape) -> Shape:
        return (self.times, *inputs[0])

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return (in_place(inputs[0], lead=1),)


KINDS: tuple[type[Layer], ...] = (RepeatFrame,)
