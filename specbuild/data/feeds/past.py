"""The past frames of the record as an input."""

from __future__ import annotations

from dataclasses import dataclass

from specbuild.data.arrays import Floats
from specbuild.data.feeds.base import Feed, FeedContext
from specbuild.language.sections.feeds import PastFeed


@dataclass(frozen=True)
class PastFrames(Feed[PastFeed]):
    """The past frames, as a model of one input reads them."""

    def read(self, context: FeedContext) -> Floats:
        frames = context.prepare()
        return frames if self.layout.time else frames[0]
