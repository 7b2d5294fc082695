"""The frames of a spec and what is made of them: samples to train on, windows to score, forecasts.

Shapes: T frames, P past, F future, `space` the spatial axes (L, H W or D H W), C channels, B samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.data.feeds.base import FeedContext
from specbuild.data.feeds.opened import Feeds
from specbuild.data.heads import HeadReader, reader_of
from specbuild.data.samples.base import SampleSet
from specbuild.data.samples.coverage import Coverage
from specbuild.data.samples.sampler import Sample, for_model
from specbuild.data.samples.skipped import SkippedWindows
from specbuild.data.samples.tiles import Tiling
from specbuild.data.samples.views import SeenFrames, labels_of, seen_by, transform_of
from specbuild.data.samples.windows import Window, WindowSet, future_frames, lead_frames, past_frames, target_frames
from specbuild.data.sources import FrameSource
from specbuild.data.sources.base import FrameMetadata, Region
from specbuild.data.time.intervals import usual_step
from specbuild.data.transforms.pipeline import Transform
from specbuild.data.transforms.step import FrameContext
from specbuild.data.units import labelled, note_on_stated
from specbuild.document import RunError
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.outputs import OutputSection


def timed(section: DataSection, source: FrameSource) -> DataSection:
    """Return the section with the time between frames of the source, unless the section gives one."""
    times = source.times(0)
    step = None if section.interval or times is None else usual_step(times, source.metadata.calendar)
    return section if step is None else section.model_copy(update={"interval": step.times(1)})


@dataclass(frozen=True)
class Dataset(SampleSet[WindowSet]):
    """Frames, windows, splits and the transform between physical units and the model's."""

    coverage: Coverage | None = None
    """The pixels that the training knew; forecasts are missing elsewhere. None: not known."""
    feeds: Feeds = field(default_factory=dict)
    """What each input reads; none where the one input reads the past frames."""
    whole: Dataset | None = None
    """The whole data set, of which this is a view for one output; None if it is no view."""
    output: str = ""
    """The name of the output that a view is for."""
    positions: tuple[int, ...] | None = None
    """The future frames that a view compares, counted from 0; None: all."""

    @cached_property
    def views(self) -> dict[str, Dataset]:
        """The data as seen by each output of `data.targets`, by its name; empty without `targets` and in a view."""
        return {} if self.output else {name: self._view(name, each) for name, each in self.section.targets.items()}

    @cached_property
    def labels(self) -> FrameMetadata:
        """What is known of the frames, in the units that tables, pictures, reports and exported models show."""
        return labelled(self.source.metadata, self.section.units)

    def of_variable(self, name: str) -> Self:
        """Return the same windows with one variable alone.

        Raises:
            ArgumentError: none of the variables has that name.
        """
        section = self.section.model_copy(update={"variable": name, "units": self.labels.units_of_variable(name)})
        return replace(self, source=self.source.variable(name), section=section)

    @property
    def is_event(self) -> bool:
        """Whether it is a view of an output that gives the probability of an event."""
        return isinstance(self.source, SeenFrames) and self.source.is_event

    def _view(self, name: str, output: OutputSection) -> Dataset:
        source, coverage = seen_by(output, self.source), self.coverage
        return replace(
            self,
            section=self.section.model_copy(update=labels_of(self.section, output, self.source.metadata)),
            source=source,
            transform=transform_of(self.transform, output, source),
            layout=self.layout.outputs[name],
            coverage=None if coverage is None else Coverage(coverage.known[..., list(source.chosen)]),
            whole=self,
            output=name,
            positions=None if output.frames == "future" else tuple(number - 1 for number in output.frames),
        )

    @property
    def transforms(self) -> dict[str, Transform]:
        return {name: view.transform for name, view in self.views.items()}

    def state(self) -> dict[str, Any]:
        inputs = {name: feed.transform.state() for name, feed in self.feeds.items() if feed.transform is not None}
        return self.transform.state() | ({"inputs": inputs} if inputs else {})

    @cached_property
    def skipped(self) -> SkippedWindows:
        """The windows that were skipped so far."""
        return SkippedWindows(self.source)

    def notes(self) -> tuple[str, ...]:
        whole = self.whole or self
        cut = (
            f"{name} ends {windows.embargoed:,} frames before the end that was asked for: the embargo"
            for name, windows in self.splits.items()
            if windows.embargoed
        )
        return (
            *cut,
            *note_on_stated(whole.source.metadata, whole.section.units),
            *self.source.notes(),
            *self.notes_on_inputs(),
            *self.skipped.notes(),
        )

    def notes_on_inputs(self) -> tuple[str, ...]:
        """Return notes for the user on what the inputs read so far."""
        return tuple(note for feed in self.feeds.values() for note in feed.notes())

    @property
    def tiling(self) -> Tiling:
        """How whole frames are cut for the model."""
        return Tiling(self.source.space, self.layout.crop)

    @property
    def lead_labels(self) -> tuple[str, ...]:
        """The lead time of each forecast frame: `+2 min`, `+4 min`, …, or `+1`, `+2`, … without an interval."""
        return tuple(self.section.lead_label(frames) for frames in self.leads)

    @property
    def leads(self) -> tuple[int, ...]:
        """The distance of each forecast frame from the last past frame, in frames."""
        leads = lead_frames(self.section.windows)
        return leads if self.positions is None else tuple(leads[position] for position in self.positions)

    def forecasts(self, split: str) -> Iterator[Window]:
        """Yield every window of a split that is not skipped, with whole frames, one at a time.

        Raises:
            RunError: all are skipped.
        """
        windows = self.split(split)
        kept = 0
        for number in range(len(windows)):
            window = self.window(*windows[number])
            frames = window.past_frames, window.future_frames
            if not self.skipped.skips(windows[number], frames, window.past, window.future):
                kept += 1
                yield window
        if not kept:
            raise RunError(f"every window of the {split} split is left out", "; ".join(self.skipped.notes()))

    def window(self, event: int, start: int) -> Window:
        """Return the window that starts at frame `start` of an event."""
        past, future = past_frames(start, self.section.windows), future_frames(start, self.section.windows)
        observed = self._kept(self.source.read(event, future))
        return Window(self.source.read(event, past), observed, event, past, self._compared(future))

    def _compared(self, frames: range) -> Sequence[int]:
        """Return the target frames that the output is compared with."""
        return frames if self.positions is None else tuple(frames[position] for position in self.positions)

    def _kept(self, values: Floats) -> Floats:
        """Return the values (F, …) at these frames."""
        return values if self.positions is None else values[list(self.positions)]

    def seen(self, frames: Floats) -> Floats:
        """Return frames of the whole data (…, C), in physical units, as this view shows them."""
        return self.source.seen(frames) if isinstance(self.source, SeenFrames) else frames

    def context(
        self, at: tuple[int, int] | None, frames: Sequence[int], region: Region | None = None
    ) -> FrameContext | None:
        """Return when and where frames are, if the transform depends on that; they may lie beyond the event's end.

        Args:
            at: the event, and a frame of it that exists; None where frames are not of this data.

        Raises:
            RunError: it is not known when the frames are.
        """
        clock = self.transform.clock
        if clock is None:
            return None
        times = None if at is None or clock.start is None else self.source.times(at[0])
        if at is None or (times is None and clock.start is not None):
            raise RunError(
                "the model reads anomalies, which depend on the time of each frame, and the past frames have none",
                help="give a file with times, like the data of the run, or update(frame, time)",
            )
        first = at[1] if times is None else int(clock.slots(times[at[1] : at[1] + 1])[0])
        return FrameContext(first + np.asarray(frames, np.int64) - at[1], region)

    def prepare(
        self, past: Floats, context: FrameContext | None = None, random: np.random.Generator | None = None
    ) -> Floats:
        """Return physical frames (P, *space, C) as the model reads them: transformed, filled, with the mask.

        With `random` numbers, the values that are known get the noise of `data.augment`.
        """
        ready = self.transform.apply(past, context)
        if self.augmentation and random:
            ready = self.augmentation.noisy(ready, random)
        filled = self.transform.fill_missing(ready)
        if self.section.mask:
            filled = np.concatenate([filled, ~np.isnan(ready).any(axis=-1, keepdims=True)], axis=-1, dtype=np.float32)
        return filled[0] if self.layout.input_without_time else filled

    def check_reach(self, past: Floats, at: tuple[int, int] | None = None) -> None:
        """Check that what the inputs read of the future is there; arguments of `forecast`.

        Raises:
            ArgumentError: a source ends before the forecast does.
        """
        whole = tuple(slice(0, length) for length in self.source.space)
        context = FeedContext(
            self.section, self.source, past, lambda: past, lambda: past, lambda future: future, at, whole
        )
        for feed in self.feeds.values():
            feed.check_reach(context)

    @cached_property
    def head(self) -> HeadReader | None:
        """What reads the output as a distribution; None where it is the forecast itself."""
        head = self.layout.head
        if head is None:
            return None
        if head.floor is None:
            return reader_of(head)
        return reader_of(head, self.transform.apply(np.full((1, self.source.channels), head.floor, np.float32)))

    def future_of(self, output: Floats) -> Floats:
        """Return the future frames of a batch of outputs, as the model gives them: (B, F, *space, channels)."""
        frames = output[:, np.newaxis] if self.layout.output_without_time else output
        return np.asarray(frames[:, -self.section.windows.future :], np.float32)

    def inputs(
        self,
        past: Floats,
        at: tuple[int, int] | None = None,
        region: Region | None = None,
        random: np.random.Generator | None = None,
        beyond: Floats | None = None,
    ) -> Floats | dict[str, Floats]:
        """Return what the model reads of a window: an array or, with `data.inputs`, one for each input by its name.

        Args:
            past: the past frames (P, *space, C) in the region, in physical units.
            at: event and number of the first of them; None where they are not of this data.
            region: the part of the frames; None: all of it.
            random: random numbers, as in training, for the noise of `data.augment`.
            beyond: the past frames beyond the region as well; None: they are read where they are needed.
        """
        start = 0 if at is None else at[1]

        def prepare() -> Floats:
            frames = past_frames(start, self.section.windows)
            return self.prepare(past, self.context(at, frames, region), random)

        if not self.feeds:
            return prepare()
        whole = tuple(slice(0, length) for length in self.source.space)
        frames = self._times_of(at)

        def all_past() -> Floats:
            if beyond is not None or at is None or region is None:
                return past if beyond is None else beyond
            return self.source.read(at[0], frames[0])

        def as_target(future: Floats) -> Floats:
            return self.transform.fill_missing(self.transform.apply(future, self.context(at, frames[1], region)))

        context = FeedContext(self.section, self.source, past, prepare, all_past, as_target, at, region or whole)
        return {name: np.asarray(feed.read(context), np.float32) for name, feed in self.feeds.items()}

    def restore(self, output: Floats, context: FrameContext | None = None) -> Floats:
        """Return what the model gives for a batch of frames of one context as forecasts (B, F, *space, C)."""
        return self.transform.invert(self.future_of(output), context)

    def forecast(self, past: Floats, predict: Callable[[Any], Floats], at: tuple[int, int] | None = None) -> Floats:
        """Return the forecast (F, *space, C) of whole frames in physical units, given past ones (P, *space, C).

        Frames are cut into overlapping tiles, `predict` maps the batch of tiles through the model, and where tiles
        overlap their forecasts are blended. Pixels that neither the training nor the past knew are missing.

        Args:
            at: event and number of the first past frame, which a transform that depends on the time needs.
        """
        if self.views:
            return next(iter(self.views.values())).forecast(past, predict, at)
        if self.head is not None:
            return self.point_forecast(self.raw_forecast(past, predict, at), past, at)
        given = self._times_of(at)[1]
        restored = [
            self.restore(output[np.newaxis], self.context(at, given, region))[0]
            for region, output in zip(self.tiling.regions, self._outputs(past, predict, at), strict=True)
        ]
        return self._masked(self.tiling.stitch(np.stack(restored)), past)

    def point_forecast(self, raw: Floats, past: Floats, at: tuple[int, int] | None = None) -> Floats:
        """Return the forecast in one number, (F, *space, C) in physical units, of an output that is a distribution.

        Args:
            raw: the output for whole frames, (F, *space, channels); further arguments are those of `forecast`.
        """
        assert self.head is not None
        return self._masked(self.in_physical_units(self.head.point(raw), at), past)

    def _masked(self, forecast: Floats, past: Floats) -> Floats:
        return forecast if self.coverage is None else self.coverage.masked(forecast, self.seen(past))

    def raw_forecast(self, past: Floats, predict: Callable[[Any], Floats], at: tuple[int, int] | None = None) -> Floats:
        """Return the output for whole frames as the model gives it, (F, *space, channels); arguments of `forecast`."""
        return self.tiling.stitch(self.future_of(self._outputs(past, predict, at)))

    def in_physical_units(self, frames: Floats, at: tuple[int, int] | None = None) -> Floats:
        """Return whole future frames in units of training, (…, F, *space, C), in physical units."""
        return self.transform.invert(np.asarray(frames, np.float32), self.context(at, self._times_of(at)[1]))

    def _times_of(self, at: tuple[int, int] | None) -> tuple[range, Sequence[int]]:
        """Return the past and the future frames of the window that starts at a frame."""
        start = 0 if at is None else at[1]
        return past_frames(start, self.section.windows), self._compared(future_frames(start, self.section.windows))

    def _outputs(self, past: Floats, predict: Callable[[Any], Floats], at: tuple[int, int] | None) -> Floats:
        """Return what the model gives for each tile."""
        whole = self.whole or self
        cut = zip(self.tiling.regions, self.tiling.cut(past), strict=True)
        outputs = predict(for_model([whole.inputs(tile, at, region, beyond=past) for region, tile in cut]))
        return np.asarray(outputs[self.output] if isinstance(outputs, dict) else outputs)

    def _sample(self, window: tuple[int, int], region: Region, random: np.random.Generator | None) -> Sample:
        x, y, weight = self._read(window, region, random)
        if self.augmentation is None or random is None:
            return x, y, weight
        turn = self.augmentation.draw(random)
        if isinstance(x, dict):
            x = {name: self.feeds[name].turned(values, turn) for name, values in x.items()}
        else:
            x = turn.frames(x)
        if isinstance(y, dict):
            turned = {name: turn.frames(values) for name, values in y.items()}
            return x, turned, None if weight is None else {name: turn.weights(part) for name, part in weight.items()}
        return x, turn.frames(y), None if weight is None else turn.weights(weight)

    def _read(self, window: tuple[int, int], region: Region, random: np.random.Generator | None) -> Sample:
        event, start = window
        frames = past_frames(start, self.section.windows), target_frames(start, self.section.windows)
        past, target = (self.source.read(event, part, region) for part in frames)
        x = self.inputs(past, window, region, random)
        whole = self.layout.crop == self.source.space
        skipped = self.source.may_miss and self.skipped.skips(window, frames, past, target, count=whole)
        if not self.views:
            return x, *self._target(window, frames[1], target, region, skipped=skipped)
        parts = {
            name: view._target(window, frames[1], target, region, skipped=skipped) for name, view in self.views.items()
        }
        y, weight = ({name: part[index] for name, part in parts.items()} for index in (0, 1))
        return x, y, weight if self.source.may_miss else None

    def _target(
        self, window: tuple[int, int], frames: range, physical: Floats, region: Region, *, skipped: bool
    ) -> tuple[Floats, Floats | None]:
        """Return target frames in units of training, and their weights: 0 where a value is missing, or if skipped.

        Args:
            frames: those of the whole target, as `physical` has them in a region, (F, *space, C).
        """
        if isinstance(self.source, SeenFrames):
            physical = self._kept(self.source.seen(physical))
        y = self.transform.apply(physical, self.context(window, self._compared(frames), region))
        if self.layout.output_without_time:
            y = y[0]
        if not self.source.may_miss:
            return y, None
        known = np.asarray(~np.isnan(y).any(axis=-1))
        if skipped:
            known = np.zeros_like(known)
        return self.transform.fill_missing(y), known.astype(np.float32)
