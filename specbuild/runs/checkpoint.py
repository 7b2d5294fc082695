"""Checkpoints: a model, its optimizer and everything else needed to resume, in one file.

A `.keras` file is a zip archive. Keras stores the weights and the optimizer in it. What it does not store is in one
more member, `specbuild.json`: the history, the position within the running epoch, the running means of its loss and
metrics, and the random seeds that dropout draws from. All else in a run folder that changes with training follows from
the last checkpoint, so that putting this one file in place is what completes an epoch.
"""

import re
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from specbuild.document import RunError
from specbuild.language.validation import first_problem
from specbuild.runs.files import replacing

WEIGHTS = "model.weights.h5"
"""The member with the weights and the optimizer."""
_MEMBER = "specbuild.json"
_MEMBERS = {_MEMBER, "config.json", "metadata.json", WEIGHTS}
_UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError)
"""What `zipfile` raises over a damaged archive."""
_NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?\.keras")
_MISFIT = re.compile(
    r"variable\.shape=\(([^)]*)\), Received: value\.shape=\(([^)]*)\)\. Target variable: <\w+ path=([^,]+)"
)


class Position(NamedTuple):
    """How far training is: `epoch` epochs are finished, and of the next one `step` steps."""

    epoch: int
    step: int = 0

    @property
    def file_name(self) -> str:
        """`epoch-0003.keras` after an epoch, `epoch-0004-step-000500.keras` within the fourth."""
        if self.step:
            return f"epoch-{self.epoch + 1:04d}-step-{self.step:06d}.keras"
        return f"epoch-{self.epoch:04d}.keras"

    @classmethod
    def named(cls, file_name: str) -> "Position | None":
        """Return the position of a checkpoint by its file's name; None where it is not the name of one."""
        match = _NAME.fullmatch(file_name)
        if match is None:
            return None
        return cls(int(match[1])) if match[2] is None else cls(int(match[1]) - 1, int(match[2]))

    def __str__(self) -> str:
        """`epoch 3`, `step 500 in epoch 4`; `the start` before the first step."""
        if self.step:
            return f"step {self.step} in epoch {self.epoch + 1}"
        return f"epoch {self.epoch}" if self.epoch else "the start"


class CallbackState(BaseModel):
    """What a callback remembers of the training so far, as JSON holds it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, ser_json_inf_nan="constants")

    name: str
    """Of its class."""
    state: dict[str, Any]


class Ended(BaseModel):
    """How a callback ended training before its last epoch."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    by: str
    """The name of the callback's class."""
    epochs: int
    """`train.epochs` then."""


class Progress(BaseModel):
    """Progress of a run, with what Keras does not store of a model's state."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, ser_json_inf_nan="constants")

    history: tuple[dict[str, float], ...] = ()
    """One row per finished epoch."""
    step: Annotated[int, Field(ge=0)] = 0
    """Steps of the running epoch that are done."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Steps of an epoch; None where that is not recorded."""
    seeds: tuple[tuple[int, ...], ...] = ()
    """The states of the random seeds."""
    metrics: tuple[tuple[float, ...], ...] = ()
    """The variables of loss and metrics over the steps of the running epoch, flat."""
    rate: float | None = None
    """The learning rate that the spec gave; None: a schedule, or not recorded."""
    callbacks: tuple[CallbackState, ...] = ()
    """The states of the callbacks, in their order."""
    ended: Ended | None = None
    """How training was ended, where a callback did."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if any(row.get("epoch") != number or "loss" not in row for number, row in enumerate(self.history, 1)):
            raise ValueError("the history does not have one row per epoch")
        if self.step > (self.steps or 0):
            raise ValueError(f"step {self.step} is beyond the {self.steps} of an epoch")
        return self

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return len(self.history)

    def is_ended(self, epochs: int) -> bool:
        """Whether a callback has ended a training of so many epochs."""
        return self.ended is not None and self.ended.epochs == epochs

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.step)

    @property
    def reached(self) -> str:
        """`epoch 3`, and within the fourth `step 120 of 500 in epoch 4`."""
        return f"step {self.step} of {self.steps} in epoch {self.epoch + 1}" if self.step else str(self.position)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run at one moment, in memory, as the members of a `.keras` file."""

    progress: Progress
    members: dict[str, bytes]

    @classmethod
    def take(
        cls,
        model: Any,
        history: tuple[dict[str, float], ...],
        step: int = 0,
        steps: int | None = None,
        *,
        rate: float | None = None,
        callbacks: tuple[CallbackState, ...] = (),
        ended: Ended | None = None,
    ) -> Self:
        """Return the state of a model, its optimizer and its seeds now; within an epoch, its metrics as well.

        Args:
            model: compiled, with an optimizer whose variables exist.
            history: one row per finished epoch.
            step: steps of the running epoch that are done.
            steps: those of an epoch.
            rate: the learning rate that the spec gives.
            callbacks: their states.
            ended: how a callback has ended training.
        """
        from specbuild.model.saving import members

        progress = Progress(
            history=history,
            step=step,
            steps=steps,
            seeds=tuple(tuple(_flat(seed)) for seed in seeds(model)),
            metrics=tuple(tuple(_flat(variable)) for variable in model.metrics_variables) if step else (),
            rate=rate,
            callbacks=callbacks,
            ended=ended,
        )
        return cls(progress, {**members(model), _MEMBER: progress.model_dump_json().encode()})

    def write(self, path: Path) -> None:
        """Write the file, which exists afterwards whole or not at all, and stays there if the machine stops."""
        from specbuild.model.saving import write_members

        with replacing(path) as new:
            write_members(self.members, new)


