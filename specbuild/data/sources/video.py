"""Video files: any frame, exactly, decoded from the keyframe before it.

PyAV (FFmpeg) decodes. It seeks to a time and only roughly, so which frame is which comes from an index of our own.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.data.sources.errors import DamagedFileError, FileError
from specbuild.data.sources.images import ImageHeader, Pixels, opened
from specbuild.data.sources.limits import check_memory
from specbuild.document import RunError

IDLE = 8
"""Decoders that stay open after use, over all videos of a source."""
SMALL = 2**18
"""Frames of up to this many bytes are kept when they are decoded on the way to others."""


_SEGMENT = 0x18538067
"""The element of Matroska and WebM that holds everything but the header."""
_ENDS = 4096
"""Bytes that are read at each end of a file."""


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """Where each frame of a video is. Frames are counted from 0 in the order in which they are shown.

    `stamps` are their presentation times in the file's own unit, empty where the file has none that tell them apart;
    frames are then found by counting from the start.
    """

    count: int
    stamps: tuple[int, ...]
    keys: tuple[int, ...]
    """The frames at which decoding can begin, the first of them 0."""


class VideoClip:
    """The frames of one video file. Several threads may read it: each has a decoder of its own."""

    def __init__(self, path: Path) -> None:
        """Read the file's packets, without decoding them.

        Raises:
            SourceError: it is not a video, or ends before its end.
        """
        self.path, self.name = path, path.name
        self.files, self.times = (path,), None
        self._header, self._index = _examine(path)
        self.headers = [(f"the video {self.name}", self._header)]

    def __len__(self) -> int:
        return self._index.count

    def decode(self, wanted: Sequence[int], decoders: DecoderPool) -> Iterator[tuple[int, Pixels]]:
        header = self._header
        keep = header.height * header.width * header.channels * header.dtype.itemsize <= SMALL
        pixel_format = _FORMATS[header.channels, header.dtype.itemsize]
        with decoders.borrow(self.path, self._index, wanted[0]) as decoder:
            for number in wanted:
                for at, frame in decoder.until(number):
                    if (frame.height, frame.width) != (header.height, header.width):
                        raise RunError(
                            f"frame {at} of {self.path} is {frame.height} × {frame.width}, "
                            f"the video's header says {header.height} × {header.width}",
                            "convert the video to one size",
                        )
                    if keep or at in wanted:
                        yield at, np.asarray(frame.to_ndarray(format=pixel_format))


class DecoderPool:
    """Open decoders that are not in use, the least recently used first."""

    def __init__(self) -> None:
        self._idle: list[_Decoder] = []
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self, path: Path, index: FrameIndex, number: int) -> Iterator[_Decoder]:
        """Lend a decoder of the file to the caller alone: if possible one that stands shortly before the frame."""
        with self._lock:
            fitting = [decoder for decoder in self._idle if decoder.path == path]
            decoder = max(fitting, key=lambda idle: (idle.position <= number, idle.position), default=None)
            if decoder is not None:
                self._idle.remove(decoder)
        decoder = decoder or _Decoder(path, index)
        try:
            yield decoder
        except BaseException:
            decoder.close()
            raise
        with self._lock:
            self._idle.append(decoder)
            surplus, self._idle = self._idle[:-IDLE], self._idle[-IDLE:]
        for idle in surplus:
            idle.close()


class _Decoder:
    """An open video that stands before frame `position`."""

    def __init__(self, path: Path, index: FrameIndex) -> None:
        self.path, self.index = path, index
        self.position = 0
        self._frames: Iterator[Any] = iter(())
        self._open()

    def until(self, number: int) -> Iterator[tuple[int, Any]]:
        """Decode up to frame `number`, from where decoding stands or from the keyframe before it.

        Raises:
            RunError: the frame cannot be decoded.
        """
        key = self.index.keys[bisect_right(self.index.keys, number) - 1]
        if not key <= self.position <= number:
            self._seek(key, number)
        at = -1
        while at < number:
            at, frame = self._next(number)
            if key <= at <= number:
                if frame.is_corrupt:
                    raise self._undecodable(at, "parts of it are missing")
                yield at, frame
        if at != number:
            raise self._undecodable(number, "the decoder leaves it out")

    def close(self) -> None:
        self._container.close()

    def _next(self, number: int) -> tuple[int, Any]:
        """Decode the frame at `position`, or the next one that there is, and return its number with it."""
        expected, self.position = self.position, self.index.count + 1
        try:
            frame = next(self._frames)
        except StopIteration:
            raise self._undecodable(number, "the video ends before it") from None
        except _unreadable() as error:
            raise self._undecodable(number, _reason(error)) from error
        stamps = self.index.stamps
        at = bisect_right(stamps, frame.pts if frame.pts is not None else frame.dts) - 1 if stamps else expected
        self.position = at + 1
        return at, frame

    def _seek(self, key: int, number: int) -> None:
        """Go to keyframe `key`, or before it where decoding cannot begin there."""
        if key and self.index.stamps:
            stream = self._container.streams.video[0]
            for earlier in (key, self.index.keys[bisect_right(self.index.keys, key) - 2]):
                self._container.seek(self.index.stamps[earlier], stream=stream, backward=True)
                self._frames = self._container.decode(stream)
                at, frame = self._next(number)
                if at <= key:
                    self._frames = chain([frame], self._frames)
                    self.position = at
                    return
        self.close()
        self._open()

    def _open(self) -> None:
        try:
            self._container: Any = opened(self.path)
        except _unreadable() as error:
            raise RunError(f"{self.path} can no longer be read: {error}", "put the file back as it was") from error
        self._frames = self._container.decode(self._container.streams.video[0])
        self.position = 0

    def _undecodable(self, number: int, reason: str) -> RunError:
        return RunError(f"frame {number} of {self.path} cannot be decoded: {reason}", "repair or replace the video")


def _examine(path: Path) -> tuple[ImageHeader, FrameIndex]:
    """Read the size, type and index of a video.

    Raises:
        SourceError: it is not a video, or is cut short.
    """
    try:
        with opened(path) as container:
            if not container.streams.video:
                raise FileError(f"{path.name} has no pictures", reason="it holds no video stream")
            stream = container.streams.video[0]
            header = _header(stream)
            check_memory(header.bytes, f"a frame of {path.name}, {header.words()},")
            packets = [packet for packet in container.demux(stream) if packet.size]
            promised = stream.frames if container.format.name.startswith("mov") else 0
            index = _index(path, packets, container.format.name, one_key=stream.codec_context.name == "gif")
    except _unreadable() as error:
        raise DamagedFileError(f"{path.name} is cut short or no video", _reason(error)) from error
    missing = _missing_end(path)
    if not missing and promised > len(packets):
        missing = f"its header promises {promised} frames, {len(packets)} are there"
    if missing or any(packet.is_corrupt for packet in packets):
        raise DamagedFileError(f"{path.name} is cut short", missing or "its last frame is incomplete")
    if not index.count or not header.bytes:
        raise DamagedFileError(f"{path.name} has no frames", "" if header.bytes else "its header gives no size")
    return header, index


def _header(stream: Any) -> ImageHeader:
    context = stream.codec_context
    if context is None:
        raise ValueError("its codec is not known")
    components = context.format.components if context.format is not None else ()
    deep = any(component.bits > 8 for component in components)
    grey = len([component for component in components if not component.is_alpha]) == 1
    palette = context.format is not None and context.format.has_palette
    return ImageHeader(
        context.height, context.width, 1 if grey and not palette else 3, np.dtype("uint16" if deep else "uint8")
    )


def _index(path: Path, packets: list[Any], container: str, *, one_key: bool) -> FrameIndex:
    shown = [packet for packet in packets if not packet.is_discard]
    stamps = tuple(sorted(packet.pts for packet in shown if packet.pts is not None))
    apart = len(set(stamps)) == len(shown)
    if not apart or (container == "avi" and not all(packet.is_keyframe for packet in shown)):
        # AVI has no presentation times; those that a decoder makes up are wrong where frames refer to later ones.
        with opened(path) as whole:
            shown_at = [frame.pts for frame in whole.decode(whole.streams.video[0])]
        if not apart or shown_at != list(stamps):
            return FrameIndex(len(shown_at), (), (0,))
    order = {stamp: number for number, stamp in enumerate(stamps)}
    keys = {order[packet.pts] for packet in shown if packet.is_keyframe and not one_key}
    return FrameIndex(len(shown), stamps, tuple(sorted(keys | {0})))


def _reason(error: Exception) -> str:
    """Return what FFmpeg or the system said, without numbers and paths."""
    return str(getattr(error, "strerror", None) or error)


def _missing_end(path: Path) -> str:
    """Return what shows that the end of a file is missing; empty where it is there, or its format does not say.

    FFmpeg plays a file that was cut off up to where it ends, without an error; so its length is compared with the one
    that the container says.
    """
    with path.open("rb") as file:
        head, length = file.read(_ENDS), file.seek(0, 2)
        file.seek(max(0, length - _ENDS))
        tail = file.read()
    if head.startswith(b"GIF8"):  # ends with a semicolon; some writers add zeros
        return "" if tail.rstrip(b"\0").endswith(b";") else "its end marker is missing"
    promised = 0
    if head.startswith(b"RIFF"):  # AVI; a file larger than 4 GiB has several such parts
        promised = 8 + int.from_bytes(head[4:8], "little")
    elif head.startswith(b"\x1aE\xdf\xa3"):
        promised = _matroska(head)
    return f"its header promises {promised} bytes, {length} are there" if promised > length else ""


def _matroska(head: bytes) -> int:
    """EBML: elements of an id, a size and a content; the second one is the segment. A size of all ones is unknown."""
    size, at = _number(head, 4)
    at += size
    if int.from_bytes(head[at : at + 4]) != _SEGMENT:
        return 0
    size, start = _number(head, at + 4)
    unknown = size == 2 ** (7 * (start - at - 4)) - 1
    return 0 if unknown else start + size


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return an EBML size at a byte, and the byte after it: as many leading zero bits as bytes follow."""
    first = data[at] if at < len(data) else 0x80
    length = 9 - first.bit_length()
    value = int.from_bytes(data[at : at + length]) & (2 ** (7 * length) - 1)
    return value, at + length


_FORMATS = {(1, 1): "gray", (3, 1): "rgb24", (1, 2): "gray16le", (3, 2): "rgb48le"}
"""FFmpeg's pixel formats by channels and bytes."""


def _unreadable() -> tuple[type[Exception], ...]:
    """Return what PyAV raises over a damaged file. It is imported with the first video."""
    import av

    return av.FFmpegError, OSError, ValueError
