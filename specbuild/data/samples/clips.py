"""Clips and their classes: the data of a spec with `target: class`, opened and checked against its model.

Clips lie in folders by class, `clips/<class>/<clip>`, where a clip is a folder of frames or a video.

Shapes: P frames of a clip, C channels, B samples, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.samples.base import SampleSet
from specbuild.data.samples.layout import sample_layout
from specbuild.data.samples.sampler import Sample
from specbuild.data.samples.windows import Stretch
from specbuild.data.sources.base import FrameMetadata, FrameSource, Region
from specbuild.data.sources.clip import clip_array
from specbuild.data.sources.coarsen import coarsened
from specbuild.data.sources.errors import FileError
from specbuild.data.sources.files import located, natural_order
from specbuild.data.sources.frame_folder import check_order, find_clips
from specbuild.data.sources.packing import Packing
from specbuild.data.transforms.fit import fit_transform
from specbuild.data.transforms.pipeline import Transform
from specbuild.graph import Graph
from specbuild.graph.data_checks import output_fault
from specbuild.language import Spec
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.target import ClassTarget

LabelCode: TypeAlias = Literal["number", "yes or no", "one of each"]


def open_clips(spec: Spec, graph: Graph, *, transform: Mapping[str, Any] | None = None) -> ClipDataset:
    """Open clips in folders by class, and fit the transform on the training clips.

    Args:
        transform: the state of a transform fitted before, which is then used as it is.

    Raises:
        SpecError: fewer than two classes, clips that cannot be read, differ in size or type or do not fit the model, a
            split or a class without any.
    """
    section = spec.require_data()
    target = section.target
    assert target is not None
    with located(spec):
        source, labels, classes, names = _open_folders(spec.resolve_path(section.source.path), section)
    layout = sample_layout(spec, section, graph, source)
    _check_units(spec, graph, len(classes))
    shares = {name: part for name, part in section.split.parts.items() if isinstance(part, float)}
    splits = stratified(labels, shares, target.seed)
    _check_splits(spec, labels, classes, splits)
    if transform is not None:
        fitted = Transform.from_state(transform)
        fitted.check_fits(section.transform, source.channels)
    else:
        train = tuple(Stretch(clip, range(source.lengths[clip])) for clip in splits["train"])
        fitted = fit_transform(spec, section, source, train, in_time=False)
    code = _label_code(spec, graph)
    return ClipDataset(section, source, splits, fitted, layout, target, labels, classes, code, names)


@dataclass(frozen=True)
class ClipDataset(SampleSet[tuple[int, ...]]):
    """Clips and their classes; a split lists its clips by number."""

    target: ClassTarget
    labels: tuple[int, ...]
    """The number of the class of each clip."""
    classes: tuple[str, ...]
    """Names of the classes, in the order of their numbers."""
    code: LabelCode
    """How a class is encoded for the loss: its `number`; `yes or no`, 1 for the second of two; or `one of each`,
    which is a 1 at its place among zeros."""
    names: tuple[str, ...]
    """The class and the file or folder of each clip: `walking/person07.avi`."""

    @property
    def counted(self) -> str:
        return "clips"

    def sample(self, clip: int, random: np.random.Generator | None) -> tuple[Floats, Floats]:
        """Return a clip as the model reads it, (P, *crop, C), and its class as the loss reads it, (1,) or (K,).

        Without `random` the frames come from the middle and so does the crop, the same every time, and nothing is
        augmented.
        """
        x = self.transform.apply(self.read(clip, random))
        if self.augmentation is not None and random is not None:
            x = self.augmentation.draw(random).frames(self.augmentation.noisy(x, random))
        return self.transform.fill_missing(x), self._coded(self.labels[clip])

    def read(self, clip: int, random: np.random.Generator | None = None) -> Floats:
        """Return the frames of a clip that the model reads, (P, *crop, C), before any transform."""
        frames = _FRAMES[self.target.sampling](
            self.source.lengths[clip], self.section.windows.past, self.section.windows.step, random
        )
        region = self._region(random)
        pixels = [self.source.read(clip, range(frame, frame + 1), region) for frame in frames]
        return np.concatenate(pixels)

    def _sample(self, clip: int, _region: Region, random: np.random.Generator | None) -> Sample:
        return (*self.sample(clip, random), None)

    def _region(self, random: np.random.Generator | None) -> Region:
        room = [length - size for length, size in zip(self.source.space, self.layout.crop, strict=True)]
        corner = [left // 2 if random is None else int(random.integers(0, left + 1)) for left in room]
        return tuple(slice(start, start + size) for start, size in zip(corner, self.layout.crop, strict=True))

    def _coded(self, label: int) -> Floats:
        if self.code == "one of each":
            return np.array([number == label for number in range(len(self.classes))], np.float32)
        return np.array([label], np.float32)


def even_frames(length: int, count: int, _step: int, random: np.random.Generator | None) -> list[int]:
    """Return one frame of each of `count` equal parts of a clip: a random one, or the middle one.

    Wang et al. (2016), Temporal Segment Networks, arXiv 1608.00859. A clip of fewer frames shows some twice.
    """
    within: npt.NDArray[np.float64] = np.full(count, 0.5) if random is None else random.random(count)
    frames: list[int] = np.minimum((np.arange(count) + within) * length / count, length - 1).astype(int).tolist()
    return frames


def stretch_frames(length: int, count: int, step: int, random: np.random.Generator | None) -> list[int]:
    """Return every `step`-th frame from a random start, or around the middle; a short clip repeats its last frame."""
    room = max(length - (count - 1) * step, 1)
    first = (room - 1) // 2 if random is None else int(random.integers(0, room))
    return [min(first + number * step, length - 1) for number in range(count)]


_FRAMES = {"even": even_frames, "stretch": stretch_frames}


def _open_folders(
    path: Path, data: DataSection
) -> tuple[FrameSource, tuple[int, ...], tuple[str, ...], tuple[str, ...]]:
    """Open the clips below a folder, as events: their headers are read, their frames not yet.

    Returns:
        The clips, the number of the class of each, the names of the classes, and those of the clips.
    """
    check_order(data.source)
    if not path.is_dir():
        raise FileError(
            f"{data.source.path} is not a folder", help="name the folder that has a subfolder for each class"
        )
    folders = [entry for entry in natural_order(path.iterdir()) if entry.is_dir()]
    if len(folders) < 2:
        raise FileError(
            f"{data.source.path} holds {'1 class' if folders else 'no classes'}",
            reason="each subfolder is a class, and each folder or video in it is a clip",
            help="put the clips of each class into a folder of its own",
        )
    classes = [find_clips(folder, events=True) for folder in folders]
    clips = tuple(clip for members in classes for clip in members)
    labels = tuple(label for label, members in enumerate(classes) for _ in members)
    array, packing = clip_array(clips, data.source).in_packing(
        Packing().overridden(data.scale, data.offset, data.missing)
    )
    metadata = FrameMetadata(path.name, data.source.axes, packing=packing, lengths=tuple(map(len, clips)))
    source = FrameSource(array, metadata)
    if data.source.coarsen is not None:
        source = coarsened(source, data.source.coarsen)
    names = tuple(
        f"{folder.name}/{clip.name.rstrip('/')}"
        for folder, members in zip(folders, classes, strict=True)
        for clip in members
    )
    return source, labels, tuple(folder.name for folder in folders), names


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


def _label_code(spec: Spec, graph: Graph) -> LabelCode:
    loss = spec.train.loss_of(graph.outputs[0].name)
    if loss is not None and "sparse" in loss.name.replace("_", "").lower():
        return "number"
    return "yes or no" if graph.outputs[0].shape == (1,) else "one of each"


def _check_units(spec: Spec, graph: Graph, classes: int) -> None:
    output = graph.outputs[0]
    units = output.shape[0]
    if units not in (None, classes) and (units, classes) != (1, 2):
        raise output_fault(
            spec,
            graph,
            f"the output {output.name} has {units} units, the clips have {classes} classes",
            help=f"end the model with {classes} units",
        )


def _check_splits(
    spec: Spec, labels: tuple[int, ...], classes: tuple[str, ...], splits: dict[str, tuple[int, ...]]
) -> None:
    counts = [labels.count(label) for label in range(len(classes))]
    trained = {labels[clip] for clip in splits["train"]}
    for label, name in enumerate(classes):
        if label not in trained:
            raise spec.error(
                ("data", "split", "train"),
                f"the class {name} has no clip to train on",
                reason=f"it has {counts[label]}",
                help="give training a larger share, or bring more clips",
                code="too-few-frames",
            )
    for split, numbers in splits.items():
        if not numbers:
            raise spec.error(
                ("data", "split", split),
                f"no clip falls into {split}",
                reason=f"the smallest class has {min(counts)} clips, and each class is split by itself",
                help="give that split a larger share, or bring more clips",
                code="too-few-frames",
            )
