"""Clips in folders by class: `clips/<class>/<clip>`, where a clip is a folder of frames or a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from specbuild.data.sources.base import FrameMetadata, FrameSource, Packing, SourceError
from specbuild.data.sources.clip import FrameClip, clip_array
from specbuild.data.sources.files import located, natural_order
from specbuild.data.sources.frame_folder import check_order, find_clips
from specbuild.language import Spec
from specbuild.language.sections.data import DataSection


@dataclass(frozen=True, slots=True)
class LabelledClips:
    """Clips as the events of a source, each with its name and the number of its class."""

    source: FrameSource
    names: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]


def open_labelled(spec: Spec) -> LabelledClips:
    """Open the clips below the folder of `data.source`; their headers are read, their frames not yet.

    Raises:
        SpecError: fewer than two classes, clips that differ in size or type, a file that cannot be read.
    """
    data = spec.require_data()
    with located(spec):
        return _labelled(spec.resolve_path(data.source.path), data)


def _labelled(path: Path, data: DataSection) -> LabelledClips:
    check_order(data.source)
    if not path.is_dir():
        raise SourceError(
            "path", f"{data.source.path} is no folder", help="name the folder that has one for each class"
        )
    folders = [entry for entry in natural_order(path.iterdir()) if entry.is_dir()]
    if len(folders) < 2:
        raise SourceError(
            "path",
            f"{data.source.path} holds {'1 class' if folders else 'no classes'}",
            reason="each of its folders is a class, and each folder or video in that a clip",
            help="put the clips of each class into a folder of its own",
        )
    clips: list[FrameClip] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        clips += find_clips(folder, events=True)
        labels += [label] * (len(clips) - len(labels))
    names = tuple(f"{folders[label].name}/{clip.name}" for label, clip in zip(labels, clips, strict=True))
    packing = Packing().overridden(data.scale, data.offset, data.missing)
    metadata = FrameMetadata(path.name, data.source.axes, packing=packing, lengths=tuple(map(len, clips)))
    source = FrameSource(clip_array(tuple(clips), data.source), metadata)
    return LabelledClips(source, names, tuple(labels), tuple(folder.name for folder in folders))


def stratified(labels: tuple[int, ...], shares: dict[str, float], seed: int) -> dict[str, tuple[int, ...]]:
    """Draw the clips of each split: of every class, in an order drawn from the seed, the split's share.

    What rounding to whole clips leaves over goes to the splits that lack most. Where a class has a clip for every
    split, each split gets at least one.
    """
    splits: dict[str, list[int]] = {name: [] for name in shares}
    for label in sorted(set(labels)):
        order = np.random.default_rng((seed, label)).permutation(np.flatnonzero(np.equal(labels, label))).tolist()
        for name, count in _counts(len(order), shares).items():
            splits[name] += order[:count]
            del order[:count]
    return {name: tuple(sorted(clips)) for name, clips in splits.items()}


def _counts(clips: int, shares: dict[str, float]) -> dict[str, int]:
    counts = {name: int(share * clips + 1e-9) for name, share in shares.items()}
    left = int(sum(shares.values()) * clips + 0.5) - sum(counts.values())
    for name in sorted(shares, key=lambda name: counts[name] - shares[name] * clips)[:left]:
        counts[name] += 1
    for name in (name for name in shares if not counts[name] and clips >= len(shares)):
        counts[max(counts, key=lambda other: counts[other])] -= sum(counts.values()) == clips
        counts[name] = 1
    return counts
