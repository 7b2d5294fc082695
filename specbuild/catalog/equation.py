"""Equations: elementwise arithmetic on several inputs, written as text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import Annotated, Any, NamedTuple, NoReturn

from pydantic import Field
from pydantic.json_schema import JsonSchemaValue

from specbuild.catalog.base import Layer
from specbuild.catalog.merging import Broadcasting, broadcast, misfit
from specbuild.catalog.shapes import Dim, Shape, ShapeError, plus, show, size, times
from specbuild.catalog.values import Value, refuse
from specbuild.document.arithmetic import (
    EQUATION,
    Call,
    Chain,
    Literal,
    Name,
    Power,
    Signed,
    Tree,
    names_in,
    parse,
    written,
)
from specbuild.document.calculation import ExpressionError, Place, apply
from specbuild.document.suggest import did_you_mean

ACTIVATIONS = (
    *("sigmoid", "tanh", "relu", "gelu", "silu", "softplus", "softsign"),
    *("hard_sigmoid", "leaky_relu", "elu", "selu"),
)
"""Functions of one argument that are Keras's activations, with their defaults."""
OPERATIONS = {"exp": 1, "log": 1, "sqrt": 1, "abs": 1, "square": 1, "maximum": 2, "minimum": 2}
"""The other functions, which have their NumPy names, and the number of their arguments."""
FUNCTIONS = {**dict.fromkeys(ACTIVATIONS, 1), **OPERATIONS}

_OTHERWISE = {
    **dict.fromkeys(
        ("softmax", "log_softmax", "sparsemax", "glu"),
        "it works along an axis: write {{id: …, layer: {layer}}} as a separate node, and its id here",
    ),
    **dict.fromkeys(
        ("mean", "sum", "std", "max", "min"),
        "for a reduction write {{id: …, layer: Reduce, function: {name}, axis: …}} as a separate node, and its id "
        "here; of two values one is maximum(a, b) or minimum(a, b)",
    ),
    **dict.fromkeys(("hadamard", "mul", "multiply"), "write a * b, which multiplies element by element"),
    **dict.fromkeys(("pow", "power"), "write a ** 2"),
    **dict.fromkeys(("add", "subtract", "divide", "negative"), "write a + b, a - b, a / b, -a"),
    **dict.fromkeys(("swish",), "write silu(x)"),
    **dict.fromkeys(
        ("conv", "matmul", "dot", "dense", "concat", "concatenate", "norm"),
        "an equation works element by element; write a layer as a separate node, and its id here",
    ),
}
"""What to write for functions that an equation does not have."""
_SYMBOLS = {
    **dict.fromkeys("·∘⊙×∗", "write *"),
    **dict.fromkeys("−–", "write -"),
    **dict.fromkeys("÷", "write /"),
    "^": "a power is written x ** 2",
    "@": "a matrix product is a layer, such as MatMul or Dense; * multiplies element by element",
    "σ": "write sigmoid(x)",
    "$": "a variable is written $name",
}
"""What to write for symbols of other notations."""


@lru_cache(maxsize=1_000)
def equation(text: str) -> Tree:
    """Return the tree of an equation with arbitrary names.

    Raises:
        ExpressionError: the text is not an equation; with the place of the fault.
    """
    try:
        tree = parse(text, EQUATION)
    except ExpressionError as error:
        symbol = text[error.at[0] : error.at[1]] if error.at is not None else ""
        if symbol in _SYMBOLS:
            raise ExpressionError(str(error), at=error.at, help=_SYMBOLS[symbol]) from None
        raise
    _check(tree)
    if not names_in(tree):
        _error("an equation needs the id of a node to read", tree.at)
    return tree


def number(tree: Tree) -> int | float | None:
    """Return the value of a part without names; None for a part with names.

    Raises:
        ExpressionError: it divides by zero.
    """
    match tree:
        case Literal(_, int() | float() as value):
            return value
        case Signed(_, negative, operand) if (inner := number(operand)) is not None:
            return -inner if negative else inner
        case Power(_, base, exponent):
            return _applied("**", number(base), number(exponent), tree.at)
        case Chain(_, first, rest):
            result = number(first)
            for symbol, operand in rest:
                result = _applied(symbol, result, number(operand), tree.at)
            return result
    return None


def _applied(symbol: str, left: int | float | None, right: int | float | None, at: Place) -> int | float | None:
    if left is None or right is None:
        return None
    try:
        return apply(symbol, left, right)
    except ExpressionError as error:
        _error(str(error), at)


def _check(tree: Tree) -> None:
    """Refuse what an expression may have and an equation may not."""
    number(tree)
    match tree:
        case Literal(_, int() | float()) | Name():
            return
        case Signed(_, _, operand):
            _check(operand)
        case Chain(_, first, rest):
            for symbol, _ in rest:
                if symbol in ("//", "%"):
                    _error(f"an equation has no {symbol}", tree.at)
            for operand in (first, *(operand for _, operand in rest)):
                _check(operand)
        case Power(_, base, exponent):
            _check(base)
            if number(exponent) is None:
                help = "write x ** 2 or x ** 0.5; a power of two nodes is exp(b * log(a))"
                _error("the exponent of ** is not a number", exponent.at, help)
        case Call(_, function, arguments):
            _check_call(tree, function, arguments)
            for argument in arguments:
                _check(argument)
        case _:
            _error("an equation has no comparisons", tree.at, "it has + - * / ** and functions")


