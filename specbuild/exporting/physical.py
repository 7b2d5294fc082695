"""The model of a run with inputs and outputs in physical units: transform, missing values, tiles, heads and masks.

The arithmetic is that of `specbuild.data`, run on symbolic tensors (`tracing.py`); only the order of the calls is
written here, as in `Dataset.forecast` and `prediction.forecast`.

Shapes: N samples, P past and F future frames, `space` the spatial axes, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, cast

import numpy as np

from specbuild.data import Dataset
from specbuild.data.samples.windows import future_frames, past_frames
from specbuild.data.sources.base import Region
from specbuild.data.sources.coarsen import reduced
from specbuild.data.transforms.step import FrameContext
from specbuild.document import ArgumentError
from specbuild.exporting.description import Exported, ExportedGraph
from specbuild.exporting.interface import Interface, opened
from specbuild.exporting.naming import exported_name
from specbuild.exporting.steps import Unchecked, slots_of
from specbuild.exporting.tracing import Traced, Untraceable
from specbuild.exporting.whole import exported_model, interval_of, notes_on, outputs_of
from specbuild.runs.trained import TrainedRun


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


@dataclass(frozen=True)
class PhysicalPlan(Interface):
    """A graph in physical units: its inputs and outputs, and how these are computed."""

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
        as_target = self._as_target(first, [*future_frames(0, dataset.section.windows)])
        values = {self.past: ready}
        for name, feed in self.feeds.items():
            values[name] = feed.values(ready, None if feed.description is None else given[name], as_target)
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

    def _as_target(self, first: Traced | None, offsets: list[int]) -> Callable[[Any], Any]:
        """Return a function for future frames (F, *space, C) in the units of the target, missing values filled."""
        transform, context = Unchecked.of(self.dataset.transform), self._context(first, offsets)
        return lambda future: transform.fill_missing(transform.apply(future, context))

    def _context(self, first: Traced | None, offsets: list[int]) -> FrameContext | None:
        return None if first is None else slots_of(_column(first), offsets)

    def _forecast(
        self, view: Dataset, raw: dict[str, list[Traced]], past: Traced, first: Traced | None
    ) -> Iterator[Traced]:
        """Yield the forecast (F, *space, C) of an output, and its quantiles where it has a head."""
        name = view.output or self.trained.graph.outputs[0].name
        ahead = [*view._compared(future_frames(0, view.section.windows))]
        tiles = [self._future(view, tile) for tile in raw[name]]
        yield from self.restored(view, tiles, self._context(first, ahead), past)

    def restored(
        self, view: Dataset, tiles: list[Traced], context: FrameContext | None, past: Traced
    ) -> Iterator[Traced]:
        """Yield an output in physical units, (F, *space, C), and its quantiles where it has a head.

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


def prod_of(shape: tuple[int | None, ...]) -> int:
    """Return the number of values of a sample; −1 where it is open."""
    return -1 if None in shape else prod(length or 1 for length in shape)


def _column(first: Traced) -> Traced:
    from specbuild.model.backend import keras

    return Traced(keras.ops.expand_dims(first.tensor, axis=1))
