"""Check the inputs of a model against `data.inputs`: how the array of each is laid out.

A number that differs is reported at the line to change. What is None is known to a file alone and fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from specbuild.catalog.shapes import Dim, Shape, fits, show, written_shape
from specbuild.language.sections.feeds import MovingFeed

if TYPE_CHECKING:
    from specbuild.document import SpecError
    from specbuild.language import Spec
    from specbuild.language.sections.data import DataSection
    from specbuild.language.sections.feeds import FeedSection


@dataclass(frozen=True, slots=True)
class FeedLayout:
    """Which axes the array of an input has, besides its channels."""

    time: bool
    space: bool


def feed_layout(
    feed: FeedSection, data: DataSection, shape: Shape, space: Shape, channels: Dim
) -> tuple[FeedLayout, Shape, bool]:
    """Return how an input of a shape is laid out, the shape that it should have, and whether it has it.

    A single frame may be read without a time axis.

    Args:
        space: the spatial axes of a sample.
        channels: those of the feed, None where only a file can tell.
    """
    count = feed.count(data.windows)
    times: list[Shape] = [()] if count is None else [(count,), ()] if count == 1 else [(count,)]
    spaces: list[Shape] = [space] if feed.spatial else [()] if feed.spatial is False else [space, ()]
    wanted = [
        (FeedLayout(bool(time), part is space and bool(space)), (*time, *part, channels))
        for part in spaces
        for time in times
    ]
    for layout, each in wanted:
        if fits(shape, each):
            return layout, each, True
    layout, each = next((pair for pair in wanted if len(pair[1]) == len(shape)), wanted[0])
    return layout, each, False


def feed_faults(
    spec: Spec, data: DataSection, name: str, shape: Shape, space: Shape, channels: Mapping[str, Dim]
) -> Iterator[SpecError]:
    """Yield an error if an input does not have the shape of what it reads.

    Args:
        space: the spatial axes of a sample.
        channels: those of each input, where they are known.
    """
    feed = data.inputs[name]
    if isinstance(feed, MovingFeed) and feed.latest is None:
        yield from _pair_faults(spec, data, name, feed)
    layout, wanted, fit = feed_layout(feed, data, shape, space, channels.get(name))
    if fit:
        return
    axes = [*(["frames"] if layout.time else []), *(["space"] if layout.space else []), "channels"]
    if len(wanted) == len(shape):
        wanted = tuple(b if a is None else a for a, b in zip(wanted, shape, strict=True))
    yield spec.error(
        ("inputs", name),
        f"{name} is {show(shape)}, data.inputs.{name} reads {show(wanted)} ({', '.join(axes)})",
        help=f"write {name}: {written_shape(wanted)}, or read something else",
        code="data-shape",
    )


def _pair_faults(spec: Spec, data: DataSection, name: str, feed: MovingFeed) -> Iterator[SpecError]:
    """Yield an error for past frames of which no two are as far apart as a motion needs them."""
    past, step, apart = data.windows.past, data.windows.step, feed.apart
    if apart is not None and apart % step:
        yield spec.error(
            ("data", "inputs", name, "apart"),
            f"expected a multiple of {step}, how far apart the past frames are, got {apart}",
            reason=f"data.windows.step is {step}; apart counts frames of the data",
            help="write latest as well, to compare frames between those of the window",
            code="data-shape",
        )
    elif past <= feed.pairs(step):
        far = f"{apart} frames" if apart and apart > 1 else "1 frame"
        yield spec.error(
            ("data", "inputs", name, *(() if apart is None else ("apart",))),
            f"{name} needs past frames that are {far} apart" if apart else f"{name} needs two past frames",
            reason=f"data.windows.past is {past}" + (f", data.windows.step {step}" if step > 1 else ""),
            help=f"write latest: {(apart or 1) + 1} or more, to compare frames from before the window as well",
            code="data-shape",
        )
