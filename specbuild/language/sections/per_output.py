"""Losses and metrics of a model with several outputs: one for all, or a mapping of output to its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import PlainSerializer, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError

from specbuild.catalog.objects import FAMILY, KerasObject, LossSum, keras_object
from specbuild.catalog.values import Real, refuse, written

Some = TypeVar("Some")

MAX_OBJECTS = 100
"""Losses or metrics in one list or mapping."""


def _loss(value: Any) -> KerasObject:
    return _sum(value) if _is_sum(value) else keras_object("losses", value)


def _is_sum(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"sum"} and isinstance(value["sum"], list | tuple)


def _sum(value: Mapping[str, Any]) -> LossSum:
    """`{sum: [mse, {name: ssim, weight: 0.1}]}`; a weight that is not written is 1."""
    if not value["sum"]:
        refuse("sum", "a sum of losses needs at least one loss")
    terms = _each(dict(enumerate(value["sum"])), _term, "sum")
    losses, weights = zip(*terms.values(), strict=True)
    return LossSum("sum", {"losses": list(losses), "weights": list(weights)})


def _term(value: Any) -> tuple[KerasObject, float]:
    if not isinstance(value, Mapping) or "weight" not in value:
        return keras_object("losses", value), 1.0
    weight = value["weight"]
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
        raise ValidationError.from_exception_data(
            "weight",
            [_fault("specbuild.weight", f"expected a number above 0, got {written(weight)}", ("weight",), weight)],
        )
    return keras_object("losses", {key: item for key, item in value.items() if key != "weight"}), float(weight)


def _losses(value: Any) -> KerasObject | dict[str, KerasObject]:
    """A loss, or losses by output. A mapping with a `name` is one loss and its arguments, one of a `sum` a sum."""
    if isinstance(value, Mapping) and value and not isinstance(value.get("name"), str) and not _is_sum(value):
        return _each(value, _loss)
    return _loss(value)


def _metrics(value: Any) -> list[KerasObject]:
    if not isinstance(value, list | tuple):
        refuse("metrics", f"expected a list of metrics such as [mae], got {written(value)}")
    found = _each(dict(enumerate(value)), lambda item: keras_object("metrics", item))
    return list(found.values())


def _metric_lists(value: Any) -> list[KerasObject] | dict[str, list[KerasObject]]:
    return _each(value, _metrics) if isinstance(value, Mapping) and value else _metrics(value)


def _lead_weights(value: Any) -> tuple[float, ...] | dict[str, tuple[float, ...]] | None:
    if isinstance(value, Mapping) and value:
        return _each(value, _numbers)
    return None if value is None else _numbers(value)


def _numbers(value: Any) -> tuple[float, ...]:
    expected = "a list of numbers of at least 0, one for each frame that the model gives"
    if not isinstance(value, list | tuple) or not value:
        refuse("lead_weights", f"expected {expected}, got {written(value)}")
    found = tuple(Real(0).read(item, expected) for item in value)
    if not any(found):
        refuse("lead_weights", "at least one weight must be above 0")
    return found


def _each(values: Mapping[Any, Any], read: Callable[[Any], Some], *place: str) -> dict[Any, Some]:
    """Every value read, or all their faults, each below its key, which stands at `place`."""
    if len(values) > MAX_OBJECTS:
        refuse("length", f"expected at most {MAX_OBJECTS} of them, got {len(values):,}")
    found: dict[Any, Some] = {}
    faults: list[InitErrorDetails] = []
    for key, value in values.items():
        try:
            found[key] = read(value)
        except ValidationError as error:
            faults += [_fault(one["type"], one["msg"], (*place, key, *one["loc"]), value) for one in error.errors()]
        except PydanticCustomError as error:
            faults.append(_fault(error.type, error.message(), (*place, key), value))
    if faults:
        raise ValidationError.from_exception_data("per output", faults)
    return found


def _fault(code: str, message: str, loc: tuple[int | str, ...], value: Any) -> InitErrorDetails:
    error = PydanticCustomError(code, "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=loc, input=value)


def _plain(value: Any) -> Any:
    """Keras objects as a spec writes them."""
    if isinstance(value, KerasObject):
        return value.written()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value]


_TERM = {"type": "object", "properties": {"weight": {"type": "number", "exclusiveMinimum": 0}}, "required": ["name"]}
_SUM = {
    "type": "object",
    "properties": {"sum": {"type": "array", "items": {"anyOf": [{"type": "string"}, _TERM]}, "minItems": 1}},
    "required": ["sum"],
    "additionalProperties": False,
}
_LOSS = {FAMILY: "losses"}
_NUMBERS = {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 1}
_METRICS = {"type": "array", "items": {FAMILY: "metrics"}}

Losses: TypeAlias = Annotated[
    KerasObject | dict[str, KerasObject],
    PlainValidator(_losses),
    PlainSerializer(_plain),
    WithJsonSchema({"anyOf": [_LOSS, _SUM, {"type": "object", "additionalProperties": {"anyOf": [_LOSS, _SUM]}}]}),
]
"""`mse`, `{name: Huber, delta: 2}`, `{sum: [mse, {name: ssim, weight: 0.1}]}`, or by output
`{forecast: mse, mask: binary_crossentropy}`."""

LeadWeights: TypeAlias = Annotated[
    tuple[float, ...] | dict[str, tuple[float, ...]] | None,
    PlainValidator(_lead_weights),
    WithJsonSchema({"anyOf": [_NUMBERS, {"type": "object", "additionalProperties": _NUMBERS}, {"type": "null"}]}),
]
"""`[1, 1, 2]`, or by output."""

MetricLists: TypeAlias = Annotated[
    list[KerasObject] | dict[str, list[KerasObject]],
    PlainValidator(_metric_lists),
    PlainSerializer(_plain),
    WithJsonSchema({"anyOf": [_METRICS, {"type": "object", "additionalProperties": _METRICS}]}),
]
"""`[mae]`, or `{forecast: [mae], mask: [accuracy]}`."""
