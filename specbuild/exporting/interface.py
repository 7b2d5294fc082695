"""The inputs and outputs of graphs in physical units, and the parts of a run that determine them.

Shapes: P past and F future frames, `space` the spatial axes, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from specbuild.data import Dataset
from specbuild.data.arrays import Floats
from specbuild.data.feeds.base import FeedContext
from specbuild.data.samples.windows import past_frames
from specbuild.data.sources import FrameSource
from specbuild.data.sources.base import FrameMetadata
from specbuild.document import ArgumentError, SpecError
from specbuild.exporting.description import Axis, TensorDescription
from specbuild.exporting.feeds import FeedInput, feed_input
from specbuild.exporting.naming import SPACE, units_of
from specbuild.exporting.steps import limits
from specbuild.graph.data_checks import past_input
from specbuild.language.sections.coarsen import CoarsenSection
from specbuild.runs.trained import TrainedRun

SLOT = "slot"
"""The input with the time of the frames."""


def opened(trained: TrainedRun) -> Dataset:
    """Return the data of a run or, where they cannot be opened, data without frames of the size of the training's."""
    try:
        return trained.dataset
    except SpecError:
        data, frames = trained.data, trained.training_frames
        read = past_input(trained.graph) or ()
        size = tuple(frames.coverage.shape) if frames.coverage is not None else read[-1 - len(data.source.space) :]
        known = [length for length in size if length is not None]
        if not known or len(known) < len(size):
            raise
        values = np.zeros((data.windows.past, *known), np.float32)
        metadata = FrameMetadata("the past", ("T", *data.source.space, "C"), units=data.units)
        return trained.dataset_of(FrameSource(values, metadata))


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of graphs in physical units."""

    trained: TrainedRun
    dataset: Dataset

    def __post_init__(self) -> None:
        if self.trained.data.target is not None:
            raise ArgumentError(
                "the model gives classes of clips, which have no physical units",
                help="export with --shape whole; the manifest says how clips are transformed",
            )
        for name in self.feeds:
            if name == self.slot:
                raise ArgumentError(f"the input {name} has the name of another input of the exported model")

    @property
    def coarsen(self) -> CoarsenSection | None:
        """How the pixels of the files become those of the model's frames; None if they are the same."""
        return self.trained.data.source.coarsen

    @cached_property
    def feeds(self) -> dict[str, FeedInput]:
        """What each input of the model reads, where `data.inputs` says so."""
        names = tuple(SPACE[letter] for letter in self.dataset.source.metadata.space)
        return {
            name: feed_input(feed, self.window(0, 0), names, self.past) for name, feed in self.dataset.feeds.items()
        }

    def window(self, event: int, start: int, past: Floats | None = None) -> FeedContext:
        """Return the context of the window that starts at a frame, for what inputs read; past frames (P, *space, C)."""
        dataset = self.dataset
        if past is None:
            past = dataset.source.read(event, past_frames(start, dataset.section.windows))
        whole = tuple(slice(0, length) for length in dataset.source.space)
        given = past

        def same(frames: Floats) -> Floats:
            return frames

        return FeedContext(
            dataset.section, dataset.source, past, lambda: given, lambda: given, same, (event, start), whole
        )

    @property
    def slot(self) -> str:
        """The name of the input with the time of the first past frame; empty where the transform needs none."""
        return SLOT if self.dataset.transform.clock is not None else ""

    @property
    def past(self) -> str:
        """The name of the input with the past frames."""
        graph, data = self.trained.graph, self.trained.data
        return next((each.id for each in graph.inputs if data.reads_past(each.id)), data.variable or "past")

    @cached_property
    def open_space(self) -> bool:
        """Whether the graph takes frames of any size: nothing in it has the size of the training's frames."""
        dataset, read = self.dataset, past_input(self.trained.graph)
        count = len(dataset.source.space)
        sized = dataset.layout.crop != dataset.source.space or dataset.feeds or self.slot or self._masks
        return bool(read and not sized and None in read[-1 - count : -1])

    @cached_property
    def _masks(self) -> bool:
        return self.dataset.coverage is not None and not self.dataset.coverage.known.all()

    @cached_property
    def space(self) -> tuple[int | None, ...]:
        """The spatial axes of the frames that go in, as in the files of the data."""
        size: tuple[int | None, ...] = self.dataset.source.space
        if self.open_space:
            read = past_input(self.trained.graph)
            assert read is not None
            size = read[-1 - len(size) : -1]
        boxes = self.coarsen.factors(len(size)) if self.coarsen is not None else (1,) * len(size)
        return tuple(None if length is None else length * box for length, box in zip(size, boxes, strict=True))

    @cached_property
    def inputs(self) -> tuple[TensorDescription, ...]:
        """The inputs: past frames, their time if the transform needs it, and what other inputs read."""
        data, source = self.trained.data, self.dataset.source
        labels = [-data.windows.step * back for back in range(data.windows.past - 1, -1, -1)]
        frames = TensorDescription(
            self.past,
            "frame",
            (Axis("batch", self._batch), Axis("time", data.windows.past), *self._axes(self.space, source.channels)),
            units=units_of(self.dataset),
            description=f"past frames of {data.variable}, in physical units",
            channels=source.metadata.variables,
            steps=tuple(data.lead_label(label) for label in labels),
            missing=True,
        )
        further = [feed.description for feed in self.feeds.values() if feed.description is not None]
        return (frames, *([self._slot_input()] if self.slot else []), *further)

    def _slot_input(self) -> TensorDescription:
        clock = self.dataset.transform.clock
        assert clock is not None
        unit = "calendar months" if clock.step is None else f"steps of {clock.step:g} s"
        since = "frames of its event" if clock.start is None else f"{unit} since {clock.start} UTC"
        return TensorDescription(
            self.slot, "time", (Axis("batch", self._batch),), "int32", description=f"the first past frame, in {since}"
        )

    @cached_property
    def outputs(self) -> tuple[TensorDescription, ...]:
        """The outputs, for each output of the model: the forecast, and the quantiles where it is a distribution."""
        return tuple(description for view in self.views for description in self._outputs(view))

    def _outputs(self, view: Dataset) -> Iterator[TensorDescription]:
        name = view.output or self.trained.graph.outputs[0].name
        size = (None,) * len(view.source.space) if self.open_space else view.source.space
        axes = (Axis("time", len(view.lead_labels)), *self._axes(size, view.source.channels))
        what = view.section.variable if view.is_event else f"forecast of {view.section.variable}"
        common: dict[str, Any] = {
            "units": "" if view.is_event else units_of(view),
            "channels": view.source.metadata.variables,
            "steps": view.lead_labels,
            "missing": True,
        }
        batch = Axis("batch", self._batch)
        yield TensorDescription(name, "frame", (batch, *axes), description=what, **common)
        if view.head is not None:
            levels = ", ".join(f"{level:g}" for level in view.head.head.levels)
            quantiles = (batch, Axis("quantile", len(view.head.head.levels)), *axes)
            words = f"quantiles {levels} of {view.section.variable}"
            yield TensorDescription(f"{name}_quantiles", "frame", quantiles, description=words, **common)

    def _axes(self, space: tuple[int | None, ...], channels: int) -> tuple[Axis, ...]:
        letters = self.dataset.source.metadata.space
        named = (Axis(SPACE[letter], length) for letter, length in zip(letters, space, strict=True))
        return (*named, Axis("channel", channels))

    @property
    def _batch(self) -> int | None:
        return self.trained.graph.inputs[0].batch

    @property
    def views(self) -> list[Dataset]:
        """The data as each output is compared with them."""
        return list(self.dataset.views.values()) or [self.dataset]

    def notes(self) -> Iterator[str]:
        """Yield notes for the user of the graph."""
        yield from limits(self.dataset.transform)
        if self.coarsen is not None:
            factors = " x ".join(map(str, self.coarsen.factors(len(self.space))))
            yield f"the graph takes frames as in the files and coarsens them by {factors} ({self.coarsen.method})"
        if self.dataset.layout.crop != self.dataset.source.space:
            count = len(self.dataset.tiling)
            yield f"frames are cut into {count} overlapping tiles, whose forecasts are blended, in the graph"
