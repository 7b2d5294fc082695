"""Leaks: the same frames in two splits, under different names."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.data.samples.windows import Stretch, WindowSet
from specbuild.data.sources.base import FrameSource
from specbuild.language import Spec

MOST = 512
"""Events of an array that are compared from each split; of more events, as many, evenly spread."""
MOST_CLIPS = 256
"""The same for clips, whose frames have to be decoded."""


def check_leaks(spec: Spec, source: FrameSource, splits: dict[str, WindowSet]) -> None:
    """Refuse events or files that are the same, frame by frame, in two splits.

    Their first and last frames are compared, and the whole where these agree. Events without any variation, such as
    dry hours, pass. One record that is split in time has nothing to compare, nor have files of one frame each.

    Raises:
        SpecError: naming the two.
    """
    if len(splits) < 2 or (len(source.metadata.parts) < 2 and source.events < 2):
        return
    seen: dict[bytes, list[tuple[str, Stretch]]] = {}
    for split, windows in splits.items():
        for stretch in _compared(source, windows):
            key = _key(source, stretch)
            if key is None:
                continue
            for other, same in seen.setdefault(key, []):
                if other != split and _equal(source, stretch, same):
                    names = f"{_name(source, same)} in {other} and {_name(source, stretch)} in {split}"
                    raise spec.error(
                        ("data", "split"),
                        f"{names} are the same frames",
                        reason="what a model has seen in training says nothing about how it forecasts",
                        help="take one of the two away",
                        code="leak",
                    )
            seen[key].append((split, stretch))


def _compared(source: FrameSource, windows: WindowSet) -> list[Stretch]:
    """Return the whole events, or the whole files, of a split; among files those of equal size, else a sample."""
    parts = source.metadata.parts
    if source.events > 1:
        whole = [stretch for stretch in windows.stretches if len(stretch.frames) == source.lengths[stretch.event]]
    else:
        inside = [stretch.frames for stretch in windows.stretches]
        whole = [
            Stretch(0, part.frames)
            for part in parts
            if len(part.frames) > 1
            and any(frames.start <= part.frames.start and part.frames.stop <= frames.stop for frames in inside)
        ]
    if parts and all(part.size is not None for part in parts):
        sizes = Counter(part.size for part in parts)
        files = [(stretch, source.metadata.part_of(stretch.event, stretch.frames.start)) for stretch in whole]
        return [stretch for stretch, part in files if part is None or sizes[part.size] > 1]
    return whole[:: max(1, -(-len(whole) // (MOST_CLIPS if parts else MOST)))]


def _key(source: FrameSource, stretch: Stretch) -> bytes | None:
    """Return a key from length, first and last frame, which few events share; None if these frames are constant."""
    ends = [_frame(source, stretch, number) for number in (0, -1)]
    values = np.nan_to_num(np.concatenate(ends))
    if values.min() == values.max():
        return None
    return hashlib.blake2b(values.tobytes() + len(stretch.frames).to_bytes(8), digest_size=16).digest()


def _equal(source: FrameSource, stretch: Stretch, other: Stretch) -> bool:
    return len(stretch.frames) == len(other.frames) and all(
        np.array_equal(_frame(source, stretch, number), _frame(source, other, number), equal_nan=True)
        for number in range(len(stretch.frames))
    )


def _frame(source: FrameSource, stretch: Stretch, number: int) -> Floats:
    frame = stretch.frames[number]
    return source.read(stretch.event, range(frame, frame + 1))


def _name(source: FrameSource, stretch: Stretch) -> str:
    part = source.metadata.part_of(stretch.event, stretch.frames.start)
    if part is None:
        return f"event {stretch.event}"
    return part.name if len(part.events) == 1 else f"event {stretch.event - part.events.start} of {part.name}"
