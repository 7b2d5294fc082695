"""The inputs of a model, opened: what each reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from specbuild.data.feeds.base import Feed
from specbuild.data.feeds.coordinates import open_coordinates
from specbuild.data.feeds.cycles import open_cycles
from specbuild.data.feeds.grid import open_grid
from specbuild.data.feeds.joined import open_joined
from specbuild.data.feeds.moving import open_baseline, open_motion
from specbuild.data.feeds.past import PastFrames
from specbuild.data.feeds.stored import StaticField, Stored, beside_the_record, spec_of
from specbuild.data.sources import FrameSource, open_source
from specbuild.language import Spec
from specbuild.language.sections.feeds import (
    BaselineFeed,
    CoordinatesFeed,
    CyclesFeed,
    FeedSection,
    MotionFeed,
    PastFeed,
    SourceFeed,
)

Feeds: TypeAlias = dict[str, Feed[Any]]
"""What each input reads, by its name; none where `data.inputs` is left out."""
Open: TypeAlias = Callable[[Spec, str, Any, FrameSource], Feed[Any]]


def open_stored(spec: Spec, name: str, feed: SourceFeed, record: FrameSource) -> Stored:
    """Open the source of an input, and compare its grid with that of the record.

    Raises:
        SpecError: it cannot be read, or does not fit, located at the key of the input.
    """
    seen = spec_of(spec, name, feed)
    with beside_the_record(name):
        source = open_source(seen)
        grid = open_grid(seen, source, record, feed.regrid)
        parts = name, feed, source, grid, seen, record.space
        return StaticField(*parts) if feed.is_static else open_joined(*parts, record=record)


KINDS: dict[type[FeedSection], Open] = {
    PastFeed: lambda _spec, name, section, _record: PastFrames(name, section),
    SourceFeed: open_stored,
    CyclesFeed: open_cycles,
    CoordinatesFeed: open_coordinates,
    MotionFeed: open_motion,
    BaselineFeed: open_baseline,
}
"""How each kind is opened, given the spec, the name of the input, its section and the record."""


def open_feeds(spec: Spec, record: FrameSource) -> Feeds:
    """Open what the inputs read; statistics are fitted, or restored, by what this returns.

    Raises:
        SpecError: a file that cannot be read, or does not fit the record, located at the key of its input.
    """
    inputs = spec.require_data().inputs
    return {name: KINDS[type(section)](spec, name, section, record) for name, section in inputs.items()}


def restored(feeds: Feeds, state: Mapping[str, Any]) -> Feeds:
    """Return the inputs with the statistics that `state` has of them, a saved transform.

    Raises:
        RunError: they do not fit.
    """
    saved = state.get("inputs") or {}
    return {name: feed.restored(saved.get(name)) for name, feed in feeds.items()}
