"""A data section for files that nobody has described yet: what is in them, as far as they tell."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from specbuild.catalog.sources import protocol_of
from specbuild.data.arrays import Array
from specbuild.data.sources import FrameSource, open_source
from specbuild.data.sources.base import StoredArray
from specbuild.data.sources.errors import SourceError
from specbuild.data.sources.file import Container, array_container
from specbuild.data.sources.files import array_files, is_pattern, is_pictures, matches, natural_order, picture_kind
from specbuild.data.sources.images import read_header
from specbuild.data.sources.remote import AnyFile, remote_files
from specbuild.data.time.intervals import usual_step
from specbuild.document import RunError
from specbuild.language import load_spec
from specbuild.language.sections.name_time import GUESSED, guessed_format

LOOKED_AT = 24
"""Frames that are read, spread over the data."""
LONGEST = 6
"""Past frames, and future frames, of a window."""
CROPPED = 64
"""Side of the part of a frame that a model reads where frames are larger than `WHOLE`."""
WHOLE = 96
FEW = 4
"""Length of an axis up to which it is taken for one of channels."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a spec could say of files. `remarks` are what a user should look at, by key of `data`."""

    source: dict[str, Any]
    frames: FrameSource
    interval: str
    window: int
    """Past frames, and future frames, of a window."""
    crop: int | None
    transform: tuple[str, ...]
    missing: float | None
    """A raw value that seems to mark missing data."""
    share_missing: float
    least: float
    greatest: float
    remarks: dict[str, str] = field(default_factory=dict)


def propose(path: str) -> Proposal:
    """Look at a file, a folder, a pattern or a URL.

    Raises:
        RunError: there is nothing to read, or too little for one window of each split.
        SpecError: the files cannot be read.
    """
    remarks: dict[str, str] = {}
    try:
        source = _source(path, remarks)
    except SourceError as error:
        raise RunError(error.message, "; ".join(filter(None, (error.reason, error.help)))) from error
    frames = _opened(source)
    if not frames.metadata.clocks and frames.metadata.name_format and "time" not in source:
        source["time"] = {"from": "name", "format": frames.metadata.name_format}
        frames = _opened(source)
    raw, values = _sample(frames)
    missing = _code(raw, frames, remarks)
    known = values[np.isfinite(values)] if missing is None else values[np.isfinite(values) & (raw != missing)]
    times = frames.times(0)
    step = None if times is None else usual_step(times)
    space = frames.space
    return Proposal(
        source,
        frames,
        "" if step is None else step.times(1),
        _window(frames),
        CROPPED if space and max(space) > WHOLE and min(space) >= CROPPED else None,
        _transform(known),
        missing,
        1 - known.size / values.size,
        float(known.min()) if known.size else math.nan,
        float(known.max()) if known.size else math.nan,
        remarks,
    )


def _source(path: str, remarks: dict[str, str]) -> dict[str, Any]:
    """Return the section of a source: the path, the array, its layout and where its times are."""
    if protocol_of(path):
        files: list[AnyFile] = list(remote_files(path, {}))
        return {"path": path, **_arrays(files, remarks)}
    place = Path(path).expanduser()
    if is_pictures(place) and (place.exists() or is_pattern(place)):
        return {"path": path, **_pictures(place)}
    return {"path": path, **_arrays(list(array_files(place, path)), remarks)}


