"""The `train` section: how the model is fitted, and which epochs are kept."""

from typing import Annotated, Literal

from pydantic import Field

from specbuild.catalog.objects import KerasObject, Optimizer
from specbuild.catalog.values import Flag, NonNegativeInt, NonNegativeNumber, PositiveInt, Whole
from specbuild.language.sections.base import Section
from specbuild.language.sections.per_output import LeadWeights, Losses, MetricLists


class EarlyStopping(Section):
    """Ends training when a value that the history reports has stopped improving."""

    monitor: str = Field("val_loss", description="The value to watch, as the history names it: val_loss, val_mae.")
    mode: Literal["auto", "min", "max"] = Field(
        "auto", description="Whether smaller or larger is better; auto knows Keras's losses and metrics by name."
    )
    patience: PositiveInt = Field(5, description="Epochs without an improvement after which training ends.")
    min_delta: NonNegativeNumber = Field(0.0, description="The smallest change that counts as an improvement.")
    restore_best: Flag = Field(True, description="Whether the model kept is that of the best epoch, not of the last.")


class Checkpoints(Section):
    """Which epochs are kept: each is saved, with the optimizer's state, and old ones are removed."""

    keep: PositiveInt = Field(3, description="How many of the latest epochs stay on disk, besides the best.")


class TrainSection(Section):
    """How to train. Every key has a default, so that a spec may leave the section out."""

    optimizer: Optimizer = Field(KerasObject("Adam"), description="Optimizer under Keras's name and argument names.")
    loss: Losses = Field(
        KerasObject("MeanSquaredError"),
        description="Loss under Keras's name and argument names, or one of specbuild's own; {sum: […]} of several; for "
        "several outputs a mapping of output to loss.",
        validate_default=False,
    )
    loss_weights: dict[str, NonNegativeNumber] | None = Field(
        None, description="What each output's loss counts in their sum, by output; default: 1 each."
    )
    lead_weights: LeadWeights = Field(
        None,
        description="What each frame that the model gives counts in the loss, first to last, or one such list for each "
        "output. Only their proportions matter. Default: all alike.",
    )
    metrics: MetricLists = Field(
        (),
        description="Further values to report per epoch, under Keras's names: a list, or one for each output.",
        validate_default=False,
    )
    epochs: PositiveInt = Field(10, description="Passes over the training data, or over steps_per_epoch batches of it.")
    batch_size: PositiveInt = Field(8, description="Windows per step.")
    steps_per_epoch: PositiveInt | None = Field(
        None, description="Batches per epoch; null: as many as show every training window once."
    )
    workers: Annotated[int, Whole(0, 64)] = Field(
        1,
        description="Threads that prepare batches while the model computes; 0: none. The batches are the same with any "
        "number.",
    )
    seed: NonNegativeInt = Field(1, description="Seed of the initial weights, of dropout and of the order of windows.")
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        "float32",
        description="Numbers to compute with; weights stay float32. auto: bfloat16 where the hardware computes in it.",
    )
    early_stopping: EarlyStopping | None = Field(None, description="When to stop before the last epoch; null: never.")
    checkpoints: Checkpoints = Field(Checkpoints.model_construct(), description="Which epochs are kept.")

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
