"""Folders and patterns of images and videos as one array: `frames/`, `frames/*.png`, `storm.mp4`, `clips/*.mkv`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from specbuild.catalog.sources import suffix_of, suffixes_of
from specbuild.data.sources import images
from specbuild.data.sources.base import StoredArray
from specbuild.data.sources.clip import FrameClip, clip_array
from specbuild.data.sources.errors import FileError, SourceError
from specbuild.data.sources.files import folder_above, is_pattern, matched, natural_order, picture_kind
from specbuild.data.sources.images import ImageHeader, Pixels
from specbuild.data.sources.limits import check_memory, check_regular
from specbuild.data.sources.moments import times_in_names
from specbuild.data.sources.video import DecoderPool, VideoClip
from specbuild.document import RunError
from specbuild.language.sections.name_time import GUESSED, NameTime, guessed_format
from specbuild.language.sections.source import SourceSection

PAGED = (".tif", ".tiff")
"""Images that can hold several pages, which are then the frames."""


class PictureFiles:
    """The pictures that a path means, as a container of one nameless array with the axes that the layout names.

    Sub-folders and several videos are events, N in the layout. Files come in natural order: `9.png` before `10.png`.
    """

    def __init__(self, path: Path, section: SourceSection) -> None:
        self._path, self._section = path, section

    def names(self) -> tuple[str, ...]:
        return ()

    def array(self, name: str) -> StoredArray:
        if name:
            raise SourceError("key", "pictures are one array, which has no name", help="leave out the key")
        check_order(self._section)
        time = self._section.time if isinstance(self._section.time, NameTime) else None
        clips = find_clips(self._path, events="N" in self._section.axes, time=time)
        names, lengths = tuple(clip.name for clip in clips), tuple(map(len, clips))
        array = clip_array(clips, self._section)
        clocks = tuple(clip.times for clip in clips if clip.times is not None)
        named = "" if clocks else guessed_format([file.name for file in clips[0].files[:GUESSED]])
        return StoredArray(
            array, lengths=lengths, events=names, clocks=clocks, name_format=named, in_packing=array.in_packing
        )


def check_order(section: SourceSection) -> None:
    """Refuse a layout that pictures do not have.

    Raises:
        SourceError: located at it.
    """
    wanted = [axis for axis in ("N", "T", "H", "W", "C") if axis in section.axes]
    if list(section.axes) != wanted or not {"H", "W"} <= set(wanted):
        written = " ".join(wanted) if {"H", "W"} <= set(wanted) else "T H W"
        raise SourceError(
            "layout",
            f"pictures have the axes [N] T H W [C] in this order, got {' '.join(section.axes)}",
            help=f"write {written}",
        )


def find_clips(path: Path, *, events: bool, time: NameTime | None = None) -> tuple[FrameClip, ...]:
    """Return the clips that a path means: one without `events`, otherwise one per sub-folder or video.

    With `time` images are in the order of the times in their names.

    Raises:
        SourceError: there is none, or not as `events` says.
    """
    where = f"{path.name}/" if path.is_dir() else path.name
    if is_pattern(path):
        written = path.relative_to(folder_above(path)).as_posix()
        clips = _clips(matched(path, written), where, events, time)
    elif path.is_dir():
        clips = _clips(natural_order(path.iterdir()), where, events, time)
    else:
        check_regular(path, path.name)
        clips = [_file_clip(path)]
    several = next((clip for clip in clips if time is not None and clip.times is None), None)
    if several is not None:
        raise SourceError(
            "time",
            f"{several.name} holds {len(several)} frames, and its name gives one time",
            help="leave time out, or save each frame as an image of its own",
        )
    if events or len(clips) == 1:
        return tuple(clips)
    raise SourceError(
        "layout",
        f"{where} holds {len(clips)} clips, and the layout names no N (event)",
        reason=f"{clips[0].name}, {clips[1].name}, …",
        help="add N to the layout: each is an event; or name one of them",
    )


class ImageClip:
    """Images as the frames of a clip: one frame per file or, of a single file, per page."""

    def __init__(self, name: str, files: list[Path], *, paged: bool = False, time: NameTime | None = None) -> None:
        """Read the header of every file; with `time` they are in the order of the times in their names.

        Raises:
            SourceError: one cannot be read, has no time in its name, or holds several pages and is not `paged`.
        """
        self.name, self.times = name, None if time is None else times_in_names(files, time)
        if self.times is not None:
            order = np.argsort(self.times)
            files, self.times = [files[number] for number in order], self.times[order]
        self.files = files
        self.headers = [(self._label(number), self._header(number, paged=paged)) for number in range(len(files))]
        self._pages = self.headers[0][1].pages if paged else 1

    def __len__(self) -> int:
        return len(self.files) * self._pages

    def decode(self, wanted: Sequence[int], _decoders: DecoderPool) -> Iterator[tuple[int, Pixels]]:
        for number in wanted:
            file, page = divmod(number, self._pages)
            path, header = self.files[file], self.headers[file][1]
            try:
                pixels = images.read_pixels(path, header, page)
            except ValueError as error:
                raise RunError(
                    f"frame {number}, {path}, cannot be decoded: {error}", "replace the file, or take it away"
                ) from error
            if pixels.shape[:2] != (header.height, header.width):
                raise RunError(f"frame {number}, {path}, is {pixels.shape[0]} × {pixels.shape[1]}, others are not")
            yield number, pixels

    def _label(self, number: int) -> str:
        """Return what messages call a file: its number, its name and its folder's."""
        path = self.files[number]
        return f"frame {number}, {path.parent.name}/{path.name}"

    def _header(self, number: int, *, paged: bool) -> ImageHeader:
        label = self._label(number)
        try:
            header = images.read_header(self.files[number])
        except ValueError as error:
            raise FileError(f"{label}, is not an image that can be read", reason=str(error)) from error
        check_memory(header.bytes, f"{label}, of {header.words()},")
        if header.pages > 1 and not paged:
            raise FileError(f"{label}, holds {header.pages} pages", help="name the file alone as path")
        return header


