"""Scores of a classifier of clips: accuracy, F1 and the confusion matrix."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from specbuild.data.samples.clips import ClipDataset, open_clips
from specbuild.document.html import preformatted
from specbuild.evaluation.forecast_scores import number, with_nulls
from specbuild.evaluation.places import place_of
from specbuild.evaluation.plots import draw_confusion
from specbuild.runs.faults import keeping
from specbuild.runs.files import write_json, write_text
from specbuild.runs.provenance import check_described, data_files, perhaps_moved

if TYPE_CHECKING:
    from specbuild.catalog import KerasObject
    from specbuild.data.arrays import Floats
    from specbuild.runs.trained import TrainedRun


def evaluate_classes(trained: TrainedRun, split: str) -> ClassScores:
    """Classify every clip of a split, and write the scores into the run folder.

    Each clip is read as in validation: frames and crop from the middle. The class with the largest output is given; of
    two classes that one output decides on, the second from 0.5 on (from 0 on where the loss reads logits).

    Raises:
        SpecError: the clips are no longer there, or no longer fit.
        RunError: the data has no such split.
        UnsavedError: the run folder cannot be written.
    """
    other = trained.other_data
    with perhaps_moved(trained.spec):
        clips = open_clips(trained.spec, trained.graph, transform=trained.transform)
    check_described(trained.samples_of_training, clips, same=not other and not trained.given)
    confusion = np.zeros((len(clips.classes),) * 2, int)
    for clip, output in outputs_of(trained, clips, clips.split(split)):
        confusion[clips.labels[clip], class_of(trained, clips, output)] += 1
    trained_on = [clips.labels[clip] for clip in clips.splits["train"]]
    scores = ClassScores(
        trained.spec.name,
        split,
        clips.classes,
        tuple(tuple(row) for row in confusion.tolist()),
        max(range(len(clips.classes)), key=trained_on.count),
        tuple(data_files(trained.spec)) if other else (),
    )
    with keeping(scores, trained.folder.path):
        place = place_of(trained, split)
        write_json(place.file("scores.json"), scores.to_dict())
        write_text(place.file("scores.csv"), scores.to_csv())
        draw_confusion(scores, place.file("confusion.png"))
    return scores


def outputs_of(trained: TrainedRun, clips: ClipDataset, numbers: Sequence[int]) -> Iterator[tuple[int, Floats]]:
    """Yield clips by number with the model's output for each, (K,), or (1,) if one output decides between two classes.

    Each clip is read as in validation: frames and crop from the middle.
    """
    size = trained.spec.batch_size
    for first in range(0, len(numbers), size):
        batch = numbers[first : first + size]
        yield from zip(batch, trained.predict(np.stack([clips.sample(clip, None)[0] for clip in batch])), strict=True)


CONVENTION = (
    "clips counted once each; F1 is the harmonic mean of precision and recall, 0 where nothing of a class was found, "
    "and the macro mean counts every class that has clips alike"
)


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The clips of one split by true class (rows) and predicted class (columns)."""

    name: str
    split: str
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    majority: int
    """The class with most training clips, which the baseline always predicts."""
    data: tuple[Mapping[str, Any], ...] = ()
    """The fingerprint of each path of other data than those of the run; empty for those."""

    def _repr_html_(self) -> str:
        """The tables of `specbuild evaluate`, as a notebook shows them."""
        from specbuild.evaluation.tables import class_text

        return preformatted(class_text(self))

    @property
    def clips(self) -> int:
        return sum(map(sum, self.confusion))

    @property
    def support(self) -> tuple[int, ...]:
        """Clips of each class."""
        return tuple(map(sum, self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of the clips that were classified correctly."""
        return _share(sum(row[number] for number, row in enumerate(self.confusion)), self.clips)

    @property
    def baseline(self) -> float:
        """The accuracy of always predicting the most frequent training class."""
        return _share(self.support[self.majority], self.clips)

    def of_class(self, label: int) -> dict[str, float]:
        """Every score of one class by its name."""
        return {"precision": self.precision(label), "recall": self.recall(label), "f1": self.f1(label)}

    def precision(self, label: int) -> float:
        """Share of the clips predicted as a class that belong to it; NaN if there are none."""
        return _share(self.confusion[label][label], sum(row[label] for row in self.confusion))

    def recall(self, label: int) -> float:
        """Share of the clips of a class that were predicted as it; NaN if there are none."""
        return _share(self.confusion[label][label], self.support[label])

    def f1(self, label: int) -> float:
        """2 · hits / (clips of the class + clips given to it); NaN where both are none."""
        given = sum(row[label] for row in self.confusion)
        return _share(2 * self.confusion[label][label], self.support[label] + given)

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over the classes that have clips or were given any."""
        values = [value for value in map(self.f1, range(len(self.classes))) if not math.isnan(value)]
        return sum(values) / len(values) if values else math.nan

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; what is undefined is null."""
        result = {
            "name": self.name,
            "split": self.split,
            "clips": self.clips,
            **({"data": list(self.data)} if self.data else {}),
            "convention": CONVENTION,
            "accuracy": self.accuracy,
            "baseline_accuracy": self.baseline,
            "majority": self.classes[self.majority],
            "macro_f1": self.macro_f1,
            "classes": [
                {"class": name, "clips": self.support[label], **self.of_class(label)}
                for label, name in enumerate(self.classes)
            ],
            "confusion": {"rows": "true class", "columns": "predicted class", "counts": self.confusion},
        }
        return with_nulls(result)

    @staticmethod
    def are_in(values: Mapping[str, Any]) -> bool:
        """Whether the content of a score file is that of a classifier."""
        return "confusion" in values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the scores that `to_dict` wrote.

        A file from before `majority` was written gives the first class that has the accuracy of the baseline.

        Raises:
            KeyError, ValueError: a key is missing, or `majority` is no class.
        """
        classes = tuple(entry["class"] for entry in values["classes"])
        confusion = tuple(map(tuple, values["confusion"]["counts"]))
        scores = cls(values["name"], values["split"], classes, confusion, 0, tuple(values.get("data", ())))
        if "majority" in values:
            return replace(scores, majority=classes.index(values["majority"]))
        known = number(values["baseline_accuracy"])
        alike = (label for label, count in enumerate(scores.support) if _share(count, scores.clips) == known)
        return replace(scores, majority=next(alike, 0))

    def to_csv(self) -> str:
        """One row per class: its scores, and how many of its clips were given to each class."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["class", "clips", "precision", "recall", "f1", *(f"given {name}" for name in self.classes)])
        for label, name in enumerate(self.classes):
            cells = ["" if math.isnan(value) else repr(value) for value in self.of_class(label).values()]
            writer.writerow([name, self.support[label], *cells, *self.confusion[label]])
        return stream.getvalue()


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def class_of(trained: TrainedRun, clips: ClipDataset, output: Floats) -> int:
    """Return the class that an output of the model stands for, by number."""
    if clips.code != "yes or no":
        return int(output.argmax())
    return int(output[0] >= (0.0 if _gives_logits(trained) else 0.5))


def probabilities_of(trained: TrainedRun, clips: ClipDataset, output: Floats) -> Floats:
    """Return the probability of each class, (K,), by an output of the model.

    They need not sum to 1 if the model decides on each class separately.
    """
    logits = _gives_logits(trained)
    x = output.astype(np.float64)
    if clips.code == "yes or no":
        second = 1 / (1 + np.exp(-x[0])) if logits else x[0]
        return np.array([1 - second, second], np.float32)
    if not logits:
        return output
    loss = _loss(trained)
    if loss is not None and "binary" in loss.name.lower():
        return np.asarray(1 / (1 + np.exp(-x)), np.float32)
    shares = np.exp(x - x.max())
    return np.asarray(shares / shares.sum(), np.float32)


def _loss(trained: TrainedRun) -> KerasObject | None:
    return trained.spec.train.loss_of(trained.graph.outputs[0].name)


def _gives_logits(trained: TrainedRun) -> bool:
    loss = _loss(trained)
    return loss is not None and loss.arguments.get("from_logits") is True
