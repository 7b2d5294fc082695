"""Folders and patterns of images and videos as one array: `frames/`, `frames/*.png`, `storm.mp4`, `clips/*.mkv`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from specbuild.data.sources import images, video
from specbuild.data.sources.base import SourceError, Stored
from specbuild.data.sources.clip import Clip, Pictures, clip_array
from specbuild.data.sources.images import ImageHeader, Pixels
from specbuild.data.sources.patterns import folder_above, is_pattern, matches, natural
from specbuild.data.sources.video import DecoderPool, VideoClip
from specbuild.document import RunError

PAGED = (".tif", ".tiff")
"""Images that can hold several pages, which are then the frames."""


def is_pictures(path: Path) -> bool:
    """Whether a path means pictures: a video, a TIFF, a folder of images or videos, or a pattern of any of these."""
    if is_pattern(path):
        return _is_pictures_name(path.name) or any(map(is_pictures, matches(path)[:1]))
    if path.is_dir():
        inside = (inner for one in _entries(path) for inner in ((one, *one.iterdir()) if one.is_dir() else (one,)))
        return any(_is_pictures_name(one.name) for one in inside)
    return _is_pictures_name(path.name)


class PictureFiles:
    """Pictures as a container with one nameless array."""

    def __init__(self, path: Path, section: Pictures) -> None:
        self._path, self._section = path, section

    def names(self) -> tuple[str, ...]:
        return ()

    def array(self, name: str) -> Stored:
        if name:
            raise SourceError("key", "pictures are one array, which has no name", help="leave out the key")
        return open_pictures(self._path, self._section)


def open_pictures(path: Path, section: Pictures) -> Stored:
    """The frames that a path means, as an array with the axes that the layout names.

    Sub-folders and several videos are events, N in the layout. Files come in natural order: `9.png` before `10.png`.

    Raises:
        SourceError: nothing there, frames of different size or type, a file that cannot be read, a layout that does
            not fit.
    """
    check_order(section)
    clips = find_clips(path, events="N" in section.axes)
    return Stored(clip_array(clips, section), lengths=_uneven(clips), events=tuple(clip.name for clip in clips))


def check_order(section: Pictures) -> None:
    """Refuses a layout that pictures do not have.

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


def find_clips(path: Path, *, events: bool, pool: DecoderPool | None = None) -> tuple[Clip, ...]:
    """The clips that a path means: one without `events`, else one per sub-folder or video.

    Raises:
        SourceError: there is none, or not as `events` says.
    """
    where = f"{path.name}/" if path.is_dir() else path.name
    pool = pool or DecoderPool()
    if is_pattern(path):
        found = matches(path)
        if not found:
            above = folder_above(path)
            missed = path.relative_to(above).as_posix()
            raise SourceError("path", f"nothing matches {missed}", reason=f"looked in {above.resolve()}")
        clips = _clips(found, where, pool, events)
    elif path.is_dir():
        clips = _clips(_entries(path), where, pool, events)
    else:
        clips = [_file_clip(path, pool)]
    if events or len(clips) == 1:
        return tuple(clips)
    raise SourceError(
        "layout",
        f"{where} holds {len(clips)} clips, and the layout names no N (event)",
        reason=f"{clips[0].name}, {clips[1].name}, …",
        help="add N to the layout: each is an event; or name one of them",
    )


