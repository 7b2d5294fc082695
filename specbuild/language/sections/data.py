"""The `data` section: where frames come from, and how windows, splits and inputs are made of them."""

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self, TypeAlias, TypeVar

from pydantic import Field, model_validator

from specbuild.catalog.list_values import Several
from specbuild.catalog.values import Flag, NonNegativeInt, Number, PositiveInt, Whole, fault
from specbuild.language.interval import Interval
from specbuild.language.sections.augment import AugmentSection, check_augment
from specbuild.language.sections.base import OnResume, Section
from specbuild.language.sections.feeds import Feed
from specbuild.language.sections.interval import Time
from specbuild.language.sections.missing import Missing
from specbuild.language.sections.outputs import Output, check_outputs
from specbuild.language.sections.source import SourceOrGenerator
from specbuild.language.sections.split import SplitSection
from specbuild.language.sections.target import Target, check_target
from specbuild.language.sections.transform import Transforms

Crop: TypeAlias = (
    Annotated[tuple[int, ...], Several(Whole(1), "a positive whole number, or a list with one per spatial axis", 1, 3)]
    | None
)
Size = TypeVar("Size", bound=int | None)
"""The length of an axis: None where it is not known."""

_LABELS = OnResume("changes the labels of tables, pictures and forecasts")


class WindowsSection(Section):
    """The frames of one sample: those that the model reads, and those that it forecasts."""

    elsewhere: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("input", "inputs", "history"), "write past: the number of frames that the model reads"),
        **dict.fromkeys(("output", "outputs", "horizon"), "write future: the number of frames to forecast"),
    }

    past: PositiveInt = Field(description="Frames that the model reads.")
    future: PositiveInt = Field(
        1, description="Frames that the model forecasts; required unless the target is a class."
    )
    stride: PositiveInt = Field(1, description="Distance between the starts of successive windows, in frames.")
    step: PositiveInt = Field(1, description="Distance between successive frames of a window, in frames of the data.")
    lead: NonNegativeInt = Field(0, description="Steps skipped between the last past and the first future frame.")
    target: Literal["future", "next"] = Field(
        "future",
        description="future: the model's output is the future frames. next: it is the next frame at every step, from "
        "the second past frame to the last future one.",
    )

    @property
    def span(self) -> int:
        """Frames from a window's first to its last, both counted."""
        return self.reach + 1

    @property
    def reach(self) -> int:
        """(past + lead + future − 1) · step: the least embargo between splits."""
        return (self.past + self.lead + self.future - 1) * self.step

    @property
    def targets(self) -> int:
        """Frames that the model gives."""
        return self.future if self.target == "future" else self.past + self.future - 1

    @model_validator(mode="after")
    def _next_follows(self) -> Self:
        if self.target == "next" and self.lead:
            raise fault(("lead",), f"target: next forecasts the very next frame, so lead must be 0, got {self.lead}")
        return self


