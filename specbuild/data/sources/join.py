"""Several files as one source: joined in time, or each an event of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np

from specbuild.catalog.shapes import show
from specbuild.data.sources.base import Coordinate, FilePart, FrameMetadata, FrameSource
from specbuild.data.sources.errors import FileError, SourceError
from specbuild.data.sources.lazy_arrays import LazyArray, events, in_one_packing, joined
from specbuild.data.sources.packing import RawArray
from specbuild.data.sources.remote import AnyFile
from specbuild.data.time.times import Times
from specbuild.data.time.times import show as show_time
from specbuild.language.sections.name_time import GUESSED, guessed_format

OPEN = 8
"""Files that are kept open at once."""


def join(paths: Sequence[AnyFile], read: Callable[[AnyFile], FrameSource], name: str, by: str) -> FrameSource:
    """Return the frames of several files as one source. Each is opened for its header now, and for frames as needed.

    With `by` file each becomes an event; files that hold events give all of theirs; others are joined in time, in the
    order of their times or, without times, of their names.

    Raises:
        SourceError: files that do not fit together, naming them.
    """
    sources = [source for source in map(_reopening(read), paths) if source.length]
    if not sources:
        raise SourceError(
            "time", f"no frame of {name} lies between the dates", reason=f"its {len(paths)} files were read"
        )
    for source in sources[1:]:
        check_alike(source, sources[0])
    guess = "" if sources[0].metadata.clocks else guessed_format([path.name for path in paths[:GUESSED]])
    sources = [replace(source, metadata=replace(source.metadata, name_format=guess)) for source in sources]
    return (
        _in_time(sources, name) if by == "time" and "N" not in sources[0].metadata.axes else _as_events(sources, name)
    )


def _reopening(read: Callable[[AnyFile], FrameSource]) -> Callable[[AnyFile], FrameSource]:
    """Return what reads the header of a file now, and opens the file again when its frames are read.

    The files read last stay open. One that gives way to another is closed as soon as nobody reads it any more.
    """
    lock = threading.Lock()
    opened = lru_cache(OPEN)(lambda path: read(path).array)

    def array(path: AnyFile) -> RawArray:
        with lock:
            return opened(path)

    def reopening(path: AnyFile) -> FrameSource:
        source = read(path)
        return replace(source, array=LazyArray(source.array.shape, source.dtype, lambda index: array(path)[index]))

    return reopening


def check_alike(other: FrameSource, first: FrameSource) -> None:
    """Check that two files differ in nothing but their frames.

    Raises:
        SourceError: they do.
    """
    a, b = other.metadata, first.metadata

    def unlike(what: str, reason: str, help: str = "exclude one kind of file with a narrower pattern") -> SourceError:
        return FileError(f"{a.file} and {b.file} have {what}", reason=reason, help=help)

    if a.axes != b.axes:
        raise unlike("their axes in different orders", f"{' '.join(a.axes)} and {' '.join(b.axes)}", help="")
    frame = [axis for axis in b.axes if axis not in "TN"]
    sizes = [tuple(source.size(axis) for axis in frame) for source in (other, first)]
    if sizes[0] != sizes[1]:
        raise unlike("frames of different size", f"{show(sizes[0])} and {show(sizes[1])} ({' '.join(frame)})")
    for letter in frame:
        _check_axis(other, first, letter)
    if a.units != b.units:
        raise unlike("different units", f'"{a.units}" and "{b.units}"')
    if bool(a.clocks) != bool(b.clocks):
        timed, untimed = (a, b) if a.clocks else (b, a)
        help = "correct the file, or write time: false to treat all frames as evenly spaced"
        raise SourceError("time", f"{timed.file} gives the times of its frames, and {untimed.file} does not", help=help)


def _check_axis(other: FrameSource, first: FrameSource, letter: str) -> None:
    a, b = (source.metadata.coordinates.get(letter, Coordinate("")).values for source in (other, first))
    if a is None or b is None:
        return
    numbers = a.dtype.kind in "iuf" and b.dtype.kind in "iuf"
    if np.allclose(a, b, rtol=1e-5, atol=1e-6) if numbers else np.array_equal(a, b):
        return
    raise FileError(
        f"{first.metadata.coordinates[letter].name} of {other.metadata.file} differs from that of "
        f"{first.metadata.file}",
        reason=f"{a[0]} … {a[-1]} and {b[0]} … {b[-1]}",
        help="files of one record have the same grid; exclude one kind of file with a narrower pattern",
    )


def _in_time(sources: list[FrameSource], name: str) -> FrameSource:
    times = None
    if sources[0].metadata.clocks:
        sources = sorted(sources, key=lambda source: source.metadata.clocks[0][0])
        for before, after in pairwise(sources):
            _check_after(before, after)
        times = np.concatenate([source.metadata.clocks[0] for source in sources])
    ends = accumulate(source.length for source in sources)
    places = [(range(1), range(end - source.length, end)) for source, end in zip(sources, ends, strict=True)]
    arrays, metadata = _together(sources, name, places)
    coordinates, clocks = metadata.at(times), () if times is None else (times,)
    array = joined(arrays, metadata.axes.index("T"))
    return FrameSource(array, replace(metadata, clocks=clocks, coordinates=coordinates))


def _check_after(before: FrameSource, after: FrameSource) -> None:
    end, start = before.metadata.clocks[0][-1], after.metadata.clocks[0][0]
    if start <= end:
        earlier, later = before.metadata.file, after.metadata.file
        raise FileError(
            f"{later} and {earlier} overlap in time",
            reason=f"{later} begins {show_time(start)}, {earlier} ends {show_time(end)}",
            help="leave one out with a narrower pattern, or write by: file if each is an event of its own",
        )


def _as_events(sources: list[FrameSource], name: str) -> FrameSource:
    """Return each file as an event, or all events of files that hold several; they share all axes but that of time."""
    ends = accumulate(source.events for source in sources)
    places = [(range(end - file.events, end), range(file.length)) for file, end in zip(sources, ends, strict=True)]
    arrays, metadata = _together(sources, name, places)
    clocks: tuple[Times, ...] = ()
    if sources[0].metadata.clocks:
        clocks = tuple(source.metadata.clocks[0] for source in sources for _ in range(source.events))
    common = {letter: axis for letter, axis in metadata.coordinates.items() if letter not in "TN"}
    lengths = tuple(length for source in sources for length in source.lengths)
    metadata = replace(metadata, clocks=clocks, coordinates=common, lengths=lengths)
    if "N" not in metadata.axes:
        array = events(arrays, metadata.axes.index("T"))
        return FrameSource(array, replace(metadata, axes=("N", *metadata.axes)))
    if len(set(lengths)) > 1:
        listed = ", ".join(f"{source.metadata.file} {source.length}" for source in sources[:3])
        raise FileError(f"the events of {name} differ in length", reason=f"frames of each: {listed}")
    return FrameSource(joined(arrays, metadata.axes.index("N")), metadata)


def _together(
    sources: list[FrameSource], name: str, places: list[tuple[range, range]]
) -> tuple[Sequence[RawArray], FrameMetadata]:
    """Return the arrays of all files, in one packing, with what is known of the first and of the whole.

    `places` says which frames of which events each file holds.
    """
    known = [source.metadata for source in sources]
    arrays, packing = in_one_packing([source.array for source in sources], [file.packing for file in known])
    parts = tuple(FilePart(file.file, *place, file.bytes) for file, place in zip(known, places, strict=True))
    return arrays, replace(known[0], file=name, packing=packing, parts=parts, bytes=None)
