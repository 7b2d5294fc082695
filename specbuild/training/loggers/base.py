"""The interface of loggers, and what they are told about a run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from specbuild.language.sections.base import Section
from specbuild.runs.studies import STUDY

PICTURES = (".png", ".gif")
"""The suffixes of the pictures of a run."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """A run as it begins or is resumed."""

    folder: Path
    name: str
    """The name of the spec."""
    parameters: Mapping[str, Any]
    """The resolved spec by path, such as `train.epochs`."""
    spec: str
    """The spec as it was written."""
    epoch: int = 0
    """The number of epochs that are done already."""
    known: Mapping[str, str] = field(default_factory=dict)
    """What the logger recorded when the run began, to go on with the same run; empty for a new one."""

    @property
    def title(self) -> str:
        """The name of the folder of the run; of a trial, with that of its study before it: `rain/trial-0007`."""
        in_study = (self.folder.parent / STUDY).is_file()
        return f"{self.folder.parent.name}/{self.folder.name}" if in_study else self.folder.name


@dataclass(frozen=True, slots=True)
class Score:
    """A score of the model on the test split: at a lead time, counted from 1, or over all (0)."""

    name: str
    lead: int
    value: float


@dataclass(frozen=True, slots=True)
class Ending:
    """A run as it ends. `status` is that of run.json; `files` are the spec, the scores and the pictures."""

    status: str
    scores: Sequence[Score] = ()
    files: Sequence[Path] = ()


class RunLogger(ABC):
    """Reports one run to one place. Every method may raise any error, after which no other is called."""

    name: ClassVar[str]
    """As in `train.loggers`, and that of the extra that it needs."""

    def __init__(self, settings: Section) -> None:
        self.settings: Any = settings

    @abstractmethod
    def begin(self, beginning: Beginning, record: Callable[[dict[str, str]], None]) -> None:
        """Begin to report a run, or continue it.

        Args:
            beginning: the run.
            record: takes by what a new run is found again, as soon as that is known.
        """

    @abstractmethod
    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Report an epoch, counted from 1: loss, metrics, learning rate and `seconds`."""

    @abstractmethod
    def end(self, ending: Ending) -> None:
        """Report how the run ended, and release what is held."""


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """Return the values that are numbers."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


def flattened(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of nested mappings and lists of mappings, by its path: `layers.0.filters`.

    Lists without mappings stay whole.
    """
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        items = [
            (str(item.get("id", number)) if isinstance(item, Mapping) else str(number), item)
            for number, item in enumerate(value)
        ]
    else:
        yield path, value
        return
    for key, item in items:
        yield from flattened(item, f"{path}.{key}" if path else key)
