"""The `train` section: how the model is fitted, and which epochs are kept."""

import math
import re
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from specbuild.catalog.list_values import Each, ListOf
from specbuild.catalog.objects import KerasObject, KerasValue, Optimizer
from specbuild.catalog.schedules import schedule_of
from specbuild.catalog.values import (
    Flag,
    NonNegativeInt,
    NonNegativeNumber,
    OrWord,
    PositiveInt,
    Text,
    Value,
    Whole,
    fault,
    refuse,
    written,
)
from specbuild.language.interval import Interval, interval
from specbuild.language.sections.base import OnResume, Section
from specbuild.language.sections.loggers import Loggers
from specbuild.language.sections.per_output import LeadWeights, Losses, MetricLists

Backend: TypeAlias = Literal["tensorflow", "jax"]
"""A framework under Keras that a spec can choose."""
AUTO = "auto"
"""The batch size that training chooses."""
DEFAULT_BATCH = 8
"""The batch size where none is written."""
_INCOMPARABLE = "losses before and after could not be compared, so no epoch would be the best"
_METRICS = "reported from the next epoch on; refused in the middle of an epoch"
_POSITION = "from the next epoch on; refused in the middle of an epoch, whose batches would differ"
_CALLBACKS = Each(KerasValue("callbacks"), "a list of callbacks such as [ReduceLROnPlateau]", limit=20)
_STEPS = re.compile(r"\s*([0-9]{1,9})\s*steps?\s*")


def _how_often(value: Any) -> str:
    """Return a time or a number of steps as it is written, or raise the error that a user reads."""
    match = _STEPS.fullmatch(value) if isinstance(value, str) else None
    if match:
        if not int(match[1]):
            refuse("interval", f"expected at least 1 step, got {written(value)}")
        return "1 step" if int(match[1]) == 1 else f"{int(match[1])} steps"
    if not isinstance(value, str) or not value[:1].isdigit():
        refuse("interval", f"expected a time or a number of steps such as 10 min or 500 steps, got {written(value)}")
    return interval(value)


class EarlyStopping(Section):
    """When to end training: after a monitored value has stopped improving."""

    monitor: str = Field(
        "val_loss", description="Value to watch, by its name in the history, such as val_loss or val_mae."
    )
    mode: Literal["auto", "min", "max"] = Field(
        "auto", description="Whether smaller or larger is better; auto knows Keras's losses and metrics by name."
    )
    patience: PositiveInt = Field(5, description="Epochs without an improvement after which training ends.")
    min_delta: NonNegativeNumber = Field(0.0, description="The smallest change that counts as an improvement.")
    restore_best: Flag = Field(True, description="Whether to keep the model of the best epoch instead of the last.")


class Checkpoints(Section):
    """When to save the state of training, and how much of it to keep. Every epoch is saved as well."""

    every: Annotated[str, Field(examples=["10 min", "500 steps"]), BeforeValidator(_how_often)] | None = Field(
        "10 min",
        description="How often to save within an epoch, as a time or a number of steps; null: only after each epoch.",
    )
    keep: PositiveInt = Field(3, description="Number of latest epochs to keep on disk, besides the best.")

    @property
    def seconds(self) -> float:
        """The time after which to save within an epoch; infinite where `every` gives none."""
        return Interval.parse(self.every).mean_seconds if self.every is not None and not self.steps else math.inf

    @property
    def steps(self) -> int:
        """The number of steps after which to save within an epoch; 0 where `every` gives none."""
        match = _STEPS.fullmatch(self.every or "")
        return int(match[1]) if match else 0


class DeviceGrid(Section):
    """Devices that share the rows of pixels of a window as well, for frames that are too large for one of them."""

    batch: PositiveInt = Field(1, description="Number of parts of the windows of a step.")
    height: PositiveInt = Field(description="Number of parts of the height of each window.")