def _clips(entries: list[Path], where: str, events: bool, time: NameTime | None = None) -> list[FrameClip]:
    """Return the clips of the entries of a folder or a pattern: folders, videos or images, and no mixture of them."""
    pictures = [entry for entry in entries if picture_kind(entry) == "images" and entry.is_file()]
    videos = [entry for entry in entries if picture_kind(entry) == "videos" and entry.is_file()]
    folders = [entry for entry in entries if entry.is_dir()]
    if pictures and videos:
        raise FileError(
            f"{where} mixes images and videos",
            reason=f"{pictures[0].name} and {videos[0].name}",
            help="select one format with a pattern, such as frames/*.png",
        )
    if pictures and events and len({image.parent for image in pictures}) == 1:
        raise SourceError(
            "layout",
            f"the layout names N (event), but {where} holds the images of one",
            help="leave N out, or put each event's images into a folder of its own",
        )
    if pictures and events:
        folders_of = groupby(pictures, lambda image: image.parent)
        return [ImageClip(folder.name, list(files), time=time) for folder, files in folders_of]
    if pictures:
        return [ImageClip(where, pictures, time=time)]
    if videos:
        return [VideoClip(video) for video in videos]
    clips = [clip for folder in folders for clip in _folder_clip(folder, time)]
    if not clips:
        raise FileError(
            f"{where} holds no frames",
            help=f"frames are {', '.join(suffixes_of('images'))}; videos {', '.join(suffixes_of('videos'))}",
        )
    return clips


def _folder_clip(folder: Path, time: NameTime | None) -> list[FrameClip]:
    """Return the clip that a sub-folder is; none where it has no pictures."""
    entries = [entry for entry in natural_order(folder.iterdir()) if entry.is_file() and picture_kind(entry)]
    return _clips(entries, f"{folder.name}/", False, time) if entries else []


def _file_clip(path: Path) -> FrameClip:
    if picture_kind(path) == "videos":
        return VideoClip(path)
    clip = ImageClip(path.name, [path], paged=True)
    if len(clip) == 1 and suffix_of(path) not in PAGED:
        raise FileError(f"{path.name} is a single image", help="name its folder, or a pattern such as *.png")
    return clip