def build_optimizer(model: Any) -> None:
    """Make the variables of a model's optimizer, once: one that scales the loss would make some of them again."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def restore(model: Any, path: Path, progress: Progress) -> None:
    """Put a checkpoint's weights, optimizer and seeds into a compiled model of the same spec.

    Raises:
        RunError: the file is damaged or belongs to another model.
    """
    build_optimizer(model)
    load_weights(model, path)
    variables = seeds(model)
    if [len(_flat(variable)) for variable in variables] != [len(seed) for seed in progress.seeds]:
        raise RunError(f"{path} has {len(progress.seeds)} random seeds, the model of this spec {len(variables)}")
    for variable, seed in zip(variables, progress.seeds, strict=True):
        variable.assign(list(seed))


def restore_metrics(model: Any, progress: Progress) -> None:
    """Put the loss and metrics of the running epoch back into a model whose metrics are built.

    Raises:
        RunError: it has other metrics.
    """
    import numpy as np

    variables = model.metrics_variables
    if [len(_flat(variable)) for variable in variables] != [len(values) for values in progress.metrics]:
        raise RunError(
            f"the metrics differ from those of the checkpoint after {progress.position}, which is within an epoch",
            help="metrics can change only between epochs; to resume from the last finished epoch, delete the "
            "checkpoints with a step in their names",
        )
    for variable, values in zip(variables, progress.metrics, strict=True):
        variable.assign(np.reshape(np.array(values), variable.shape))


def read(path: Path) -> Progress:
    """Return the progress that a checkpoint holds besides the model.

    Raises:
        RunError: the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            missing = _MEMBERS - set(archive.namelist())
            if missing:
                raise _damaged(path, f"it has no {min(missing)}")
            record = archive.read(_MEMBER)
    except _UNREADABLE as error:
        raise _damaged(path, str(error)) from error
    try:
        progress = Progress.model_validate_json(record)
    except ValidationError as error:
        raise _damaged(path, f"{_MEMBER}: {first_problem(error)}") from error
    named = Position.named(path.name)
    if named is not None and named != progress.position:
        raise _damaged(path, f"it was written after {progress.position}")
    return progress


def verify(path: Path) -> Progress:
    """Return the progress that a checkpoint holds, after checking every byte of it.

    Raises:
        RunError: the file is damaged.
    """
    progress = read(path)
    if problem := damage(path):
        raise _damaged(path, problem)
    return progress


def damage(path: Path) -> str:
    """Return what is wrong with a `.keras` file, every byte of which is read; empty where nothing is."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.testzip()
    except _UNREADABLE as error:
        return " ".join(str(error).split())
    return f"{member} does not match its checksum" if member else ""


def _damaged(path: Path, reason: str) -> RunError:
    return RunError(f"the checkpoint {path} cannot be read: {' '.join(reason.split())}")


def load_weights(model: Any, path: Path) -> None:
    """Put the weights of a `.keras` file into a model of the same spec, and its optimizer if the model has one.

    Raises:
        RunError: the file is damaged or belongs to another model.
    """
    with warnings.catch_warnings(record=True) as caught:
        # Keras warns of every part that it skips, before it fails; the error says it once.
        warnings.simplefilter("always")
        try:
            model.load_weights(path)
        except zipfile.BadZipFile as error:
            raise RunError(f"the weights in {path} cannot be read: {error}") from error
        except (OSError, ValueError, KeyError) as error:
            raise RunError(
                f"the weights in {path} do not fit the model of this spec{_misfit(str(error))}",
                help="spec.yaml and the overrides in run.json must be those that the run was trained with; --set may "
                "change train.epochs, not layers or the kind of optimizer",
            ) from error
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _misfit(message: str) -> str:
    """Return the first weight that does not fit and both its shapes, if Keras's message has them; else nothing."""
    match = _MISFIT.search(message)
    if match is None:
        return ""
    here, there = (re.sub(r",? *$", "", shape).replace(", ", " × ") or "no axes" for shape in match.group(1, 2))
    layer, weight = match[3].split("/")[0], match[3].split("/")[-1]
    return f": {layer}.{weight} has {there} in the file and {here} in the model"


def seeds(model: Any) -> list[Any]:
    """Return the variables of a model that Keras does not save: the states of its random seeds."""
    saved = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in saved]


def state_variables(model: Any) -> list[Any]:
    """Return all variables of a compiled model that a step reads or changes, but those of the metrics."""
    return [*model.weights, *seeds(model), *model.optimizer.variables]


def _flat(variable: Any) -> list[Any]:
    from specbuild.model.backend import keras

    return keras.ops.convert_to_numpy(variable).reshape(-1).tolist()  # type: ignore[no-any-return]
