"""Folders and patterns of images and videos as one array: `frames/`, `frames/*.png`, `storm.mp4`, `clips/*.mkv`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from specbuild.catalog.sources import Kind, format_of, suffixes_of
from specbuild.data.sources import images
from specbuild.data.sources.base import SourceError, StoredArray
from specbuild.data.sources.clip import FrameClip, clip_array
from specbuild.data.sources.files import folder_above, is_pattern, matches, natural_order
from specbuild.data.sources.images import ImageHeader, Pixels
from specbuild.data.sources.video import DecoderPool, VideoClip
from specbuild.document import RunError
from specbuild.language.sections.source import SourceSection

PAGED = (".tif", ".tiff")
"""Images that can hold several pages, which are then the frames."""


def is_pictures(path: Path) -> bool:
    """Whether a path means pictures: a video, a TIFF, a folder of images or videos, or a pattern of any of these."""
    if is_pattern(path):
        return _kind(path) is not None or any(map(is_pictures, matches(path)[:1]))
    if path.is_dir():
        entries = natural_order(path.iterdir())
        inside = (inner for entry in entries for inner in ((entry, *entry.iterdir()) if entry.is_dir() else (entry,)))
        return any(map(_kind, inside))
    return _kind(path) is not None


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
        clips = find_clips(self._path, events="N" in self._section.axes)
        lengths = tuple(map(len, clips))
        uneven = lengths if len(set(lengths)) > 1 else None
        return StoredArray(clip_array(clips, self._section), lengths=uneven, events=tuple(clip.name for clip in clips))


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


def find_clips(path: Path, *, events: bool, pool: DecoderPool | None = None) -> tuple[FrameClip, ...]:
    """Return the clips that a path means: one without `events`, otherwise one per sub-folder or video.

    Raises:
        SourceError: there is none, or not as `events` says.
    """
    where = f"{path.name}/" if path.is_dir() else path.name
    pool = pool or DecoderPool()
    if is_pattern(path):
        entries = matches(path)
        if not entries:
            above = folder_above(path)
            missed = path.relative_to(above).as_posix()
            raise SourceError("path", f"nothing matches {missed}", reason=f"looked in {above.resolve()}")
        clips = _clips(entries, where, pool, events)
    elif path.is_dir():
        clips = _clips(natural_order(path.iterdir()), where, pool, events)
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
        """Read the header of every file.

        Raises:
            SourceError: one cannot be read.
        """
        headers = []
        for number, path in enumerate(self.files):
            try:
                headers.append(images.read_header(path))
            except ValueError as error:
                raise SourceError(
                    "path", f"frame {number}, {self.label(number)}, is no image that can be read", reason=str(error)
                ) from error
        return tuple(headers)

    def __len__(self) -> int:
        return len(self.files) * self.pages

    def label(self, file: int) -> str:
        """Return what messages call a file: its name and its folder's."""
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


def _clips(entries: list[Path], where: str, pool: DecoderPool, events: bool) -> list[FrameClip]:
    """Return the clips of the entries of a folder or a pattern: folders, videos or images, and no mixture of them."""
    pictures = [entry for entry in entries if _kind(entry) == "images" and entry.is_file()]
    videos = [entry for entry in entries if _kind(entry) == "videos" and entry.is_file()]
    folders = [entry for entry in entries if entry.is_dir()]
    if pictures and videos:
        raise SourceError(
            "path",
            f"{where} mixes images and videos",
            reason=f"{pictures[0].name} and {videos[0].name}",
            help="name one sort with a pattern, such as frames/*.png",
        )
    if pictures and events and len({image.parent for image in pictures}) == 1:
        raise SourceError(
            "layout",
            f"the layout names N (event), but {where} holds the images of one",
            help="leave N out, or put each event's images into a folder of its own",
        )
    if pictures and events:
        return [
            _image_clip(folder.name, list(files)) for folder, files in groupby(pictures, lambda image: image.parent)
        ]
    if pictures:
        return [_image_clip(where, pictures)]
    if videos:
        return [VideoClip(video, pool) for video in videos]
    clips = [clip for folder in folders for clip in _folder_clip(folder, pool)]
    if not clips:
        raise SourceError(
            "path",
            f"{where} holds no frames",
            help=f"frames are {', '.join(suffixes_of('images'))}; videos {', '.join(suffixes_of('videos'))}",
        )
    return clips


def _folder_clip(folder: Path, pool: DecoderPool) -> list[FrameClip]:
    """Return the clip that a sub-folder is; none where it has no pictures."""
    entries = [entry for entry in natural_order(folder.iterdir()) if entry.is_file() and _kind(entry)]
    return _clips(entries, f"{folder.name}/", pool, events=False) if entries else []


def _file_clip(path: Path, pool: DecoderPool) -> FrameClip:
    if _kind(path) == "videos":
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


def _kind(path: Path) -> Kind | None:
    """Whether a file is an image or a video, by its suffix; None where it is neither."""
    source_format = format_of(path)
    return None if source_format is None or source_format.kind == "arrays" else source_format.kind
