"""Files of one frame each with their times in their names: only the first is opened before frames are read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from specbuild.data.arrays import Array
from specbuild.data.sources.base import FilePart, FrameSource
from specbuild.data.sources.errors import SourceError
from specbuild.data.sources.join import OPEN, check_alike
from specbuild.data.sources.lazy_arrays import Index, LazyArray, joined, unpacked
from specbuild.data.sources.moments import times_in_names
from specbuild.data.sources.packing import Packing, RawArray
from specbuild.data.sources.remote import AnyFile
from specbuild.data.time.times import between
from specbuild.document import RunError
from specbuild.language.sections.name_time import NameTime


def frame_files(
    paths: Sequence[AnyFile], read: Callable[[AnyFile], FrameSource], name: str, section: NameTime
) -> FrameSource:
    """Return the frames of files in the order of the times in their names, in physical units.

    A file that differs from the first, or is damaged, is refused when its frame is read.

    Raises:
        SourceError: a name has no time or that of another, no frame lies between the dates, or the first file is
            damaged or holds several frames.
    """
    times = times_in_names(paths, section)
    order = np.argsort(times)
    times, files = times[order], [paths[number] for number in order]
    if section.dates is not None:
        first, end = between(times, section.dates)
        times, files = times[first:end], files[first:end]
    if not files:
        reason = f"its {len(paths)} names were read"
        raise SourceError("time", f"no frame of {name} lies between the dates", reason=reason)
    alike = read(files[0])
    frames = _Frames(read, alike)
    shape, dtype = alike.array.shape, unpacked(alike.array, alike.metadata.packing).dtype
    arrays = [LazyArray(shape, dtype, frames.reader(file)) for file in files]
    array = joined(arrays, alike.metadata.axes.index("T"))
    parts = tuple(FilePart(file.name, range(1), range(number, number + 1)) for number, file in enumerate(files))
    metadata = replace(alike.metadata, file=name, packing=Packing(), parts=parts, bytes=None, clocks=(times,))
    return FrameSource(array, replace(metadata, coordinates=metadata.at(times)))


class _Frames:
    """Reads frames of files, each opened when it is needed; the last few stay open."""

    def __init__(self, read: Callable[[AnyFile], FrameSource], alike: FrameSource) -> None:
        self._alike, self._lock = alike, threading.Lock()
        self._opened = lru_cache(OPEN)(lambda file: self._checked(read(file)))

    def reader(self, file: AnyFile) -> Callable[[Index], Array]:
        """Return what reads from a file.

        Raises:
            RunError: the file cannot be read, or differs from the first.
        """

        def read(index: Index) -> Array:
            with self._lock:
                try:
                    array = self._opened(file)
                except SourceError as error:
                    raise RunError(error.message, "; ".join(filter(None, (error.reason, error.help)))) from error
            return array[index]

        return read

    def _checked(self, source: FrameSource) -> RawArray:
        check_alike(source, self._alike)
        return unpacked(source.array, source.metadata.packing)
