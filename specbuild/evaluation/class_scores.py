"""What an evaluation of classes found: accuracy, F1 and who was taken for whom."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import Any

CONVENTION = (
    "clips counted once each; F1 is the harmonic mean of precision and recall, 0 where nothing of a class was found, "
    "and the macro mean counts every class that has clips alike"
)


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The clips of one split by true class (rows) and by the class that the model gives (columns)."""

    name: str
    split: str
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    majority: int
    """The class with most training clips: the baseline gives it always."""

    @property
    def clips(self) -> int:
        return sum(map(sum, self.confusion))

    @property
    def support(self) -> tuple[int, ...]:
        """Clips of each class."""
        return tuple(map(sum, self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of the clips whose class was found."""
        return _share(sum(row[number] for number, row in enumerate(self.confusion)), self.clips)

    @property
    def baseline(self) -> float:
        """The accuracy of always giving the most frequent training class."""
        return _share(self.support[self.majority], self.clips)

    def precision(self, label: int) -> float:
        """Share of the clips given to a class that are of it; NaN where there are none."""
        return _share(self.confusion[label][label], sum(row[label] for row in self.confusion))

    def recall(self, label: int) -> float:
        """Share of the clips of a class that were given to it; NaN where there are none."""
        return _share(self.confusion[label][label], self.support[label])

    def f1(self, label: int) -> float:
        """2 · hits / (clips of the class + clips given to it); NaN where both are none."""
        given = sum(row[label] for row in self.confusion)
        return _share(2 * self.confusion[label][label], self.support[label] + given)

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over the classes that have clips or were given any."""
        found = [value for value in map(self.f1, range(len(self.classes))) if not math.isnan(value)]
        return sum(found) / len(found) if found else math.nan

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; what is undefined is null."""
        return {
            "name": self.name,
            "split": self.split,
            "clips": self.clips,
            "convention": CONVENTION,
            "accuracy": _number(self.accuracy),
            "baseline_accuracy": _number(self.baseline),
            "macro_f1": _number(self.macro_f1),
            "classes": [
                {
                    "class": name,
                    "clips": self.support[label],
                    "precision": _number(self.precision(label)),
                    "recall": _number(self.recall(label)),
                    "f1": _number(self.f1(label)),
                }
                for label, name in enumerate(self.classes)
            ],
            "confusion": {"rows": "true class", "columns": "given class", "counts": [list(r) for r in self.confusion]},
        }

    def to_csv(self) -> str:
        """One row per class: its scores, and how many of its clips were given to each class."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["class", "clips", "precision", "recall", "f1", *(f"given {name}" for name in self.classes)])
        for label, name in enumerate(self.classes):
            scores = (self.precision(label), self.recall(label), self.f1(label))
            cells = ["" if math.isnan(value) else repr(value) for value in scores]
            writer.writerow([name, self.support[label], *cells, *self.confusion[label]])
        return stream.getvalue()


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
