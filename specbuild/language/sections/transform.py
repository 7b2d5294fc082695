"""The transforms that a spec may name, with their arguments. `specbuild.data.transforms` computes them."""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, SerializeAsAny, WithJsonSchema, model_validator

from specbuild.catalog.values import NonNegativeNumber, Number, PositiveInt, PositiveNumber, Whole, refuse, written
from specbuild.document import did_you_mean


def _channels(value: Any) -> tuple[int | str, ...] | None:
    expected = "a list of variables such as [t2m, u10], or of their numbers from 0"
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not value:
        refuse("channels", f"expected {expected}, got {written(value)}")
    found = tuple(one if isinstance(one, str) else Whole(0).read(one, expected) for one in value)
    if len(set(found)) < len(found):
        refuse("channels", f"a channel stands twice in {written(list(value))}")
    return found


Channels: TypeAlias = Annotated[
    tuple[int | str, ...] | None,
    PlainValidator(_channels),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": ["string", "integer"]}}, {"type": "null"}]}),
]


class TransformSection(BaseModel):
    """One step from physical units to what the model reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    name: str
    channels: Channels = Field(
        None, description="The channels that it changes, by the names of their variables or by number. Default: all."
    )


class Standardize(TransformSection):
    """(x − mean) / standard deviation, per channel, of the training frames."""

    name: Literal["standardize"] = "standardize"


class MinMax(TransformSection):
    """Maps the smallest and largest training value of each channel to `min` and `max`."""

    name: Literal["minmax"] = "minmax"
    min: Number = Field(0.0, description="Where the smallest training value goes.")
    max: Number = Field(1.0, description="Where the largest training value goes.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min >= self.max:
            refuse("transform", f"min must lie below max, got min: {self.min:g} and max: {self.max:g}")
        return self


class Log1p(TransformSection):
    """log(1 + x), for values above −1."""

    name: Literal["log1p"] = "log1p"


class Log(TransformSection):
    """log(x + offset), for values above −offset."""

    name: Literal["log"] = "log"
    offset: NonNegativeNumber = Field(0.0, description="Added before the logarithm, in the units of the data.")


class Dbz(TransformSection):
    """Radar reflectivity in dBZ of a rain rate R in mm/h: 10 log10(a R^b).

    Marshall and Palmer (1948), The distribution of raindrops with size, J. Meteorol. 5, give a = 200, b = 1.6.
    """

    name: Literal["dbz"] = "dbz"
    a: PositiveNumber = Field(200.0, description="Factor of the Z-R relation.")
    b: PositiveNumber = Field(1.6, description="Exponent of the Z-R relation.")
    minimum: PositiveNumber = Field(0.1, description="Rain rates up to this many mm/h count as dry and come back as 0.")


class Clip(TransformSection):
    """Values beyond the bounds become the bounds, and so do those of a forecast on its way back."""

    name: Literal["clip"] = "clip"
    min: Number | None = Field(None, description="Lower bound, in the units that reach this step.")
    max: Number | None = Field(None, description="Upper bound, in the units that reach this step.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            refuse("transform", "clip needs min, max or both, such as {name: clip, min: 0, max: 60}")
        if self.min is not None and self.max is not None and self.min >= self.max:
            refuse("transform", f"min must lie below max, got min: {self.min:g} and max: {self.max:g}")
        return self


class Scale(TransformSection):
    """x · factor + offset."""

    name: Literal["scale"] = "scale"
    factor: Number = Field(1.0, description="Multiplies the values; not 0.")
    offset: Number = Field(0.0, description="Added after the multiplication.")

    @model_validator(mode="after")
    def _invertible(self) -> Self:
        if self.factor == 0:
            refuse("transform", "scale needs a factor other than 0, which could not be inverted")
        return self


class Anomaly(TransformSection):
    """x − the climatology: each pixel's mean over the training frames of the same phase of a cycle.

    The phase follows from the frames' times where these are known, else from their place in the event.
    """

    name: Literal["anomaly"] = "anomaly"
    period: PositiveInt = Field(
        description="Frames in one cycle, such as 24 for the hours of a day, 12 for the months of a year; 1: the mean."
    )


TRANSFORMS: dict[str, type[TransformSection]] = {
    "standardize": Standardize,
    "minmax": MinMax,
    "log1p": Log1p,
    "log": Log,
    "dbz": Dbz,
    "clip": Clip,
    "scale": Scale,
    "anomaly": Anomaly,
}


def transform(value: Any) -> TransformSection:
    """`log1p` or `{name: clip, min: 0}` as its section.

    Raises:
        PydanticCustomError: an unknown transform or argument, or neither a name nor a mapping.
        ValidationError: an argument that does not fit.
    """
    if isinstance(value, TransformSection):
        return value
    written_out = {"name": value} if isinstance(value, str) else value
    if not isinstance(written_out, dict) or not isinstance(written_out.get("name"), str):
        refuse("transform", f"expected a transform such as log1p or {{name: clip, min: 0}}, got {written(value)}")
    name = written_out["name"]
    section = TRANSFORMS.get(name)
    if section is None:
        hint = did_you_mean(name, TRANSFORMS) or f"known are {', '.join(TRANSFORMS)}"
        refuse("transform", f"no transform is called {written(name)}; {hint}")
    for word in written_out:
        if word not in section.model_fields:
            known = [argument for argument in section.model_fields if argument != "name"]
            listed = f"it has {', '.join(known)}" if known else "it has none"
            hint = did_you_mean(str(word), known) or listed
            refuse("transform", f"{name} has no argument {written(word)}; {hint}")
    return section.model_validate(written_out)


class _OneOfThem:
    """The JSON Schema of a transform, worked out when an editor asks for it."""

    def __get_pydantic_json_schema__(self, *_: Any) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(TRANSFORMS)}, *(one.model_json_schema() for one in TRANSFORMS.values())]}


Transform: TypeAlias = Annotated[SerializeAsAny[TransformSection], PlainValidator(transform), _OneOfThem()]
"""A transform by its name, or with its arguments."""
