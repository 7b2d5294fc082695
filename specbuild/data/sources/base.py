"""Frames of any source: their metadata, known before any is read, and how they are read from an array."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.sources.description import Description
from specbuild.data.sources.packing import PLAIN, Packing, RawArray
from specbuild.data.time.cells import TimeCell
from specbuild.data.time.times import Times, show
from specbuild.document import ArgumentError, did_you_mean

Region: TypeAlias = tuple[slice, ...]
"""The part of a frame to read: one slice per spatial axis."""


@dataclass(frozen=True, slots=True)
class Coordinate:
    """The coordinate of an axis: its name in the file, its value at each index, and their units."""

    name: str
    values: npt.NDArray[Any] | None = None
    units: str = ""
    letter: str = ""
    """The letter of a layout that the file's attributes suggest; empty where they suggest none."""
    fault: str = ""
    """Why its values are not times although its units or type say so; empty if they are, or do not say so."""
    calendar: str = ""
    """The calendar of times in the file; empty for the Gregorian calendar."""
    bounds: npt.NDArray[Any] | None = None
    """The two ends of each cell of space, where the file has them, (length, 2)."""
    cell: TimeCell | None = None
    """The interval that each frame stands for, where the file has such an interval for each time."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Further attributes in the file."""


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array of a file, with what the file says about it."""

    array: RawArray
    packing: Packing = PLAIN
    units: str = ""
    dims: tuple[str, ...] = ()
    """Names of its axes in order; none where the format does not name them."""
    calendar: str = ""
    """The calendar of times; empty for the Gregorian calendar."""
    coordinates: Mapping[str, Coordinate] = field(default_factory=dict)
    """The coordinates that the file has, by the name of the axis."""
    lengths: tuple[int, ...] | None = None
    """Frames of each event (N) where they may differ. T is then as long as the longest, and what lies beyond the end of
    a shorter event is never read."""
    events: tuple[str, ...] = ()
    """Names of the events, such as those of their files; none where they have no names."""
    moment: np.datetime64 | None = None
    """The time of the only frame of the file, from its attributes."""
    clocks: tuple[Times, ...] = ()
    """The times of the frames where no coordinate gives them: one array for all events, or one for each."""
    name_format: str = ""
    """The format of times that the names of its files seem to have, where they are not read; for messages."""
    description: Description = field(default_factory=Description)
    """Further attributes in the file; auxiliary coordinates by the names of dimensions."""
    dtype: np.dtype[Any] | None = None
    """Type of the numbers as they are stored, where `array` gives others."""
    in_packing: Callable[[Packing], tuple[RawArray, Packing]] | None = None
    """Of frames that are resized or converted as they are read: the array once its packing is known, and the packing of
    its numbers then. Where values can be missing they are decoded first, and the packing is that of physical values."""

    @property
    def sizes(self) -> dict[str, int]:
        """The length of each axis that has a name."""
        return dict(zip(self.dims, self.array.shape, strict=False))

    def coordinate(self, name: str) -> Coordinate:
        """Return the coordinate of an axis, without values where the file has none."""
        return self.coordinates.get(name, Coordinate(name))


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a source, or an event that has a name, and what of the source it holds: `frames` of each of `events`.

    `size` is that of the file in bytes, where it is one.
    """

    name: str
    events: range
    frames: range
    size: int | None = None