def _check_call(tree: Call, function: Name, arguments: tuple[Tree, ...]) -> None:
    name = function.name
    if name not in FUNCTIONS:
        layer = "Softmax" if name == "softmax" else f"Activation, activation: {name}"
        help = _OTHERWISE.get(name, "").format(name=name, layer=layer)
        help = help or did_you_mean(name, FUNCTIONS) or f"there are {', '.join(FUNCTIONS)}"
        _error(f'an equation has no function "{name}"', function.at, help)
    count = FUNCTIONS[name]
    if len(arguments) != count:
        message = f"{name} takes {count} argument{'s' * (count > 1)}, got {len(arguments)}"
        _error(message, function.at, f"write {name}({', '.join('ab'[:count])})")
    if not names_in(tree):
        _error(f"{written(tree)} is a number", tree.at, "write its value as a number")


def _error(message: str, at: Place, help: str = "") -> NoReturn:
    raise ExpressionError(message, at=at, help=help)


def input_name(index: int) -> str:
    """Return what a formula calls an input: `x1` is the first, whose index is 0."""
    return f"x{index + 1}"


def input_index(name: str) -> int:
    """Return the index of the input that a formula calls `name`."""
    return int(name[1:]) - 1


class _Text(Value):
    """An equation on inputs by their numbers."""

    words = 'an equation on x1, x2 and so on, such as "sigmoid(x1) * x2"'

    def read(self, value: Any, expected: str = "") -> str:
        if not isinstance(value, str):
            raise self.mismatch(value, expected)
        try:
            tree = equation(value)
        except ExpressionError as fault:
            refuse("equation", str(fault))
        names = {name.name for name in names_in(tree)}
        if names != {input_name(index) for index in range(len(names))}:
            refuse("equation", f"expected {expected or self.words}, got the names {', '.join(sorted(names))}")
        return written(tree)

    def schema(self) -> JsonSchemaValue:
        return {"type": "string"}


class Result(NamedTuple):
    """The result of an operation in an equation."""

    shape: Shape
    counted: bool
    """Whether the operation counts as arithmetic; activations do not."""


@dataclass(slots=True)
class _Shapes:
    """Works out the shape of every part of an equation on inputs of given shapes."""

    label: str
    inputs: tuple[Shape, ...]
    results: list[Result]

    def of(self, tree: Tree) -> Shape | None:
        """Return the shape of a part, None for a number; its results are added."""
        match tree:
            case Name(_, name):
                return self.inputs[input_index(name)]
            case Signed(_, negative, operand):
                return self.result([self.of(operand)]) if negative else self.of(operand)
            case Power(_, base, _):
                return self.result([self.of(base)])
            case Call(_, function, arguments):
                shapes = [self.of(argument) for argument in arguments]
                if len(arguments) == 2:
                    self.match(arguments[0], shapes[0], arguments[1], shapes[1])
                return self.result(shapes, counted=function.name in OPERATIONS)
            case Chain(_, first, rest):
                shape = self.of(first)
                for index, (_, operand) in enumerate(rest):
                    other = self.of(operand)
                    self.match(tree, shape, operand, other, operands=index)
                    shape = self.result([shape, other])
                return shape
        return None

    def match(self, left: Tree, a: Shape | None, right: Tree, b: Shape | None, *, operands: int | None = None) -> None:
        """Refuse operands that do not broadcast; the left one is a chain up to so many operands after its first."""
        if a is None or b is None or (unlike := misfit(a, b)) is None:
            return
        back, one, other = unlike
        if operands is not None and isinstance(left, Chain):
            left = replace(left, rest=left.rest[:operands]) if operands else left.first
        first, second = written(left), written(right)
        message = f"{self.label} cannot match {first} and {second} on axis -{back}"
        reason = f"it is {one} in {first} ({show(a)}) and {other} in {second} ({show(b)})"
        help = "lengths must be equal, or one of them 1"
        raise ShapeError(message, reason=reason, argument="formula", help=help)

    def result(self, shapes: Sequence[Shape | None], *, counted: bool = True) -> Shape | None:
        known = [shape for shape in shapes if shape is not None]
        if not known:
            return None
        shape = reduce(broadcast, known)
        self.results.append(Result(shape, counted))
        return shape


class Equation(Broadcasting):
    """Arithmetic on the values at the same position of its inputs, which the text calls x1, x2 and so on.

    The form `equation` writes it with the ids of nodes. Functions are those of Keras, with their defaults.
    """

    formula: Annotated[str, _Text()] = Field(
        description='The equation, such as "sigmoid(x1) * x2 + 0.5"; x1 is the first input.'
    )

    package = "specbuild"
    joins_one = True

    @property
    def tree(self) -> Tree:
        return equation(self.formula)

    def check(self, *inputs: Shape) -> None:
        Layer.check(self, *inputs)
        count = len({name.name for name in names_in(self.tree)})
        if len(inputs) != count:
            message = f"{self.label} reads {count} input{'s' * (count > 1)}, got {len(inputs)}"
            raise ShapeError(message, help=f"list them in the order of x1, x2 and so on: the formula is {self.formula}")
        self._results(inputs)

    def flops(self, *inputs: Shape) -> Dim:
        """One operation for each value of each result but those of activations."""
        return plus(*(times(1, *result.shape) for result in self._results(inputs) if result.counted))

    def saved_elements(self, *inputs: Shape) -> Dim:
        """Every result of an operation."""
        return plus(*(size(result.shape) for result in self._results(inputs)))

    def with_names(self, text: str, inputs: Sequence[str]) -> str:
        names = {input_name(index): name for index, name in enumerate(inputs)}
        return re.sub(r"\bx\d+\b", lambda match: names.get(match[0], match[0]), text)

    def text(self, inputs: Sequence[str]) -> str:
        return written(self.tree, lambda name: inputs[input_index(name)])

    def _results(self, inputs: tuple[Shape, ...]) -> list[Result]:
        shapes = _Shapes(self.label, inputs, [])
        shapes.of(self.tree)
        return shapes.results
