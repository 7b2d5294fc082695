"""The records of a run: what run.json holds, declared once for writing and for reading.

A record is read strictly, since it may have been edited or damaged: every fault is one error that names the file and
the key.
"""

import csv
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from specbuild.document import RunError
from specbuild.language.validation import first_problem
from specbuild.runs.lock import Process

Text = Annotated[str, Field(max_length=100_000)]
Count = Annotated[int, Field(ge=0, le=2**63)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Versions = dict[Text, Text]
TrainingPolicy: TypeAlias = Literal["float32", "mixed_bfloat16"]
"""Keras's dtype policies for training: the parameters are float32 in both."""
Result = TypeVar("Result")


class Record(BaseModel):
    """A mapping in a JSON file of a run, whose keys are declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataFiles(Record):
    """The data of one path that the spec names."""

    path: Text
    bytes: Count | None = None
    """None: a store at a URL, whose server does not tell."""
    files: Count | None = None
    """Their number, where it is not one file."""
    sha256: Sha256 | None = None
    sampled_sha256: Sha256 | None = None
    input: Text | None = None
    """The input of the model that reads it; None: it is that of `data.source`."""


class Samples(Record):
    """The samples of a run: what tells whether others are like them."""

    frames: Count
    units: Text | dict[Text, Text]
    """Those that the file states, of each of several variables."""
    classes: list[Text]
    splits: dict[Text, Count]
    """The number of samples of each split."""


class InitFrom(Record):
    """The weights that a run began with, by name."""

    path: Text
    sha256: Sha256
    taken: list[Text]
    missing: list[Text]
    surplus: list[Text]
    other_shape: dict[Text, Annotated[list[list[Count]], Field(min_length=2, max_length=2)]]
    """The shape of the weight there and here."""


class Machine(Record):
    """Where a run was trained."""

    system: Text
    cpu: Text
    cores: Count | None
    device: Text


class Resumption(Record):
    """A moment from which a run was continued."""

    at: Text
    after_epoch: Count
    after_step: Count | None = None
    """Steps that were done of the epoch after that; None where there were none."""
    versions: Versions
    notes: list[Text] = []
    changes: dict[Text, Annotated[list[Text], Field(min_length=2, max_length=2)]] = {}
    """The value before and after of each key of the spec that changed."""


EPOCH, LEARNING_RATE = "epoch", "learning_rate"
"""The columns of the history that are not results: the number of the epoch, and the learning rate of the next step."""


def results_in(names: Iterable[str]) -> list[str]:
    """Return the columns of the history that hold results: losses, metrics, values of callbacks."""
    return [name for name in names if name not in (EPOCH, LEARNING_RATE)]


def read_history(path: Path) -> tuple[dict[str, float], ...]:
    """Return the rows of a history.csv, one for each finished epoch; NaN where a cell holds no number.

    Raises:
        RunError: the file cannot be read.
    """

    def number(text: str | None) -> float:
        try:
            return float(text or "nan")
        except ValueError:
            return math.nan

    lines = reading(path, lambda: path.read_text("utf-8").splitlines())
    return tuple({name: number(row[name]) for name in row if name is not None} for row in csv.DictReader(lines))


class EpochTime(Record):
    """When an epoch ended, and how long it took the process that ended it; in history.jsonl beside the row."""

    seconds: float
    ended: Text


class Colours(Record):
    """The colors of forecast.png; see `ColourScale`."""

    low: float
    high: float
    skewed: bool


class Manifest(Record):
    """What run.json holds."""

    status: Literal["running", "interrupted", "failed", "finished"]
    name: Text
    started: Text
    command: list[Text]
    overrides: list[Text]
    directory: Text
    """The folder that paths of the spec are relative to."""
    relative_directory: Text | None = None
    """The same relative to the run folder, for a run that is moved together with its data."""
    data: list[DataFiles]
    samples: Samples | None = None
    init_from: InitFrom | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63)]
    precision: TrainingPolicy
    batch_size: Count | None = None
    """Windows per step; None in runs of older versions."""
    versions: Versions
    machine: Machine
    process: Process | None = None
    """The process that trains it; None once training has ended."""
    spec: Annotated[Text, Field(pattern=r"^spec/([^/]+/)*spec\.yaml$")] | None = None
    """The file to read the spec from, in the run folder; None: spec.yaml."""
    finished: Text | None = None
    error: Text | None = None
    """Why it failed."""
    epochs: Count | None = None
    notes: list[Text] = []
    model_epoch: Count | None = None
    chosen_by: Text | None = None
    best_epoch: Count | None = None
    resumed: list[Resumption] = []
    colours: Colours | None = None
    callbacks: list[Text] = []
    """The names of the callbacks' classes."""
    loggers: dict[Text, dict[Text, Text]] = {}
    """By what each logger finds the run that it reports to, such as the id of a run of MLflow."""

    @field_validator("spec")
    @classmethod
    def _inside(cls, spec: str | None) -> str | None:
        if spec is not None and ".." in spec.split("/"):
            raise ValueError("expected a file in the run folder")
        return spec


def manifest_problem(values: dict[str, Any]) -> str:
    """Return what is wrong with the content of a run.json; empty where nothing is."""
    try:
        Manifest.model_validate(values)
    except ValidationError as error:
        return first_problem(error)
    return ""


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file.

    Raises:
        RunError: it is missing, not JSON or not a mapping; a key occurs twice; a number is not finite.
    """
    value = reading(path, lambda: json.loads(path.read_bytes().decode(), **_STRICTLY))
    if not isinstance(value, dict):
        raise damaged(path, "it does not hold a mapping")
    return value


def reading(path: Path, read: Callable[[], Result]) -> Result:
    """Return what `read` returns.

    Raises:
        RunError: it raises an error that a damaged file or one that is gone causes.
    """
    try:
        return read()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}", help=_RESTORE) from error
    except UnicodeDecodeError as error:
        raise damaged(path, f"byte {error.start + 1} is not UTF-8") from error
    except RecursionError as error:
        raise damaged(path, "it is nested too deeply") from error
    except (ValueError, OverflowError) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, problem: str) -> RunError:
    return RunError(
        f"{path} is damaged: {' '.join(problem.split())}",
        help=_RESTORE,
    )


_RESTORE = "restore it from a copy, or train again; only specbuild should write this file"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise ValueError(f"it has the key {json.dumps(key)} twice")
        mapping[key] = value
    return mapping


def _not_finite(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


_STRICTLY: dict[str, Any] = {"object_pairs_hook": _once, "parse_constant": _not_finite}
