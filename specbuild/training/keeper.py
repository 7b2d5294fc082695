"""The callback that keeps a run: it checks every loss, saves checkpoints and ends training. Imports Keras."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from specbuild.graph.lints import unbounded_activations
from specbuild.language import Spec
from specbuild.model.backend import keras
from specbuild.runs import checkpoint
from specbuild.runs.checkpoint import Position, Progress
from specbuild.runs.clock import now
from specbuild.runs.optimizer import averaged_weights, written_rate
from specbuild.runs.records import LEARNING_RATE, EpochTime
from specbuild.training.diagnosis import NO_CHECKPOINT, Diverged, finite
from specbuild.training.hooks import Hooks, check_monitor
from specbuild.training.hosts import Processes
from specbuild.training.interrupt import Signals
from specbuild.training.keeping import Background, Keeping
from specbuild.training.progress import Display


class Keeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Checks every loss, saves every epoch and what `checkpoints.every` asks for, and reports to the display."""

    def __init__(
        self,
        spec: Spec,
        keeping: Keeping,
        display: Display,
        done: Progress,
        steps: int,
        validated: bool,
        signals: Signals,
        background: Background,
        processes: Processes,
        hooks: Hooks,
    ) -> None:
        super().__init__()
        self._hooks, hooks.keep = hooks, self._keep_after
        self._spec, self._keeping, self._watch, self._display = spec, keeping, keeping.watch, display
        self._signals, self._background, self._processes = signals, background, processes
        self.history = list(done.history)
        self._steps, self._validated = steps, validated
        self._resumed: Progress | None = done if done.step else None
        self._before = done.step
        """Steps of the running epoch that were done when `fit` began."""
        self._pending: tuple[int, Any] | None = None
        self._started = self._saved = time.monotonic()
        self._trained: list[tuple[Any, Any]] = []
        """What validation changes of the model, with the values before it."""
        self._averaged = ExitStack()
        """Holds the averages of the weights in the model during validation."""
        self._before_in_test: Any = 0.0
        """The loss after the step of validation before."""

    @property
    def _epoch(self) -> int:
        """The running epoch, counted from 1."""
        return len(self.history) + 1

    def on_epoch_begin(self, _index: int, _logs: Mapping[str, Any] | None = None) -> None:
        self._started = time.monotonic()
        self._continue_means()

    def _continue_means(self) -> None:
        if self._resumed is not None:
            checkpoint.restore_metrics(self.model, self._resumed)
            self._resumed = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        # Reading a loss waits for the step that computes it. Read one step late, it does not hold up the accelerator.
        self._check_pending()
        step = self._before + batch + 1
        self._pending = step, (logs or {})["loss"]
        self._background.check()
        if self._processes.stop_asked(self._signals):
            self._save_and_stop(step)
        elif self._is_due(step):
            self._save(step)

    def _is_due(self, step: int) -> bool:
        """Whether to save after a step. Not after the last one without validation: the epoch is saved anyway."""
        if step == self._steps and not self._validated:
            return False
        every = self._spec.train.checkpoints
        return bool(every.steps and step % every.steps == 0) or time.monotonic() - self._saved >= every.seconds

    def on_test_begin(self, _logs: Mapping[str, Any] | None = None) -> None:
        self._check_pending()
        model = self.model
        changing = [*model.metrics_variables, *model.non_trainable_variables]
        self._trained = [(variable, np.array(keras.ops.convert_to_numpy(variable))) for variable in changing]
        self._averaged.enter_context(averaged_weights(model))

    def on_test_end(self, _logs: Mapping[str, Any] | None = None) -> None:
        _ = self.model  # on JAX, its variables have no values before
        self._averaged.close()

    def on_test_batch_end(self, _batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._processes.count > 1:  # none may go ahead by more than a step
            before, self._before_in_test = self._before_in_test, (logs or {})["loss"]
            float(before)
        if self._processes.stop_asked(self._signals):
            self._back_from_test()
            self._save_and_stop(self._steps)

    def _back_from_test(self) -> None:
        """Undo what validation has changed of the model."""
        _ = self.model  # on JAX, its variables have no values before
        self._averaged.close()
        for variable, value in self._trained:
            variable.assign(value)

    def _keep_after(self, step: int) -> None:
        """Save the state after a step of the running epoch, as a callback is about to end training with an error."""
        if step == self._steps:
            self._back_from_test()
        self._save(step)
        self._background.wait()

    def on_epoch_end(self, _index: int, logs: Mapping[str, Any] | None = None) -> None:
        self._check_pending()
        values = {name: float(value) for name, value in (logs or {}).items()}
        rate = {LEARNING_RATE: values.pop(LEARNING_RATE)}
        row = {"epoch": float(self._epoch)} | values | rate
        if not math.isfinite(row.get("val_loss", 0.0)):
            message = f"the validation loss became {row['val_loss']} after epoch {self._epoch}"
            raise self._diverged(message, self._steps, validating=True)
        self._check_weights(self._steps)
        check_monitor(self._spec, ("early_stopping", "monitor"), self._watch.monitor, row)
        self.history.append(row)
        self._before, self._trained = 0, []
        best = self._watch.best(self.history) == len(self.history)
        seconds = time.monotonic() - self._started
        self._keeping.times[len(self.history)] = EpochTime(seconds=round(seconds, 3), ended=now())
        self._save()
        self._display.epoch(row, seconds, best and self._watch.keep_best)
        if self._watch.is_over(self.history):
            self.model.stop_training = True
        if self._processes.stop_asked(self._signals, now=True):
            self._background.wait()
            raise KeyboardInterrupt

    def _save_and_stop(self, step: int) -> None:
        self._save(step)
        self._background.wait()
        raise KeyboardInterrupt

    def _save(self, step: int = 0) -> None:
        """Save the state after `step` steps of the running epoch: take it now, and write it while training goes on."""
        if step:
            self._check_pending()
            self._check_weights(step)
        if self._keeping.writes:
            train, stopped_by = self._spec.train, self._hooks.stopped_by
            snapshot = checkpoint.Snapshot.take(
                self.model,
                tuple(self.history),
                step,
                self._steps,
                rate=written_rate(train.optimizer),
                callbacks=self._hooks.states(),
                ended=checkpoint.Ended(by=stopped_by, epochs=train.epochs) if stopped_by and not step else None,
            )
            self._background.start(lambda: self._keeping.write(snapshot))
        self._saved = time.monotonic()

    def _check_pending(self) -> None:
        """Check the loss of the step before, which has been computed meanwhile."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        step, loss = pending[0], float(pending[1])
        if not math.isfinite(loss):
            raise self._diverged(f"the loss became {loss} in epoch {self._epoch}, step {step}", step)
        self._display.step(self._epoch, step, loss)

    def _check_weights(self, step: int) -> None:
        if not finite(self.model.weights):
            raise self._diverged(f"the weights are no longer finite after epoch {self._epoch}, step {step}", step)

    def _diverged(self, message: str, step: int, *, validating: bool = False) -> Diverged:
        self._background.wait()
        _ = self.model  # on JAX, its variables have no values before
        saved = self._keeping.folder.checkpoints()
        weights = NO_CHECKPOINT
        if saved:
            weights = f"the last good weights, after {max(saved)}, are in {saved[max(saved)]}"
        help = "; ".join([*likely_causes(self._spec), weights])
        return Diverged(message, help, Position(len(self.history), step), validating=validating)


def likely_causes(spec: Spec) -> list[str]:
    """Return what usually makes a loss not finite, as far as the spec shows it."""
    rate = spec.train.optimizer.arguments.get("learning_rate")
    written = f" ({rate:g} is written)" if isinstance(rate, int | float) else ""
    causes = [f"lower the learning rate{written} or set clipnorm on the optimizer"]
    nodes: dict[tuple[str, str], list[str]] = {}
    for node in spec.layers:
        for _, name, bounded in unbounded_activations(node.layer):
            nodes.setdefault((name, bounded), []).append(node.id)
    unbounded = [
        f"{name} inside the recurrence of {', '.join(ids)} can grow without bound; use {bounded}"
        for (name, bounded), ids in nodes.items()
    ]
    return [*unbounded, *causes]
