"""How forecasts are scored."""

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from specbuild.catalog.checks import number, refuse, written
from specbuild.catalog.fields import PositiveInt


def _thresholds(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list | tuple):
        refuse("thresholds", f"expected a list of numbers such as [0.5, 2, 5], got {written(value)}")
    found = tuple(number(item, "a list of numbers such as [0.5, 2, 5]", lambda _: True) for item in value)
    if len(set(found)) < len(found):
        refuse("thresholds", f"a threshold stands twice in {written(list(value))}")
    return found


Thresholds: TypeAlias = Annotated[
    tuple[float, ...],
    PlainValidator(_thresholds),
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "uniqueItems": True}),
]


class EvaluateSection(BaseModel):
    """What `specbuild evaluate` computes besides MSE, MAE, RMSE and bias."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    thresholds: Thresholds = Field(
        (),
        description="Values in physical units; CSI, POD, FAR, BIAS and HSS are computed for values at or above each.",
    )
    period: PositiveInt | None = Field(
        None,
        description="Frames in one cycle, such as 24 for hourly data; adds the baselines same phase and anomaly "
        "persistence.",
    )
