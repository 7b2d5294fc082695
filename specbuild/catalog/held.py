"""The layer that a streaming model adds after a recurrence that skips masked steps; no spec names it."""

from specbuild.catalog.base import Layer
from specbuild.catalog.shapes import Shape


class Held(Layer):
    """The output of a step or, where the step is masked, that of the step before.

    Its inputs are the output of the step, the output before it, and what the recurrence reads, which has the mask.
    """

    arity = "many"
    package = "specbuild"

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]
