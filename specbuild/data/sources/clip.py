"""Clips: the common interface of image folders and videos, and several clips as one array."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from specbuild.data.sources.errors import FileError, SourceError
from specbuild.data.sources.images import ImageHeader, Pixels, resize, to_color
from specbuild.data.sources.packing import Packing
from specbuild.data.sources.video import DecoderPool
from specbuild.data.time.times import Times
from specbuild.language.sections.source import SourceSection

CACHED = 64 * 2**20
"""Bytes of decoded frames that a source keeps in memory."""


class FrameClip(Protocol):
    """Frames one after the other, decoded when they are read."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def files(self) -> Sequence[Path]:
        """Its files in order."""

    @property
    def times(self) -> Times | None:
        """The times of its frames, if the names of its files hold them."""

    @property
    def headers(self) -> Sequence[tuple[str, ImageHeader]]:
        """The header of each of its files, with what messages call the file."""

    def __len__(self) -> int:
        """Number of frames."""

    def decode(self, wanted: Sequence[int], decoders: DecoderPool) -> Iterator[tuple[int, Pixels]]:
        """Decode frames and give them with their numbers: at least the wanted ones, rising, and others on the way.

        Raises:
            RunError: a frame cannot be decoded.
        """


def clip_array(clips: tuple[FrameClip, ...], section: SourceSection) -> ClipArray:
    """Combine clips into one array, in the color and size that the section asks for.

    Raises:
        SourceError: frames differ in what the section does not make alike.
    """
    if section.color == "rgb" and "C" not in section.axes:
        raise SourceError("color", "color: rgb has three channels, the layout names none", help="add C to the layout")
    any_color = section.color is not None or "C" not in section.axes
    headers = [labelled for clip in clips for labelled in clip.headers]
    first_name, first = headers[0]
    for name, header in headers:
        help = _difference(first, header, any_color=any_color, any_size=section.size is not None)
        if help:
            raise FileError(f"{name}, is {header.words()}; {first_name}, is {first.words()}", help=help)
    return ClipArray(clips, section, _CHANNELS[section.color or "gray"] if any_color else first.channels)


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


class ClipArray:
    """Clips as an array of the axes of a layout, out of N, T, H, W and C; T is as long as the longest clip.

    With a packing its numbers are physical ones, decoded before anything else is done to a frame.
    """

    def __init__(
        self, clips: tuple[FrameClip, ...], section: SourceSection, channels: int, packing: Packing | None = None
    ) -> None:
        header = clips[0].headers[0][1]
        self._clips, self._section, self._axes, self._channels = clips, section, section.axes, channels
        self._packing = packing
        self._size = section.size or (header.height, header.width)
        lengths = {
            "N": len(clips),
            "T": max(map(len, clips)),
            "C": channels,
            **dict(zip("HW", self._size, strict=True)),
        }
        self.shape = tuple(lengths[axis] for axis in section.axes)
        self.dtype = header.dtype if packing is None else np.dtype(np.float32)
        self._decoders, self._cache = DecoderPool(), FrameCache(CACHED)

    def in_packing(self, packing: Packing) -> tuple[ClipArray, Packing]:
        """Return the array with the packing of its numbers.

        They are physical values where frames are resized or change color and `packing` has values that mean missing:
        a code is never averaged into data.
        """
        headers = (header for clip in self._clips for _, header in clip.headers)
        changed = any(
            (header.height, header.width) != self._size or header.channels != self._channels for header in headers
        )
        if not changed or not packing.missing:
            return self, packing
        return ClipArray(self._clips, self._section, self._channels, packing), Packing()

    def __getitem__(self, index: tuple[int | slice, ...], /) -> npt.NDArray[Any]:
        at = dict(zip(self._axes, index, strict=True))
        event, frames = at.get("N", 0), at["T"]
        assert isinstance(event, int)
        assert isinstance(frames, slice)
        part = tuple(at[axis] for axis in ("H", "W", "C") if axis in at)
        wanted = range(*frames.indices(len(self._clips[event])))
        if not wanted:
            return np.empty((0, *self.shape[self._axes.index("H") :]), self.dtype)[:, *part]
        return np.stack([pixels[part] for pixels in self._frames(event, wanted)])

    def _frames(self, event: int, wanted: range) -> list[Pixels]:
        """Return the wanted frames of a clip: (H, W, C) each, or (H, W) without an axis of channels."""
        frames = {number: pixels for number in wanted if (pixels := self._cache.get((event, number))) is not None}
        lacking = sorted(set(wanted) - set(frames))
        for number, pixels in self._clips[event].decode(lacking, self._decoders) if lacking else ():
            ready = self._ready(pixels)
            self._cache.put((event, number), ready)
            if number in lacking:
                frames[number] = ready
        return [frames[number] for number in wanted]

    def _ready(self, pixels: Pixels) -> Pixels:
        if self._packing is not None:
            pixels = self._packing.unpack(pixels)
        shown = resize(to_color(pixels, self._channels), self._size)
        return shown[..., np.newaxis] if "C" in self._axes and shown.ndim == 2 else shown


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
