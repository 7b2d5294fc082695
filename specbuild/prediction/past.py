"""Past frames for a forecast: from the end of the run's data, a file, or an array in memory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import prod
from pathlib import Path, PurePath

import numpy as np

from specbuild.catalog import show
from specbuild.catalog.sources import protocol_of
from specbuild.data.arrays import Array, Floats
from specbuild.data.samples.windows import past_frames
from specbuild.data.sources import FrameSource, open_source
from specbuild.data.sources.base import Coordinate, FrameMetadata
from specbuild.data.sources.errors import SourceError
from specbuild.data.sources.limits import check_memory, check_regular
from specbuild.data.sources.npy import NpyFile
from specbuild.data.sources.npz import NpzFile
from specbuild.data.sources.remote import RemoteFile
from specbuild.data.time.times import Times
from specbuild.document import Diagnostic, SpecError, did_you_mean
from specbuild.graph.data_checks import past_input
from specbuild.language import Spec
from specbuild.prediction.forecast import Past
from specbuild.runs.likeness import check_grid, check_unbroken
from specbuild.runs.provenance import perhaps_moved
from specbuild.runs.trained import TrainedRun

ARRAYS = (".npy", ".npz")
"""Files of past frames in physical units; every other file is read as the run's own data is."""


def changed_since_training(trained: TrainedRun, replaced: Collection[str] = ()) -> str:
    """Return a note if the run's data are not those that it was trained on; empty where they are.

    A forecast reads only the last frames, and with the transform of the training, so data that grow or are replaced by
    newer ones are not an error.

    Args:
        trained: the run.
        replaced: names of the inputs for which other files were asked for, which are not compared.
    """
    change = trained.data_change_besides(replaced)
    if not change:
        return ""
    with perhaps_moved(trained.spec):
        source = open_source(trained.spec)
    then, now = trained.samples_of_training.get("frames"), sum(source.lengths)
    if then is not None and now > then:
        return f"{source.name} has grown since training, from {then:,} to {now:,} frames"
    return f"the data are not what the run was trained with: {change}"


def latest_past(trained: TrainedRun) -> Past:
    """Return the last frames of the last event of the run's data.

    Raises:
        SpecError: it is gone, has fewer frames than the model reads, or all of these are missing.
    """
    with perhaps_moved(trained.spec):
        source = trained.opened(trained.spec)
    return _with_values(_end_of(source, trained), source.name)


def read_past(file: str | Path, trained: TrainedRun) -> Past:
    """Return the past frames in a file, on this machine or at a URL.

    An array (`.npy`, `.npz`) holds them alone, in physical units. Of any other kind of file the last frames are taken,
    and variables, layout, scale and missing values are as `data` says of the run's own.

    Raises:
        SpecError: the file cannot be read, its frames do not fit, or all of their values are missing.
    """
    url = str(file) if protocol_of(str(file)) else ""
    if url and PurePath(url).suffix not in ARRAYS:
        return _read_end(url, trained)
    path = _copied(url, trained) if url else Path(file)
    if not path.exists():
        near = did_you_mean(path.name, [file.name for file in path.parent.glob("*")])
        raise refused(f"there is no file {path}", help=near)
    try:
        check_regular(path, str(path))
    except SourceError as error:
        raise refused(error.message, help=error.help) from error
    if path.suffix in ARRAYS:
        return _with_values(given_past(_array(path, trained), trained, str(path)), str(path))
    return _read_end(str(path.resolve()), trained, str(path))


def _copied(url: str, trained: TrainedRun) -> Path:
    """Return a copy of the file at a URL, which is reached with the options of the run's own data."""
    try:
        return RemoteFile(url, trained.data.source.storage).copy()
    except SourceError as error:
        raise refused(f"{error.message}: {error.reason}" if error.reason else error.message, help=error.help) from error


