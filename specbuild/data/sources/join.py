"""Several files as one source: joined in time, or each an event of its own."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from specbuild.catalog.shapes import show
from specbuild.data.sources.base import Axis, FilePart, Packing, RawArray, SourceError, Times
from specbuild.data.sources.lazy_arrays import Events, Joined, Later, Unpacked
from specbuild.data.sources.record import Record
from specbuild.data.time.times import show as show_time

OPEN = 8
"""Files that are kept open at once."""


def join(paths: list[Path], read: Callable[[Path], Record], name: str, by: str) -> tuple[Record, tuple[FilePart, ...]]:
    """The frames of several files as those of one. Each is opened for its header now, and for its frames as needed.

    With `by` file each becomes an event; files that hold events give all of theirs; others are joined in time, in the
    order of their times or, without times, of their names.

    Returns:
        The whole, and where each file's frames are in it.

    Raises:
        SourceError: files that do not fit together, naming them.
    """
    files = _OpenFiles(read)
    records = [_later(path, read, files) for path in paths]
    kept = [record for record in records if record.frames]
    if not kept:
        raise SourceError(
            "time", f"no frame of {name} lies between the dates", reason=f"its {len(paths)} files were read"
        )
    for record in kept[1:]:
        _check_alike(record, kept[0])
    if by == "file":
        return _as_events(kept, name)
    if "N" in kept[0].axes:
        return _event_after_event(kept, name)
    return _in_time(kept, name)


class _OpenFiles:
    """The files read last, kept open; the one not read for longest gives way to another.

    A file that gives way is closed as soon as nobody reads it any more.
    """

    def __init__(self, read: Callable[[Path], Record]) -> None:
        self._read = read
        self._open: OrderedDict[Path, RawArray] = OrderedDict()
        self._lock = threading.Lock()

    def array(self, path: Path) -> RawArray:
        with self._lock:
            found = self._open.pop(path, None)
            if found is None:
                found = self._read(path).array
                while len(self._open) >= OPEN:
                    self._open.popitem(last=False)
            self._open[path] = found
            return found


def _later(path: Path, read: Callable[[Path], Record], files: _OpenFiles) -> Record:
    record = read(path)
    array = Later(lambda: files.array(path), record.array.shape, record.array.dtype)
    return replace(record, array=array)


def _check_alike(one: Record, first: Record) -> None:
    """Checks that two files differ in nothing but their frames."""
    if one.axes != first.axes:
        raise SourceError(
            "path",
            f"{one.name} and {first.name} have their axes in different orders",
            reason=f"{' '.join(one.axes)} and {' '.join(first.axes)}",
        )
    space = [axis for axis in first.axes if axis not in "TN"]
    sizes = [tuple(record.size(axis) for axis in space) for record in (one, first)]
    if sizes[0] != sizes[1]:
        raise SourceError(
            "path",
            f"{one.name} and {first.name} have frames of different size",
            reason=f"{show(sizes[0])} and {show(sizes[1])} ({' '.join(space)})",
            help="leave one sort out with a narrower pattern",
        )
    for letter in space:
        _check_axis(one, first, letter)
    if one.units != first.units:
        raise SourceError(
            "path",
            f"{one.name} and {first.name} have different units",
            reason=f'"{one.units}" and "{first.units}"',
            help="leave one sort out with a narrower pattern",
        )


def _check_axis(one: Record, first: Record, letter: str) -> None:
    a, b = (record.coordinates.get(letter, Axis("")).values for record in (one, first))
    if a is None or b is None:
        return
    numbers = a.dtype.kind in "iuf" and b.dtype.kind in "iuf"
    if np.allclose(a, b, rtol=1e-5, atol=1e-6) if numbers else np.array_equal(a, b):
        return
    name = first.coordinates[letter].name
    raise SourceError(
        "path",
        f"{name} of {one.name} is not that of {first.name}",
        reason=f"{a[0]} … {a[-1]} and {b[0]} … {b[-1]}",
        help="files of one record have the same grid; leave one sort out with a narrower pattern",
    )


def _in_time(records: list[Record], name: str) -> tuple[Record, tuple[FilePart, ...]]:
    if all(record.clocks for record in records):
        records = sorted(records, key=lambda record: record.clocks[0][0])
        for before, after in pairwise(records):
            _check_after(before, after)
    first, place = records[0], records[0].axes.index("T")
    arrays, packing = _alike(records)
    ends = list(accumulate(record.frames for record in records))
    parts = tuple(
        FilePart(record.name, range(1), range(end - record.frames, end), record.bytes)
        for record, end in zip(records, ends, strict=True)
    )
    clocks = tuple(record.clocks[0] for record in records if record.clocks)
    times = (np.concatenate(clocks),) if len(clocks) == len(records) else ()
    coordinates = {letter: axis for letter, axis in first.coordinates.items() if letter != "T"}
    if times and "T" in first.coordinates:
        coordinates["T"] = replace(first.coordinates["T"], values=times[0])
    whole = replace(
        first,
        name=name,
        label=_label(first, name),
        array=Joined(arrays, place),
        packing=packing,
        coordinates=coordinates,
        clocks=times,
    )
    return whole, parts


def _check_after(before: Record, after: Record) -> None:
    end, start = before.clocks[0][-1], after.clocks[0][0]
    if start <= end:
        raise SourceError(
            "path",
            f"{after.name} and {before.name} overlap in time",
            reason=f"{after.name} begins {show_time(start)}, {before.name} ends {show_time(end)}",
            help="leave one out with a narrower pattern, or write by: file if each is an event of its own",
        )


def _as_events(records: list[Record], name: str) -> tuple[Record, tuple[FilePart, ...]]:
    first = records[0]
    arrays, packing = _alike(records)
    lengths = tuple(record.frames for record in records)
    parts = tuple(
        FilePart(record.name, range(number, number + 1), range(record.frames), record.bytes)
        for number, record in enumerate(records)
    )
    whole = replace(
        first,
        name=name,
        label=_label(first, name),
        array=Events(arrays, first.axes.index("T")),
        axes=("N", *first.axes),
        packing=packing,
        coordinates=_without_time(first),
        clocks=_clocks(records, (1,) * len(records)),
        lengths=lengths if len(set(lengths)) > 1 else None,
        events=tuple(record.name for record in records),
    )
    return whole, parts


def _event_after_event(records: list[Record], name: str) -> tuple[Record, tuple[FilePart, ...]]:
    first = records[0]
    if len({record.frames for record in records}) > 1 or any(record.lengths for record in records):
        listed = ", ".join(f"{record.name} {record.frames}" for record in records[:3])
        raise SourceError("path", f"the events of {name} differ in length", reason=f"frames of each: {listed}")
    arrays, packing = _alike(records)
    counts = [record.size("N") for record in records]
    ends = list(accumulate(counts))
    parts = tuple(
        FilePart(record.name, range(end - count, end), range(record.frames), record.bytes)
        for record, end, count in zip(records, ends, counts, strict=True)
    )
    whole = replace(
        first,
        name=name,
        label=_label(first, name),
        array=Joined(arrays, first.axes.index("N")),
        packing=packing,
        coordinates=_without_time(first),
        clocks=_clocks(records, counts),
        events=(),
    )
    return whole, parts


def _alike(records: list[Record]) -> tuple[tuple[RawArray, ...], Packing]:
    """The files' arrays, and how all of them are packed; where they differ in that, unpacked."""
    if len({(record.packing, record.array.dtype) for record in records}) == 1:
        return tuple(record.array for record in records), records[0].packing
    return tuple(Unpacked(record.array, record.packing) for record in records), Packing()


def _clocks(records: list[Record], counts: Sequence[int]) -> tuple[Times, ...]:
    """The times of each event, where every file knows its own."""
    if not all(record.clocks for record in records):
        return ()
    pairs = zip(records, counts, strict=True)
    return tuple(record.clocks[0] for record, count in pairs for _ in range(count))


def _without_time(record: Record) -> dict[str, Axis]:
    """What events have in common."""
    return {letter: axis for letter, axis in record.coordinates.items() if letter not in "TN"}


def _label(record: Record, name: str) -> str:
    return name + record.label[len(record.name) :]
