"""Operations on tensors that a Keras model recorded, such as `a * 2 + b`, as layers of a spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from specbuild.catalog import KINDS
from specbuild.catalog.arithmetic import FUNCTIONS, REDUCTIONS
from specbuild.catalog.plumbing import SplitPart
from specbuild.catalog.signatures import signature
from specbuild.language.forms import snake
from specbuild.model.importing.layers import SpecLayer
from specbuild.model.importing.objects import Inexpressible, spec_object
from specbuild.model.importing.records import Call, Malformed, Record, Tensor

_Arguments = Mapping[str, Any]

MERGES = ("Add", "Divide", "Maximum", "Minimum", "Multiply", "Subtract")
"""Operations on two tensors that are a merging layer of the same name."""
AFTER: dict[str, Callable[[float], _Arguments]] = {
    "Add": lambda c: {"scale": 1, "offset": c},
    "Divide": lambda c: {"scale": 1 / c},
    "Multiply": lambda c: {"scale": c},
    "Subtract": lambda c: {"scale": 1, "offset": -c},
}
"""A tensor and then a number: the arguments of Rescaling."""
BEFORE: dict[str, Callable[[float], _Arguments]] = {
    "Add": AFTER["Add"],
    "Multiply": AFTER["Multiply"],
    "Subtract": lambda c: {"scale": -1, "offset": c},
}
"""A number and then a tensor."""
OPERANDS = ("x", "x1", "x2", "xs")
"""What operations call the tensors that they read."""
ELEMENTWISE = {"Absolute": "abs"} | {name.capitalize(): name for name in FUNCTIONS if name != "round"}
"""Operations on one tensor, and what Elementwise calls them."""
MAX_PARTS = 10_000
"""The largest number of parts that is imported."""
POWERS = {0.5: "sqrt", 2: "square", -1: "reciprocal"}
"""Exponents, and what Elementwise calls those powers."""
SETTINGS: dict[str, tuple[str, Callable[[_Arguments], _Arguments]]] = {
    "Clip": ("Clip", lambda c: {"min": c.get("x_min"), "max": c.get("x_max")}),
    "Concatenate": ("Concatenate", lambda c: {"axis": c.get("axis", -1)}),
    "ExpandDims": ("ExpandDims", lambda c: {"axis": c.get("axis")}),
    "Squeeze": ("Squeeze", lambda c: {"axis": c.get("axis")}),
    "Stack": ("Stack", lambda c: {"axis": c.get("axis", 0)}),
    **{
        name: ("Reduce", lambda c, name=name: {"function": name.lower(), **_reduced(c)})  # type: ignore[misc]
        for name in map(str.capitalize, REDUCTIONS)
    },
}
"""Operations with settings of their own: the layer, and its arguments."""


def spec_operation(record: Record, call: Call) -> SpecLayer | None:
    """Return the layer that does what an operation did in one call; None where there is none."""
    kind_and_arguments = _layer_of(record, call)
    if kind_and_arguments is None:
        return None
    kind, arguments = kind_and_arguments
    try:
        return SpecLayer({"layer": kind, **arguments}, KINDS[kind].model_validate(arguments))
    except ValidationError:
        return None


def spec_split(record: Record, call: Call) -> list[tuple[str, SpecLayer]] | None:
    """Return the parts that a layer or an operation cuts a tensor into, each with a name; None for any other.

    Those of an operation are called after it, those of our layer after the nodes that they were.

    Raises:
        Malformed: the configuration is not one of our layer.
    """
    ours = record.registered == "specbuild>Split"
    if not (ours or (record.kind == "Split" and record.is_operation)) or len(call.tensors()) != 1:
        return None
    axis, names = record.config.get("axis", -1 if ours else 0), record.config.get("names") or ()
    cut = record.config.get("parts" if ours else "indices_or_sections")
    if not ours and isinstance(cut, list) and isinstance(axis, int):
        shape = call.tensors()[0].shape
        length = (None, *shape)[axis] if shape is not None and -len(shape) <= axis <= len(shape) else None
        ends = [0, *cut, length]
        cut = [stop - start for start, stop in pairwise(ends)] if all(isinstance(end, int) for end in ends) else None
    try:
        parts = SplitPart.model_validate({"parts": cut, "index": 0, "axis": axis})
    except ValidationError:
        parts = None
    if parts is None or parts.count > MAX_PARTS or not isinstance(names, list | tuple):
        if ours:
            raise Malformed(f"{record.name} does not say how it cuts its input")
        return None
    layers = []
    for index in range(parts.count):
        name = names[index] if index < len(names) else None
        arguments = {"parts": cut, "index": index, **({"axis": axis} if axis != -1 else {})}
        layer = SplitPart.model_validate(arguments)
        layers.append((str(name or f"{record.name}_{index + 1}"), SpecLayer({"layer": layer.kind, **arguments}, layer)))
    return layers


def _layer_of(record: Record, call: Call) -> tuple[str, _Arguments] | None:
    operands = [*call.args, *(call.kwargs[name] for name in OPERANDS if name in call.kwargs)]
    if record.kind == "GetItem":
        return _indexed(operands)
    if set(call.kwargs) - set(OPERANDS):
        return None
    if len(operands) == 2:
        return _of_two(record.kind.removeprefix("True"), *operands)  # TrueDivide is Divide
    if len(operands) != 1:
        return None
    if record.kind in SETTINGS:
        kind, arguments = SETTINGS[record.kind]
        return kind, arguments(record.config)
    if not isinstance(operands[0], Tensor):
        return None
    if record.kind in ELEMENTWISE:
        return "Elementwise", {"function": ELEMENTWISE[record.kind]}
    return _activation(record)


def _of_two(kind: str, first: Any, second: Any) -> tuple[str, _Arguments] | None:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return (kind, {}) if kind in MERGES else None
    if kind == "Power" and second in POWERS:
        return "Elementwise", {"function": POWERS[second]}
    number, table = (first, BEFORE) if isinstance(second, Tensor) else (second, AFTER)
    if kind not in table or isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return None if number == 0 and kind == "Divide" else ("Rescaling", table[kind](number))


def _activation(record: Record) -> tuple[str, _Arguments] | None:
    name = snake(record.kind)
    if signature("activations", name) is None:
        return None
    try:
        return "Activation", {"activation": spec_object("activations", {"class_name": name, "config": record.config})}
    except Inexpressible:
        return None


def _indexed(operands: list[Any]) -> tuple[str, _Arguments] | None:
    """`x[:, -1]` and `x[:, 2:5]`: one axis after the batch axis."""
    if len(operands) != 2:
        return None
    index = operands[1] if isinstance(operands[1], list) else [operands[1]]
    cuts = [(axis, entry) for axis, entry in enumerate(index) if entry != slice(None)]
    if len(cuts) != 1 or cuts[0][0] == 0:
        return None
    axis, cut = cuts[0]
    if axis == 1 and cut == -1 and not isinstance(cut, bool):
        return "LastFrame", {}
    if not isinstance(cut, slice):
        return None
    ends = {"start": cut.start, "stop": cut.stop, "step": cut.step}
    return "Slice", {"axis": axis, **{key: value for key, value in ends.items() if value is not None}}


def _reduced(config: _Arguments) -> _Arguments:
    return {"axis": config.get("axis"), **({"keepdims": True} if config.get("keepdims") else {})}
