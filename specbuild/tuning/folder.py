"""The folder of a study: its spec, its record, its runs and its results.

runs/radar-nowcast-tune-20260131-142501/
├── study.json            name, storage, number of trials, versions
├── spec.yaml  spec/      the spec as written, with the files that it extends or uses
├── study.db              Optuna's storage, unless --storage names another
├── trial-0000/ …         a run folder for each trial that began to train
├── trials.csv            state, value, parameters and duration of every trial
├── best.yaml             the spec with the values of the best trial
└── history.png  importance.png
"""

from __future__ import annotations

import platform
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError

from specbuild.document import ArgumentError, Diagnostic, RunError, SpecError
from specbuild.language import Spec
from specbuild.language.validation import first_problem
from specbuild.runs import saved_spec
from specbuild.runs.clock import now
from specbuild.runs.files import write_json
from specbuild.runs.folder import RunFolder, plain_name, stamped_name
from specbuild.runs.hidden import new_folder
from specbuild.runs.provenance import command
from specbuild.runs.records import Count, Record, Text, damaged, read_json
from specbuild.runs.studies import STUDY, TRIALS, trial_name
from specbuild.version import __version__

DATABASE = "study.db"


class StudyRecord(Record):
    """What study.json holds."""

    id: Text
    """Tells the workers that share this folder."""
    name: Text
    """The name of the spec, which its trials have."""
    study: Text
    """The name of the study in its storage."""
    storage: Text | None = None
    """The URL of the storage, without its password; None: the database in the folder."""
    monitor: Text | None = None
    """The value that trials are compared by."""
    trials: Count
    started: Text
    command: list[Text]
    overrides: list[Text]
    directory: Text
    relative_directory: Text | None = None
    spec: Annotated[Text, Field(pattern=r"^spec/([^/.]+/|[^/]*[^/.][^/]*/)*spec\.yaml$")] | None = None
    versions: dict[Text, Text]


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """The paths of a study, and the reading and writing of its small files."""

    path: Path

    @classmethod
    def create(
        cls, out: str | Path, spec: Spec, name: str | None, trials: int, monitor: str, storage: str | None
    ) -> Self:
        """Make the folder of a new study.

        Args:
            out: where to make it.
            spec: what is tuned.
            name: of the folder and the study; None: that of the spec, with date and time.
            trials: how many trials there are to be.
            monitor: the value that they are compared by.
            storage: the URL of its storage, without a password; None: a database in the folder.

        Raises:
            ArgumentError: there is one of that name already.
            RunError: it cannot be made.
        """
        base = stamped_name(f"{spec.name}-tune") if name is None else plain_name(name)
        if name is not None and (Path(out) / base).exists():
            raise ArgumentError(
                f"{Path(out) / base} exists already",
                help=f"continue it with: specbuild tune --resume {Path(out) / base}; or choose another --name",
            )

        def fill(hidden: Path) -> None:
            record: dict[str, Any] = {
                "id": secrets.token_hex(8),
                "name": spec.name,
                "study": base,
                "storage": storage,
                "monitor": monitor,
                "trials": trials,
                "started": now(),
                "command": command(),
                "overrides": list(spec.overrides),
                **saved_spec.directories(hidden, spec),
                **saved_spec.save_spec(hidden, spec),
                "versions": _versions(),
            }
            write_json(hidden / STUDY, StudyRecord(**record).model_dump())

        with new_folder(Path(out), base, fill) as path:
            pass
        return cls(path)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Return the study in a folder; of a folder of studies, the latest.

        Raises:
            SpecError: there is none.
        """
        folder = cls(Path(path))
        if folder.record_file.is_file():
            return folder
        below = [cls(file.parent) for file in folder.path.glob(f"*/{STUDY}") if not file.parent.name.startswith(".")]
        began = []
        for study in below:
            with suppress(RunError):
                began.append((study.record().started, study.path))
        if not began:
            message = f"there is no study in {path}" if folder.path.is_dir() else f"there is no folder {path}"
            help = "give the folder of a study, or start one with: specbuild tune SPEC"
            raise SpecError([Diagnostic(message, help=help, code="no-study")])
        return cls(max(began)[1])

    @property
    def record_file(self) -> Path:
        return self.path / STUDY

    @property
    def table_file(self) -> Path:
        return self.path / TRIALS

    @property
    def workers(self) -> Path:
        """The folder with the locks of the processes that work on the study."""
        return self.path / ".workers"

    def trial(self, number: int) -> RunFolder:
        """Return the run folder of a trial, which exists once its training has begun."""
        return RunFolder(self.path / trial_name(number))

    def record(self) -> StudyRecord:
        """Return what study.json says.

        Raises:
            RunError: it is damaged.
        """
        values = read_json(self.record_file)
        try:
            return StudyRecord.model_validate(values)
        except ValidationError as error:
            raise damaged(self.record_file, first_problem(error)) from error

    def update(self, **values: Any) -> None:
        """Update `values` in study.json and keep the rest."""
        write_json(self.record_file, self.record().model_copy(update=values).model_dump())

    def spec(self, overrides: Iterable[str] = ()) -> Spec:
        """Return the spec of the study, with further overrides.

        Raises:
            SpecError: they do not fit.
        """
        return saved_spec.read_saved_spec(self.path, self.record().model_dump(), overrides)

    @property
    def saved(self) -> Path:
        """The file that the spec is read from."""
        return self.path / (self.record().spec or saved_spec.SPEC)


def _versions() -> dict[str, str]:
    """Return the versions that the draws depend on, without a framework; its version is in the run of each trial."""
    return {"python": platform.python_version(), "specbuild": __version__, "optuna": version("optuna")}
