"""What a trial does between the epochs of its training. Imports Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from specbuild.language import Spec
from specbuild.model.backend import keras

if TYPE_CHECKING:
    from specbuild.tuning.trial import Objective, Reports


def forget_model() -> None:
    """Free what the framework keeps of the model of a trial."""
    keras.backend.clear_session()


class TrialPruning(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports the value of each epoch to the study, and ends training where the study prunes the trial."""

    def __init__(self, reports: Reports, objective: Objective, spec: Spec, shown: Callable[[int, float], None]) -> None:
        super().__init__()
        self._reports, self._objective, self._spec, self._shown = reports, objective, spec, shown
        self.pruned = False

    def get_state(self) -> dict[str, Any]:
        """Return nothing: the study keeps what was reported."""
        return {}

    def set_state(self, _state: Mapping[str, Any]) -> None:
        """Go on after an interruption."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        row = {"epoch": float(epoch + 1)} | {name: float(value) for name, value in (logs or {}).items()}
        self._shown(epoch + 1, self._objective.of(row, self._spec))
        if self._reports.epoch(row):
            self.pruned = self.model.stop_training = True