@dataclass(frozen=True)
class ImageClip:
    """Images as the frames of a clip: one frame per file, or per page of one file."""

    name: str
    files: tuple[Path, ...]
    pages: int = 1

    @property
    def header(self) -> ImageHeader:
        return self.file_headers[0]

    def headers(self) -> Iterable[tuple[str, ImageHeader]]:
        return ((f"frame {number}, {self.label(number)}", header) for number, header in enumerate(self.file_headers))

    @cached_property
    def file_headers(self) -> tuple[ImageHeader, ...]:
        """The header of every file.

        Raises:
            SourceError: one cannot be read.
        """
        found = []
        for number, path in enumerate(self.files):
            try:
                found.append(images.read_header(path))
            except ValueError as error:
                raise SourceError(
                    "path", f"frame {number}, {self.label(number)}, is no image that can be read", reason=str(error)
                ) from error
        return tuple(found)

    def __len__(self) -> int:
        return len(self.files) * self.pages

    def label(self, file: int) -> str:
        """How messages call a file: with its folder."""
        path = self.files[file]
        return f"{path.parent.name}/{path.name}"

    def decode(self, wanted: Iterable[int]) -> Iterator[tuple[int, Pixels]]:
        for number in wanted:
            file, page = divmod(number, self.pages)
            path, header = self.files[file], self.file_headers[file]
            try:
                pixels = images.read_pixels(path, header, page)
            except ValueError as error:
                raise RunError(
                    f"frame {number}, {path}, cannot be decoded: {error}", "replace the file, or take it away"
                ) from error
            if pixels.shape[:2] != (header.height, header.width):
                raise RunError(f"frame {number}, {path}, is {pixels.shape[0]} × {pixels.shape[1]}, others are not")
            yield number, pixels


def _clips(entries: list[Path], where: str, pool: DecoderPool, events: bool) -> list[Clip]:
    """Clips of the entries of a folder, or of what a pattern means: folders, videos or images, and not a mixture."""
    pictures = [one for one in entries if one.suffix.lower() in images.SUFFIXES and one.is_file()]
    videos = [one for one in entries if one.suffix.lower() in video.SUFFIXES and one.is_file()]
    folders = [one for one in entries if one.is_dir()]
    if pictures and videos:
        raise SourceError(
            "path",
            f"{where} mixes images and videos",
            reason=f"{pictures[0].name} and {videos[0].name}",
            help="name one sort with a pattern, such as frames/*.png",
        )
    if pictures and events and len({one.parent for one in pictures}) == 1:
        raise SourceError(
            "layout",
            f"the layout names N (event), but {where} holds the images of one",
            help="leave N out, or put each event's images into a folder of its own",
        )
    if pictures and events:
        return [_image_clip(folder.name, list(files)) for folder, files in groupby(pictures, lambda one: one.parent)]
    if pictures:
        return [_image_clip(where, pictures)]
    if videos:
        return [VideoClip(one, pool) for one in videos]
    clips = [clip for folder in folders for clip in _folder_clip(folder, pool)]
    if not clips:
        raise SourceError(
            "path",
            f"{where} holds no frames",
            help=f"frames are {', '.join(images.SUFFIXES)}; videos {', '.join(video.SUFFIXES)}",
        )
    return clips


def _folder_clip(folder: Path, pool: DecoderPool) -> list[Clip]:
    """The clip that a sub-folder is; none where it has no pictures."""
    entries = [one for one in _entries(folder) if one.is_file() and _is_pictures_name(one.name)]
    return _clips(entries, f"{folder.name}/", pool, events=False) if entries else []


def _file_clip(path: Path, pool: DecoderPool) -> Clip:
    if path.suffix.lower() in video.SUFFIXES:
        return VideoClip(path, pool)
    clip = _image_clip(path.name, [path], paged=True)
    if len(clip) == 1 and path.suffix.lower() not in PAGED:
        raise SourceError("path", f"{path.name} is a single image", help="name its folder, or a pattern such as *.png")
    return clip


def _image_clip(name: str, files: list[Path], *, paged: bool = False) -> ImageClip:
    clip = ImageClip(name, tuple(files))
    for number, header in enumerate(clip.file_headers):
        if header.pages > 1 and not paged:
            label = clip.label(number)
            raise SourceError(
                "path", f"frame {number}, {label}, holds {header.pages} pages", help="name the file alone as path"
            )
    return ImageClip(name, clip.files, clip.header.pages) if paged else clip


def _uneven(clips: tuple[Clip, ...]) -> tuple[int, ...] | None:
    lengths = tuple(len(clip) for clip in clips)
    return lengths if len(set(lengths)) > 1 else None


def _entries(folder: Path) -> list[Path]:
    return sorted((one for one in folder.iterdir() if not one.name.startswith(".")), key=natural)


def _is_pictures_name(name: str) -> bool:
    return Path(name).suffix.lower() in (*images.SUFFIXES, *video.SUFFIXES)
