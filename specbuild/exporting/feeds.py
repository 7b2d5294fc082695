"""What the inputs of a model read, inside an exported graph: constants, or inputs of the graph in physical units.

Shapes: N samples, F frames, `space` the spatial axes of whole frames, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from specbuild.data.arrays import Array
from specbuild.data.feeds.base import Feed, FeedContext
from specbuild.data.feeds.coordinates import SUN, PixelCoordinates
from specbuild.data.feeds.cycles import Cycles, phases_of
from specbuild.data.feeds.joined import JoinedFrames
from specbuild.data.feeds.moving import Extrapolation, MotionField
from specbuild.data.feeds.past import PastFrames
from specbuild.data.feeds.stored import StaticField
from specbuild.document import ArgumentError
from specbuild.exporting.description import Axis, TensorDescription
from specbuild.exporting.steps import Unchecked
from specbuild.exporting.tracing import Traced

USE_WHOLE = "export with --shape whole, which takes the inputs as the model reads them"


@dataclass(frozen=True, slots=True)
class FeedInput:
    """An input of the model inside a graph.

    Attributes:
        description: the input of the graph that it needs; None where it needs none.
        values: from the traced frames as the model reads them, and the traced input, to what the model reads.
        sample: what the input of the graph is for a window.
    """

    description: TensorDescription | None
    values: Callable[[Traced, Traced | None], Any]
    sample: Callable[[FeedContext], Array] | None = None


def feed_input(feed: Feed[Any], context: FeedContext, names: tuple[str, ...]) -> FeedInput:
    """Return an input of the model as part of a graph.

    Args:
        feed: what it reads.
        context: any window, with whole frames.
        names: of the spatial axes.

    Raises:
        ArgumentError: it cannot be computed inside of a graph.
    """
    if isinstance(feed, PastFrames):
        return FeedInput(None, lambda ready, _: ready if feed.layout.time else ready[0])
    if isinstance(feed, StaticField) or (isinstance(feed, PixelCoordinates) and feed.section.frames is None):
        constant = np.asarray(feed.read(context), np.float32)
        return FeedInput(None, lambda _ready, _given: constant)
    if isinstance(feed, JoinedFrames):
        return _joined(feed, context, names)
    if isinstance(feed, Cycles):
        return _phases(
            feed, context, feed.section.cycles, lambda given: feed.of_phases(given, context.past.shape[1:-1])
        )
    if isinstance(feed, PixelCoordinates):
        return _phases(feed, context, SUN, lambda given: feed.of_phases(given, context.region))
    what = "another kind of input"
    if isinstance(feed, MotionField | Extrapolation):
        what = "optical flow, which OpenCV computes and no exported graph can"
    raise ArgumentError(f"the input {feed.name} reads {what}", help=USE_WHOLE)


def _joined(feed: JoinedFrames, context: FeedContext, names: tuple[str, ...]) -> FeedInput:
    assert feed.statistics is not None
    if feed.statistics.clock is not None:
        message = f"the input {feed.name} reads anomalies, whose phase the exported model is not given"
        raise ArgumentError(message, help=USE_WHOLE)
    inside = replace(feed, statistics=Unchecked.of(feed.statistics))

    def values(_: Traced, given: Traced | None) -> Any:
        frames = inside.values_of(given)  # type: ignore[arg-type]
        return frames if feed.layout.time else frames[0]

    physical = feed.physical(context)[0]
    axes = [("batch", None), ("time", len(physical)), *zip(names, physical.shape[1:-1], strict=True)]
    description = TensorDescription(
        feed.name,
        "frame",
        tuple(Axis(*axis) for axis in (*axes, ("channel", physical.shape[-1]))),
        units=feed.source.metadata.units,
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
        assert times is not None
        return phases_of(cycles, times).astype(np.float32)

    return FeedInput(description, lambda _, given: read(given), sample)


def _steps(feed: Feed[Any], context: FeedContext) -> tuple[str, ...]:
    """Return what each frame of an input is, counted from the last past frame."""
    last = context.frames[0][-1]
    return tuple(context.data.lead_label(number - last) for number in context.numbers(feed.section.frames))
