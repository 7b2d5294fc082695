"""The trials of a study of `specbuild tune`, as the table in its folder has them. Imports no Optuna."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from specbuild.document import RunError
from specbuild.runs.records import read_json

STUDY, TRIALS = "study.json", "trials.csv"
"""The files of a study that hold its record and the table of its trials."""
COLUMNS = ("trial", "state", "value", "seconds", "epochs", "reason")
"""The columns of the table that are not paths."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial as the table of its study has it."""

    number: int
    state: str
    """How it ended, such as `pruned`; `running` before."""
    monitor: str
    """The value that trials are compared by."""
    value: float | None
    """That value of this trial."""
    params: tuple[str, ...]
    """The values that were drawn for it, each as `path=value`."""
    reason: str
    """Why it was refused, pruned or failed."""


def trial_name(number: int) -> str:
    """Return the name of the folder of a trial: `trial-0007`."""
    return f"trial-{number:04d}"


def studies_below(folder: Path) -> list[Path]:
    """Return the folders of the studies in a folder and in the folders in it, the folder itself included, by path."""
    found = (path.parent for path in folder.glob(f"**/{STUDY}"))
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def trials_in(folder: Path) -> Mapping[str, Trial]:
    """Return the trials of a study by the names of their folders; of another folder, or a damaged table, nothing."""
    trials: dict[str, Trial] = {}
    if not (folder / STUDY).is_file():
        return trials
    with suppress(RunError, OSError, ValueError, KeyError):
        monitor = str(read_json(folder / STUDY).get("monitor") or "value")
        for row in csv.DictReader((folder / TRIALS).read_text("utf-8").splitlines()):
            drawn = {path: value for path, value in row.items() if path not in COLUMNS and value}
            number, value = int(row["trial"]), float(row["value"]) if row["value"] else None
            params = tuple(f"{path}={written}" for path, written in drawn.items())
            trials[trial_name(number)] = Trial(number, row["state"], monitor, value, params, row["reason"])
    return trials
