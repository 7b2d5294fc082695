"""Frames that cannot be read, or lack values that the spec says are there: named by file and number, or left out."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from specbuild.data.sources.base import ArraySource, Frames, Region
from specbuild.data.time.times import show
from specbuild.document import RunError

UNREADABLE = (OSError, ValueError, RuntimeError, EOFError, KeyError, IndexError, zlib.error, RunError)
"""What the readers below raise over a damaged file."""


class FrameError(RunError):
    """A frame that cannot be used. The message names its file and its number."""


@dataclass(frozen=True)
class GuardedSource(ArraySource):
    """Frames of one array, each of which can be read and is whole where the spec asks for that.

    With `skip` a frame that is not reads as missing and is noted in `unusable`; else it raises FrameError.
    """

    allow_missing: bool = True
    skip: bool = False

    @property
    def may_miss(self) -> bool:
        return self.skip or (self.allow_missing and super().may_miss)

    def read(self, event: int, frames: range, region: Region | None = None) -> Frames:
        """The named frames of one event.

        Raises:
            FrameError: one cannot be read, or lacks a value that it must have.
        """
        try:
            found = super().read(event, frames, region)
        except UNREADABLE as error:
            found = self._one_by_one(event, frames, region, error)
        if not self.allow_missing:
            self._check_whole(event, frames, found)
        return found

    def where(self, event: int, frame: int) -> str:
        """How messages call a frame: by its file, its number there counted from 0, and its time."""
        times = self.times(event)
        at = f" ({show(times[frame])})" if times is not None and frame < len(times) else ""
        for part in self.parts:
            if event in part.events and frame in part.frames:
                inside = f" of event {event - part.events.start}" if len(part.events) > 1 else ""
                return f"frame {frame - part.frames.start}{at}{inside} of {part.name}"
        inside = f" of event {event}" if self.events > 1 else ""
        return f"frame {frame}{at}{inside} of {self.name}"

    def _one_by_one(self, event: int, frames: range, region: Region | None, error: Exception) -> Frames:
        """The frames read singly, so that those that cannot be read are known."""
        found: list[Frames | None] = []
        for frame in frames:
            try:
                found.append(super().read(event, range(frame, frame + 1), region)[0])
            except UNREADABLE as single:
                self._note(event, frame, "cannot be read", single)
                found.append(None)
        if all(one is None for one in found) and not self.skip:
            raise error
        sizes = [slice(0, length) for length in self.space] if region is None else region
        shape = (*(len(range(*part.indices(length))) for part, length in zip(sizes, self.space, strict=True)),)
        empty = np.full((*shape, self.channels), np.nan, np.float32)
        return np.stack([empty if one is None else one for one in found])

    def _check_whole(self, event: int, frames: range, found: Frames) -> None:
        for number in np.flatnonzero(np.isnan(found.reshape(len(found), -1)).any(axis=1)).tolist():
            if (event, frames[number]) not in self.unusable:
                count = int(np.isnan(found[number]).sum())
                values = "1 value is missing" if count == 1 else f"{count:,} values are missing"
                self._note(event, frames[number], f"is not whole: {values}", None)
            found[number] = np.nan

    def _note(self, event: int, frame: int, what: str, error: Exception | None) -> None:
        if isinstance(error, RunError):
            if not self.skip:
                raise error
            self.unusable.setdefault((event, frame), error.message)
            return
        reason = "" if error is None else f": {_words(error)}"
        if not self.skip:
            fix = "data.allow_missing: true" if error is None else "copy the file again"
            raise FrameError(
                f"{self.where(event, frame)} {what}{reason}",
                f"{fix}, or leave out the windows that need such frames with data.on_error: skip",
            ) from error
        self.unusable.setdefault((event, frame), f"{self.where(event, frame)} {what}{reason}")


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
