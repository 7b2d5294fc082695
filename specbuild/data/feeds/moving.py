"""Inputs from motion: the motion itself, and the last past frame moved along it; both from past frames alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.data.feeds.base import Feed, FeedContext
from specbuild.data.motion import motion_field, moved
from specbuild.data.samples.augment import Turn
from specbuild.data.samples.windows import latest_frames, lead_frames
from specbuild.data.sources import FrameSource
from specbuild.document import RunError
from specbuild.language import Spec
from specbuild.language.sections.data import WindowsSection
from specbuild.language.sections.feeds import BaselineFeed, MotionFeed, MovingFeed

_KEPT = 64
"""Windows whose motion is kept: crops of a window share it."""


def open_motion(spec: Spec, name: str, feed: MotionFeed, record: FrameSource) -> MotionField:
    """Return the motion of an input.

    Raises:
        SpecError: frames have no height and width.
    """
    _check_plane(spec, name, "motion", record)
    return MotionField(name, feed, Motions(feed))


def open_baseline(spec: Spec, name: str, feed: BaselineFeed, record: FrameSource) -> Extrapolation:
    """Return the extrapolation of an input.

    Raises:
        SpecError: frames have no height and width.
    """
    _check_plane(spec, name, "baseline", record)
    return Extrapolation(name, feed, Motions(feed))


def _check_plane(spec: Spec, name: str, key: str, record: FrameSource) -> None:
    """Refuse frames that optical flow cannot compare."""
    if not record.has_plane:
        raise spec.error(
            ("data", "inputs", name, key),
            "motion needs frames with height and width",
            reason=f"the spatial axes of {record.name} are {' '.join(record.metadata.space) or 'none'}",
            help=f"leave {name} out",
            code="no-plane",
        )


@dataclass(frozen=True)
class Motions:
    """The motion of whole frames (H, W, 2 · C), computed once for each of the latest windows."""

    section: MovingFeed
    kept: dict[tuple[int, int], tuple[FrameSource, Floats]] = field(default_factory=dict, compare=False, repr=False)
    """By event and first past frame, with its source: every new frame of a live sensor makes a new source."""

    def of(self, context: FeedContext) -> Floats:
        """Return the motion before a forecast, in pixels per step of the window.

        Where the data have a single frame before the forecast, nothing moves.

        Raises:
            RunError: only one past frame is given, which shows no motion.
        """
        source, known = (None, None) if context.at is None else self.kept.get(context.at, (None, None))
        if known is not None and source is context.source:
            return known
        frames, step = self.compared(context)
        whole = motion_field(frames, **self.arguments(step, context.data.windows.step))
        if context.at is not None:
            for oldest in list(self.kept)[: max(0, len(self.kept) + 1 - _KEPT)]:  # other threads add to it meanwhile
                self.kept.pop(oldest, None)
            self.kept[context.at] = context.source, whole
        return whole

    def arguments(self, step: int, window_step: int) -> dict[str, int]:
        """Return the arguments of `motion_field` for frames that lie `step` frames of the data apart."""
        return {"apart": self.section.pairs(step), "scale": window_step // step}

    def compared(self, context: FeedContext) -> tuple[Floats, int]:
        """Return the frames whose motion is computed, and their spacing in frames of the data.

        Raises:
            RunError: only one past frame is given, which shows no motion.
        """
        if self.section.latest is None or context.at is None:
            given = context.whole()
            if len(given) < 2:
                raise RunError(
                    f"an input reads the motion of the latest {self.section.latest} frames, but only one is given",
                    help="forecast from the data of the run, or train with data.windows.past of 2 or more",
                )
            return given, context.data.windows.step
        last = context.frames[0][-1]
        return latest_frames(context.source, context.at[0], last, self.section.latest), 1


@dataclass(frozen=True)
class MotionField(Feed[MotionFeed]):
    """For each variable the motion along x (the width) and y (the height), in pixels per step of the window."""

    motions: Motions

    def read(self, context: FeedContext) -> Floats:
        return self.motions.of(context)[context.region]

    def turned(self, values: Floats, turn: Turn) -> Floats:
        """Mirror and rotate the vectors along with the pixels they belong to."""
        pairs = turn.frames(values).reshape(*turn.frames(values).shape[:-1], -1, 2)
        x, y = pairs[..., 0], pairs[..., 1]
        for axis in turn.flips:
            x, y = (-x, y) if axis == -1 else (x, -y)
        for _ in range(turn.quarters % 4):
            # The last column becomes the first row: what went right goes up.
            x, y = y, -x
        return np.stack([x, y], axis=-1).reshape(*pairs.shape[:-2], -1)


@dataclass(frozen=True)
class Extrapolation(Feed[BaselineFeed]):
    """The last past frame at every lead time, moved along the motion, in the units of the target: (F, H, W, C)."""

    motions: Motions

    def read(self, context: FeedContext) -> Floats:
        ahead = moved(context.whole()[-1], self.motions.of(context), self.steps(context.data.windows))
        future = context.as_target(ahead[(slice(None), *context.region)])
        return future if self.layout.time else future[0]

    def steps(self, windows: WindowsSection) -> list[int]:
        """Return how many steps of the window after the last past frame each frame is."""
        return [frames // windows.step for frames in lead_frames(windows)]
