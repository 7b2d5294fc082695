"""The model of a run, frame by frame: one frame and the states in, one frame and the states out, in physical units.

The graphs of one step come from `specbuild/exporting/stream`; here they get the transform, the mask, the other inputs
and the tiles of the run around them, as `physical.py` does for the whole model.

Shapes: N samples, F frames, `space` the spatial axes, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from specbuild.data import Dataset
from specbuild.data.samples.windows import lead_frames
from specbuild.document import ArgumentError
from specbuild.exporting.description import Axis, Exported, ExportedGraph, TensorDescription
from specbuild.exporting.interface import opened
from specbuild.exporting.naming import exported_name
from specbuild.exporting.physical import PhysicalPlan
from specbuild.exporting.steps import Unchecked
from specbuild.exporting.stream.models import StreamModels, stream_models
from specbuild.exporting.stream.side import NEXT, Given, StreamGraph, Taken
from specbuild.exporting.tracing import Traced, Untraceable
from specbuild.exporting.whole import interval_of, notes_on
from specbuild.runs.trained import TrainedRun

SEEN = "seen"
"""The state that tells which pixels were ever observed."""


def streaming(trained: TrainedRun) -> Exported:
    """Return the model of a run as graphs of one step, with physical units in and out, NaN where missing.

    `observe` reads the newest frame; `forecast`, where there is one, gives one frame of the forecast for each call;
    `start`, where there is one, gives states that do not begin with zeros.

    Raises:
        SpecError: the model cannot run step by step; which node, and why.
        ArgumentError: something else that it needs cannot be computed inside of a graph.
    """
    precision = trained.precision or trained.folder.manifest()["precision"]
    models = stream_models(trained.graph, trained.load_model(precision), precision)
    plan = StreamingPlan(trained, opened(trained), models)
    try:
        graphs = tuple(plan.graph(graph) for graph in plan.graphs)
    except Untraceable as error:
        raise ArgumentError(
            f"the model cannot be exported frame by frame with physical units: a graph cannot compute {error}",
            help="export with --shape whole",
        ) from error
    notes = (*notes_on(trained), *plan.notes(), *models.streams.notes, *plan.calls())
    return Exported("streaming", graphs, interval_of(trained), notes)


@dataclass(frozen=True)
class StreamingPlan(PhysicalPlan):
    """The inputs and outputs of the graphs of one step, and how they are computed."""

    models: StreamModels

    @property
    def graphs(self) -> tuple[StreamGraph, ...]:
        """The graphs in the order in which they are called, `start` first where any state does not begin with zeros."""
        streams = self.models.streams
        if streams.start is not None or not self._own_starts:
            return streams.graphs
        return (replace(streams.observe, name="start", inputs=(), outputs=()), *streams.graphs)

    @cached_property
    def _own_starts(self) -> dict[str, Any]:
        """The states that begin with numbers other than zero, which are learned or written in the spec."""
        return {name: value for name, value in self.models.initial.items() if value.any()}

    @property
    def _tiles(self) -> int:
        return len(self._regions)

    def graph(self, stream: StreamGraph) -> ExportedGraph:
        """Return a graph of one step with what goes in and out of it."""
        from specbuild.model.backend import keras

        described = {each.name: each for each in self._inputs(stream)}
        ports = {name: keras.Input(each.shape[1:], dtype=each.dtype, name=name) for name, each in described.items()}
        traced = {name: Traced(tensor) for name, tensor in ports.items()}
        results = list(self._outputs_of(stream, traced))
        tensors = [
            keras.layers.Identity(dtype="float32", name=f"{each.name}_given")(tensor) for each, tensor in results
        ]
        given = list(ports.values())
        name = f"{exported_name(self.trained.spec.name)}-{stream.name}"
        model = keras.Model(given if len(given) > 1 else given[0], tensors, name=name)
        windows = self.trained.data.windows
        calls = {"observe": windows.past, "forecast": self.models.streams.horizon or windows.future}.get(stream.name, 1)
        outputs = tuple(each for each, _ in results)
        return ExportedGraph(model, tuple(described.values()), outputs, stream.name, calls)

    # What goes in

    def _inputs(self, stream: StreamGraph) -> Iterator[TensorDescription]:
        """Yield the inputs of a graph: frames first, then their time, other inputs, and the states."""
        frames, *further = self.inputs
        if stream.name != "forecast":
            text = "the newest frame, in physical units"
            if stream.name == "start" and not stream.inputs:
                text = "any frame, of which only the number of samples is read"
            yield replace(frames, axes=_without_time(frames.axes), steps=(), description=text)
        for each in further:
            given = next((given for given in stream.inputs if given.name == each.name), None)
            if each.name == self.slot:
                which = "the frame that is forecast" if stream.name == "forecast" else "the newest frame"
                yield replace(each, description=each.description.replace("the first past frame", which))
            elif given is not None and given.frame:
                yield replace(each, axes=_without_time(each.axes), steps=())
            elif given is not None:
                yield each
        yield from (self._state(given) for given in stream.inputs if given.role == "state")
        if stream.name != "start":
            yield self._seen(stream)

    def _state(self, given: Given) -> TensorDescription:
        begins = given.name in self._own_starts or given.initial == "start"
        observed = any(taken.name == given.name + NEXT for taken in self.models.streams.observe.outputs)
        initial = "start" if begins else "observe" if observed and not self._is_own(given) else "zeros"
        return TensorDescription(
            given.name,
            "state",
            self._state_axes(given.outer),
            given.dtype,
            description=f"{given.origin} before the step" if given.next else given.origin,
            initial=initial,
            next=given.next,
        )

    def _is_own(self, given: Given) -> bool:
        """Whether a state is one of `observe` itself."""
        return any(each.name == given.name for each in self.models.streams.observe.inputs)

    def _state_axes(self, shape: tuple[int | None, ...]) -> tuple[Axis, ...]:
        letters = self.dataset.source.metadata.space
        names = {len(letters) + 1: [*self._names, "channel"], len(letters) + 2: ["time", *self._names, "channel"]}
        known = names.get(len(shape)) or [f"axis_{number + 1}" for number in range(len(shape))]
        tiles = (Axis("tile", self._tiles),) if self._tiles > 1 else ()
        return (Axis("batch", None), *tiles, *(Axis(*pair) for pair in zip(known, shape, strict=True)))

    @property
    def _names(self) -> list[str]:
        return [axis.name for axis in self._axes(self.dataset.source.space, 1)[:-1]]

    def _seen(self, stream: StreamGraph) -> TensorDescription:
        """The state that tells what was observed: of each pixel where some may never be known, else of any."""
        axes: tuple[Axis, ...] = (Axis("any", 1),)
        if self._masks:
            axes = self._axes(self.dataset.source.space, self.dataset.source.channels)
        return TensorDescription(
            SEEN,
            "state",
            (Axis("batch", None), *axes),
            description="1 where a value was observed, 0 where none was",
            initial="observe" if stream.name == "forecast" else "zeros",
            next=SEEN + NEXT if stream.name == "observe" else "",
        )

    # What is computed

    def _outputs_of(self, stream: StreamGraph, given: dict[str, Traced]) -> Iterator[tuple[TensorDescription, Any]]:
        """Yield what comes out of a graph with its description: frames in physical units, then the states."""
        like = next(iter(given.values()))
        if stream.name == "start":
            for name, value in self._own_starts.items():
                whole = np.broadcast_to(value, (self._tiles, *value.shape)) if self._tiles > 1 else value
                yield self._next(name + NEXT, value.shape), self._as_tensor(np.asarray(whole, np.float32), like)
            if not stream.outputs:
                return
        frame = self._coarse(_leading(given[self.past])) if self.past in given else None  # (1, *space, C)
        results = self._run(stream, given, frame, like)
        seen = given.get(SEEN)
        if seen is not None and frame is not None:
            seen = self._observed(seen, frame)
        for taken in stream.outputs:  # frames come before states
            if taken.role == "frame" and seen is not None:
                yield from self._frames(stream, taken, results[taken.name], given, seen)
            else:
                yield self._next(taken.name, taken.outer), self._apart(results[taken.name])
        if seen is not None and frame is not None:
            yield replace(self._seen(stream), name=SEEN + NEXT, next="", initial=""), seen.tensor

    def _next(self, name: str, shape: tuple[int | None, ...]) -> TensorDescription:
        what = f"{name.removesuffix(NEXT)} after the step"
        return TensorDescription(name, "state", self._state_axes(shape), description=what)

    def _run(self, stream: StreamGraph, given: dict[str, Traced], frame: Traced | None, like: Traced) -> dict[str, Any]:
        """Return the outputs of a graph of the model by name, tiles beside samples."""
        from specbuild.model.backend import keras

        ready: Any = None
        if frame is not None:
            dataset = replace(self.dataset, transform=Unchecked.of(self.dataset.transform))
            ready = dataset.prepare(frame, self._context(given.get(self.slot), [0]))  # type: ignore[arg-type]
        leads = [0] if stream.name == "forecast" else [*lead_frames(self.trained.data.windows)]
        as_target = self._as_target(given.get(self.slot), leads)
        values = []
        for each in stream.inputs:
            if each.role == "state":
                tensor = given[each.name].tensor
                values.append(keras.ops.reshape(tensor, (-1, *each.outer)) if self._tiles > 1 else tensor)
                continue
            feed = self.feeds.get(each.name)
            port = given.get(each.name)
            port = _leading(port) if port is not None and each.frame else port
            value = ready if feed is None else feed.values(ready, port, as_target)
            layout = self.dataset.layout.inputs.get(each.name)
            value = value[0] if each.frame else value
            values.append(keras.ops.cast(self._cut(value, like, spatial=layout is None or layout.space), each.dtype))
        model = self.models.models[stream.name]
        outputs = keras.tree.flatten(model(values, training=False))
        return {taken.name: tensor for taken, tensor in zip(stream.outputs, outputs, strict=True)}

    def _cut(self, value: Any, like: Traced, *, spatial: bool) -> Any:
        """Return a value as the model reads it: for each tile of each sample."""
        from specbuild.model.backend import keras

        tiles = [value[(Ellipsis, *region, slice(None))] if spatial else value for region in self._regions]
        parts = [self._as_tensor(tile, like) for tile in tiles]
        if len(parts) == 1:
            return parts[0]
        joined = keras.ops.stack(parts, axis=1)
        return keras.ops.reshape(joined, (-1, *joined.shape[2:]))

    def _apart(self, tensor: Any) -> Any:
        """Return a tensor of all tiles with an axis for them."""
        from specbuild.model.backend import keras

        return tensor if self._tiles == 1 else keras.ops.reshape(tensor, (-1, self._tiles, *tensor.shape[1:]))

    def _observed(self, before: Traced, frame: Traced) -> Traced:
        """Return what was ever observed: 1 where a value was, for each pixel or for all together."""
        known: Any = np.where(np.isnan(frame[0]), np.float32(0), np.float32(1))
        if not self._masks:
            known = known.max().reshape((1,))
        return cast(Traced, np.maximum(before, known))

    def _frames(
        self, stream: StreamGraph, taken: Taken, tensor: Any, given: dict[str, Traced], seen: Traced
    ) -> Iterator[tuple[TensorDescription, Any]]:
        """Yield an output of the model in physical units, and its quantiles where it has a head."""
        view = next((view for view in self.views if view.output == taken.name), self.views[0])
        single = taken.frame or view.layout.output_without_time
        apart = self._apart(tensor)
        tiles = [Traced(apart if self._tiles == 1 else apart[:, tile]) for tile in range(self._tiles)]
        tiles = [_leading(tile) if single else tile[-view.section.windows.future :] for tile in tiles]
        leads = [0] if stream.name == "forecast" else list(view.leads[-1:] if single else view.leads)
        observed: Any = np.where(np.greater(seen, np.float32(0)), np.float32(0), np.float32(np.nan))
        context = self._context(given.get(self.slot), leads)
        results = self.restored(view, tiles, context, _leading(observed))
        for described, result in zip(self._outputs(view), results, strict=True):
            if not taken.frame:
                yield described, result.tensor
                continue
            index = (0,) if described.axes[1].name == "time" else (slice(None), 0)  # quantiles come before time
            yield self._one(described, view, stream), result[index].tensor

    def _one(self, described: TensorDescription, view: Dataset, stream: StreamGraph) -> TensorDescription:
        """Return the description of an output of one frame."""
        axes = _without_time(described.axes)
        if stream.name == "forecast":
            text = f"{described.description}: with the first call {view.lead_labels[0]}"
            if len(view.lead_labels) > 1:
                text += f", with the second {view.lead_labels[1]}, and so on"
        else:
            text = f"{described.description}, {view.lead_labels[-1]}"
        return replace(described, axes=axes, steps=(), description=text)

    def calls(self) -> Iterator[str]:
        """Yield how the graphs are called."""
        streams = self.models.streams
        yield f"in the next call, an output whose name ends in {NEXT} is the input without that ending"
        if streams.needed > 1:
            yield f"observe gives valid forecasts from frame {streams.needed} on; before it, some inputs are zeros"
        past = self.trained.data.windows.past
        yield (
            f"in training, {past} frames came before each forecast: test the accuracy of the model after more, and "
            "start from the initial states again after a gap"
        )
        if streams.forecast is not None:
            yield (
                "call observe with each new frame, and for a forecast call forecast as often as frames are wanted, "
                "on a copy of the states"
            )


def _leading(value: Traced) -> Traced:
    """Return a frame as a sequence of one."""
    return value[np.newaxis]


def _without_time(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    return tuple(axis for axis in axes if axis.name != "time")
