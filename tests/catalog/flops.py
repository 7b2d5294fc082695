"""FLOPs counted beside the catalogue: from the weights that Keras makes and the shapes that come out.

Products are counted from the sizes of Keras's kernels and the number of places that they are applied at; operations on
single values from the published equation of each layer.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from specbuild.catalog.base import Layer
from specbuild.catalog.shapes import Shape
from specbuild.model.backend import keras


class Case(NamedTuple):
    """A built layer, and what went through it; shapes leave out the batch axis."""

    layer: Layer
    keras_layer: Any
    inputs: tuple[Shape, ...]
    output: Shape

    @property
    def values(self) -> int:
        """Values of the output."""
        return prod(self.output)  # type: ignore[arg-type]  # lengths are known

    @property
    def read(self) -> int:
        """Values of the first input."""
        return prod(self.inputs[0])  # type: ignore[arg-type]

    @property
    def channel(self) -> int:
        """Where the channels stand in the input or the output."""
        return 0 if getattr(self.layer, "data_format", None) == "channels_first" else -1

    def weights(self, name: str) -> int:
        """Entries of the weights that Keras calls so, with a number of a cell behind it or not."""
        named = [weight for weight in self.keras_layer.weights if re.fullmatch(rf"(\w*_)?{name}(_\d+)?", weight.name)]
        return sum(prod(weight.shape) for weight in named)


def flops(case: Case) -> int:
    """Return the operations of one sample; nothing for what only moves values."""
    return COUNTS.get(re.sub(r"\dD", "", case.layer.kind), lambda _: 0)(case)


def _convolved(case: Case) -> int:
    """Each kernel once, and the bias, for every place of the output."""
    places = case.values // (case.output[case.channel] or 1)
    return places * (2 * case.weights("kernel") + case.weights("bias"))


def _transposed(case: Case) -> int:
    """The kernel once for every place of the input; the bias for every value of the output."""
    places = case.read // (case.inputs[0][case.channel] or 1)
    return places * 2 * case.weights("kernel") + (case.values if case.weights("bias") else 0)


def _recurrence(each: Callable[[Any], int]) -> Callable[[Case], int]:
    """For every step and place: each kernel and the bias once, and what `each` counts for a channel of the state."""

    def count(case: Case) -> int:
        layer: Any = case.layer
        state = layer.state_shape(case.inputs[0])
        width = state[0] if layer.ranks != (2,) and layer.channels_first else state[-1]
        kernels = case.weights("kernel") - case.weights("peephole_kernel")
        once = 2 * kernels + case.weights("bias") + width * each(layer)
        return (case.inputs[0][0] or 0) * (prod(state) // width) * once

    return count


def _normalized(layer: Any, tensors: int) -> int:
    """Layer normalization: one operation for the mean, 3 for the variance, 2 to apply them, then gain and offset."""
    return tensors * (1 + 3 + 2 + 1 + layer.use_bias) if layer.normalization != "none" else 0


def _conv_lstm(layer: Any) -> int:
    """The sum of x and h in 4 gates; f∘c + i∘g, o∘tanh(c); a multiply-add for each peephole; the forget bias."""
    gates = 4 * layer.use_input + 3 + 1 + 6 * (layer.peephole != "none") + (layer.forget_bias is not None)
    return gates + _normalized(layer, 5)


def _conv_gru(layer: Any) -> int:
    """The sum of x and h in 3 gates; r∘h; z∘h + (1 − z)∘g."""
    return 3 * layer.use_input + 1 + 4 + _normalized(layer, 3)


def _st_lstm(layer: Any) -> int:
    """In each cell: 3 sums for i, f, g, 3 for j, k, n, 2 for o; c′ and m′ of 3 each, h′ of 1; two forget biases."""
    each = 3 + 3 + 2 + 3 + 3 + 1 + 2 * (layer.forget_bias != 0) + _normalized(layer, 15)
    return int(layer.cells * each)


def _traj_gru(case: Case) -> int:
    """Every kernel and bias; sums of x and h; for each link 10 to find 4 neighbours, 7 a channel to weigh them; h′."""
    layer: Any = case.layer
    sums = 3 * layer.filters + layer.flow_filters if layer.use_input else 0
    gathered = layer.links * (10 + 7 * layer.filters) + 5 * layer.filters
    places = case.read // (case.inputs[0][0] or 1) // (case.inputs[0][-1 if case.channel else 1] or 1)
    once = 2 * case.weights("kernel") + case.weights("bias") + sums + gathered
    return (case.inputs[0][0] or 0) * places * once


def _dot(case: Case) -> int:
    """A multiply-add for every pair of values that meet; with `normalize` a square, a sum and a division for each."""
    layer: Any = case.layer
    first = layer.axes[0] if isinstance(layer.axes, tuple) else layer.axes
    summed = ((None,) + case.inputs[0])[first] or 1
    scaled = 3 * sum(map(prod, case.inputs)) if layer.normalize else 0  # type: ignore[arg-type]
    return 2 * case.values * summed + scaled


def _equation(case: Case) -> int:
    """The values of every result but those of activations; Python reads the text."""
    shapes = {f"x{number}": shape for number, shape in enumerate(case.inputs, start=1)}
    counted = 0

    def shape(node: ast.AST) -> Shape:
        nonlocal counted
        if isinstance(node, ast.Name):
            return shapes[node.id]
        inside = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        if isinstance(node, ast.Call):
            inside = node.args
        operands = [shape(child) for child in inside if not isinstance(child, ast.Constant)]
        merged: Shape = np.broadcast_shapes(*operands)  # type: ignore[arg-type]  # lengths are known
        named = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if not hasattr(keras.activations, named) or named in ("", "abs"):
            counted += prod(merged)  # type: ignore[arg-type]
        return merged

    shape(ast.parse(case.layer.formula, mode="eval").body)  # type: ignore[attr-defined]
    return counted


def _warp(case: Case) -> int:
    """For each step of a path two readings of two channels, a half and two places; then one reading of each frame.

    Paths through one motion, or back from the last, continue each other; others have all their steps to themselves.
    """
    steps, (frames, motion) = case.layer.steps, case.inputs  # type: ignore[attr-defined]
    count = len(case.output)
    reading = {channels: 10 + 7 * channels for channels in (2, frames[-1] or 1)}
    numbers = list(range(case.output[0] or 1))[::-1] if steps == "to_last" else steps  # type: ignore[arg-type]
    most = max(numbers) if isinstance(numbers, list | tuple) else numbers
    path = sum(range(most + 1)) if len(motion) == count and steps != "to_last" else most
    height, width = case.output[1:3]
    return height * width * (path * (2 * reading[2] + 2 + 4) + (case.output[0] or 1) * reading[frames[-1] or 1])  # type: ignore[operator]


def _each_input(times: int) -> Callable[[Case], int]:
    return lambda case: times * case.read


COUNTS: dict[str, Callable[[Case], int]] = {
    **dict.fromkeys(("Conv", "DepthwiseConv", "SeparableConv", "Dense"), _convolved),
    "ConvTranspose": _transposed,
    "LSTM": _recurrence(lambda _: 4 + 3 + 1),
    "GRU": _recurrence(lambda _: 3 + 1 + 4),
    "SimpleRNN": _recurrence(lambda _: 1),
    "ConvLSTM": _recurrence(_conv_lstm),
    "ConvGRU": _recurrence(_conv_gru),
    "STLSTM": _recurrence(_st_lstm),
    "TrajGRU": _traj_gru,
    **dict.fromkeys(("MaxPooling", "AveragePooling"), lambda case: case.values * prod(case.keras_layer.pool_size)),
    **dict.fromkeys(("GlobalMaxPooling", "GlobalAveragePooling"), _each_input(1)),
    **dict.fromkeys(("Add", "Multiply", "Maximum", "Minimum"), lambda case: (len(case.inputs) - 1) * case.values),
    "Average": lambda case: len(case.inputs) * case.values,
    **dict.fromkeys(("Subtract", "Divide"), lambda case: case.values),
    "Equation": _equation,
    "Dot": _dot,
    "MatMul": lambda case: 2 * case.values * (case.inputs[0][-1] or 1),
    "Warp": _warp,
    "BatchNormalization": _each_input(2),
    **dict.fromkeys(
        ("LayerNormalization", "GroupNormalization"),
        lambda case: (1 + 3 + 2 + case.keras_layer.scale + case.keras_layer.center) * case.read,
    ),
    "RMSNormalization": _each_input(4),
    "UnitNormalization": _each_input(3),
    "Rescaling": _each_input(2),
    **dict.fromkeys(("Elementwise", "LocalBias", "LocalScale"), _each_input(1)),
    "GaussianSampling": lambda case: 4 * case.values,
    "Clip": lambda case: sum(bound is not None for bound in (case.layer.min, case.layer.max)) * case.read,  # type: ignore[attr-defined]
    "Reduce": lambda case: (4 if case.layer.function == "std" else 1) * case.read,  # type: ignore[attr-defined]
    "UpSampling": lambda case: (
        2 * case.values * {"bilinear": 4, "bicubic": 16, "lanczos3": 36, "lanczos5": 100}.get(_interpolation(case), 0)
    ),
}
"""By kind without its number of axes. Kinds that are not here move, mark or drop values, and count nothing."""


def _interpolation(case: Case) -> str:
    return getattr(case.layer, "interpolation", "nearest")
