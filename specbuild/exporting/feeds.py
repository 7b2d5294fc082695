"""What the inputs of a model read, inside an exported graph: constants, or inputs of the graph in physical units.

Shapes: N samples, F frames, `space` the spatial axes of whole frames, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from specbuild.data.arrays import Array, Floats
from specbuild.data.feeds.base import Feed, FeedContext
from specbuild.data.feeds.coordinates import SUN, PixelCoordinates
from specbuild.data.feeds.cycles import Cycles, phases_of
from specbuild.data.feeds.joined import JoinedFrames
from specbuild.data.feeds.moving import Extrapolation, MotionField
from specbuild.data.feeds.past import PastFrames
from specbuild.data.feeds.stored import StaticField
from specbuild.data.motion import extrapolated, motion_field
from specbuild.data.samples.windows import lead_frames
from specbuild.data.units import labelled
from specbuild.document import ArgumentError
from specbuild.exporting.description import Axis, Computed, TensorDescription
from specbuild.exporting.naming import units_in
from specbuild.exporting.steps import Unchecked
from specbuild.exporting.tracing import Traced

USE_WHOLE = "export with --shape whole, which takes the inputs as the model reads them"


@dataclass(frozen=True, slots=True)
class FeedInput:
    """An input of the model inside a graph.

    Attributes:
        description: the input of the graph that it needs; None where it needs none.
        values: from the traced frames as the model reads them, the traced input, and what gives future frames in the
            units of the target, to what the model reads.
        sample: what the input of the graph is for a window.
        frames: the frames that it is computed from for a window, where `description.computed` says how.
    """

    description: TensorDescription | None
    values: Callable[[Traced, Traced | None, Callable[[Any], Any]], Any]
    sample: Callable[[FeedContext], Array] | None = None
    frames: Callable[[FeedContext], Floats] | None = None


def feed_input(feed: Feed[Any], context: FeedContext, names: tuple[str, ...], past: str) -> FeedInput:
    """Return an input of the model as part of a graph.

    Args:
        feed: what it reads.
        context: any window, with whole frames.
        names: of the spatial axes.
        past: the input with the past frames.

    Raises:
        ArgumentError: it cannot be computed inside of a graph.
    """
    if isinstance(feed, PastFrames):
        return FeedInput(None, lambda ready, *_: ready if feed.layout.time else ready[0])
    if isinstance(feed, StaticField) or (isinstance(feed, PixelCoordinates) and feed.section.frames is None):
        constant = np.asarray(feed.read(context), np.float32)
        return FeedInput(None, lambda *_: constant)
    if isinstance(feed, JoinedFrames):
        return _joined(feed, context, names)
    if isinstance(feed, Cycles):
        return _phases(
            feed, context, feed.section.cycles, lambda given: feed.of_phases(given, context.past.shape[1:-1])
        )
    if isinstance(feed, PixelCoordinates):
        return _phases(feed, context, SUN, lambda given: feed.of_phases(given, context.region))
    if isinstance(feed, MotionField):
        return _motion(feed, context, names, past)
    if isinstance(feed, Extrapolation):
        return _extrapolation(feed, context, names, past)
    raise ArgumentError(f"the input {feed.name} cannot be computed by the exported model", help=USE_WHOLE)


def _joined(feed: JoinedFrames, context: FeedContext, names: tuple[str, ...]) -> FeedInput:
    assert feed.statistics is not None
    if feed.statistics.clock is not None:
        message = f"the input {feed.name} reads anomalies, whose phase the exported model is not given"
        raise ArgumentError(message, help=USE_WHOLE)
    inside = replace(feed, statistics=Unchecked.of(feed.statistics))

    def values(_: Traced, given: Traced | None, _as_target: Callable[[Any], Any]) -> Any:
        frames = inside.values_of(given)  # type: ignore[arg-type]
        return frames if feed.layout.time else frames[0]

    physical = feed.physical(context)[0]
    axes = [("batch", None), ("time", len(physical)), *zip(names, physical.shape[1:-1], strict=True)]
    description = TensorDescription(
        feed.name,
        "frame",
        tuple(Axis(*axis) for axis in (*axes, ("channel", physical.shape[-1]))),
        units=units_in(feed.source.metadata),
        description=f"{feed.section.frames} frames of {feed.source.name}, in physical units",
        channels=feed.source.metadata.variables,
        steps=_steps(feed, context),
        missing=True,
    )
    return FeedInput(description, values, lambda window: feed.physical(window)[0])


def _phases(feed: Feed[Any], context: FeedContext, cycles: tuple[str, ...], read: Callable[[Any], Any]) -> FeedInput:
    frames = len(context.numbers(feed.section.frames))
    description = TensorDescription(
        feed.name,
        "time",
        (Axis("batch", None), Axis("time", frames), Axis("cycle", len(cycles))),
        description="the part of each cycle that has passed at each frame, from 0 to below 1, in UTC; "
        "weeks begin on Monday, years are calendar years",
        channels=cycles,
        steps=_steps(feed, context),
    )

    def sample(window: FeedContext) -> Array:
        times = window.times(feed.section.frames)
        if times is None:
            raise ArgumentError(
                f"the input {feed.name} reads the time of frames, which drawn frames have not",
                help="make the data of the run available, so that the file can be tried on them",
            )
        return phases_of(cycles, times).astype(np.float32)

    return FeedInput(description, lambda _, given, _as_target: read(given), sample)


def _motion(feed: MotionField, context: FeedContext, names: tuple[str, ...], past: str) -> FeedInput:
    record = context.source
    computed = _computed(feed, context, past, motion_field)
    description = TensorDescription(
        feed.name,
        "motion",
        (Axis("batch", None), *map(Axis, names, record.space), Axis("channel", 2 * record.channels)),
        units="pixels per step",
        description="for each variable the motion along x (the width) and y (the height) before the forecast",
        channels=tuple(f"{name} along {axis}" for name in record.metadata.variables for axis in "xy"),
        computed=computed,
    )

    def frames(window: FeedContext) -> Floats:
        return feed.motions.compared(window)[0]

    def sample(window: FeedContext) -> Array:
        return motion_field(frames(window), **computed.arguments)

    return FeedInput(description, lambda _, given, _as_target: given, sample, frames)


def _extrapolation(feed: Extrapolation, context: FeedContext, names: tuple[str, ...], past: str) -> FeedInput:
    record, data = context.source, context.data
    leads = lead_frames(data.windows)
    computed = _computed(feed, context, past, extrapolated, steps=feed.steps(data.windows))
    description = TensorDescription(
        feed.name,
        "frame",
        (
            Axis("batch", None),
            Axis("time", len(leads)),
            *map(Axis, names, record.space),
            Axis("channel", record.channels),
        ),
        units=units_in(labelled(record.metadata, data.units)),
        description="the last past frame, moved along the motion before the forecast, in physical units",
        channels=record.metadata.variables,
        steps=tuple(data.lead_label(lead) for lead in leads),
        missing=True,
        computed=computed,
    )

    def frames(window: FeedContext) -> Floats:
        return feed.motions.compared(window)[0]

    def sample(window: FeedContext) -> Array:
        return extrapolated(frames(window), **computed.arguments)

    def values(_: Traced, given: Traced | None, as_target: Callable[[Any], Any]) -> Any:
        future = as_target(given)
        return future if feed.layout.time else future[0]

    return FeedInput(description, values, sample, frames)


def _computed(
    feed: MotionField | Extrapolation,
    context: FeedContext,
    past: str,
    function: Callable[..., Floats],
    **arguments: Any,
) -> Computed:
    """Return how motion, or frames moved along it, are computed outside of the graph, as the feed does.

    Raises:
        ArgumentError: the frames whose motion counts are not those of the files.
    """
    data, latest = context.data, feed.section.latest
    if data.source.coarsen is not None:
        message = f"the input {feed.name} is computed from coarsened frames, which the exported model does not take"
        raise ArgumentError(message, help=USE_WHOLE)
    count, step = (data.windows.past, data.windows.step) if latest is None else (latest, 1)
    steps = tuple(data.lead_label(-step * back) for back in range(count - 1, -1, -1))
    arguments |= feed.motions.arguments(step, data.windows.step)
    return Computed(function.__name__, past, steps, latest is not None, arguments)


def _steps(feed: Feed[Any], context: FeedContext) -> tuple[str, ...]:
    """Return what each frame of an input is, counted from the last past frame."""
    last = context.frames[0][-1]
    return tuple(context.data.lead_label(number - last) for number in context.numbers(feed.section.frames))
