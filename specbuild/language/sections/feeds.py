"""`data.inputs`: what each input of the model reads. One class for each kind, which its key tells."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias, Union

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from specbuild.catalog.list_values import ListOf
from specbuild.catalog.shapes import Dim
from specbuild.catalog.values import Choice, Number, PositiveInt, fault, refuse, written
from specbuild.document import did_you_mean
from specbuild.language.sections.base import Section, Short
from specbuild.language.sections.interval import Time
from specbuild.language.sections.missing import Missing
from specbuild.language.sections.source import Axes, SourceSection, layout_of
from specbuild.language.sections.transform import Transforms

if TYPE_CHECKING:
    from specbuild.language.sections.data import DataSection, WindowsSection

Frames: TypeAlias = Literal["past", "future", "all"]
"""The frames of a window that an input has."""

Cycles: TypeAlias = Annotated[
    tuple[str, ...],
    ListOf(Choice("day", "week", "year"), "a list of day, week or year, such as [day, year]", 1, once="a cycle"),
]

COORDINATES = {"latitude": 1, "longitude": 2, "solar_elevation": 1}
"""Channels of each coordinate: the latitude / 90°, the sine and the cosine of the longitude, the sine of the solar
elevation."""
Coordinates: TypeAlias = Annotated[
    tuple[str, ...],
    ListOf(Choice(*COORDINATES), "a list of latitude, longitude or solar_elevation", 1, once="a coordinate"),
]


def frame_count(frames: Frames, windows: "WindowsSection") -> int:
    """Return how many frames of a window are meant: the past ones, the future ones, or both in this order."""
    return {"past": windows.past, "future": windows.future, "all": windows.past + windows.future}[frames]


class FeedSection(Section):
    """What one input of the model reads. Its array has the axes frames, space and channels, as far as it has them."""

    spatial: ClassVar[bool | None] = True
    """Whether it has the spatial axes of a frame; None: where the input has them."""
    is_past: ClassVar[bool] = False
    """Whether it is the past frames of the record, as a model of one input reads them."""

    def count(self, windows: "WindowsSection") -> int | None:  # noqa: ARG002
        """Return the number of frames; None without a time axis."""
        return None

    def channels(self, data: "DataSection", record: Dim) -> Dim:
        """Return the number of channels, given that of the record; None where only a file can tell."""
        raise NotImplementedError

    @property
    def needs_files(self) -> bool:
        """Whether each forecast needs other frames of its files."""
        return False

    @property
    def reach(self) -> int:
        """How many of the latest frames of `data.source` it reads, even from before the window; 0: none before it."""
        return 0

    @property
    def files(self) -> tuple[str, ...]:
        """The paths that it reads besides those of `data.source`, as written."""
        return ()

    def with_paths(self, located: Callable[[str], str]) -> Self:  # noqa: ARG002
        """Return the same with its paths changed by `located`."""
        return self


class PastFeed(FeedSection):
    """The past frames of data.source, through data.transform, and with data.mask their mask."""

    is_past = True

    frames: Literal["past"] = Field(description="past: the past frames of data.source, as data.transform makes them.")

    def count(self, windows: "WindowsSection") -> int:
        return windows.past

    def channels(self, data: "DataSection", record: Dim) -> Dim:
        return None if record is None else record + data.mask_channels


def _layout(value: Any) -> str | dict[str, str]:
    return layout_of(value, timeless=True)


class StoredSource(SourceSection):
    """The files of another source. Without T in the layout it is one field that does not change."""

    layout: Annotated[Axes, BeforeValidator(_layout)] | None = Field(
        None,
        description="The array's axes, as in data.source; without T (time) it is one field that does not change.",
    )

    @model_validator(mode="after")
    def _is_one_record(self) -> Self:
        if self.generator is not None:
            raise fault(("generator",), "an input is read from files; only data.source can be generated")
        return self


class SourceFeed(FeedSection):
    """Frames, or one field that does not change, of another source."""

    source: StoredSource = Field(description="The files, with the keys of data.source.")
    frames: Frames | None = Field(
        None,
        description="Which frames of a window are read: past, future, or all. Left out for a field without T.",
    )
    join: Literal["exact", "nearest", "forward"] = Field(
        "exact",
        description="The frame that goes with one of data.source: at the same time, the nearest, or the last before.",
    )
    tolerance: Time | None = Field(
        None,
        description="How far apart in time the two may be. Default: half the step of this source for nearest, "
        "a whole step for forward.",
    )
    regrid: Literal["nearest", "linear"] | None = Field(
        None,
        description="How values are interpolated to the grid of data.source. Default: the grids must agree.",
    )
    scale: Number | None = Field(None, description="Factor in physical = raw * scale + offset, as in data.")
    offset: Number | None = Field(None, description="Offset in physical = raw * scale + offset, as in data.")
    missing: Missing = Field((), description="Raw value or values that mark missing data; NaN always does.")
    fill: Number | None = Field(
        None, description="Physical value that replaces missing values. Default: the mean over the training frames."
    )
    transform: Transforms = Field((), description="Steps from physical units to the values that the model reads.")

    @property
    def is_static(self) -> bool:
        """Whether it is one field that does not change."""
        return "T" not in self.source.axes

    @property
    def needs_files(self) -> bool:
        return not self.is_static

    def count(self, windows: "WindowsSection") -> int | None:
        return None if self.frames is None else frame_count(self.frames, windows)

    def channels(self, _data: "DataSection", _record: Dim) -> Dim:
        return self.source.channels

    @property
    def files(self) -> tuple[str, ...]:
        return self.source.files

    def with_paths(self, located: Callable[[str], str]) -> Self:
        return self.model_copy(update={"source": self.source.with_paths(located)})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source.axes and not self.is_static and self.frames is None:
            axes = " ".join(self.source.axes)
            raise fault((), f"the layout {axes} has frames: say which are read, with frames: past, future or all")
        if self.tolerance is not None and self.join == "exact":
            raise fault(
                ("tolerance",), "join: exact takes only frames at the same time: write join: nearest or forward"
            )
        if self.source.axes and self.is_static:
            if "join" in self.model_fields_set:
                raise fault(("join",), "there is one field for all times: leave join out")
            if self.frames is not None:
                axes = " ".join(self.source.axes)
                raise fault(("frames",), f"the layout {axes} has no T (time), so there is one field: leave frames out")
            for number, step in enumerate(self.transform):
                if step.periodic:
                    raise fault(("transform", number), f"{step.name} needs frames in time, and there is one field")
        return self


class CyclesFeed(FeedSection):
    """The hour, the day of the week or the season, as the sine and the cosine of each cycle."""

    spatial = None

    cycles: Cycles = Field(description="Any of day, week and year; each gives two channels, a sine and a cosine.")
    frames: Frames = Field("future", description="The frames of a window whose times are read: past, future, or all.")

    def count(self, windows: "WindowsSection") -> int:
        return frame_count(self.frames, windows)

    def channels(self, _data: "DataSection", _record: Dim) -> int:
        return 2 * len(self.cycles)


class CoordinatesFeed(FeedSection):
    """Where a pixel is, and how high the sun stands there."""

    coordinates: Coordinates = Field(description="Any of latitude, longitude and solar_elevation; see docs/data.md.")
    frames: Frames | None = Field(
        None, description="The frames of a window for whose times solar_elevation is given: past, future, or all."
    )

    def count(self, windows: "WindowsSection") -> int | None:
        return None if self.frames is None else frame_count(self.frames, windows)

    def channels(self, _data: "DataSection", _record: Dim) -> int:
        return self.size

    @property
    def size(self) -> int:
        """The number of channels."""
        return sum(COORDINATES[name] for name in self.coordinates)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "solar_elevation" in self.coordinates and self.frames is None:
            raise fault((), "the solar elevation changes: say for which frames, with frames: past, future or all")
        if "solar_elevation" not in self.coordinates and self.frames is not None:
            raise fault(("frames",), "latitudes and longitudes do not change: leave frames out")
        return self


class MovingFeed(FeedSection):
    """What follows from the motion of the past frames."""

    latest: PositiveInt | None = Field(
        None,
        description="How many of the latest frames of the data are compared, including frames before the window. "
        "Default: the past frames.",
    )
    apart: PositiveInt | None = Field(
        None,
        description="Distance of the frames compared, in frames of the data; all such pairs are averaged. Default: the "
        "next one.",
    )

    @property
    def reach(self) -> int:
        return self.latest or 0

    @model_validator(mode="after")
    def _has_pairs(self) -> Self:
        apart = self.apart or 1
        if self.latest is not None and self.latest <= apart:
            raise fault(("latest",), f"expected more than apart, which is {apart}, got {self.latest}")
        return self

    def pairs(self, step: int) -> int:
        """Return how far apart frames are compared that lie `step` frames of the data apart, in these."""
        return 1 if self.apart is None else max(1, round(self.apart / step))


class MotionFeed(MovingFeed):
    """How what the past frames show moves: for each variable two channels, pixels per step along x and y."""

    motion: Literal[True] = Field(description="true: the motion of the past frames, as the layer Warp reads it.")

    def channels(self, _data: "DataSection", record: Dim) -> Dim:
        return None if record is None else 2 * record


class BaselineFeed(MovingFeed):
    """The forecast of a baseline, in the units of the target."""

    baseline: Literal["extrapolation"] = Field(
        description="extrapolation: the last past frame, moved along the motion of the past frames."
    )

    def count(self, windows: "WindowsSection") -> int:
        return windows.future

    def channels(self, _data: "DataSection", record: Dim) -> Dim:
        return record


FEEDS: dict[str, type[FeedSection]] = {
    "source": SourceFeed,
    "cycles": CyclesFeed,
    "coordinates": CoordinatesFeed,
    "motion": MotionFeed,
    "baseline": BaselineFeed,
    "frames": PastFeed,
}
"""Every kind by the key that tells it; `frames` tells its kind where no other key does, and comes last."""


def _kind(value: Any) -> str:
    """Return the tag of the kind of a feed, as `_one_kind` left it."""
    if isinstance(value, FeedSection):
        return next(f"[{key}]" for key, section in FEEDS.items() if isinstance(value, section))
    return next(f"[{key}]" for key in FEEDS if key in value)


def _one_kind(value: Any) -> Any:
    """Return the mapping that a feed is written as, or stands for, after checking that it is of exactly one kind."""
    if isinstance(value, FeedSection):
        return value
    if isinstance(value, str):
        value = {"frames": value}
    kinds = [key for key in FEEDS if isinstance(value, dict) and key in value and key != "frames"]
    kinds = kinds or [key for key in ("frames",) if isinstance(value, dict) and key in value]
    if not kinds:
        others = ", ".join(key for key in FEEDS if key != "frames")
        refuse("feed", f"expected past, or a mapping with one of {others}, got {written(value)}")
    if len(kinds) > 1:
        raise fault((kinds[1],), f"an input has one kind, and {' and '.join(kinds)} are two: keep one", "feed")
    if kinds == ["frames"] and value["frames"] in ("future", "all"):
        what = f"expected past, got {written(value['frames'])}"
        refuse("feed", f"{what}: future frames of data.source are the target; another source can have them")
    section = FEEDS[kinds[0]]
    for key in value:
        if key not in section.model_fields:
            hint = did_you_mean(str(key), section.model_fields) or f"known are {', '.join(section.model_fields)}"
            raise fault((str(key),), f"an input with {kinds[0]} has no key {written(key)}; {hint}", "unknown_argument")
    return value


if TYPE_CHECKING:
    Feed: TypeAlias = FeedSection
else:
    _ANY = Union[tuple(Annotated[section, Tag(f"[{key}]")] for key, section in FEEDS.items())]  # noqa: UP007
    Feed = Annotated[_ANY, Discriminator(_kind), BeforeValidator(_one_kind), Short("past")]
"""One entry of `data.inputs`."""
