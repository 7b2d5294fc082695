"""Equations: elementwise arithmetic on several inputs, written as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from specbuild.catalog import equation
from specbuild.document.arithmetic import Call, Chain, Name, Power, Signed, Tree
from specbuild.document.calculation import apply
from specbuild.model.backend import keras
from specbuild.model.layers.arithmetic import add, with_rank
from specbuild.model.layers.base import OwnLayer

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(keras.activations, name) for name in equation.ACTIVATIONS},
    **{name: getattr(keras.ops, name) for name in equation.OPERATIONS},
}
"""The operation of each function in the catalog, which has its name."""
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": add,
    "-": keras.ops.subtract,
    "*": keras.ops.multiply,
    "/": keras.ops.divide,
}


class Equation(OwnLayer):
    """The value of a text such as `sigmoid(x1) * x2` on a list of inputs, which it calls x1, x2 and so on.

    They broadcast as in `Divide`. Whole numbers are read in the compute dtype of the layer, which the output has.
    """

    keeps_dtype = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs: Sequence[Any], mask: Sequence[Any] | None = None) -> Any:  # noqa: ARG002
        """Return the mask as Keras's merges do: a value counts that counts in any input; all do if one has no mask."""
        known = [each for each in mask or () if each is not None]
        return reduce(keras.ops.logical_or, known) if mask and len(known) == len(mask) else None

    def call(self, inputs: Sequence[Any]) -> Any:
        rank = max(len(tensor.shape) for tensor in inputs)
        tensors = [with_rank(keras.ops.cast(tensor, self.compute_dtype), rank) for tensor in inputs]
        return _value(self.entry.tree, tensors)


def _value(tree: Tree, tensors: Sequence[Any]) -> Any:
    """Return a part of an equation: a tensor, or a number where it names nothing."""
    if (number := equation.number(tree)) is not None:
        return number
    match tree:
        case Name(_, name):
            return tensors[equation.input_index(name)]
        case Signed(_, negative, operand):
            value = _value(operand, tensors)
            return keras.ops.negative(value) if negative else value
        case Power(_, base, exponent):
            value, power = _value(base, tensors), equation.number(exponent)
            return keras.ops.square(value) if power == 2 else keras.ops.power(value, power)
        case Chain(_, first, rest):
            value = _value(first, tensors)
            for symbol, operand in rest:
                other = _value(operand, tensors)
                both_numbers = isinstance(value, int | float) and isinstance(other, int | float)
                value = apply(symbol, value, other) if both_numbers else OPERATORS[symbol](value, other)
            return value
        case Call(_, function, arguments):
            return FUNCTIONS[function.name](*(_value(argument, tensors) for argument in arguments))
    raise AssertionError(f"an equation has no {type(tree).__name__}")