def _read_end(place: str, trained: TrainedRun, name: str = "") -> Past:
    """Return the last frames of a file that is like the data of the run."""
    section = trained.data.source.model_copy(update={"path": place})
    data = trained.data.model_copy(update={"source": section})
    return _with_values(_end_of(_opened(replace(trained.spec, data=data), trained), trained), name or place)


def given_past(frames: Array, trained: TrainedRun, name: str) -> Past:
    """Return past frames in memory, (P, *space) or (P, *space, C), in physical units with NaN where missing.

    Raises:
        SpecError: they are not numbers, some are infinite, or their shape does not fit the model.
    """
    past = _fitting(frames, trained, name)
    return Past(past, trained.dataset_of(_in_memory(past, trained, name)))


def live_past(frames: Array, trained: TrainedRun, times: Times | None) -> Past:
    """Return the past frames at the end of frames in memory, which are one frame of the data apart.

    Args:
        frames: (T, *space) or (T, *space, C), finite or NaN, at least as many as from the first past frame to the last.
        times: of each, where they are known.

    Raises:
        SpecError: they are not numbers, or their shape does not fit the model.
    """
    windows, name = trained.data.windows, "the past"
    first = len(frames) - 1 - (windows.past - 1) * windows.step
    past = _fitting(frames[first :: windows.step], trained, name)
    every = frames.reshape(len(frames), *past.shape[1:]).astype(np.float32)
    dataset = trained.dataset_of(_in_memory(every, trained, name, times))
    if times is not None:
        return Past(past, dataset, times[first :: windows.step], (0, first))
    # Without times it is not known which phase of a cycle the first one has.
    return Past(past, dataset, at=(0, first) if dataset.transform.clock is None else None)


def _in_memory(frames: Floats, trained: TrainedRun, name: str, times: Times | None = None) -> FrameSource:
    axes = ("T", *trained.data.source.space, "C")
    if times is None:
        return FrameSource(frames, FrameMetadata(name, axes))
    time = Coordinate("time", times, calendar=trained.training_frames.calendar or "")
    return FrameSource(frames, FrameMetadata(name, axes, clocks=(times,), coordinates={"T": time}))


def refused(message: str, help: str = "") -> SpecError:
    """Return the error of a file, or frames, that cannot be used."""
    return SpecError([Diagnostic(message, help=help, code="bad-file")])


def check_finite(frames: Array, name: str) -> None:
    """Refuse frames (T, …) with values that are infinite as float32, which the model reads; NaN is missing.

    Raises:
        SpecError: with the first frame that has any, counted from 0.
    """
    with np.errstate(over="ignore"):
        infinite = np.isinf(frames.astype(np.float32)).reshape(len(frames), -1).sum(axis=1)
    if infinite.any():
        number = int(np.flatnonzero(infinite)[0])
        raise _infinite(int(infinite[number]), name if len(frames) == 1 else f"frame {number} of {name}")


def _infinite(count: int, place: str) -> SpecError:
    values = "1 value is" if count == 1 else f"{count:,} values are"
    return refused(f"{values} infinite in {place}", help="write NaN where a value is missing")


def _with_values(past: Past, name: str) -> Past:
    """Return past frames of which something is known; there is no forecast from nothing."""
    if np.isnan(past.frames).all():
        raise refused(
            f"every value of the {len(past.frames)} past frames of {name} is missing",
            help="give frames with values; NaN marks missing ones",
        )
    return past


def _opened(spec: Spec, trained: TrainedRun) -> FrameSource:
    """Open a file that is read in place of the data of a run.

    Raises:
        SpecError: it cannot be read, which is no fault of the line of the spec that names the run's data; or it is not
            what another line of `data` says.
    """
    try:
        return trained.opened(spec)
    except SpecError as error:
        raise SpecError(
            replace(fault, span=None, where="", code="bad-file") if fault.where == "data.source.path" else fault
            for fault in error.diagnostics
        ) from error


