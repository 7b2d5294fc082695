"""Scores of a trained classifier of clips, with its confusion matrix as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from specbuild.data.arrays import Floats
from specbuild.data.samples.clips import ClipDataset
from specbuild.evaluation.class_scores import ClassScores
from specbuild.runs.files import replacing, write_json, write_text
from specbuild.runs.inference import TrainedRun

_DPI = 130
_MOST_NUMBERS = 20
"""Classes up to which the counts are written into the picture."""


def evaluate_classes(trained: TrainedRun, split: str) -> ClassScores:
    """Gives a class to every clip of a split, and writes the scores into the run folder.

    Each clip is read as in validation: frames and crop from the middle. The class with the largest output is given; of
    two classes that one output decides on, the second from 0.5 on (from 0 on where the loss reads logits).

    Raises:
        RunError: the data has no such split.
    """
    clips = trained.clips
    size = trained.spec.train.batch_size
    confusion = np.zeros((len(clips.classes),) * 2, int)
    numbers = clips.split(split)
    for first in range(0, len(numbers), size):
        some = numbers[first : first + size]
        given = _classes(trained, clips, trained.predict(np.stack([clips.sample(clip, None)[0] for clip in some])))
        for clip, label in zip(some, given, strict=True):
            confusion[clips.clips.labels[clip], label] += 1
    trained_on = [clips.clips.labels[clip] for clip in clips.splits["train"]]
    found = ClassScores(
        trained.spec.name,
        split,
        clips.classes,
        tuple(tuple(row) for row in confusion.tolist()),
        max(range(len(clips.classes)), key=trained_on.count),
    )
    _write(trained, found)
    return found


def draw_confusion(found: ClassScores, path: Path) -> None:
    """Writes a PNG of the confusion matrix: rows are true classes, shaded by their share of the row."""
    counts = np.array(found.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(3 + 0.45 * len(found.classes), 14)
    figure = Figure((side + 1, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(found.classes)), found.classes, rotation=45, ha="right")
    axes.set_yticks(range(len(found.classes)), found.classes)
    axes.set_xlabel("given class")
    axes.set_ylabel("true class")
    axes.set_title(f"{found.name}: {found.clips} {found.split} clips\naccuracy {found.accuracy:.1%}", fontsize=10)
    if len(found.classes) <= _MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png")


def _classes(trained: TrainedRun, clips: ClipDataset, output: Floats) -> list[int]:
    if clips.code != "yes or no":
        found: list[int] = output.argmax(-1).tolist()
        return found
    loss = trained.spec.train.loss_of(trained.graph.outputs[0].name)
    logits = loss is not None and loss.arguments.get("from_logits") is True
    yes: list[int] = (output[:, 0] >= (0.0 if logits else 0.5)).astype(int).tolist()
    return yes


def _write(trained: TrainedRun, found: ClassScores) -> None:
    folder, split = trained.folder, found.split
    write_json(folder.evaluation("scores.json", split), found.to_dict())
    write_text(folder.evaluation("scores.csv", split), found.to_csv())
    draw_confusion(found, folder.evaluation("confusion.png", split))
