"""Clips and their classes: the data of a spec with `target: class`, opened and checked against its model.

Shapes: P frames of a clip, C channels, B samples, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.samples.augment import Augmentation
from specbuild.data.samples.layout import SampleLayout, turn_faults
from specbuild.data.samples.sampler import Sample, Sampler
from specbuild.data.samples.splits import split_called
from specbuild.data.samples.windows import Stretch
from specbuild.data.section import data_section
from specbuild.data.sources.base import FrameSource, Region
from specbuild.data.sources.class_folders import LabelledClips, open_labelled, stratified
from specbuild.data.transforms.fit import fit_transform
from specbuild.data.transforms.pipeline import Transform
from specbuild.document import SpecError
from specbuild.graph.data_checks import class_faults, output_fault
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.target import ClassTarget

if TYPE_CHECKING:
    from specbuild.graph import Graph
    from specbuild.language import Spec


Code: TypeAlias = Literal["number", "yes or no", "one of each"]


def open_clips(spec: Spec, graph: Graph, *, transform: Mapping[str, Any] | None = None) -> ClipDataset:
    """Opens clips in folders by class, and fits the transform on the training clips.

    Args:
        transform: the state of a transform fitted before, which is then used as it is.

    Raises:
        SpecError: clips that cannot be read or do not fit the model, a split or a class without any.
    """
    data = data_section(spec)
    assert data.target is not None
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        message = f"a classifier of clips has 1 input and 1 output, got {len(graph.inputs)} and {len(graph.outputs)}"
        raise spec.error(("outputs" if len(graph.inputs) == 1 else "inputs",), message, code="data-shape")
    labelled = open_labelled(spec)
    source = labelled.source
    crop = tuple(int(size or 0) for size in data.crop_shape(source.space))
    found = [*class_faults(spec, graph, source.space, source.channels), *turn_faults(spec, crop)]
    if found:
        raise SpecError(diagnostic for error in found for diagnostic in error.diagnostics)
    _check_units(spec, graph, len(labelled.classes))
    shares = {name: part for name, part in data.split.parts.items() if isinstance(part, float)}
    splits = stratified(labelled.labels, shares, data.target.seed)
    _check_splits(spec, labelled, splits)
    code = _code(spec, graph)
    if transform is not None:
        fitted = Transform.from_state(transform)
    else:
        train = tuple(Stretch(clip, range(source.lengths[clip])) for clip in splits["train"])
        fitted = fit_transform(spec, data, source, train, in_time=False)
    return ClipDataset(data, data.target, source, labelled, splits, fitted, SampleLayout(crop), code)


@dataclass(frozen=True)
class ClipDataset:
    """Clips, their classes and splits, and the transform from physical units to what the model reads."""

    section: DataSection
    target: ClassTarget
    source: FrameSource
    clips: LabelledClips
    splits: dict[str, tuple[int, ...]]
    """The clips of each split, by number."""
    transform: Transform
    layout: SampleLayout
    code: Code
    """How a class is told to the loss: its `number`, `yes or no` (1 for the second of two), or `one of each`, which is
    a 1 at its place among zeros."""

    @property
    def counted(self) -> str:
        """What the samples of a split are, for the line that counts them."""
        return f"{len(self.classes)} classes; clips"

    def notes(self) -> tuple[str, ...]:
        """What training says of the data when it ends: nothing."""
        return ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers."""
        return self.clips.classes

    def of(self, split: str) -> tuple[int, ...]:
        """The clips of a split.

        Raises:
            RunError: the spec has no such split.
        """
        return split_called(self.splits, split)

    def sampler(
        self, split: str, batch_size: int, seed: int, steps: int | None = None, *, shuffle: bool | None = None
    ) -> Sampler:
        """Batches of a split: x (B, P, *crop, C), y (B, 1) or (B, K), and no weights.

        In training they are shuffled (by default), with drawn frames and crops.
        """
        clips = self.of(split)

        def sample(number: int, _region: Region, random: np.random.Generator | None) -> Sample:
            return (*self.sample(clips[number], random), None)

        shuffled = split == "train" if shuffle is None else shuffle
        return Sampler(len(clips), batch_size, seed, steps, shuffled, (), (), sample)

    def sample(self, clip: int, random: np.random.Generator | None) -> tuple[Floats, Floats]:
        """A clip as the model reads it (P, *crop, C), and its class as the loss reads it.

        Without `random` the frames come from the middle and so does the crop, the same every time, and nothing is
        augmented.
        """
        frames = _FRAMES[self.target.sampling](
            self.source.lengths[clip], self.section.windows.past, self.section.windows.step, random
        )
        region = self._region(random)
        pixels = np.concatenate([self.source.read(clip, range(frame, frame + 1), region) for frame in frames])
        x = self.transform.apply(pixels)
        if self.section.augment is not None and random is not None:
            augmentation = Augmentation(self.section.augment, self.section.source.space)
            x = augmentation.draw(random).frames(augmentation.noisy(x, random))
        return self.transform.fill_missing(x), self._coded(self.clips.labels[clip])

    def _region(self, random: np.random.Generator | None) -> Region:
        room = [length - size for length, size in zip(self.source.space, self.layout.crop, strict=True)]
        corner = [left // 2 if random is None else int(random.integers(0, left + 1)) for left in room]
        return tuple(slice(start, start + size) for start, size in zip(corner, self.layout.crop, strict=True))

    def _coded(self, label: int) -> Floats:
        if self.code == "one of each":
            one_of_each: Floats = np.eye(len(self.classes), dtype=np.float32)[label]
            return one_of_each
        return np.array([label], np.float32)


def even_frames(length: int, count: int, _step: int, random: np.random.Generator | None) -> list[int]:
    """One frame of each of `count` equal parts of a clip: a drawn one, or the middle one.

    Wang et al. (2016), Temporal Segment Networks, arXiv 1608.00859. A clip of fewer frames shows some twice.
    """
    within: npt.NDArray[np.float64] = np.full(count, 0.5) if random is None else random.random(count)
    frames: list[int] = np.minimum((np.arange(count) + within) * length / count, length - 1).astype(int).tolist()
    return frames


def stretch_frames(length: int, count: int, step: int, random: np.random.Generator | None) -> list[int]:
    """Every `step`-th frame from a drawn place on, or around the middle; a clip that ends before shows its last one."""
    room = max(length - (count - 1) * step, 1)
    first = (room - 1) // 2 if random is None else int(random.integers(0, room))
    return [min(first + number * step, length - 1) for number in range(count)]


_FRAMES = {"even": even_frames, "stretch": stretch_frames}


def _code(spec: Spec, graph: Graph) -> Code:
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


def _check_splits(spec: Spec, labelled: LabelledClips, splits: dict[str, tuple[int, ...]]) -> None:
    counts = [labelled.labels.count(label) for label in range(len(labelled.classes))]
    trained = {labelled.labels[clip] for clip in splits["train"]}
    for label, name in enumerate(labelled.classes):
        if label not in trained:
            raise spec.error(
                ("data", "split", "train"),
                f"the class {name} has no clip to train on",
                reason=f"it has {counts[label]}",
                help="give training a larger share, or bring more clips",
                code="too-few-frames",
            )
    for split, clips in splits.items():
        if not clips:
            raise spec.error(
                ("data", "split", split),
                f"no clip falls into {split}",
                reason=f"the smallest class has {min(counts)} clips, and each class is split by itself",
                help="give that split a larger share, or bring more clips",
                code="too-few-frames",
            )
