"""Clips of a classifier's report: those that it classifies worst and best, with frames and probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from specbuild.data.arrays import Floats
from specbuild.data.samples.clips import ClipDataset
from specbuild.document.html import html_table
from specbuild.document.text_table import Column
from specbuild.evaluation.classes import class_of, outputs_of, probabilities_of
from specbuild.pictures.pixels import shrunk
from specbuild.reporting.opened import ReportedRun
from specbuild.reporting.picture import Picture, encoded
from specbuild.reporting.windows import MOST, spread

EACH = 3
"""How many of the worst and of the best clips are shown."""
SIDE = 128
"""Pixels of a frame along its longer side; larger frames are averaged over boxes."""


@dataclass(frozen=True, slots=True)
class ScoredClip:
    """A clip with its true class, the class that the model gives, and the probabilities of both."""

    number: int
    name: str
    true: str
    given: str
    chance_of_true: float
    chance_of_given: float

    @property
    def right(self) -> bool:
        return self.true == self.given

    @property
    def words(self) -> str:
        """What the model says of it: `true: left 5 %; predicted: right 87 %`."""
        if self.right:
            return f"true and predicted: {self.true} {_percent(self.chance_of_true)}"
        predicted = f"{self.given} {_percent(self.chance_of_given)}"
        return f"true: {self.true} {_percent(self.chance_of_true)}; predicted: {predicted}"


@dataclass(frozen=True, slots=True)
class ShownClip:
    """A clip with its first, middle and last frame."""

    clip: ScoredClip
    frames: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class ShownClips:
    """Clips of one run. `missing` is why there are none."""

    title: str
    about: str = ""
    worst: tuple[ShownClip, ...] = ()
    best: tuple[ShownClip, ...] = ()
    every: str = ""
    missing: str = ""


def shown_clips(run: ReportedRun, clips: ClipDataset, title: str) -> ShownClips:
    """Classify clips of the test split, at most 60 evenly spaced ones, and show the worst and the best.

    They are ordered by the probability of their true class.

    Args:
        title: what the run is called on the page; empty where it is the only one.

    Raises:
        SpecbuildError: the model cannot be loaded, or a clip cannot be read.
    """
    split = next(name for name in ("test", "validation", "train") if name in clips.splits)
    numbers = clips.split(split)
    picked = [numbers[place] for place in spread(len(numbers), MOST)]
    scored = sorted(_scored(run, clips, picked), key=lambda clip: clip.chance_of_true)
    many = min(EACH, len(scored) // 2) or 1
    worst, best = scored[:many], scored[max(len(scored) - many, many) :][::-1]
    frames = {clip.number: clips.read(clip.number) for clip in (*worst, *best)}
    drawn = dict(zip(frames, _drawn(frames.values()), strict=True))
    sampled = len(picked) < len(numbers)
    which = f"{len(picked)} of the {len(numbers)} clips, evenly spaced," if sampled else f"All {len(numbers)} clips"
    return ShownClips(
        title,
        f"{which} of the {split} split were classified for this report. Each is shown with the first, middle and last "
        f"of the {clips.section.windows.past} frames that the model reads, and with the probability that the model "
        "gives to the class. The worst have the lowest probability of the true class, the best the highest.",
        tuple(_shown(clip, drawn[clip.number]) for clip in worst),
        tuple(_shown(clip, drawn[clip.number]) for clip in best),
        _table(sorted(scored, key=lambda clip: clip.number)),
    )


def _scored(run: ReportedRun, clips: ClipDataset, numbers: Sequence[int]) -> Iterable[ScoredClip]:
    for number, output in outputs_of(run.trained, clips, numbers):
        label = class_of(run.trained, clips, output)
        chances = probabilities_of(run.trained, clips, output)
        true = clips.labels[number]
        yield ScoredClip(
            number,
            clips.names[number],
            clips.classes[true],
            clips.classes[label],
            float(chances[true]),
            float(chances[label]),
        )


def _shown(clip: ScoredClip, uris: Sequence[str]) -> ShownClip:
    places = ("first", "middle", "last") if len(uris) == 3 else ("first", "last")
    return ShownClip(
        clip,
        tuple(Picture(uri, f"The {place} frame of {clip.name}") for place, uri in zip(places, uris, strict=False)),
    )


def _drawn(clips: Iterable[Floats]) -> list[list[str]]:
    """Return pictures of the first, the middle and the last frame of clips (P, H, W, C), all on one scale.

    Frames of three channels are in color, of others the first channel is shown in gray.
    """
    chosen = [frames[sorted({0, len(frames) // 2, len(frames) - 1})] for frames in clips]
    known = np.concatenate([frames[np.isfinite(frames)] for frames in chosen])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    pictures = []
    for frames in chosen:
        planes = frames if frames.shape[-1] == 3 else frames[..., :1]
        factor = -(-max(planes.shape[1:3]) // SIDE)
        small = np.stack([shrunk(planes[..., channel], factor) for channel in range(planes.shape[-1])], axis=-1)
        shades = np.nan_to_num((small - low) / ((high - low) or 1.0), nan=0.5).clip(0, 1)
        bytes_of = np.rint(255 * shades).astype(np.uint8)
        pictures.append([encoded(Image.fromarray(each if each.shape[-1] == 3 else each[..., 0])) for each in bytes_of])
    return pictures


def _table(scored: Iterable[ScoredClip]) -> str:
    columns = [Column("clip"), Column("true class"), Column("probability", number=True)]
    columns += [Column("predicted class"), Column("probability", number=True), Column("correct")]
    rows = [
        [
            clip.name,
            clip.true,
            f"{clip.chance_of_true:.3f}",
            clip.given,
            f"{clip.chance_of_given:.3f}",
            "yes" if clip.right else "no",
        ]
        for clip in scored
    ]
    return html_table(columns, rows, "All clips that were classified")


def _percent(chance: float) -> str:
    return f"{100 * chance:.0f} %" if 0.01 <= chance <= 0.99 else f"{100 * chance:.2g} %"
