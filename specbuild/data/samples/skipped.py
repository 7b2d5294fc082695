"""Windows that are skipped: with a frame that cannot be used, or with nothing known of the past or the future."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.data.sources import FrameSource

LISTED = 3
"""Number of frames that a note lists one by one."""


@dataclass(frozen=True)
class SkippedWindows:
    """Windows with a frame that cannot be used, and windows whose past or whose future is missing altogether.

    In training such a window has no weight; in evaluation it is not scored. Several threads may ask at once.
    """

    source: FrameSource
    _unusable: set[tuple[int, int]] = field(default_factory=set, repr=False)
    _empty: set[tuple[int, int]] = field(default_factory=set, repr=False)

    def skips(
        self, window: tuple[int, int], frames: tuple[Sequence[int], ...], *values: Floats, count: bool = True
    ) -> bool:
        """Return whether a window is skipped.

        Args:
            window: its event and first frame.
            frames: the frames that it needs, as they were just read.
            values: its past and its future, in physical units.
            count: whether it counts; a part of its frames may be empty where the whole is not.
        """
        event, known = window[0], self.source.unusable
        if known and any((event, frame) in known for part in frames for frame in part):
            self._unusable.add(window)
            return True
        if not self.source.may_miss or not any(np.isnan(part).all() for part in values):
            return False
        if count:
            self._empty.add(window)
        return True

    def notes(self) -> tuple[str, ...]:
        """Return what was skipped so far, in sentences; none where nothing was."""
        notes = []
        if self._empty:
            notes.append(f"{_windows(len(self._empty))} left out: all of the past or all of the future is missing")
        if self.source.unusable:
            notes.append(f"{_windows(len(self._unusable))} left out because of {_frames(self.source.unusable)}")
        return tuple(notes)


def _windows(count: int) -> str:
    return "1 window was" if count == 1 else f"{count:,} windows were"


def _frames(unusable: Mapping[tuple[int, int], str]) -> str:
    reasons = [unusable[frame] for frame in sorted(unusable)]
    more = f"; and {len(reasons) - LISTED:,} more" if len(reasons) > LISTED else ""
    which = "1 frame" if len(reasons) == 1 else f"{len(reasons):,} frames"
    return f"{which} that cannot be used: {'; '.join(reasons[:LISTED])}{more}"
