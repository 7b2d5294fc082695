"""Base class of what an input of a model reads, and the part of a window that it reads it for.

Shapes: P past frames, F future frames, `space` the spatial axes of a region, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, Self, TypeVar

import numpy as np

from specbuild.catalog.shapes import Dim
from specbuild.data.arrays import Floats
from specbuild.data.samples.augment import Turn
from specbuild.data.samples.windows import Stretch, future_frames, past_frames
from specbuild.data.sources.base import FrameSource, Region
from specbuild.data.time.intervals import times_ahead
from specbuild.data.time.times import Times
from specbuild.data.transforms.pipeline import Transform
from specbuild.document import RunError
from specbuild.graph.feed_checks import FeedLayout
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.feeds import FeedSection, Frames

Section = TypeVar("Section", bound=FeedSection)


@dataclass(frozen=True)
class FeedContext:
    """The region of a window that inputs are read for.

    Only what is known when the forecast is made may be used: the past frames, when the future ones will be, and what
    other sources say.
    """

    data: DataSection
    source: FrameSource
    """The record."""
    past: Floats
    """The past frames in the region, (P, *space, C), in physical units with NaN where missing."""
    prepare: Callable[[], Floats]
    """Gives them as the model reads them, (P, *space, C and the mask)."""
    whole: Callable[[], Floats]
    """Gives the past frames beyond the region as well, (P, *whole space, C), in physical units."""
    as_target: Callable[[Floats], Floats]
    """Gives future frames in the region, (F, *space, C), in the units of the target."""
    at: tuple[int, int] | None
    """Event and number of the first past frame; None where the frames are not of the record."""
    region: Region

    @cached_property
    def frames(self) -> tuple[range, range]:
        """The past and the future frames by number, counted from 0 within the event."""
        start = 0 if self.at is None else self.at[1]
        return past_frames(start, self.data.windows), future_frames(start, self.data.windows)

    def numbers(self, frames: Frames) -> list[int]:
        """Return the frames of a part of the window by number; future ones may lie beyond the end of the event."""
        past, future = self.frames
        return {"past": [*past], "future": [*future], "all": [*past, *future]}[frames]

    def times(self, frames: Frames) -> Times | None:
        """Return when the frames of a part of the window are; None where that is not known."""
        known = None if self.at is None else self.source.times(self.at[0])
        if known is None:
            return None
        past, future = self.frames
        before = known[list(past)]
        if frames == "past":
            return before
        if future[-1] < len(known):
            after: Times | None = known[list(future)]
        else:
            ahead = tuple(frame - past[-1] for frame in future)
            after = times_ahead(
                before, ahead, self.data.windows.step, self.data.interval, self.source.metadata.calendar
            )
        if after is None or frames == "future":
            return after
        return np.concatenate([before, after])


@dataclass(frozen=True)
class Feed(ABC, Generic[Section]):
    """What one input of the model reads, opened.

    A class for each kind overrides `read`, and whatever else differs: `fitted` and `restored` where it
    has statistics, `turned` where its values change when a sample is mirrored or turned.
    """

    name: str
    """The id of the input."""
    section: Section
    layout: FeedLayout = field(default=FeedLayout(time=True, space=True), kw_only=True)
    """The axes that the input has."""

    def channels_of(self, data: DataSection, record: FrameSource) -> Dim:
        """Return the number of channels it reads, from the section or, where that leaves it open, from the file."""
        return self.section.channels(data, record.channels)

    @abstractmethod
    def read(self, context: FeedContext) -> Floats:
        """Return what the model reads, (frames, *space, channels) without the axes that `layout` does not have.

        Raises:
            RunError: something that it needs is not known, such as times.
        """

    def laid_out(self, layout: FeedLayout) -> Self:
        """Return the same for an input with other axes."""
        return replace(self, layout=layout)

    def fitted(self, train: tuple[Stretch, ...]) -> Self:  # noqa: ARG002
        """Return the same with statistics of the training frames of the record."""
        return self

    def restored(self, state: Mapping[str, Any] | None) -> Self:
        """Return the same with statistics that were fitted before, as `state` gave them.

        Raises:
            RunError: they do not fit.
        """
        if state is not None:
            raise RunError(
                f"the saved transforms have one for the input {self.name}, which the spec does not transform",
                help="restore the original files of the run",
            )
        return self

    @property
    def transform(self) -> Transform | None:
        """The transform with its statistics, which is saved with the model; None where it has none."""
        return None

    def turned(self, values: Floats, turn: Turn) -> Floats:
        """Return the values of a sample that is mirrored and rotated."""
        return turn.frames(values) if self.layout.space else values

    def check_reach(self, context: FeedContext) -> None:
        """Check that every future frame that it reads exists.

        Raises:
            ArgumentError: it is not.
        """

    def notes(self) -> tuple[str, ...]:
        """Return notes for the user on what was read so far."""
        return ()

    def unknown(self, what: str, help: str) -> RunError:
        """Return the error for something that the input needs and that is not known."""
        return RunError(f"the input {self.name} reads {what}", help=help)