class _Devices(Value):
    """`auto`, a number of devices, a list of their numbers, stored as a tuple, or a `DeviceGrid`."""

    words = "auto, a number of devices, a list of their numbers such as [0, 2], or {batch: 1, height: 2}"
    _count, _numbers = OrWord(Whole(1), AUTO), ListOf(Whole(0), words, 1, once="a device")

    def read(self, value: Any, expected: str = "") -> Any:
        if isinstance(value, DeviceGrid):
            return value
        if isinstance(value, dict) and set(value) == {"batch"}:
            refuse(
                "devices", f"without height, only the windows of a step are divided; write devices: {value['batch']}"
            )
        if isinstance(value, dict):
            return DeviceGrid.model_validate(value)
        if isinstance(value, list | tuple):
            return self._numbers.read(value, expected)
        return self._count.read(value, expected or self.words)

    def schema(self) -> dict[str, Any]:
        grid = DeviceGrid.model_json_schema()
        return {"anyOf": [*self._count.schema()["anyOf"], self._numbers.schema(), grid]}


class TrainSection(Section):
    """How to train. Every key has a default, so the section may be left out."""

    elsewhere: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ("learning_rate", "lr", "weight_decay", "clipnorm", "use_ema"),
            "it is an argument of the optimizer, as in optimizer: {name: Adam, learning_rate: 0.001}",
        ),
        "ema": "write use_ema: true in the optimizer",
        "shuffle": "training windows are shuffled in every epoch, in an order that seed determines",
        "validation_split": "write data.split",
        "scheduler": "write a schedule as the learning_rate of the optimizer",
        "patience": "write early_stopping: {patience: 5}",
    }

    optimizer: Annotated[
        Optimizer,
        OnResume(
            "other arguments of the same optimizer take effect at the next step",
            "another optimizer has a different state",
            kept=lambda optimizer: optimizer.name,
        ),
    ] = Field(KerasObject("Adam"), description="Optimizer, with Keras's names for it and its arguments.")
    loss: Annotated[Losses, OnResume(reason=_INCOMPARABLE)] = Field(
        KerasObject("MeanSquaredError"),
        description="Loss of Keras, with Keras's names, or one of specbuild's own; {sum: […]} adds several. For "
        "several outputs a mapping of output to loss.",
        validate_default=False,
    )
    loss_weights: Annotated[dict[str, NonNegativeNumber] | None, OnResume(reason=_INCOMPARABLE)] = Field(
        None, description="Weight of each output's loss in the total, by output. Default: 1 each."
    )
    lead_weights: Annotated[LeadWeights, OnResume(reason=_INCOMPARABLE)] = Field(
        None,
        description="Weight of each output frame in the loss, first to last, or one such list for each output. Only "
        "proportions matter. Default: equal weights.",
    )
    metrics: Annotated[MetricLists, OnResume(_METRICS, between_epochs=True)] = Field(
        (),
        description="Metrics to report per epoch, by Keras's names: a list, or one list for each output.",
        validate_default=False,
    )
    epochs: Annotated[PositiveInt, OnResume("the total number of epochs, including those already done")] = Field(
        10, description="Number of passes over the training data, or over steps_per_epoch batches."
    )
    batch_size: Annotated[int | Literal["auto"], OrWord(Whole(1), AUTO), OnResume(_POSITION, between_epochs=True)] = (
        Field(
            DEFAULT_BATCH,
            description="Windows per step, over all devices and processes; if an input fixes `batch`, that number. "
            "auto: as many as memory allows, up to 64.",
        )
    )
    steps_per_epoch: Annotated[PositiveInt | None, OnResume(_POSITION, between_epochs=True)] = Field(
        None, description="Batches per epoch; null: as many as it takes to use every training window once."
    )
    workers: Annotated[int, Whole(0, 64), OnResume("changes only the speed")] = Field(
        1,
        description="Threads that prepare batches while the model computes; 0: none. The number changes only the "
        "speed.",
    )
    devices: Annotated[
        int | tuple[int, ...] | Literal["auto"] | DeviceGrid,
        _Devices(),
        OnResume("changes only the speed, and how sums are rounded"),
    ] = Field(
        1,
        description="Devices that share each step: a number, a list of their numbers, or auto for all accelerators.",
    )
    init_from: Annotated[
        Annotated[str, Text("the path of a run folder or of a .keras file")] | None,
        OnResume(reason="the run already has weights"),
    ] = Field(
        None,
        description="Run folder or .keras file whose weights to start from, matched by layer ids; relative to the "
        "spec's folder. Default: random weights.",
    )
    seed: Annotated[
        NonNegativeInt, OnResume(reason="it determined the initial weights and the order of the windows")
    ] = Field(1, description="Seed of the initial weights, of dropout and of the order of windows.")
    precision: Annotated[Literal["float32", "bfloat16", "auto"], OnResume("applies from the next step on")] = Field(
        "float32",
        description="Precision of the computation; weights stay float32. auto: bfloat16 where it is faster.",
    )
    backend: Annotated[
        Literal["auto", Backend] | None,
        OnResume("applies from the next step on; results of two frameworks agree to rounding"),
    ] = Field(
        None,
        description="Framework under Keras; auto: the faster one. Default: as KERAS_BACKEND says, or TensorFlow.",
    )
    early_stopping: Annotated[EarlyStopping | None, OnResume("applies to all epochs, including those already done")] = (
        Field(None, description="When to stop before the last epoch; null: never.")
    )
    checkpoints: Annotated[Checkpoints, OnResume("applies from the next checkpoint on")] = Field(
        Checkpoints.model_construct(), description="When to save checkpoints, and which to keep."
    )
    callbacks: Annotated[
        Annotated[tuple[KerasObject, ...], _CALLBACKS],
        OnResume("from the next step on; those that stay keep their state"),
    ] = Field((), description="Keras callbacks, with Keras's names and arguments.")
    loggers: Annotated[Loggers, OnResume("from the next epoch on; a logger that stays continues its run")] = Field(
        (), description="Where to report the run, in addition to its folder: tensorboard, mlflow, wandb."
    )

    @model_validator(mode="after")
    def _rate_can_change(self) -> "TrainSection":
        plateau = next((number for number, each in enumerate(self.callbacks) if each.name == "ReduceLROnPlateau"), None)
        schedule = schedule_of(self.optimizer)
        if plateau is not None and schedule is not None:
            raise fault(
                ("callbacks", plateau),
                f"ReduceLROnPlateau changes the learning rate, which {schedule.name} already sets: write a number as "
                "the learning_rate of the optimizer, or leave the callback out",
            )
        return self

    @property
    def known_batch_size(self) -> int:
        """`batch_size`; the default where it is left to training."""
        return DEFAULT_BATCH if isinstance(self.batch_size, str) else self.batch_size

    @property
    def by_output(self) -> dict[str, tuple[str, ...]]:
        """The keys that are mappings by output, each with the outputs that it names."""
        values = {
            "loss": self.loss,
            "loss_weights": self.loss_weights,
            "lead_weights": self.lead_weights,
            "metrics": self.metrics,
        }
        return {key: tuple(value) for key, value in values.items() if isinstance(value, dict)}

    def loss_of(self, output: str) -> KerasObject | None:
        """Return the loss of an output; None where the spec gives it none, so that it is not trained."""
        return self.loss.get(output) if isinstance(self.loss, dict) else self.loss

    def lead_weights_of(self, output: str) -> tuple[float, ...] | None:
        """Return the weights of an output's frames; None: all alike."""
        return self.lead_weights.get(output) if isinstance(self.lead_weights, dict) else self.lead_weights

    def metrics_of(self, output: str) -> tuple[KerasObject, ...]:
        """Return the metrics of an output."""
        return self.metrics.get(output, ()) if isinstance(self.metrics, dict) else self.metrics
