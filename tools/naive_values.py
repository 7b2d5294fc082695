"""Arguments, variables, equations and Keras layers, for the naive reading of a spec."""

from __future__ import annotations

import ast
import operator
import re
from typing import Any

import keras
from naive_things import (
    COMMON,
    Env,
    Passed,
    Tree,
)

from specbuild.model.layers import LAYERS


class Start(keras.layers.Layer):  # type: ignore[misc]  # Keras's base class has no types
    """A state before the first step, a number or learned, for as many samples as a sequence has."""

    def __init__(self, shape: list[int], initial: Any) -> None:
        super().__init__()
        self.shape, self.initial = shape, initial
        if initial == "learned":
            self.initial = self.add_weight(shape=shape, initializer="zeros", name="initial_state")

    def call(self, sequence: Any) -> Any:
        start = keras.ops.cast(self.initial, sequence.dtype)
        return keras.ops.broadcast_to(start, (keras.ops.shape(sequence)[0], *self.shape))

    def compute_output_shape(self, sequence: Any) -> Any:
        return (sequence[0], *self.shape)


class Tied(keras.layers.Layer):  # type: ignore[misc]  # as above
    """The first of several tensors; a model with it has the layers of the others as well."""

    def call(self, tensors: list[Any]) -> Any:
        return tensors[0] * 1

    def compute_output_shape(self, shapes: Any) -> Any:
        return shapes[0]


def made(kind: str, arguments: Tree) -> Any:
    """Return a Keras layer."""
    given = {name: argument(value) for name, value in arguments.items() if name not in ("trainable", "remat")}
    ours = kind in LAYERS and ("use_input" in given or not hasattr(keras.layers, kind))
    return (LAYERS[kind] if ours else getattr(keras.layers, kind))(**given)


def wrapped(wrapper: str, layer: Any) -> Any:
    return keras.layers.TimeDistributed(layer) if wrapper else layer


def argument(value: Any) -> Any:
    """Return an argument as Keras takes it: initializers made, lists as tuples."""
    if isinstance(value, dict):
        rest = {key: each for key, each in value.items() if key != "name"}
        return getattr(keras.initializers, value["name"])(**rest)
    return tuple(value) if isinstance(value, list) else value


def own_arguments(layer: Tree, env: Env) -> Tree:
    """Return the arguments of a layer, over the defaults of its kind."""
    kind = substituted(layer["layer"], env.values)
    defaults = substituted(env.document.tree.get("defaults", {}).get(kind, {}), env.document.values)
    own = {key: substituted(value, env.values) for key, value in layer.items() if key not in COMMON}
    return {**defaults, **own}


def handed_over(value: list[Tree] | str, values: dict[str, Any]) -> Passed:
    """Return nodes that are handed to a block."""
    return values[value[1:]] if isinstance(value, str) else Passed(value, values)


def filled(equation: str, values: dict[str, Any]) -> str:
    """Return the text of an equation with its variables filled in, numbers of at least 0 or parts of ids."""
    return re.sub(r"\$\{?([A-Za-z]\w*)\}?", lambda match: str(values[match[1]]), equation)


def names_in(equation: str) -> dict[str, None]:
    """Return the names that an equation reads, in order, without repetitions."""
    found = re.findall(r"[A-Za-z_]\w*(?:\.\w+)*(?!\w|\s*\()", equation)
    return dict.fromkeys(found)


def aligned(tensors: dict[str, Any]) -> dict[str, Any]:
    """Return tensors with equal numbers of axes, the missing ones after the batch axis."""
    most = max((len(x.shape) for x in tensors.values()), default=0)

    def wide(x: Any) -> Any:
        for _ in range(most - len(x.shape)):
            x = keras.ops.expand_dims(x, 1)
        return x

    return {name: wide(x) for name, x in tensors.items()}


def value_of(node: ast.AST, tensors: dict[str, Any]) -> Any:
    """Return the value of an equation, which Python reads."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name | ast.Attribute):
        return tensors[ast.unparse(node)]
    if isinstance(node, ast.UnaryOp):
        return -value_of(node.operand, tensors)
    if isinstance(node, ast.Call):
        return getattr(keras.ops, ast.unparse(node.func))(*(value_of(each, tensors) for each in node.args))
    return OPERATORS[type(node.op)](value_of(node.left, tensors), value_of(node.right, tensors))


def every_copy(states: Tree) -> Tree:
    """Return states with each one that has `copies` written out."""
    every: Tree = {}
    for name, declared in states.items():
        copies = declared.get("copies") if isinstance(declared, dict) else None
        names = [name] if copies is None else [f"{name}{at}" for at in range(1, copies + 1)]
        every |= dict.fromkeys(names, declared)
    return every


def condition(text: str) -> bool:
    """Return whether two whole numbers compare as a condition says."""
    match = re.fullmatch(r"\$\{(\d+) (<|==|!=) (\d+)\}", text)
    assert match is not None
    left, right = int(match[1]), int(match[3])
    return {"<": left < right, "==": left == right, "!=": left != right}[match[2]]


def default(parameter: Any) -> Any:
    """Return the default of a block's parameter."""
    return parameter.get("default") if isinstance(parameter, dict) else parameter


def state_order(name: str) -> tuple[bool, int]:
    return name.startswith("backward"), "hcmn".index(name[-1])


# Variables


def variables(written: dict[str, Any]) -> dict[str, Any]:
    """Return variables that may refer to each other."""
    values: dict[str, Any] = {}
    for _ in written:
        for name, value in written.items():
            if name not in values:
                try:
                    values[name] = substituted(value, values)
                except KeyError:
                    continue
    return values


def substituted(value: Any, values: dict[str, Any]) -> Any:
    """Return a value with its variables filled in."""
    if isinstance(value, dict):
        return {key: substituted(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [substituted(each, values) for each in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    if re.fullmatch(r"(\$[A-Za-z]\w*|[\d\s+*/()%-])+", value):
        return computed(ast.parse(value.replace("$", ""), mode="eval").body, values)
    value = re.sub(r"\$\{(\w+)\}", lambda match: str(values[match[1]]), value)
    return re.sub(r"\$([A-Za-z]\w*)", lambda match: str(values[match[1]]), value)


def text(value: Any, values: dict[str, Any]) -> str:
    return "" if value is None else str(substituted(value, values))


OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def computed(node: ast.AST, values: dict[str, Any]) -> Any:
    """Return the value of an arithmetic expression."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return values[node.id]
    left, right = computed(node.left, values), computed(node.right, values)
    if isinstance(node.op, ast.Div):
        return left // right if left % right == 0 else left / right
    return OPERATORS[type(node.op)](left, right)
