"""Keras's list of callbacks, without its wait for every step. Imports Keras."""

from __future__ import annotations

from typing import Any

from specbuild.model.backend import keras
from specbuild.runs.optimizer import learning_rate
from specbuild.runs.records import LEARNING_RATE


class Callbacks(keras.callbacks.CallbackList):  # type: ignore[misc]
    """Passes the loss and metrics of a step on as the framework's tensors, which may not be computed yet.

    Keras would read them as numbers for its progress bar, and so wait for each step before it prepares the next. An
    accelerator would have nothing to do meanwhile.

    At the end of an epoch, the learning rate of the next step is among the logs.
    """

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        for callback in self.callbacks:
            callback.on_test_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, {**(logs or {}), LEARNING_RATE: learning_rate(self.model)})