class DataSection(Section):
    """Frames in physical units are raw · scale + offset; missing values are NaN."""

    elsewhere: ClassVar[dict[str, str]] = {
        "path": "write source: {path: …}",
        "shuffle": "training windows are shuffled in every epoch; splits are chronological",
        "batch_size": "write train.batch_size",
        "validation_split": "write split: {train: 0.6, validation: 0.2, test: 0.2}",
        **dict.fromkeys(("normalize", "normalise", "normalization"), "write transform: [standardize]"),
    }

    unmarked: ClassVar[OnResume] = OnResume(reason="the earlier epochs were trained on its samples")

    source: Annotated[
        SourceOrGenerator,
        OnResume(
            "new paths to the same data",
            "the earlier epochs were trained on these data",
            kept=lambda source: source.with_paths(lambda _: ""),
        ),
    ] = Field(description="The files with the frames, or a generator.")
    variable: Annotated[str, _LABELS] = Field("value", description="Name of the quantity, for tables and pictures.")
    units: Annotated[str, _LABELS] = Field(
        "",
        description="Physical units of every variable, in tables, pictures and forecasts. Default: those in the file.",
    )
    scale: Number | None = Field(
        None, description="Factor in physical = raw * scale + offset. Default: the file's, or 1."
    )
    offset: Number | None = Field(
        None, description="Offset in physical = raw * scale + offset. Default: the file's, or 0."
    )
    missing: Missing = Field((), description="Raw value or values that mark missing data; NaN always does.")
    fill: Number | None = Field(
        None, description="Physical value that replaces missing values in the input. Default: the training mean."
    )
    allow_missing: Flag = Field(
        True, description="Whether values may be missing; with false, a frame with a missing value is an error."
    )
    mask: Flag = Field(
        False,
        description="Whether to add a last channel to the input: 1 where every channel of a pixel is known, 0 where "
        "one is missing.",
    )
    on_error: Annotated[Literal["raise", "skip"], OnResume("applies to everything read from then on")] = Field(
        "raise",
        description="What to do about a frame that cannot be read, or that has missing values although allow_missing "
        "is false. raise: end the run. skip: skip and count the windows that contain it.",
    )
    interval: Time | None = Field(
        None, description="Time between frames: a number and a unit (s, min, h, d, months, years)."
    )
    target: Target | None = Field(
        None, description="class: each clip is a sample, and its folder names its class. Default: the future frames."
    )
    windows: WindowsSection = Field(description="How samples are cut from the frames.")
    split: SplitSection = Field(
        default_factory=lambda: SplitSection(train=0.6, validation=0.2, test=0.2),
        description="Which frames are for training, validation and testing.",
    )
    transform: Transforms = Field(
        (), description="Steps from physical units to the values that the model reads, in order."
    )
    statistics: PositiveInt | None = Field(
        None,
        description="Number of training frames from which the statistics of the transform are computed, spread over "
        "the training split. Default: all.",
    )
    inputs: Annotated[
        dict[str, Feed],
        OnResume(
            "new paths to the same data",
            "the earlier epochs were trained on these data",
            kept=lambda inputs: {name: feed.with_paths(lambda _: "") for name, feed in inputs.items()},
        ),
    ] = Field(
        {},
        description="What each input of the model reads, by its name. Default: the one input reads the past frames.",
    )
    targets: dict[str, Output] = Field(
        {},
        description="What each output of the model is compared with, by its name. Default: the one output with the "
        "future frames.",
    )
    crop: Crop = Field(
        None,
        description="Size of the part of a frame that the model reads: a random part in training, tiles that cover the "
        "frame in evaluation. Default: the whole frame.",
    )
    augment: AugmentSection | None = Field(None, description="Random variation of training samples. Default: none.")

    def reads_past(self, name: str) -> bool:
        """Whether an input of the model reads the past frames of `source`."""
        return not self.inputs or (name in self.inputs and self.inputs[name].is_past)

    @property
    def mask_channels(self) -> int:
        """Channels that the model reads besides those of the data."""
        return int(self.mask)

    @property
    def files(self) -> tuple[str, ...]:
        """The paths that it reads, as written: those of `source`, then those of the inputs."""
        return (*self.source.files, *(file for feed in self.inputs.values() for file in feed.files))

    @property
    def path_keys(self) -> tuple[tuple[str, ...], ...]:
        """The key of each of `files`."""
        source = ("data", "source", "path")
        fed = ((("data", "inputs", name, "source", "path"), feed.files) for name, feed in self.inputs.items())
        return (*(source for _ in self.source.files), *(key for key, files in fed for _ in files))

    def with_paths(self, located: Callable[[str], str]) -> Self:
        """Return the section with its paths changed by `located`."""
        inputs = {name: feed.with_paths(located) for name, feed in self.inputs.items()}
        return self.model_copy(update={"source": self.source.with_paths(located), "inputs": inputs})

    @property
    def split_by(self) -> Literal["time", "event", "file"]:
        """What is split, written or by default."""
        return self.split.by or ("event" if self.source.has_events and not self.split.dates else "time")

    @property
    def embargo(self) -> int:
        """Unused frames between splits, written or by default."""
        if self.split_by == "event":
            return 0
        return self.windows.reach if self.split.embargo is None else self.split.embargo

    def crop_shape(self, frame: tuple[Size, ...]) -> tuple[Size | int, ...]:
        """Return the spatial axes that the model reads, of frames with the spatial axes `frame`."""
        if self.crop is None:
            return frame
        return self.crop * len(frame) if len(self.crop) == 1 else self.crop

    def lead_label(self, frames: int) -> str:
        """Return how tables name a lead time of so many frames: `+10 min`, or `+5` where the interval is not known.

        Of frames before the last past one it is negative: `-4 min`.
        """
        sign = "+" if frames > 0 else ""
        return sign + (Interval.parse(self.interval).times(frames) if self.interval else str(frames))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_target(self)
        check_outputs(self)
        if self.scale == 0:
            raise fault(("scale",), "expected a number other than 0, got 0")
        _check_crop(self)
        check_augment(self)
        _check_mask(self)
        _check_statistics(self)
        _check_embargo(self)
        if self.split_by == "time":
            _check_distances(self.split.ranges, self.embargo)
        return self