@dataclass(frozen=True, slots=True)
class FrameMetadata:
    """Everything known about frames before any is read."""

    file: str
    """The name of their origin in messages: a file, a pattern of names, a folder, a generator."""
    axes: tuple[str, ...]
    """The axes of the array by letter of the layout, in its order."""
    keys: tuple[str, ...] = ()
    """Names of the arrays in the file; none where it has a single nameless one."""
    packing: Packing = PLAIN
    clocks: tuple[Times, ...] = ()
    """The times of the frames: one array for all events, or one for each; empty where they are not known."""
    coordinates: Mapping[str, Coordinate] = field(default_factory=dict)
    """The coordinates that the file has, by letter of the layout."""
    variables: tuple[str, ...] = ()
    """The name of each channel; none where the file has no names for them."""
    units: str = ""
    """Units of the physical values in the file, of several variables each once; empty where it has none."""
    units_of: Mapping[str, str] = field(default_factory=dict)
    """Units of each of several variables in the file; empty where it has none, or a single variable."""
    lengths: tuple[int, ...] | None = None
    """Frames of each event where they may differ."""
    parts: tuple[FilePart, ...] = ()
    """The files that the frames come from, or the named events; none where there is a single nameless one."""
    bytes: int | None = None
    """Size of the file; None where it is not a single file."""
    name_format: str = ""
    """The format of times that the names of the files seem to have, where they are not read; for messages."""
    descriptions: tuple[Description, ...] = ()
    """Further attributes of each variable in the file; auxiliary coordinates by letter of the layout."""
    remarks: tuple[str, ...] = ()
    """Sentences about how the frames are read, for notes."""
    dtype: np.dtype[Any] | None = None
    """Type of the numbers in the file, where the array gives others, as of frames that are resized."""

    @property
    def name(self) -> str:
        """The file and its arrays, for messages: `rain.nc:t2m`."""
        return f"{self.file}:{', '.join(self.keys)}" if self.keys else self.file

    @property
    def space(self) -> tuple[str, ...]:
        """The spatial axes in the order in which models read them: L, H W or D H W."""
        return tuple(axis for axis in "LDHW" if axis in self.axes)

    @property
    def how_to_time(self) -> str:
        """What to write to read times from the names of the files; empty where they seem to have none."""
        return f'time: {{from: name, format: "{self.name_format}"}}' if self.name_format else ""

    def part_of(self, event: int, frame: int) -> FilePart | None:
        """Return the file, or the named event, that a frame comes from; None where that is not known."""
        return next((part for part in self.parts if event in part.events and frame in part.frames), None)

    def at(self, times: Times | None) -> dict[str, Coordinate]:
        """Return the coordinates with other times; without that of time where there are none."""
        return {
            letter: replace(axis, values=times) if letter == "T" else axis
            for letter, axis in self.coordinates.items()
            if letter != "T" or times is not None
        }

    @property
    def calendar(self) -> str:
        """The calendar of the times in the file; empty for the Gregorian calendar."""
        axis = self.coordinates.get("T")
        return "" if axis is None else axis.calendar

    def units_of_variable(self, name: str) -> str:
        """Return the units of one variable; empty where they are not known."""
        return self.units_of.get(name, "") if self.units_of and len(self.variables) > 1 else self.units

    @property
    def common_units(self) -> str:
        """The units that all variables share; empty where they differ or some are not known."""
        shared = {self.units_of_variable(name) for name in self.variables} or {self.units}
        return shared.pop() if len(shared) == 1 else ""