def _pictures(place: Path) -> dict[str, Any]:
    """Return the layout of pictures: sub-folders, or several videos, are events."""
    entries = matches(place) if is_pattern(place) else natural_order(place.iterdir()) if place.is_dir() else [place]
    files = [entry for entry in entries if entry.is_file() and picture_kind(entry)]
    folders = [entry for entry in entries if entry.is_dir()]
    inside = files or [file for folder in folders for file in natural_order(folder.iterdir()) if picture_kind(file)]
    if picture_kind(inside[0]) == "videos":
        return {"layout": "N T H W" if len(inside) > 1 else "T H W", "color": "gray"}
    try:
        channels = read_header(inside[0]).channels
    except ValueError as error:
        raise SourceError("path", f"{inside[0].name} is not an image that can be read", reason=str(error)) from error
    events = "N " if not files and len(folders) > 1 else ""
    section: dict[str, Any] = {"layout": f"{events}T H W{' C' if channels > 1 else ''}"}
    form = guessed_format([file.name for file in inside[:GUESSED]]) if len(inside) > 1 else ""
    return {**section, "time": {"from": "name", "format": form}} if form else section


def _arrays(files: list[AnyFile], remarks: dict[str, str]) -> dict[str, Any]:
    """Return the array of files, its layout and its times, from the first file."""
    container = array_container(files[0])
    names = container.names()
    stored = {name: container.array(name) for name in names or ("",)}
    numbers = {name: array for name, array in stored.items() if array.array.dtype.kind in "biuf"}
    if not numbers:
        raise SourceError("path", f"{files[0].name} holds no array of numbers")
    most = max(len(array.array.shape) for array in numbers.values())
    key = max(numbers, key=lambda name: (len(numbers[name].array.shape) == most, math.prod(numbers[name].array.shape)))
    array = numbers[key]
    section: dict[str, Any] = {"key": key} if len(names) > 1 else {}
    others = [name for name in numbers if name != key and numbers[name].array.shape == array.array.shape]
    if others:
        remarks["key"] = f"also in the file: {', '.join(others[:8])}; variables: [{key}, …] reads several"
    several = len(files) > 1
    form = guessed_format([file.name for file in files[:GUESSED]]) if several and array.moment is None else ""
    frame_each = bool(form) or (several and array.moment is not None) or (not several and array.moment is not None)
    if array.dims:
        layout, select = _named_layout(array, frame_each, remarks)
        timed = array.coordinate(layout.get("T", "")).values is not None
        section |= {"layout": layout, **({"select": select} if select else {})}
    else:
        section["layout"] = _letters(array, frame_each, remarks)
        times = _times(container, names, array, section["layout"])
        timed = bool(times)
        section |= {"time": times} if times else {}
    if form and not timed:
        section["time"] = {"from": "name", "format": form}
    return section


