"""How forecasts are scored."""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from specbuild.catalog.scores import CONVENTIONS, SCORES, SELECTABLE
from specbuild.catalog.values import Flag, PositiveInt, Real, Whole, refuse, written
from specbuild.document import did_you_mean

FSS_WINDOWS = (1, 5, 15)


def _thresholds(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list | tuple):
        refuse("thresholds", f"expected a list of numbers such as [0.5, 2, 5], got {written(value)}")
    found = tuple(Real().read(item, "a list of numbers such as [0.5, 2, 5]") for item in value)
    if len(set(found)) < len(found):
        refuse("thresholds", f"a threshold stands twice in {written(list(value))}")
    return found


def _scores(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        refuse("scores", f"expected a list of scores such as [ssim, psnr], got {written(value)}")
    for item in value:
        if not isinstance(item, str) or item not in SELECTABLE:
            near = did_you_mean(item, SELECTABLE) if isinstance(item, str) else ""
            refuse("scores", f"no score is called {written(item)}; {near or 'known are ' + ', '.join(SELECTABLE)}")
    return tuple(dict.fromkeys(value))


def _windows(value: Any) -> tuple[int, ...]:
    expected = "a list of positive whole numbers (widths in pixels) such as [1, 5, 15]"
    if not isinstance(value, list | tuple) or not value:
        refuse("windows", f"expected {expected}, got {written(value)}")
    return tuple(dict.fromkeys(Whole(1).read(item, expected) for item in value))


def _range(value: Any) -> tuple[float, float] | None:
    expected = "the least and the greatest value, such as [0, 1]"
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 2:
        refuse("range", f"expected {expected}, got {written(value)}")
    low, high = (Real().read(item, expected) for item in value)
    if low >= high:
        refuse("range", f"expected {expected}, the least first, got {written(list(value))}")
    return low, high


def _weighting(value: Any) -> Literal["auto"] | bool:
    if not isinstance(value, bool) and value != "auto":
        refuse("choice", f"expected auto, true or false, got {written(value)}")
    return value if isinstance(value, bool) else "auto"


*_FIRST, _LAST = (score.title for score in SCORES.values() if score.computed == "with thresholds")
_EVENTS = f"{', '.join(_FIRST)} and {_LAST}"
_NUMBERS = {"type": "array", "items": {"type": "number"}}

Thresholds: TypeAlias = Annotated[
    tuple[float, ...], PlainValidator(_thresholds), WithJsonSchema({**_NUMBERS, "uniqueItems": True})
]
ScoreNames: TypeAlias = Annotated[
    tuple[str, ...],
    PlainValidator(_scores),
    WithJsonSchema({"type": "array", "items": {"enum": list(SELECTABLE)}}),
]
Widths: TypeAlias = Annotated[
    tuple[int, ...],
    PlainValidator(_windows),
    WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1}),
]
Range: TypeAlias = Annotated[
    tuple[float, float] | None,
    PlainValidator(_range),
    WithJsonSchema({"anyOf": [{**_NUMBERS, "minItems": 2, "maxItems": 2}, {"type": "null"}]}),
]
Weighting: TypeAlias = Annotated[
    Literal["auto"] | bool,
    PlainValidator(_weighting),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"const": "auto"}]}),
]


class EvaluateSection(BaseModel):
    """What `specbuild evaluate` computes besides MSE, MAE, RMSE and bias."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    thresholds: Thresholds = Field(
        (),
        description=f"Values in physical units; {_EVENTS} are computed for values at or above each.",
    )
    scores: ScoreNames = Field(
        (), description="Further scores to compute, such as ssim, psnr, fss and acc; the terminal shows what is listed."
    )
    fss_windows: Widths = Field(FSS_WINDOWS, description="Widths in pixels of the boxes of fss.")
    data_range: Range = Field(
        None,
        description="Least and greatest physical value, for ssim and psnr. Default: those of the training split.",
    )
    clip: Flag = Field(False, description="Whether ssim and psnr are of values held to data_range.")
    latitude_weights: Weighting = Field(
        "auto",
        description="Whether rows weigh by their cells' area, in RMSE (latitude) and ACC. auto: where the data has "
        "latitudes.",
    )
    period: PositiveInt | None = Field(
        None,
        description="Frames in one cycle, such as 24 for hourly data; adds the baselines same phase and anomaly "
        "persistence.",
    )
    convention: Literal["openstl"] | None = Field(
        None,
        description="openstl: also the scores of OpenSTL's Moving MNIST: MSE and MAE summed over each frame, SSIM and "
        "PSNR of values held to 0 to 1.",
    )

    @property
    def computed(self) -> tuple[str, ...]:
        """The scores that are asked for by name or by convention."""
        return tuple(dict.fromkeys((*self.scores, *(CONVENTIONS[self.convention] if self.convention else ()))))

    @property
    def pictures(self) -> tuple[tuple[float, float] | None, bool]:
        """The range of SSIM and PSNR, None for that of the training split, and whether values are held to it."""
        return ((0.0, 1.0), True) if self.convention else (self.data_range, self.clip)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for position, name in enumerate(self.scores):
            if "thresholds" in SCORES[name].needs and not self.thresholds:
                raise _at(("scores", position), f"{name} counts values at or above thresholds, and evaluate has none")
        if self.convention and self.data_range not in (None, (0.0, 1.0)):
            raise _at(("data_range",), "convention: openstl scores values from 0 to 1; leave data_range out")
        return self


def _at(place: tuple[str | int, ...], message: str) -> ValidationError:
    """The error at a place below the section."""
    error = PydanticCustomError("specbuild.evaluate", "{message}", {"message": message})
    return ValidationError.from_exception_data("evaluate", [InitErrorDetails(type=error, loc=place, input=None)])
