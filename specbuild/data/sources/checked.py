"""Checked sources: frames that cannot be read, or lack values that must be there, are named or skipped."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.data.sources.base import FrameSource, Region
from specbuild.data.sources.errors import reason_of
from specbuild.document import RunError

UNREADABLE = (OSError, ValueError, RuntimeError, EOFError, KeyError, IndexError, zlib.error, RunError)
"""What readers raise over a damaged file."""


LESS = (
    "read less at once: a smaller train.batch_size, fewer train.workers, data.crop, or a part of the file with "
    "data.source.region"
)
"""What to do where memory runs out over data."""


class FrameError(RunError):
    """A frame that cannot be used. The message names its file and its number."""


@dataclass(frozen=True)
class CheckedSource(FrameSource):
    """Frames of one array, each of which can be read and is whole where the spec asks for that.

    With `skip` a frame that is not reads as missing and is noted in `unusable`; otherwise it raises FrameError.
    """

    allow_missing: bool = True
    skip: bool = False

    @property
    def may_miss(self) -> bool:
        return self.skip or (self.allow_missing and super().may_miss)

    def _read(self, event: int, frames: range, region: Region | None) -> Floats:
        """Return the frames with all of their channels.

        Raises:
            FrameError: one cannot be read, or lacks a value that it must have.
        """
        try:
            physical = super()._read(event, frames, region)
        except MemoryError as error:
            raise RunError(f"there is not enough memory to read {len(frames)} frames of {self.name}", LESS) from error
        except UNREADABLE as error:
            physical = self._read_singly(event, frames, region, error)
        if not self.allow_missing:
            self._check_whole(event, frames, physical)
        return physical

    def _read_singly(self, event: int, frames: range, region: Region | None, error: Exception) -> Floats:
        """Read frame by frame, so that those that cannot be read are known."""
        missing = np.broadcast_to(np.float32(np.nan), (*self.space, self.size("C")))[region or ()]
        physical: list[Floats] = []
        for frame in frames:
            try:
                physical.append(super()._read(event, range(frame, frame + 1), region)[0])
            except UNREADABLE as single:
                self._note(event, frame, "cannot be read", single)
                physical.append(missing)
        if not physical:
            raise error
        return np.stack(physical)

    def _check_whole(self, event: int, frames: range, physical: Floats) -> None:
        for number in np.flatnonzero(np.isnan(physical.reshape(len(physical), -1)).any(axis=1)).tolist():
            if (event, frames[number]) not in self.unusable:
                count = int(np.isnan(physical[number]).sum())
                values = "1 value is missing" if count == 1 else f"{count:,} values are missing"
                self._note(event, frames[number], f"is not whole: {values}", None)
            physical[number] = np.nan

    def _note(self, event: int, frame: int, what: str, error: Exception | None) -> None:
        """Note a frame that cannot be used, or raise the error where none is skipped."""
        fault = error
        if not isinstance(fault, RunError):
            reason = "" if error is None else f": {reason_of(error) or type(error).__name__}"
            fix = "data.allow_missing: true" if error is None else "copy the file again"
            fault = FrameError(
                f"{self.where(event, frame)} {what}{reason}",
                f"{fix}, or leave out the windows that need such frames with data.on_error: skip",
            )
        if self.skip:
            self.unusable.setdefault((event, frame), fault.message)
        elif fault is error:
            raise fault
        else:
            raise fault from error
