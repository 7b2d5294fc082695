"""Several files as one source: joined in time, or each an event of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.catalog.shapes import show
from specbuild.data.sources.base import Coordinate, FilePart, FrameSource, Packing, RawArray, SourceError
from specbuild.data.sources.lazy_arrays import LazyArray, events, joined, unpacked
from specbuild.data.time.times import Times
from specbuild.data.time.times import show as show_time

OPEN = 8
"""Files that are kept open at once."""


def join(paths: list[Path], read: Callable[[Path], FrameSource], name: str, by: str) -> FrameSource:
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
        _check_alike(source, sources[0])
    if by == "file":
        return _as_events(sources, name)
    return (_event_after_event if "N" in sources[0].metadata.axes else _in_time)(sources, name)


def _reopening(read: Callable[[Path], FrameSource]) -> Callable[[Path], FrameSource]:
    """Return what reads the header of a file now, and opens the file again when its frames are read.

    The files read last stay open. One that gives way to another is closed as soon as nobody reads it any more.
    """
    lock = threading.Lock()
    opened = lru_cache(OPEN)(lambda path: read(path).array)

    def array(path: Path) -> RawArray:
        with lock:
            return opened(path)

    def reopening(path: Path) -> FrameSource:
        source = read(path)
        return replace(source, array=LazyArray(source.array.shape, source.dtype, lambda index: array(path)[index]))

    return reopening


def _check_alike(other: FrameSource, first: FrameSource) -> None:
    """Check that two files differ in nothing but their frames."""
    a, b = other.metadata, first.metadata

    def unlike(what: str, reason: str, help: str = "leave one sort out with a narrower pattern") -> SourceError:
        return SourceError("path", f"{a.file} and {b.file} have {what}", reason=reason, help=help)

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


def _check_axis(other: FrameSource, first: FrameSource, letter: str) -> None:
    a, b = (source.metadata.coordinates.get(letter, Coordinate("")).values for source in (other, first))
    if a is None or b is None:
        return
    numbers = a.dtype.kind in "iuf" and b.dtype.kind in "iuf"
    if np.allclose(a, b, rtol=1e-5, atol=1e-6) if numbers else np.array_equal(a, b):
        return
    raise SourceError(
        "path",
        f"{first.metadata.coordinates[letter].name} of {other.metadata.file} is not that of {first.metadata.file}",
        reason=f"{a[0]} … {a[-1]} and {b[0]} … {b[-1]}",
        help="files of one record have the same grid; leave one sort out with a narrower pattern",
    )


def _in_time(sources: list[FrameSource], name: str) -> FrameSource:
    known = all(source.metadata.clocks for source in sources)
    if known:
        sources = sorted(sources, key=lambda source: source.metadata.clocks[0][0])
        for before, after in pairwise(sources):
            _check_after(before, after)
    first = sources[0].metadata
    ends = accumulate(source.length for source in sources)
    pairs = zip(sources, ends, strict=True)
    parts = [_part(source, range(1), range(end - source.length, end)) for source, end in pairs]
    times = np.concatenate([source.metadata.clocks[0] for source in sources]) if known else None
    return _whole(
        sources,
        name,
        lambda arrays: joined(arrays, first.axes.index("T")),
        parts,
        clocks=() if times is None else (times,),
        coordinates=first.at(times),
    )


def _check_after(before: FrameSource, after: FrameSource) -> None:
    end, start = before.metadata.clocks[0][-1], after.metadata.clocks[0][0]
    if start <= end:
        earlier, later = before.metadata.file, after.metadata.file
        raise SourceError(
            "path",
            f"{later} and {earlier} overlap in time",
            reason=f"{later} begins {show_time(start)}, {earlier} ends {show_time(end)}",
            help="leave one out with a narrower pattern, or write by: file if each is an event of its own",
        )


def _as_events(sources: list[FrameSource], name: str) -> FrameSource:
    first = sources[0].metadata
    lengths = tuple(source.length for source in sources)
    parts = [_part(source, range(number, number + 1), range(source.length)) for number, source in enumerate(sources)]
    return _whole(
        sources,
        name,
        lambda arrays: events(arrays, first.axes.index("T")),
        parts,
        axes=("N", *first.axes),
        clocks=_clocks(sources, (1,) * len(sources)),
        lengths=lengths if len(set(lengths)) > 1 else None,
    )


def _event_after_event(sources: list[FrameSource], name: str) -> FrameSource:
    if len({source.length for source in sources}) > 1 or any(source.metadata.lengths for source in sources):
        listed = ", ".join(f"{source.metadata.file} {source.length}" for source in sources[:3])
        raise SourceError("path", f"the events of {name} differ in length", reason=f"frames of each: {listed}")
    counts = [source.events for source in sources]
    pairs = zip(sources, accumulate(counts), strict=True)
    parts = [_part(source, range(end - source.events, end), range(source.length)) for source, end in pairs]
    place = sources[0].metadata.axes.index("N")
    return _whole(sources, name, lambda arrays: joined(arrays, place), parts, clocks=_clocks(sources, counts))


def _part(source: FrameSource, events: range, frames: range) -> FilePart:
    return FilePart(source.metadata.file, events, frames, source.metadata.bytes)


def _whole(
    sources: list[FrameSource],
    name: str,
    combine: Callable[[Sequence[RawArray]], RawArray],
    parts: list[FilePart],
    **changes: Any,
) -> FrameSource:
    """Return the combined arrays of all files with what is known of the first; unpacked where their packings differ.

    Events have their coordinates but that of time in common.
    """
    first = sources[0].metadata
    arrays, packing = [source.array for source in sources], first.packing
    if len({(source.metadata.packing, source.dtype) for source in sources}) > 1:
        arrays = [unpacked(source.array, source.metadata.packing) for source in sources]
        packing = Packing()
    common = {letter: axis for letter, axis in first.coordinates.items() if letter not in "TN"}
    changes = {"coordinates": common, **changes}
    metadata = replace(first, file=name, packing=packing, parts=tuple(parts), bytes=None, **changes)
    return FrameSource(combine(arrays), metadata)


def _clocks(sources: list[FrameSource], counts: Sequence[int]) -> tuple[Times, ...]:
    """Return the times of each event, where every file knows its own."""
    if not all(source.metadata.clocks for source in sources):
        return ()
    pairs = zip(sources, counts, strict=True)
    return tuple(source.metadata.clocks[0] for source, count in pairs for _ in range(count))
