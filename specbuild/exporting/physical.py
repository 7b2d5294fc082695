"""The model of a run with inputs and outputs in physical units: transform, missing values, tiles, heads and masks.

The arithmetic is that of `specbuild.data`, run on symbolic tensors (`tracing.py`); only the order of the calls is
written here, as in `Dataset.forecast` and `prediction.forecast`.

Shapes: N samples, P past and F future frames, `space` the spatial axes, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, cast

import numpy as np

from specbuild.data import Dataset
from specbuild.data.arrays import Floats
from specbuild.data.feeds.base import FeedContext
from specbuild.data.heads import CensoredGammaReader
from specbuild.data.samples.windows import future_frames, past_frames
from specbuild.data.sources import FrameSource
from specbuild.data.sources.base import FrameMetadata, Region
from specbuild.data.sources.coarsen import reduced
from specbuild.data.transforms.step import FrameContext
from specbuild.document import ArgumentError, SpecError
from specbuild.exporting.description import Axis, Exported, ExportedGraph, TensorDescription
from specbuild.exporting.feeds import FeedInput, feed_input
from specbuild.exporting.naming import SPACE, exported_name, units_of
from specbuild.exporting.steps import Unchecked, limits, slots_of
from specbuild.exporting.tracing import Traced, Untraceable
from specbuild.exporting.whole import exported_model, interval_of, notes_on, outputs_of
from specbuild.graph.data_checks import past_input
from specbuild.language.sections.coarsen import CoarsenSection
from specbuild.runs.trained import TrainedRun

SLOT = "slot"
"""The input with the time of the frames."""


def physical(trained: TrainedRun) -> Exported:
    """Return the model of a run as one graph from past frames to forecasts, both in physical units, NaN where missing.

    Raises:
        ArgumentError: something that it needs cannot be computed inside of a graph; what, and what to do instead.
    """
    plan = PhysicalPlan(trained, opened(trained))
    try:
        model = plan.model()
    except Untraceable as error:
        raise ArgumentError(
            f"the model cannot be exported with physical units: a graph cannot compute {error}",
            help="export with --shape whole",
        ) from error
    graph = ExportedGraph(model, plan.inputs, plan.outputs)
    return Exported("physical", (graph,), interval_of(trained), (*notes_on(trained), *plan.notes()))


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
class PhysicalPlan:
    """The inputs and outputs of a graph in physical units, and how they are computed."""

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
        """How the pixels of the files become those of the model's frames; None where they are these."""
        return self.trained.data.source.coarsen

    @cached_property
    def feeds(self) -> dict[str, FeedInput]:
        """What each input of the model reads, where `data.inputs` says so."""
        names = tuple(SPACE[letter] for letter in self.dataset.source.metadata.space)
        return {name: feed_input(feed, self.window(0, 0), names) for name, feed in self.dataset.feeds.items()}

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
        if gives_quantiles(view):
            assert view.head is not None
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
        for view in self.views:
            if view.head is not None and not gives_quantiles(view):
                yield f"{view.head.head.kind}: only the mean is returned; its quantiles cannot be computed in a graph"

    def model(self) -> Any:
        """Return the functional `keras.Model`.

        Raises:
            ArgumentError: a transform or an input cannot be part of it.
            Untraceable: something else cannot.
        """
        from specbuild.model.backend import keras

        if self._batch is not None and len(self._regions) > 1:
            raise ArgumentError(
                f"the model fixes the batch size, {self._batch}, and its frames are cut into tiles",
                help="do not fix the batch size of the input, or export with --shape whole",
            )
        ports = {
            each.name: keras.Input(each.shape[1:], batch_size=each.shape[0], dtype=each.dtype, name=each.name)
            for each in self.inputs
        }
        traced = {name: Traced(tensor) for name, tensor in ports.items()}
        past = self._coarse(traced[self.past])
        first = traced.get(self.slot)
        raw = self._raw(past, first, traced)
        outputs = [tensor for view in self.views for tensor in self._forecast(view, raw, past, first)]
        given = list(ports.values())
        name = f"{exported_name(self.trained.spec.name)}-physical"
        return keras.Model(given if len(given) > 1 else given[0], [each.tensor for each in outputs], name=name)

    @cached_property
    def _regions(self) -> tuple[Region, ...]:
        return (
            self.dataset.tiling.regions if not self.open_space else ((slice(None),) * len(self.dataset.source.space),)
        )

    def _coarse(self, past: Traced) -> Traced:
        if self.coarsen is None:
            return past
        boxes = [1, *self.coarsen.factors(len(self.space)), 1]
        return reduced(past, boxes, self.coarsen.method)  # type: ignore[arg-type, return-value]

    def _raw(self, past: Traced, first: Traced | None, given: dict[str, Traced]) -> dict[str, list[Traced]]:
        """Return the outputs of the model by name, for each tile."""
        from specbuild.model.backend import keras

        ops = keras.ops
        dataset = replace(self.dataset, transform=Unchecked.of(self.dataset.transform))
        offsets = [*past_frames(0, dataset.section.windows)]
        ready: Any = dataset.prepare(past, self._context(first, offsets))  # type: ignore[arg-type]
        values = {self.past: ready}
        for name, feed in self.feeds.items():
            values[name] = feed.values(ready, None if feed.description is None else given[name])
        graph, count = self.trained.graph, len(self._regions)
        tensors = {}
        for each in graph.inputs:
            value, layout = values[each.id], self.dataset.layout.inputs.get(each.id)
            spatial = layout is None or layout.space
            tiles = [value[(Ellipsis, *region, slice(None))] if spatial else value for region in self._regions]
            parts = [self._as_tensor(tile, past) for tile in tiles]
            joined = parts[0] if count == 1 else ops.stack(parts, axis=1)
            joined = joined if count == 1 else ops.reshape(joined, (-1, *joined.shape[2:]))
            tensors[each.id] = ops.cast(joined, each.dtype)
        outputs = {}
        called = outputs_of(exported_model(self.trained), self.trained, tensors)
        for output, tensor in zip(graph.outputs, called, strict=True):
            tensor = ops.cast(tensor, "float32")
            if count == 1:
                outputs[output.name] = [Traced(tensor)]
            else:
                split = ops.reshape(tensor, (-1, count, *tensor.shape[1:]))
                outputs[output.name] = [Traced(split[:, tile]) for tile in range(count)]
        return outputs

    def _as_tensor(self, value: Any, like: Traced) -> Any:
        """Return a traced value, or a constant for every sample, as a tensor."""
        if isinstance(value, Traced):
            return value.tensor
        from specbuild.model.backend import keras

        one = keras.ops.zeros_like(keras.ops.reshape(like.tensor, (-1, prod_of(like.shape)))[:, 0])
        return keras.ops.reshape(one, (-1, *(1,) * value.ndim)) + value[np.newaxis]

    def _context(self, first: Traced | None, offsets: list[int]) -> FrameContext | None:
        return None if first is None else slots_of(_column(first), offsets)

    def _forecast(
        self, view: Dataset, raw: dict[str, list[Traced]], past: Traced, first: Traced | None
    ) -> Iterator[Traced]:
        """Yield the forecast (F, *space, C) of an output, and its quantiles where it has a head that gives some."""
        name = view.output or self.trained.graph.outputs[0].name
        ahead = [*view._compared(future_frames(0, view.section.windows))]
        tiles = [self._future(view, tile) for tile in raw[name]]
        yield from self.restored(view, tiles, self._context(first, ahead), past)

    def restored(
        self, view: Dataset, tiles: list[Traced], context: FrameContext | None, past: Traced
    ) -> Iterator[Traced]:
        """Yield an output in physical units, (F, *space, C), and its quantiles where it has a head that gives some.

        Args:
            view: the data as the output is compared with them.
            tiles: the output of the model for each tile, (F, *crop, C).
            context: when the frames are.
            past: what was observed, (P, *space, C); missing where nothing was.
        """
        if view.head is None:
            parts = [
                Unchecked.of(view.transform, None if self.open_space else region).invert(tile, context)
                for region, tile in zip(self._regions, tiles, strict=True)
            ]
            yield self._known(view, self._stitched(parts), past)
            return
        transform, stitched = Unchecked.of(view.transform), self._stitched(tiles)
        point = self._known(view, transform.invert(view.head.point(stitched), context), past)  # type: ignore[arg-type]
        yield point
        if gives_quantiles(view):
            given = view.head.quantiles(stitched, view.head.head.levels)  # type: ignore[arg-type]
            quantiles = transform.invert(given, context)
            unknown: Any = np.isnan(point)
            yield cast(Traced, np.where(unknown, np.float32(np.nan), quantiles))

    def _future(self, view: Dataset, output: Traced) -> Traced:
        frames = output[np.newaxis] if view.layout.output_without_time else output
        return frames[-view.section.windows.future :]

    def _stitched(self, tiles: list[Traced]) -> Traced:
        """Return whole frames, the weighted mean of the tiles where they overlap."""
        if len(tiles) == 1:
            return tiles[0]
        from specbuild.model.backend import keras

        tiling = self.dataset.tiling
        placed = []
        for region, weight, tile in zip(tiling.regions, tiling.weights, tiles, strict=True):
            beyond = [(part.start, size - part.stop) for part, size in zip(region, tiling.frame, strict=True)]
            weighted = (tile * weight[..., np.newaxis]).tensor
            placed.append(keras.ops.pad(weighted, [(0, 0), (0, 0), *beyond, (0, 0)]))
        total = placed[0]
        for each in placed[1:]:
            total = total + each
        return Traced(total)

    def _known(self, view: Dataset, forecast: Traced, past: Traced) -> Traced:
        """Return a forecast that is missing where neither training nor past knew a pixel, or no value at all."""
        if self._masks and view.coverage is not None:
            forecast = view.coverage.masked(forecast, view.seen(past))  # type: ignore[arg-type, assignment]
        nothing: Any = np.isnan(past).all()
        return cast(Traced, np.where(nothing, np.float32(np.nan), forecast))


def gives_quantiles(view: Dataset) -> bool:
    """Whether the quantiles of an output can be computed in a graph."""
    return view.head is not None and not isinstance(view.head, CensoredGammaReader)


def prod_of(shape: tuple[int | None, ...]) -> int:
    """Return the number of values of a sample; −1 where it is open."""
    return -1 if None in shape else prod(length or 1 for length in shape)


def _column(first: Traced) -> Traced:
    from specbuild.model.backend import keras

    return Traced(keras.ops.expand_dims(first.tensor, axis=1))
