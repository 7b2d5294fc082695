"""Where the files of an evaluation lie: each evaluation that differs from that of the training has names of its own."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from specbuild.language.overrides import is_under
from specbuild.runs.trained import TrainedRun

_LONGEST = 60
"""Characters of settings in a name; longer ones are cut off and told apart by a checksum."""


@dataclass(frozen=True, slots=True)
class Place:
    """The files of the scores of one output, variable, split, horizon, of some data and with some settings.

    A name says in this order what is scored, on which data, in which split, how far and with which settings, as far as
    this is not as in training: `scores-t2m-on-2024-validation-horizon-15-with-members-8.json`.
    """

    folder: Path
    split: str = "test"
    part: str = ""
    """An output, a variable or both; empty for all of the first output."""
    horizon: int | None = None
    data: str = ""
    """The name of other data."""
    settings: str = ""
    """The settings that were changed, as `settings_of` gives them."""

    def file(self, name: str) -> Path:
        """Return the file that is called `name` where all is as in training: `scores.json`, `forecast.png`."""
        stem, kind = name.split(".")
        further = (
            self.part,
            f"on-{self.data}" if self.data else "",
            "" if self.split == "test" else self.split,
            "" if self.horizon is None else f"horizon-{self.horizon}",
            f"with-{self.settings}" if self.settings else "",
        )
        return self.folder / f"{'-'.join((stem, *filter(None, further)))}.{kind}"

    @property
    def as_in_training(self) -> bool:
        """Whether the data, the horizon and the settings are those of the evaluation that ends a training."""
        return self.horizon is None and not self.data and not self.settings


def place_of(trained: TrainedRun, split: str, horizon: int | None = None, part: str = "") -> Place:
    """Return where the scores of a run, opened with what changes them, are written."""
    return Place(trained.folder.path, split, part, horizon, trained.other_data, settings_of(trained))


def settings_of(trained: TrainedRun) -> str:
    """Return the settings that an evaluation changes, as file names have them: `members-8`; empty where none differ.

    The splits of other data are part of these data.
    """
    changed = ["evaluate"] if trained.spec.evaluate != trained.spec_as_trained.evaluate else []
    if not trained.other_data and trained.data.split != trained.spec_as_trained.require_data().split:
        changed.append("data.split")
    given = [override.strip() for override in trained.given if is_under(override, *changed)] if changed else []
    words = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", each).strip("-.") for each in given)
    words = re.sub(r"(^|-)(evaluate|data)[.-]", r"\1", words)
    if len(words) <= _LONGEST:
        return words
    return f"{words[: _LONGEST - 9].rstrip('-.')}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