def _end_of(source: FrameSource, trained: TrainedRun) -> Past:
    """Return the past frames at the end of the last event.

    Raises:
        SpecError: there are too few, or some have infinite values.
        ArgumentError: they are not like those of the training.
    """
    sizes = _sizes(trained)
    check_grid(source, trained.training_frames, anywhere=any(not size.isdigit() for size in sizes))
    windows, event = trained.data.windows, source.events - 1
    reach = (windows.past - 1) * windows.step
    first = source.lengths[event] - 1 - reach
    if first < 0:
        raise refused(
            f"{source.name} has {source.lengths[event]} frames, the model reads {reach + 1}",
            help=f"give the {reach + 1} frames before the forecast",
        )
    frames, times = past_frames(first, windows), source.times(event)
    if times is not None:
        check_unbroken(times[first:], trained.data.interval, source.name)
    values = source.read(event, frames)
    for frame in frames:
        if count := source.infinite.get((event, frame)):
            raise _infinite(count, source.where(event, frame))
    when = None if times is None else times[list(frames)]
    return Past(values, trained.dataset_of(source), when, (event, first))


def _fitting(array: Array, trained: TrainedRun, name: str) -> Floats:
    """Return the frames as (P, *space, C)."""
    if array.dtype.kind not in "fiub":
        raise refused(f"{name} holds {array.dtype}, not numbers")
    space, frames = trained.data.source.space, trained.data.windows.past
    read = (past_input(trained.graph) or (None,))[-1]
    channels = None if read is None else read - trained.data.mask_channels
    given = array.shape
    if array.ndim == len(space) + 1 and channels == 1:
        array = array[..., np.newaxis]
    wanted = [str(frames), *_sizes(trained), "any" if channels is None else str(channels)]
    if len(wanted) != array.ndim or not all(_fits(*pair) for pair in zip(wanted, array.shape, strict=True)):
        raise refused(
            f"{name} is {show(given)}, the model reads {' × '.join(wanted)} ({' × '.join(['T', *space, 'C'])})",
            help=f"give the {frames} frames before the forecast, in physical units",
        )
    check_finite(array, name)
    return array.astype(np.float32)


def _sizes(trained: TrainedRun) -> list[str]:
    """Return the lengths that spatial axes must have: `64`, or `64 or more` where frames are read in tiles."""
    count = len(trained.data.source.space)
    read = (past_input(trained.graph) or (None,) * (count + 1))[-1 - count : -1]
    if trained.data.crop is None:
        return ["any" if size is None else str(size) for size in read]
    return [f"{size} or more" for size in trained.data.crop_shape((0,) * count)]


def _fits(wanted: str, length: int) -> bool:
    number, _, more = wanted.partition(" ")
    return number == "any" or length == int(number) or (bool(more) and length > int(number))


def _array(path: Path, trained: TrainedRun) -> Array:
    try:
        container = NpyFile(path) if path.suffix == ".npy" else NpzFile(path)
        stored = container.array(_key(path, container.names(), trained)).array
        label = f"{path}, {show(stored.shape)}"
        check_memory(prod(stored.shape) * (stored.dtype.itemsize + 4), f"{label},", "give only the past frames")
        if stored.dtype.hasobject:
            raise refused(f"{path} holds pickled Python objects, which are never loaded")
        return stored[(slice(None),) * len(stored.shape)]
    except SourceError as error:
        reason = f": {error.reason}" if error.reason else ""
        raise refused(f"{path} cannot be read: {error.message}{reason}", help=error.help) from error


def _key(path: Path, keys: tuple[str, ...], trained: TrainedRun) -> str:
    if len(keys) < 2:
        return "".join(keys)
    wanted = trained.data.source.key or "past"
    if wanted not in keys:
        raise refused(f"{path} has no array {wanted}", help=f"it has {', '.join(keys)}; call the past frames {wanted}")
    return wanted
