"""From `data.source` to frames: find the files, open them and report anything that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np

from specbuild.catalog.shapes import show
from specbuild.catalog.sources import protocol_of
from specbuild.data.sources.base import FrameMetadata, FrameSource
from specbuild.data.sources.checked import CheckedSource
from specbuild.data.sources.errors import SourceError
from specbuild.data.sources.file import open_file
from specbuild.data.sources.files import array_files, is_pattern, is_pictures, located, matches
from specbuild.data.sources.frame_files import frame_files
from specbuild.data.sources.join import join
from specbuild.data.sources.limits import check_memory
from specbuild.data.sources.remote import AnyFile, RemoteFile, remote_files
from specbuild.data.time.intervals import differ, usual_step
from specbuild.language import Spec
from specbuild.language.interval import Interval
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.feeds import SourceFeed
from specbuild.language.sections.name_time import NameTime
from specbuild.language.sections.source import SourceSection


def open_source(spec: Spec) -> FrameSource:
    """Return the frames of the spec's data section; nothing but headers and coordinates is read yet.

    Raises:
        SpecError: no data section; the files, their arrays or the axes are not what `data.source` says, located at the
            key at fault.
    """
    data = spec.require_data()
    if data.target is not None:
        raise spec.error(
            ("data", "target"),
            "the model gives classes of clips, this needs forecasts of frames",
            help="score it with specbuild evaluate",
            code="data-shape",
        )
    with located(spec):
        if data.source.generator is not None:
            from specbuild.data.generators import open_generated

            return open_generated(data, spec.resolve_path)
        if data.source.is_remote:
            return _opened(data, remote_files(data.source.path, data.source.storage))
        return _opened(data, _paths(data, spec.resolve_path(data.source.path)))


def source_files(spec: Spec) -> dict[Path, tuple[Path, ...]]:
    """Return the paths that `data` names, each with the files and folders it means; a pattern means several.

    URLs are left out.
    """
    files = spec.data.files if spec.data is not None else ()
    paths = [spec.resolve_path(file) for file in files if not protocol_of(file)]
    return {path: tuple(matches(path)) if is_pattern(path) else (path,) for path in paths}


def source_urls(spec: Spec) -> list[tuple[tuple[str, ...], RemoteFile]]:
    """Return the files and stores at URLs that `data` names, each after the key of its path.

    Raises:
        SpecError: they cannot be reached.
    """
    if spec.data is None:
        return []
    sources: list[tuple[tuple[str, ...], SourceSection]] = [(("data", "source", "path"), spec.data.source)]
    for name, feed in spec.data.inputs.items():
        if isinstance(feed, SourceFeed):
            sources.append((("data", "inputs", name, "source", "path"), feed.source))
    with located(spec):
        return [
            (key, file)
            for key, source in sources
            if source.is_remote
            for file in remote_files(source.path, source.storage)
        ]


def _paths(data: DataSection, path: Path) -> list[Path]:
    """Return the files that a path means; pictures are one, which finds its own."""
    pictures = is_pictures(path) and (path.exists() or is_pattern(path))
    return [path] if pictures else array_files(path, data.source.path)


def _opened(data: DataSection, paths: Sequence[AnyFile]) -> FrameSource:
    written = data.source.path
    if len(paths) == 1 and data.source.by == "time":
        source = open_file(paths[0], data)
    elif data.source.by == "time" and isinstance(data.source.time, NameTime) and "N" not in data.source.axes:
        source = frame_files(paths, lambda file: open_file(file, data), Path(written).name, data.source.time)
    else:
        source = join(paths, lambda file: open_file(file, data), Path(written).name, data.source.by)
    if not source.length:
        raise SourceError("time", f"no frame of {source.name} lies between the dates")
    _check_frame(source)
    _check_interval(data, source.metadata)
    return CheckedSource(source.array, source.metadata, allow_missing=data.allow_missing, skip=data.on_error == "skip")


def _check_frame(source: FrameSource) -> None:
    """Check that a frame fits into memory, as it is stored and as it is read."""
    size = prod(source.space) * source.channels * (source.dtype.itemsize + np.dtype(np.float32).itemsize)
    frame = f"a frame of {source.name}, {show(source.space)}," if source.space else f"a frame of {source.name}"
    check_memory(size, frame, "read a part of it with data.source.region, or copy the file again if this is wrong")


def _check_interval(data: DataSection, metadata: FrameMetadata) -> None:
    """Check that frames are as far apart as the spec says, which names lead times by it."""
    if data.interval is None or not metadata.clocks:
        return
    step = usual_step(metadata.clocks[0], metadata.calendar)
    if step is not None and differ(step, Interval.parse(data.interval)):
        raise SourceError(
            "interval",
            f"frames are {data.interval} apart by the spec, {step.times(1)} by the times of {metadata.file}",
            help=f"write interval: {step.times(1)}",
        )
