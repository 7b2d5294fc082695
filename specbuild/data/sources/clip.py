"""Clips: the common interface of image folders and videos, and several clips as one array."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from specbuild.data.sources.base import SourceError
from specbuild.data.sources.images import ImageHeader, Pixels, resize, to_color
from specbuild.language.sections.source import SourceSection

CACHED = 64 * 2**20
"""Bytes of decoded frames that a source keeps in memory."""


class FrameClip(Protocol):
    """Frames one after the other, decoded when they are read."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def header(self) -> ImageHeader:
        """Size and type of every frame."""

    def __len__(self) -> int:
        """Number of frames."""

    def headers(self) -> Iterable[tuple[str, ImageHeader]]:
        """Return the header of each of its files, with what messages call the file."""

    def decode(self, wanted: Iterable[int]) -> Iterator[tuple[int, Pixels]]:
        """Decode frames and give them with their numbers: at least the wanted ones, and any others on the way.

        Raises:
            RunError: a frame cannot be decoded.
        """


def clip_array(clips: tuple[FrameClip, ...], section: SourceSection) -> ClipArray:
    """Combine clips into one array, in the colour and size that the section asks for.

    Raises:
        SourceError: frames differ in what the section does not make alike.
    """
    if section.color == "rgb" and "C" not in section.axes:
        raise SourceError("color", "color: rgb has three channels, the layout names none", help="add C to the layout")
    any_color = section.color is not None or "C" not in section.axes
    channels = _CHANNELS[section.color or "gray"] if any_color else clips[0].header.channels
    first: tuple[str, ImageHeader] | None = None
    for name, header in chain.from_iterable(clip.headers() for clip in clips):
        first = first or (name, header)
        help = _difference(first[1], header, any_color=any_color, any_size=section.size is not None)
        if help:
            words, others = header.words(), first[1].words()
            raise SourceError("path", f"{name}, is {words}; {first[0]}, is {others}", help=help)
    return ClipArray(clips, section.axes, channels, section.size)


def _difference(first: ImageHeader, other: ImageHeader, *, any_color: bool, any_size: bool) -> str:
    """Return what to do about two frames that differ; empty where they agree in all that matters."""
    if first.dtype != other.dtype:
        return "convert them to one type"
    if (first.height, first.width) != (other.height, other.width) and not any_size:
        return f"write size: [{first.height}, {first.width}] to resize every frame"
    if first.channels != other.channels and not any_color:
        return "write color: gray or color: rgb to convert every frame"
    return ""


_CHANNELS = {"gray": 1, "rgb": 3}


@dataclass(frozen=True)
class ClipArray:
    """Clips of one size as an array (N, T, H, W, C), of which `axes` names the axes it has.

    A clip shorter than the longest ends where it ends: `lengths` tells.
    """

    clips: tuple[FrameClip, ...]
    axes: tuple[str, ...]
    channels: int
    size: tuple[int, int] | None = None
    _cache: FrameCache = field(default_factory=lambda: FrameCache(CACHED), compare=False, repr=False)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Frames of each clip."""
        return tuple(len(clip) for clip in self.clips)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.clips[0].header.dtype

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width, after a resize."""
        header = self.clips[0].header
        return self.size or (header.height, header.width)

    @property
    def shape(self) -> tuple[int, ...]:
        height, width = self.frame_size
        lengths = {"N": len(self.clips), "T": max(self.lengths), "H": height, "W": width, "C": self.channels}
        return tuple(lengths[axis] for axis in self.axes)

    def __getitem__(self, index: tuple[int | slice, ...], /) -> npt.NDArray[Any]:
        at = dict(zip(self.axes, index, strict=True))
        event, frames = at.get("N", 0), at["T"]
        assert isinstance(event, int)
        assert isinstance(frames, slice)
        part = tuple(at[axis] for axis in ("H", "W", "C") if axis in at)
        wanted = range(*frames.indices(self.lengths[event]))
        if not wanted:
            return np.empty((0, *self.frame_size, self.channels)[: 4 if "C" in at else 3], self.dtype)[:, *part]
        return np.stack([pixels[part] for pixels in self.frames(event, wanted)])

    def frames(self, event: int, wanted: Iterable[int]) -> list[Pixels]:
        """Return the wanted frames of a clip: (H, W, C) each, or (H, W) without an axis of channels."""
        numbers = list(wanted)
        frames = {number: pixels for number in numbers if (pixels := self._cache.get((event, number))) is not None}
        lacking = sorted(set(numbers) - set(frames))
        for number, pixels in self.clips[event].decode(lacking) if lacking else ():
            ready = self._ready(pixels)
            self._cache.put((event, number), ready)
            if number in lacking:
                frames[number] = ready
        return [frames[number] for number in numbers]

    def _ready(self, pixels: Pixels) -> Pixels:
        shown = to_color(pixels, self.channels)
        if self.size is not None:
            shown = resize(shown, self.size)
        return shown[..., np.newaxis] if "C" in self.axes and shown.ndim == 2 else shown


class FrameCache:
    """The frames that were used last, up to a number of bytes. Several threads may use it."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._frames: OrderedDict[tuple[int, int], Pixels] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int]) -> Pixels | None:
        with self._lock:
            if key in self._frames:
                self._frames.move_to_end(key)
            return self._frames.get(key)

    def put(self, key: tuple[int, int], pixels: Pixels) -> None:
        with self._lock:
            if key in self._frames or pixels.nbytes > self._most:
                return
            self._frames[key] = pixels
            self._held += pixels.nbytes
            while self._held > self._most:
                self._held -= self._frames.popitem(last=False)[1].nbytes
