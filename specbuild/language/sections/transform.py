"""The transforms that a spec may name: the arguments of each, and what other stages must know of it.

`specbuild.data.transforms.kinds` has the step of each, which computes it.
"""

from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from specbuild.catalog.list_values import Each, ListOf
from specbuild.catalog.values import NonNegativeNumber, Number, PositiveInt, PositiveNumber, Value, Whole, refuse
from specbuild.language.sections.base import Named, Section


class _Channel(Value):
    """The name of a variable, or the number of a channel."""

    def read(self, value: Any, expected: str = "") -> int | str:
        return value if isinstance(value, str) else Whole(0).read(value, expected)

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "integer"]}


Channels: TypeAlias = (
    Annotated[
        tuple[int | str, ...],
        ListOf(_Channel(), "a list of variables such as [t2m, u10], or of their numbers from 0", 1, once="a channel"),
    ]
    | None
)


class TransformSection(Section):
    """One step from physical units to the values that the model reads."""

    affine: ClassVar[bool] = False
    """Whether the mean of its results is the result for the mean, so that no pass over the frames is needed for it."""
    centred: ClassVar[bool] = False
    """Whether its results can be below −1 and above 1."""
    periodic: ClassVar[bool] = False
    """Whether it needs the mean of every phase of a cycle, and the phase of each frame."""

    logarithmic: ClassVar[bool] = False
    """Whether its inverse is an exponential."""

    @property
    def rises(self) -> bool:
        """Whether a greater value never becomes a lesser one, so that quantiles stay quantiles."""
        return True

    name: str
    channels: Channels = Field(None, description="Channels to transform, by variable name or by number. Default: all.")


class Standardize(TransformSection):
    """(x − mean) / standard deviation of the training frames, per channel."""

    affine = True
    centred = True
    name: Literal["standardize"] = "standardize"


class MinMax(TransformSection):
    """Map the training minimum and maximum of each channel to `min` and `max`."""

    affine = True
    name: Literal["minmax"] = "minmax"
    min: Number = Field(0.0, description="Value that the training minimum is mapped to.")
    max: Number = Field(1.0, description="Value that the training maximum is mapped to.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.min, self.max)
        return self


class Log1p(TransformSection):
    """log(1 + x), for values above −1."""

    logarithmic = True
    name: Literal["log1p"] = "log1p"


class Log(TransformSection):
    """log(x + offset), for values above −offset."""

    logarithmic = True
    name: Literal["log"] = "log"
    offset: NonNegativeNumber = Field(0.0, description="Added before the logarithm, in the units of the data.")


class Dbz(TransformSection):
    """Radar reflectivity in dBZ of a rain rate R in mm/h: 10 log10(a R^b).

    Marshall and Palmer (1948), The distribution of raindrops with size, J. Meteorol. 5, give a = 200, b = 1.6.
    """

    logarithmic = True
    name: Literal["dbz"] = "dbz"
    a: PositiveNumber = Field(200.0, description="Factor of the Z-R relation.")
    b: PositiveNumber = Field(1.6, description="Exponent of the Z-R relation.")
    minimum: PositiveNumber = Field(
        0.1, description="Rain rates up to this many mm/h count as dry; the inverse gives 0."
    )


class Rain(TransformSection):
    """Rain rate in mm/h of a radar reflectivity Z in dBZ: (10^(Z/10) / a)^(1/b), the inverse of `dbz`."""

    name: Literal["rain"] = "rain"
    a: PositiveNumber = Field(200.0, description="Factor of the Z-R relation.")
    b: PositiveNumber = Field(1.6, description="Exponent of the Z-R relation.")
    minimum: Number = Field(
        7.0, description="Reflectivities up to this many dBZ count as dry: 0 mm/h; the inverse gives this value."
    )


class Clip(TransformSection):
    """Clip values to the bounds, also when a forecast is converted back to physical units."""

    name: Literal["clip"] = "clip"
    min: Number | None = Field(None, description="Lower bound, in the units of this step's input.")
    max: Number | None = Field(None, description="Upper bound, in the units of this step's input.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            refuse("transform", "clip needs min, max or both, such as {name: clip, min: 0, max: 60}")
        if self.min is not None and self.max is not None:
            _check_order(self.min, self.max)
        return self


class Scale(TransformSection):
    """x · factor + offset."""

    affine = True
    name: Literal["scale"] = "scale"
    factor: Number = Field(1.0, description="Multiplies the values; not 0.")
    offset: Number = Field(0.0, description="Added after the multiplication.")

    @model_validator(mode="after")
    def _invertible(self) -> Self:
        if self.factor == 0:
            refuse("transform", "scale needs a factor other than 0, which could not be inverted")
        return self

    @property
    def rises(self) -> bool:
        return self.factor > 0


class Anomaly(TransformSection):
    """x − climatology: each pixel's mean over the training frames of the same phase of a cycle.

    The phase follows from the frames' times where these are known, else from their place in the event.
    """

    periodic = True
    name: Literal["anomaly"] = "anomaly"
    period: PositiveInt = Field(
        description="Frames in one cycle, such as 24 for hourly or 12 for monthly data; 1 subtracts the mean."
    )


def _check_order(least: float, greatest: float) -> None:
    if least >= greatest:
        refuse("transform", f"min must lie below max, got min: {least:g} and max: {greatest:g}")


TRANSFORMS: dict[str, type[TransformSection]] = {
    section.model_fields["name"].default: section
    for section in (Standardize, MinMax, Log1p, Log, Dbz, Rain, Clip, Scale, Anomaly)
}
"""The transforms by name, in the order in which messages list them."""

_MEANT: dict[str, str] = {
    **dict.fromkeys(("normalize", "normalise", "normalization", "zscore", "z-score"), "standardize or minmax"),
    **dict.fromkeys(("rescale", "min_max_scale"), "minmax, or {name: scale, factor: …}"),
}
_TRANSFORM = Named("transform", "a transform such as log1p or {name: clip, min: 0}", TRANSFORMS, _MEANT)
_LIST = Each(_TRANSFORM, "a list of transforms such as [standardize]", limit=100)
Transforms: TypeAlias = Annotated[tuple[TransformSection, ...], _LIST]
"""Transforms, each by its name or with its arguments."""
transform = _TRANSFORM.read
