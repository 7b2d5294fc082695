"""How forecasts are scored."""

from typing import Annotated, ClassVar, Literal, Self, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, model_validator

from specbuild.catalog.baselines import BASELINES
from specbuild.catalog.heads import MOST_MEMBERS
from specbuild.catalog.list_values import Each, ListOf
from specbuild.catalog.scores import CONVENTIONS, SCORES, SELECTABLE
from specbuild.catalog.values import Choice, Flag, Name, PositiveInt, Real, Whole, fault, refuse, written
from specbuild.language.sections.base import Section

Item = TypeVar("Item")

FSS_WINDOWS = (1, 5, 15)


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    if low >= high:
        refuse("range", f"expected {_ENDS}, the least first, got [{low:g}, {high:g}]")
    return ends


def _distinct(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(items))


*_FIRST, _LAST = (score.title for score in SCORES.values() if score.computed == "with thresholds")
_EVENTS = f"{', '.join(_FIRST)} and {_LAST}"
_ENDS = "the least and the greatest value, such as [0, 1]"

Thresholds: TypeAlias = Annotated[
    tuple[float, ...], ListOf(Real(), "a list of numbers such as [0.5, 2, 5]", once="a threshold")
]
ScoreNames: TypeAlias = Annotated[
    tuple[str, ...],
    Each(Name("score", SELECTABLE), "a list of scores such as [ssim, psnr]"),
    AfterValidator(_distinct),
]
BaselineNames: TypeAlias = Annotated[
    tuple[str, ...],
    Each(Name("baseline", BASELINES), "a list of baselines such as [persistence, extrapolation]"),
    AfterValidator(_distinct),
]
Widths: TypeAlias = Annotated[
    tuple[int, ...],
    ListOf(Whole(1), "a list of positive whole numbers (widths in pixels) such as [1, 5, 15]", 1),
    AfterValidator(_distinct),
]
Range: TypeAlias = Annotated[tuple[float, float], ListOf(Real(), _ENDS, 2, 2), AfterValidator(_ascending)] | None
Weighting: TypeAlias = Annotated[Literal["auto", True, False], Choice()]


EVENT = 0.5
"""The probability from which an event counts as forecast."""


class ForecastFile(Section):
    """The forecasts of another system, to compare with: NetCDF or Zarr by the CF conventions."""

    path: str = Field(description="File, or a pattern such as inca/*.nc, relative to the folder of the spec.")
    variable: str | None = Field(None, description="Name of the variable. Default: the only one with two or more axes.")


class EvaluateSection(Section):
    """What `specbuild evaluate` computes besides MSE, MAE, RMSE and bias."""

    elsewhere: ClassVar[dict[str, str]] = {
        "fss": "write scores: [fss], and give the widths of its boxes as fss_windows",
        "metrics": "write scores: […]; metrics belong to train",
        "threshold": "write thresholds: […]",
    }

    thresholds: Thresholds = Field(
        (),
        description=f"Thresholds in physical units; {_EVENTS} are computed for values at or above each.",
    )
    scores: ScoreNames = Field(
        (), description="Further scores, such as ssim, psnr, fss and acc. The terminal shows the scores listed here."
    )
    fss_windows: Widths = Field(FSS_WINDOWS, description="Widths in pixels of the boxes of fss.")
    data_range: Range = Field(
        None,
        description="Minimum and maximum in physical units, for ssim and psnr. Default: those of the training split.",
    )
    clip: Flag = Field(False, description="Whether values are clipped to data_range for ssim and psnr.")
    latitude_weights: Weighting = Field(
        "auto",
        description="Whether rows are weighted by the area of their cells, in RMSE (latitude) and ACC. auto: if the "
        "data has latitudes.",
    )
    period: PositiveInt | None = Field(
        None,
        description="Frames in one cycle, such as 24 for hourly data; adds the baselines same phase and anomaly "
        "persistence.",
    )
    baselines: BaselineNames | None = Field(
        None,
        description="Baselines besides persistence. Default: all that can be computed, except pySTEPS's and, with "
        "`period`, extrapolation.",
    )
    forecasts: dict[str, ForecastFile] = Field(
        {}, description="Forecasts of other systems in files, used as baselines, each under the name to show."
    )
    members: Annotated[int, Whole(2, MOST_MEMBERS)] | None = Field(
        None,
        description="Members of an ensemble to draw and score, by dropout and noise or from the distribution "
        "of the loss.",
    )
    convention: Literal["openstl"] | None = Field(
        None,
        description="openstl: add the scores that OpenSTL reports for Moving MNIST: MSE and MAE summed over each "
        "frame, SSIM and PSNR of values clipped to 0 to 1.",
    )

    @property
    def computed(self) -> tuple[str, ...]:
        """The scores that are asked for by name or by convention."""
        return tuple(dict.fromkeys((*self.scores, *(CONVENTIONS[self.convention] if self.convention else ()))))

    @property
    def pictures(self) -> tuple[tuple[float, float] | None, bool]:
        """The range of SSIM and PSNR, None for that of the training split, and whether values are clipped to it."""
        return ((0.0, 1.0), True) if self.convention else (self.data_range, self.clip)

    def of_events(self) -> Self:
        """Return the section for an output that gives the probability of an event, which is scored by itself."""
        baselines = self.baselines and tuple(name for name in self.baselines if BASELINES[name].needs != "pysteps")
        kept = {"baselines": baselines, "thresholds": (EVENT,), "scores": (), "convention": None}
        return self.model_copy(update={**kept, "forecasts": {}, "members": None})

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for position, name in enumerate(self.scores):
            if "thresholds" in SCORES[name].needs and not self.thresholds:
                raise fault(("scores", position), f"{name} counts values at or above thresholds, and evaluate has none")
        for position, name in enumerate(self.baselines or ()):
            if BASELINES[name].needs == "period" and self.period is None:
                raise fault(("baselines", position), f"{name} needs the phase of a cycle, and evaluate has no period")
        for name in self.forecasts:
            if name in BASELINES or name in ("model", "all", ""):
                raise fault(("forecasts", name), f"{written(name)} is taken; choose another name")
        if self.convention and self.data_range not in (None, (0.0, 1.0)):
            raise fault(("data_range",), "convention: openstl scores values from 0 to 1; leave data_range out")
        return self
