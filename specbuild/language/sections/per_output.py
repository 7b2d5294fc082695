"""Losses and metrics of a model with several outputs: one for all, or a mapping of output to its own."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias

from pydantic_core import PydanticCustomError

from specbuild.catalog.list_values import Each, ListOf
from specbuild.catalog.objects import KerasObject, KerasValue, LossSum, keras_object
from specbuild.catalog.values import Real, Value, check_length, fault, read_each, refuse

MAX_OBJECTS = 100
"""Losses or metrics in one list or mapping."""


class _Term(Value):
    """A loss of a sum, with its weight: 1 where none is written."""

    words = KerasValue("losses").words

    def read(self, value: Any, expected: str = "") -> tuple[KerasObject, float]:  # noqa: ARG002
        if not isinstance(value, Mapping) or "weight" not in value:
            return keras_object("losses", value), 1.0
        try:
            weight = Real(above=0).read(value["weight"])
        except PydanticCustomError as error:
            raise fault(("weight",), error.message()) from None
        return keras_object("losses", {key: item for key, item in value.items() if key != "weight"}), weight

    def schema(self) -> dict[str, Any]:
        weight = {"type": "number", "exclusiveMinimum": 0}
        weighted = {"type": "object", "properties": {"weight": weight}, "required": ["name"]}
        return {"anyOf": [{"type": "string"}, weighted]}


class _Loss(KerasValue):
    """A loss, or `{sum: [mse, {name: ssim, weight: 0.1}]}`."""

    def read(self, value: Any, expected: str = "") -> KerasObject:  # noqa: ARG002
        if not _is_sum(value):
            return super().read(value)
        if not value["sum"]:
            refuse("sum", "a sum of losses needs at least one loss")
        check_length(value["sum"], MAX_OBJECTS)
        terms = read_each(_Term().read, dict(enumerate(value["sum"])), "sum")
        losses, weights = zip(*terms.values(), strict=True)
        return LossSum("sum", {"losses": list(losses), "weights": list(weights)})

    def schema(self) -> dict[str, Any]:
        terms = {"type": "array", "items": _Term().schema(), "minItems": 1}
        total = {"type": "object", "properties": {"sum": terms}, "required": ["sum"], "additionalProperties": False}
        return {"anyOf": [super().schema(), total]}


def _is_sum(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"sum"} and isinstance(value["sum"], list | tuple)


class _Weights(ListOf):
    """Numbers of at least 0, not all of which are 0."""

    def read(self, value: Any, expected: str = "") -> Any:
        weights = super().read(value, expected)
        if not any(weights):
            refuse("lead_weights", "at least one weight must be above 0")
        return weights


class _PerOutput(Value):
    """A value for every output, or a mapping of outputs to values.

    `is_single` tells a mapping that is a value itself.
    """

    def __init__(self, item: Value, is_single: Callable[[Mapping[str, Any]], bool] = lambda _: False) -> None:
        self.item, self.is_single, self.words = item, is_single, item.words

    def read(self, value: Any, expected: str = "") -> Any:
        if isinstance(value, Mapping) and value and not self.is_single(value):
            check_length(value, MAX_OBJECTS)
            return read_each(self.item.read, value)
        return self.item.read(value, expected)

    def schema(self) -> dict[str, Any]:
        item = self.item.schema()
        return {"anyOf": [item, {"type": "object", "additionalProperties": item}]}

    def written(self, value: Any) -> Any:
        return _plain(value)


def _plain(value: Any) -> Any:
    """Keras objects as a spec writes them."""
    if isinstance(value, KerasObject):
        return value.written()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _is_loss(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("name"), str) or _is_sum(value)


Losses: TypeAlias = Annotated[KerasObject | dict[str, KerasObject], _PerOutput(_Loss("losses"), _is_loss)]
"""`mse`, `{name: Huber, delta: 2}`, `{sum: [mse, {name: ssim, weight: 0.1}]}`, or by output
`{forecast: mse, mask: binary_crossentropy}`."""

LeadWeights: TypeAlias = (
    Annotated[
        tuple[float, ...] | dict[str, tuple[float, ...]],
        _PerOutput(_Weights(Real(0), "a list of numbers of at least 0, one for each frame that the model gives", 1)),
    ]
    | None
)
"""`[1, 1, 2]`, or by output."""

MetricLists: TypeAlias = Annotated[
    tuple[KerasObject, ...] | dict[str, tuple[KerasObject, ...]],
    _PerOutput(Each(KerasValue("metrics"), "a list of metrics such as [mae]", limit=MAX_OBJECTS)),
]
"""`[mae]`, or `{forecast: [mae], mask: [accuracy]}`."""