def _named_layout(
    array: StoredArray, frame_each: bool, remarks: dict[str, str]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the dimension of each axis, and a value of each dimension that is none."""
    layout: dict[str, str] = {}
    left = []
    for name, length in array.sizes.items():
        letter = array.coordinate(name).letter
        if letter and letter not in layout and letter != "D" and (letter != "N" or length > 1):
            layout[letter] = name
        elif length > 1:
            left.append(name)
    unknown = [name for name in left if not array.coordinate(name).letter]
    if "T" not in layout:
        layout["T"] = "time" if frame_each else unknown.pop(0) if unknown else array.dims[0]
    space = [letter for letter in "HW" if letter not in layout]
    if len(unknown) >= len(space):
        layout |= dict(zip(space, unknown[len(unknown) - len(space) :], strict=True))
    elif len(space) == 1:
        layout["L"] = layout.pop("HW".replace(space[0], ""))
    ordered = {letter: layout[letter] for letter in "NTDHWLC" if letter in layout}
    select = {}
    for name in (name for name in left if name not in layout.values()):
        values = array.coordinate(name).values
        select[name] = 0 if values is None else values[0].item()
        remarks["select"] = f"one of {array.sizes[name]} values of {name}"
    return ordered, select


def _letters(array: StoredArray, frame_each: bool, remarks: dict[str, str]) -> str:
    """Return the axes of an array without names, as far as their lengths tell."""
    shape = array.array.shape
    if frame_each:
        shape = (1, *shape)
    channels = "C" if len(shape) > 3 and shape[-1] <= FEW else ""
    count = len(shape) - len(channels)
    if not 1 <= count <= 4:
        raise SourceError(
            "layout", f"an array with {len(shape)} axes does not hold frames", help="write the data section by hand"
        )
    letters = ["T", *{1: (), 2: ("L",), 3: ("H", "W"), 4: ("H", "W")}[count]]
    if count == 4:
        letters.insert(1 if shape[1] > shape[0] else 0, "N")
    remarks["layout"] = f"guessed from the shape {' × '.join(map(str, array.array.shape))}"
    return " ".join([*letters, *channels])


def _times(container: Container, names: tuple[str, ...], array: StoredArray, layout: str) -> str:
    """Return the array with the times of frames: one of their number, with a name that says so; else empty."""
    axes = layout.split()
    if len(axes) != len(array.array.shape):
        return ""
    length = array.array.shape[axes.index("T")]
    likely = [name for name in names if re.search("time|date", name, re.I)]
    return next((name for name in likely if container.array(name).array.shape == (length,)), "")


def _opened(source: dict[str, Any]) -> FrameSource:
    text = source | ({} if protocol_of(source["path"]) else {"path": str(Path(source["path"]).expanduser().absolute())})
    document = {
        "specbuild": 1,
        "inputs": {"frames": [None, None, None, 1]},
        "layers": [{"layer": "Conv3D", "filters": 1, "kernel_size": 1}],
        "data": {"source": _escaped(text), "windows": {"past": 1, "future": 1}},
    }
    return open_source(load_spec(yaml.safe_dump(document, sort_keys=False)))


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    return value.replace("$", "$$") if isinstance(value, str) else value


def _sample(frames: FrameSource) -> tuple[Array, Array]:
    """Return some frames, raw and in physical units."""
    places = [(event, frame) for event, length in enumerate(frames.lengths) for frame in range(length)]
    chosen = places[:: max(1, len(places) // LOOKED_AT)][:LOOKED_AT]
    raw = np.stack([frames.raw(event, frame) for event, frame in chosen])
    return raw, frames.metadata.packing.unpack(raw)


def _code(raw: Array, frames: FrameSource, remarks: dict[str, str]) -> float | None:
    """Return a raw value that seems to mean missing: the greatest of its type, or -999…, far from all others."""
    if frames.metadata.packing.missing:
        return None
    numbers = raw[np.isfinite(raw)] if raw.dtype.kind == "f" else raw
    values, counts = np.unique(numbers, return_counts=True)
    if len(values) < 3:
        return None
    span = float(values[-2]) - float(values[1])
    ends = {-1: float(values[-1]) - float(values[-2]), 0: float(values[1]) - float(values[0])}
    for end, gap in ends.items():
        value = float(values[end])
        typical = (
            value in (255, 65535, 32767) if end else re.fullmatch(r"-(9{2,}|32768|32767).*", f"{value:g}") is not None
        )
        if typical and (gap > 0.05 * span or counts[end] > 0.02 * numbers.size):
            share = 100 * counts[end] / numbers.size
            remarks["missing"] = f"{share:.3g} % of the values looked at; remove it if this is an ordinary value"
            return value
    return None


def _transform(known: Array) -> tuple[str, ...]:
    """Return the steps for values: a logarithm first where most of them are near 0 and none is below."""
    if not known.size or known.min() == known.max():
        return ()
    skewed = known.min() >= 0 and np.mean(known) < 0.1 * known.max()
    return ("log1p", "standardize") if skewed else ("standardize",)


def _window(frames: FrameSource) -> int:
    """Return the longest past and future, of equal length, of which each split of 0.6, 0.2 and 0.2 has a window."""
    for count in range(LONGEST, 0, -1):
        usable = frames.length - 2 * (2 * count - 1)
        if (min(frames.lengths) >= 2 * count and frames.events >= 5) or int(0.2 * usable) >= 2 * count:
            return count
    raise RunError(
        f"{frames.name} has {frames.length} frames, too few to train, validate and test on", "use a longer record"
    )