@dataclass(frozen=True)
class FrameSource:
    """Events, each a run of frames of one size, read lazily. Spatial axes are in the order L, H W or D H W."""

    array: RawArray
    metadata: FrameMetadata
    channel: int | None = None
    """The one channel, of several, that reading returns; None: all."""
    unusable: dict[tuple[int, int], str] = field(default_factory=dict, compare=False, repr=False)
    """Event and number of each frame that was read as missing because it cannot be used, with the reason."""
    infinite: dict[tuple[int, int], int] = field(default_factory=dict, compare=False, repr=False)
    """Event and number of each frame that was read with infinite values, which count as missing, with the most of them
    that were read at once."""

    def size(self, axis: str) -> int:
        """Return the length of an axis of the array, 1 where there is none of that letter."""
        axes = self.metadata.axes
        return self.array.shape[axes.index(axis)] if axis in axes else 1

    @property
    def name(self) -> str:
        return self.metadata.name

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Frames of each event."""
        return self.metadata.lengths or (self.size("T"),) * self.size("N")

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.lengths)

    @property
    def length(self) -> int:
        """Frames of the longest event."""
        return max(self.lengths)

    @property
    def space(self) -> tuple[int, ...]:
        """Size of a frame along each spatial axis."""
        return tuple(map(self.size, self.metadata.space))

    @property
    def has_plane(self) -> bool:
        """Whether frames have height and width, and no depth."""
        return self.metadata.space == ("H", "W")

    @property
    def channels(self) -> int:
        return self.size("C") if self.channel is None else 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the raw numbers."""
        return self.array.dtype

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """Type of the numbers in the file."""
        return self.metadata.dtype or self.dtype

    @property
    def may_miss(self) -> bool:
        """Whether a value can be missing."""
        packing = self.metadata.packing
        return bool(packing.missing) or self.dtype.kind == "f" or packing.overflows(self.dtype)

    def times(self, event: int) -> Times | None:
        """Return the time of each frame of an event; None where it is not known."""
        clocks = self.metadata.clocks
        return clocks[event if len(clocks) > 1 else 0] if clocks else None

    def variable(self, name: str) -> Self:
        """Return the same frames with one variable alone. Reading it reads the others as well.

        Raises:
            ArgumentError: none of the variables has that name.
        """
        variables, units = self.metadata.variables, self.metadata.units_of_variable(name)
        if name not in variables:
            listed = f"it has {', '.join(variables)}" if variables else "its channels have no names"
            raise ArgumentError(f"{self.name} has no variable {name}", help=did_you_mean(name, variables) or listed)
        coordinates = {letter: axis for letter, axis in self.metadata.coordinates.items() if letter != "C"}
        metadata = replace(self.metadata, coordinates=coordinates, variables=(name,), units=units, units_of={})
        number = variables.index(name)
        metadata = replace(metadata, descriptions=self.metadata.descriptions[number : number + 1])
        return replace(self, metadata=metadata, channel=number)

    def read(self, event: int, frames: range, region: Region | None = None) -> Floats:
        """Return the named frames of one event, and only these, in physical units; by default whole."""
        physical = self._read(event, frames, region)
        return physical if self.channel is None else physical[..., self.channel : self.channel + 1]

    def raw(self, event: int, frame: int) -> npt.NDArray[Any]:
        """Return one whole frame as it is stored, (*space, C)."""
        frame_as_stored: npt.NDArray[Any] = self._raw(event, range(frame, frame + 1), None)[0]
        return frame_as_stored

    def exact(self, event: int, frames: range) -> npt.NDArray[np.float64]:
        """Return whole frames with all of their channels, in physical units and double precision."""
        exact: npt.NDArray[np.float64] = self.metadata.packing.unpack(self._raw(event, frames, None), np.float64)
        return exact

    def _read(self, event: int, frames: range, region: Region | None) -> Floats:
        """Return the frames with all of their channels."""
        packing, raw = self.metadata.packing, self._raw(event, frames, region)
        physical: Floats = packing.decoded(raw)
        infinite = packing.infinite(raw, physical)
        if infinite.any():
            counts = infinite.reshape(len(infinite), -1).sum(axis=1).tolist()
            for frame, count in zip(frames, counts, strict=True):
                if count:
                    self.infinite[event, frame] = max(count, self.infinite.get((event, frame), 0))
            physical[infinite] = np.nan
        return physical

    def where(self, event: int, frame: int) -> str:
        """Return how messages name a frame: by its file, its number there counted from 0, and its time."""
        times = self.times(event)
        time = f" ({show(times[frame])})" if times is not None and frame < len(times) else ""
        whole = FilePart(self.name, range(self.events), range(self.length))
        part = self.metadata.part_of(event, frame) or whole
        inside = f" of event {event - part.events.start}" if len(part.events) > 1 else ""
        return f"frame {frame - part.frames.start}{time}{inside} of {part.name}"

    def notes(self) -> tuple[str, ...]:
        """Return sentences on how frames are read, and on the infinite values that were read so far."""
        if not self.infinite:
            return self.metadata.remarks
        frames = sorted(self.infinite)
        first = self.where(*frames[0])
        place = first if len(frames) == 1 else f"{len(frames):,} frames, the first of which is {first}"
        return (
            *self.metadata.remarks,
            f"infinite values count as missing; found in {place}",
        )

    def _raw(self, event: int, frames: range, region: Region | None) -> npt.NDArray[Any]:
        """Return the frames as they are stored, (frames, *space, C)."""
        axes, space = self.metadata.axes, self.metadata.space
        index: dict[str, int | slice] = {"N": event, "T": slice(frames.start, frames.stop, frames.step)}
        index.update(zip(space, region or (), strict=False))
        raw = self.array[tuple(index.get(axis, slice(None)) for axis in axes)]
        left = [axis for axis in axes if axis != "N"]
        wanted = [axis for axis in ("T", *space, "C") if axis in left]
        raw = raw.transpose([left.index(axis) for axis in wanted])  # (frames, *space[, channels])
        raw = raw if "T" in left else raw[np.newaxis]
        return raw if "C" in left else raw[..., np.newaxis]
