"""Leaks: the same frames in two splits, under different names."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from specbuild.data.samples.windows import Stretch, WindowSet
from specbuild.data.sources.base import FilePart, FrameSource

if TYPE_CHECKING:
    from specbuild.language import Spec

MOST = 512
"""Events of one array that are compared from each split; of more, so many, evenly spread."""
MOST_CLIPS = 256
"""The same for clips, whose frames have to be decoded."""


def check_leaks(spec: Spec, source: FrameSource, splits: dict[str, WindowSet]) -> None:
    """Refuses events or files that are the same, frame by frame, in two splits.

    Their first and last frames are compared, and the whole where these agree. Events without any variation, such as
    dry hours, are let pass. One record that is split in time has nothing to compare.

    Raises:
        SpecError: naming the two.
    """
    if len(splits) < 2 or (len(source.metadata.parts) < 2 and source.events < 2):
        return
    seen: dict[bytes, list[tuple[str, Stretch]]] = {}
    for name, windows in splits.items():
        for one in _compared(source, windows):
            key = _key(source, one)
            if key is None:
                continue
            for other, same in seen.setdefault(key, []):
                if other != name and _equal(source, one, same):
                    raise spec.error(
                        ("data", "split"),
                        f"{_name(source, same)} in {other} and {_name(source, one)} in {name} are the same frames",
                        reason="what a model has seen in training says nothing about how it forecasts",
                        help="take one of the two away",
                        code="leak",
                    )
            seen[key].append((name, one))


def _compared(source: FrameSource, windows: WindowSet) -> Iterator[Stretch]:
    """The whole events, or the whole files, of a split."""
    if source.events > 1:
        whole = [one for one in windows.stretches if len(one.frames) == source.lengths[one.event]]
    else:
        inside = [one.frames for one in windows.stretches]
        whole = [
            Stretch(0, part.frames)
            for part in source.metadata.parts
            if any(frames.start <= part.frames.start and part.frames.stop <= frames.stop for frames in inside)
        ]
    if all(part.size is not None for part in source.metadata.parts) and source.metadata.parts:
        yield from _of_one_size(source, whole)
        return
    step = max(1, -(-len(whole) // (MOST_CLIPS if source.metadata.parts else MOST)))
    yield from whole[::step]


def _of_one_size(source: FrameSource, whole: list[Stretch]) -> Iterator[Stretch]:
    """Those of files that have as many bytes as another: no others can be the same."""
    sizes = Counter(part.size for part in source.metadata.parts)
    for one in whole:
        part = _part(source, one)
        if part is None or sizes[part.size] > 1:
            yield one


def _key(source: FrameSource, one: Stretch) -> bytes | None:
    """What tells most events apart: length, first and last frame; None where these show nothing."""
    ends = [source.read(one.event, range(at, at + 1)) for at in (one.frames.start, one.frames.stop - 1)]
    values = np.nan_to_num(np.concatenate(ends))
    if values.min() == values.max():
        return None
    digest = hashlib.blake2b(values.tobytes(), digest_size=16)
    digest.update(len(one.frames).to_bytes(8, "little"))
    return digest.digest()


def _equal(source: FrameSource, one: Stretch, other: Stretch) -> bool:
    pairs = zip(one.frames, other.frames, strict=True)
    return all(
        np.array_equal(
            source.read(one.event, range(a, a + 1)), source.read(other.event, range(b, b + 1)), equal_nan=True
        )
        for a, b in pairs
    )


def _name(source: FrameSource, one: Stretch) -> str:
    part = _part(source, one)
    if part is None:
        return f"event {one.event}"
    return part.name if len(part.events) == 1 else f"event {one.event - part.events.start} of {part.name}"


def _part(source: FrameSource, one: Stretch) -> FilePart | None:
    inside = (part for part in source.metadata.parts if one.event in part.events and one.frames.start in part.frames)
    return next(inside, None)
