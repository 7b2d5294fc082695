"""Losses and metrics of a model with several outputs: one for all, or a mapping of output to its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import PlainSerializer, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError

from specbuild.catalog.checks import refuse, written
from specbuild.catalog.objects import FAMILY, KerasObject, keras_object

Some = TypeVar("Some")

MAX_OBJECTS = 100
"""Losses or metrics in one list or mapping."""


def _loss(value: Any) -> KerasObject:
    return keras_object("losses", value)


def _losses(value: Any) -> KerasObject | dict[str, KerasObject]:
    """A loss, or losses by output. A mapping with a `name` is one loss and its arguments."""
    if isinstance(value, Mapping) and value and not isinstance(value.get("name"), str):
        return _each(value, _loss)
    return _loss(value)


def _metrics(value: Any) -> list[KerasObject]:
    if not isinstance(value, list | tuple):
        refuse("metrics", f"expected a list of metrics such as [mae], got {written(value)}")
    found = _each(dict(enumerate(value)), lambda item: keras_object("metrics", item))
    return list(found.values())


def _metric_lists(value: Any) -> list[KerasObject] | dict[str, list[KerasObject]]:
    return _each(value, _metrics) if isinstance(value, Mapping) and value else _metrics(value)


def _each(values: Mapping[Any, Any], read: Callable[[Any], Some]) -> dict[Any, Some]:
    """Every value read, or all their faults, each below its key."""
    if len(values) > MAX_OBJECTS:
        refuse("length", f"expected at most {MAX_OBJECTS} of them, got {len(values):,}")
    found: dict[Any, Some] = {}
    faults: list[InitErrorDetails] = []
    for key, value in values.items():
        try:
            found[key] = read(value)
        except ValidationError as error:
            faults += [_fault(one["type"], one["msg"], (key, *one["loc"]), value) for one in error.errors()]
        except PydanticCustomError as error:
            faults.append(_fault(error.type, error.message(), (key,), value))
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


_LOSS = {FAMILY: "losses"}
_METRICS = {"type": "array", "items": {FAMILY: "metrics"}}

Losses: TypeAlias = Annotated[
    KerasObject | dict[str, KerasObject],
    PlainValidator(_losses),
    PlainSerializer(_plain),
    WithJsonSchema({"anyOf": [_LOSS, {"type": "object", "additionalProperties": _LOSS}]}),
]
"""`mse`, `{name: Huber, delta: 2}`, or `{forecast: mse, mask: binary_crossentropy}`."""

MetricLists: TypeAlias = Annotated[
    list[KerasObject] | dict[str, list[KerasObject]],
    PlainValidator(_metric_lists),
    PlainSerializer(_plain),
    WithJsonSchema({"anyOf": [_METRICS, {"type": "object", "additionalProperties": _METRICS}]}),
]
"""`[mae]`, or `{forecast: [mae], mask: [accuracy]}`."""