def _check_crop(data: DataSection) -> None:
    space, axes = data.source.space, " ".join(data.source.axes)
    if data.crop is None or not axes:
        return
    if not space:
        raise fault(("crop",), f"the layout {axes} has no spatial axes to crop")
    if len(data.crop) not in (1, len(space)):
        message = f"expected one number, or one for each of {' '.join(space)}, got {len(data.crop)} numbers"
        raise fault(("crop",), message)


def _check_mask(data: DataSection) -> None:
    if data.mask and not data.allow_missing:
        raise fault(("mask",), "with allow_missing: false every pixel is known, so a mask tells nothing")
    if data.mask and data.target is not None:
        raise fault(("mask",), "target: class reads clips, whose pixels are all known; leave mask out")
    if data.mask and not any(map(data.reads_past, data.inputs or ("",))):
        raise fault(("mask",), "the mask is a channel of the past frames, which no input reads; leave mask out")


def _check_statistics(data: DataSection) -> None:
    periodic = next((step.name for step in data.transform if step.periodic), None)
    if data.statistics is not None and periodic is not None:
        needs = f"{periodic} needs the mean of every phase"
        raise fault(("statistics",), f"{needs}, so it is taken from all training frames; leave statistics out")


def _check_embargo(data: DataSection) -> None:
    """Refuse a split by events where there are none, and an embargo with which windows could share frames."""
    embargo, windows = data.split.embargo, data.windows
    if data.split_by == "event":
        axes = " ".join(data.source.axes)
        if not data.source.has_events and axes:
            raise fault(("split", "by"), f"the layout {axes} has no N (event) to split by")
        if embargo:
            message = "events share no frames, so a split by event takes no embargo; write by: time to split each event"
            raise fault(("split", "embargo"), message)
    elif embargo is not None and embargo < windows.reach:
        lead = f" + lead {windows.lead}" if windows.lead else ""
        step = f", times step {windows.step}" if windows.step > 1 else ""
        sum_of = f"past {windows.past}{lead} + future {windows.future} - 1{step}"
        raise fault(("split", "embargo"), f"expected at least {windows.reach} frames ({sum_of}), got {embargo}")


def _check_distances(ranges: dict[str, tuple[int, int]], embargo: int) -> None:
    """Refuse ranges of frames with less than the embargo between them."""
    for (split, (_, end)), (other, (first, _)) in pairwise(sorted(ranges.items(), key=lambda item: item[1])):
        if first - end < embargo:
            message = (
                f"{first - end} frames lie between {split} and {other}, at least {embargo} must; "
                f"start {other} at frame {end + embargo} or later"
            )
            raise fault(("split", other), message)
