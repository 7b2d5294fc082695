"""What every source of frames is, and the one that reads any array that can be sliced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Frames: TypeAlias = npt.NDArray[np.float32]
"""(frames, *space, channels) in physical units, missing values NaN."""
Region: TypeAlias = tuple[slice, ...]
"""The part of a frame to read: one slice per axis of space."""
Times: TypeAlias = npt.NDArray[np.datetime64]
"""When each frame of an event is, to the second."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The coordinate of an axis: its name in the file, the value at each place along it, and their units there."""

    name: str
    values: npt.NDArray[Any] | None = None
    units: str = ""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a source, or an event that has a name, and what of the source it holds: `frames` of each of `events`.

    `size` is that of the file in bytes, where it is one.
    """

    name: str
    events: range
    frames: range
    size: int | None = None


class FrameSource(Protocol):
    """Events, each a run of frames of one size, read lazily. Axes of space stand in the order L, H W or D H W."""

    @property
    def name(self) -> str: ...
    @property
    def lengths(self) -> tuple[int, ...]:
        """Frames of each event."""
        ...

    @property
    def events(self) -> int:
        """How many events there are."""
        ...

    @property
    def length(self) -> int:
        """Frames of the longest event."""
        ...

    @property
    def space(self) -> tuple[int, ...]: ...
    @property
    def channels(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the raw numbers."""
        ...

    @property
    def may_miss(self) -> bool:
        """Whether a value can be missing."""
        ...

    @property
    def coordinates(self) -> Mapping[str, Axis]:
        """The axes that the file knows more of than their length, by letter of the layout."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """The name of each channel; none where the file has no names for them."""
        ...

    @property
    def units(self) -> str:
        """Units of the physical values as the file says, of several variables each once; empty where it does not."""
        ...

    @property
    def units_of(self) -> Mapping[str, str]:
        """Units of each of several variables, as the file says; of none where it does not, or has a single one."""
        ...

    @property
    def parts(self) -> tuple[FilePart, ...]:
        """The files that the frames come from, or the named events; none where there is a single nameless one."""
        ...

    @property
    def unusable(self) -> Mapping[tuple[int, int], str]:
        """Event and number of each frame that was read as missing because it is of no use, with the reason."""
        ...

    def times(self, event: int) -> Times | None:
        """When each frame of an event is, if known."""
        ...

    def read(self, event: int, frames: range, region: Region | None = None) -> Frames:
        """The named frames of one event, and only these, in physical units; by default whole."""
        ...


class RawArray(Protocol):
    """An array of a file: its header is known, its numbers are read when it is sliced."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, index: tuple[int | slice, ...], /) -> npt.NDArray[Any]: ...


@dataclass(frozen=True, slots=True)
class Packing:
    """How raw numbers say physical ones: raw · scale + offset, with raw values that mean missing."""

    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[float, ...] = ()

    def unpack(self, raw: npt.NDArray[Any]) -> Frames:
        """`raw` in physical units; missing, NaN and infinite values are NaN.

        The arithmetic is in double precision, so that 70 · 0.01 is the float32 nearest to 0.7 and reaches a threshold
        of 0.7.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.scale == 1 and self.offset == 0:
                physical = raw.astype(np.float32)
            else:
                physical = (raw * np.float64(self.scale) + np.float64(self.offset)).astype(np.float32)
        for value in self.missing:
            physical[raw == raw.dtype.type(value)] = np.nan
        if raw.dtype.kind == "f":
            physical[~np.isfinite(physical)] = np.nan
        return physical


@dataclass(frozen=True, slots=True)
class Stored:
    """An array of a file, with what the file says about it."""

    array: RawArray
    packing: Packing = Packing()
    units: str = ""
    dims: tuple[str, ...] = ()
    """Names of its axes in order; none where the format does not name them."""
    coordinates: Mapping[str, Axis] = field(default_factory=dict)
    """What the file knows of axes, by the name of the axis."""
    lengths: tuple[int, ...] | None = None
    """Frames of each event (N) where they differ. T is then as long as the longest, and what lies beyond the end of a
    shorter event is never asked for."""
    events: tuple[str, ...] = ()
    """Names of the events, such as those of their files; none where they have no names."""
    letters: Mapping[str, str] = field(default_factory=dict)
    """By the name of an axis the letter of a layout that the file's attributes suggest."""


class SourceError(Exception):
    """A file that cannot be read as the spec says. `part` is the key of `data.source` that is at fault."""

    def __init__(self, part: str, message: str, *, reason: str = "", help: str = "") -> None:
        super().__init__(message)
        self.part, self.message, self.reason, self.help = part, message, reason, help


@dataclass(frozen=True)
class ArraySource:
    """Frames of one array whose axes are named by `axes`."""

    name: str
    array: RawArray
    axes: tuple[str, ...]
    spatial: tuple[str, ...]
    packing: Packing = Packing()
    clocks: tuple[Times, ...] = ()
    """When the frames of each event are: one for all events, or one for each; none where it is not known."""
    coordinates: Mapping[str, Axis] = field(default_factory=dict)
    variables: tuple[str, ...] = ()
    units: str = ""
    uneven: tuple[int, ...] | None = None
    """Frames of each event where they differ."""
    parts: tuple[FilePart, ...] = ()
    unusable: dict[tuple[int, int], str] = field(default_factory=dict, compare=False, repr=False)
    units_of: Mapping[str, str] = field(default_factory=dict)
    """Units of each of several variables that has some."""

    @cached_property
    def _length(self) -> dict[str, int]:
        return dict(zip(self.axes, self.array.shape, strict=True))

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        return self.uneven or (self._length["T"],) * self._length.get("N", 1)

    @property
    def events(self) -> int:
        return len(self.lengths)

    @property
    def length(self) -> int:
        return max(self.lengths)

    @property
    def space(self) -> tuple[int, ...]:
        return tuple(self._length[axis] for axis in self.spatial)

    @property
    def channels(self) -> int:
        return self._length.get("C", 1)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    @property
    def may_miss(self) -> bool:
        return bool(self.packing.missing) or self.dtype.kind == "f"

    def times(self, event: int) -> Times | None:
        return self.clocks[event if len(self.clocks) > 1 else 0] if self.clocks else None

    def read(self, event: int, frames: range, region: Region | None = None) -> Frames:
        index: dict[str, int | slice] = {"N": event, "T": slice(frames.start, frames.stop, frames.step)}
        index.update(zip(self.spatial, region or (), strict=False))
        raw = self.array[tuple(index.get(axis, slice(None)) for axis in self.axes)]
        left = [axis for axis in self.axes if axis != "N"]
        wanted = [axis for axis in ("T", *self.spatial, "C") if axis in left]
        raw = raw.transpose([left.index(axis) for axis in wanted])  # (frames, *space[, channels])
        return self.packing.unpack(raw if "C" in left else raw[..., np.newaxis])
