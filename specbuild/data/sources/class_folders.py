"""Clips in folders by class: `clips/<class>/<clip>`, where a clip is a folder of frames or a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from specbuild.data.section import data_section
from specbuild.data.sources.base import ArraySource, Packing, SourceError
from specbuild.data.sources.clip import Clip, clip_array
from specbuild.data.sources.frame_folder import check_order, find_clips
from specbuild.data.sources.located import located
from specbuild.data.sources.patterns import natural
from specbuild.data.sources.video import DecoderPool
from specbuild.language.sections.data import DataSection

if TYPE_CHECKING:
    from specbuild.language import Spec


@dataclass(frozen=True, slots=True)
class LabelledClips:
    """Clips as the events of a source, each with its name and the number of its class."""

    source: ArraySource
    names: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]


def open_labelled(spec: Spec) -> LabelledClips:
    """The clips below the folder of `data.source`; their headers are read, their frames not yet.

    Raises:
        SpecError: fewer than two classes, clips that differ in size or type, a file that cannot be read.
    """
    data = data_section(spec)
    with located(spec):
        return _labelled(spec.resolve_path(data.source.path), data)


def _labelled(path: Path, data: DataSection) -> LabelledClips:
    check_order(data.source)
    if not path.is_dir():
        raise SourceError(
            "path", f"{data.source.path} is no folder", help="name the folder that has one for each class"
        )
    folders = sorted((one for one in path.iterdir() if one.is_dir() and not one.name.startswith(".")), key=natural)
    if len(folders) < 2:
        raise SourceError(
            "path",
            f"{data.source.path} holds {'1 class' if folders else 'no classes'}",
            reason="each of its folders is a class, and each folder or video in that a clip",
            help="put the clips of each class into a folder of its own",
        )
    pool = DecoderPool()
    clips: list[Clip] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        found = find_clips(folder, events=True, pool=pool)
        clips += found
        labels += [label] * len(found)
    names = tuple(f"{folders[label].name}/{clip.name}" for label, clip in zip(labels, clips, strict=True))
    array = clip_array(tuple(clips), data.source)
    packing = Packing(1.0 if data.scale is None else data.scale, data.offset or 0.0, data.missing)
    source = ArraySource(
        path.name, array, data.source.axes, data.source.space, packing, uneven=tuple(len(clip) for clip in clips)
    )
    return LabelledClips(source, names, tuple(labels), tuple(folder.name for folder in folders))


def stratified(labels: tuple[int, ...], shares: dict[str, float], seed: int) -> dict[str, tuple[int, ...]]:
    """The clips of each split: of every class, in an order drawn from the seed, so many as the split's share says.

    What whole clips leave over goes to the splits that lack most; a class with a clip for every split gives each one.
    """
    found: dict[str, list[int]] = {name: [] for name in shares}
    for label in sorted(set(labels)):
        clips = [number for number, one in enumerate(labels) if one == label]
        order = np.random.default_rng((seed, label)).permutation(clips).tolist()
        for name, count in _counts(len(order), shares).items():
            found[name] += order[:count]
            del order[:count]
    return {name: tuple(sorted(clips)) for name, clips in found.items()}


def _counts(clips: int, shares: dict[str, float]) -> dict[str, int]:
    counts = {name: int(share * clips + 1e-9) for name, share in shares.items()}
    left = int(sum(shares.values()) * clips + 0.5) - sum(counts.values())
    for name in sorted(shares, key=lambda name: counts[name] - shares[name] * clips)[:left]:
        counts[name] += 1
    for name in (name for name in shares if not counts[name] and clips >= len(shares)):
        counts[max(counts, key=lambda other: counts[other])] -= sum(counts.values()) == clips
        counts[name] = 1
    return counts
