"""Keras's `fit` over batches, with checkpoints, checks of every loss, and signals. Imports Keras."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from specbuild.document import RunError, SpecbuildError, did_you_mean
from specbuild.graph.lints import unbounded_activations
from specbuild.language import Spec
from specbuild.model.backend import backend_name, keras
from specbuild.model.exhaustion import is_out_of_memory
from specbuild.model.objects import words
from specbuild.model.saving import save
from specbuild.runs import checkpoint
from specbuild.runs.checkpoint import Position, Progress
from specbuild.runs.files import replacing
from specbuild.runs.folder import RunFolder
from specbuild.training.batches import Batches, BatchSource
from specbuild.training.callbacks import Callbacks
from specbuild.training.devices import Devices
from specbuild.training.diagnosis import NO_CHECKPOINT, Diverged, State, cause_in_training, cause_in_validation, finite
from specbuild.training.history import Watch
from specbuild.training.hosts import ALONE, Processes
from specbuild.training.interrupt import Signals
from specbuild.training.keeping import Background, Keeping
from specbuild.training.memory import out_of_memory, out_of_memory_together, room_for_weights
from specbuild.training.progress import Display
from specbuild.training.release import releasing_iterators


def fit(
    model: Any,
    spec: Spec,
    folder: RunFolder,
    training: BatchSource,
    validation: BatchSource | None,
    watch: Watch,
    display: Display,
    done: Progress,
    signals: Signals,
    devices: Devices,
    processes: Processes = ALONE,
) -> tuple[dict[str, float], ...]:
    """Train until the last epoch or until `watch` ends it; save a checkpoint after each epoch and within long ones.

    Args:
        model: compiled, with the weights to start from.
        done: how far training is.
        signals: what may end training after a step.
        devices: those that share each step; the model's variables were made in their scope.
        processes: those that train together, of which number 0 alone writes.

    Returns:
        The history: one row per epoch.

    Raises:
        RunError: the loss or a weight is not finite, the data could not be read or a checkpoint not be written.
        KeyboardInterrupt: a signal came. The steps before it are saved.
    """
    keeping = Keeping(folder, watch, spec.train.checkpoints.keep, processes.writes)
    keeping.follow(done.position, done.history)
    epochs = spec.train.epochs
    if done.epoch >= epochs or watch.is_over(done.history):
        return done.history
    held_out = Batches(validation, spec.train.workers, devices=devices) if validation is not None else None
    read = [held_out] if held_out is not None else []

    def train(first: Progress, last_epoch: int, steps: int) -> None:
        """Train from the position `first` to the end of an epoch, in epochs of `steps` steps."""
        batches = Batches(training, spec.train.workers, first.epoch, first.step, devices)
        read.append(batches)
        model.fit(
            batches,
            validation_data=held_out,
            epochs=last_epoch,
            initial_epoch=first.epoch,
            steps_per_epoch=steps,
            callbacks=Callbacks([keeper], add_history=True, model=model, epochs=last_epoch, steps=steps),
            shuffle=False,
            verbose=0,
        )

    signals.stepping = True  # a framework that is interrupted while it makes variables prints a message of its own
    try:
        with room_for_weights(spec):
            checkpoint.build_optimizer(model)
            # Until the first checkpoint, nothing else holds the weights from which a fault is traced.
            beginning = None if folder.checkpoints() else (done.position, State.of(model))
    except BaseException:
        signals.stepping = False
        raise
    try:
        with Background() as background:
            keeper = _Keeper(
                spec, keeping, display, done, len(training), held_out is not None, signals, background, processes
            )
            display.begin(epochs, len(training), done.epoch)
            with releasing_iterators(model), _keeping_last_weights(model.optimizer):
                if done.step or backend_name() != "tensorflow":
                    with devices.scope():
                        _build_metrics(model, training.batch(done.epoch, 0))
                devices.prepare(model)
                # Keras begins at the first step of an epoch: the rest of this one is a shorter epoch of its own.
                if 0 < done.step < len(training):
                    train(done, done.epoch + 1, len(training) - done.step)
                elif done.step:
                    keeper.end_epoch(model, held_out)
                if len(keeper.history) < epochs and not watch.is_over(keeper.history):
                    train(Progress(history=tuple(keeper.history)), epochs, len(training))
    except Diverged as fault:
        signals.stepping = False  # a signal ends the search for the cause, which may take long
        if processes.count > 1:
            help = f"{fault.help}; a run that is resumed in one process also looks for where it began"
            raise RunError(fault.message, help) from fault
        raise _explained(model, fault, keeping.folder, training, validation, beginning) from fault
    except Exception as error:
        # What a worker raised reaches us as a framework's error about its iterator; the reason is what the user needs.
        failure = next((batches.failure for batches in read if batches.failure), None)
        if is_out_of_memory(failure or error):
            if processes.count > 1:
                raise out_of_memory_together(spec, processes.count) from error
            raise out_of_memory(model, spec, folder, training, devices.parts) from error
        if failure:
            raise failure from None
        if isinstance(error, SpecbuildError | OSError):
            raise
        if (reason := processes.because(error)) is not error:
            raise reason from error
        raise RunError(
            f"{backend_name()} could not train the model: {words(error)}",
            help="does the loss fit the data and the output? specbuild check looks at both",
        ) from error
    finally:
        signals.stepping = False
    return tuple(keeper.history)


def _explained(
    model: Any,
    fault: Diverged,
    folder: RunFolder,
    training: BatchSource,
    validation: BatchSource | None,
    beginning: tuple[Position, State] | None,
) -> RunError:
    """Return the error of a loss that is not finite, with the first number that is not, where it can be found."""
    try:
        if fault.validating and validation is not None:
            return fault.because(cause_in_validation(model, validation))
        before = [position for position in folder.checkpoints() if position < fault.position]
        if before:
            first = max(before)
            path = folder.checkpoints()[first]
            checkpoint.restore(model, path, checkpoint.read(path))
        elif beginning is not None:
            first, state = beginning
            state.put_into(model)
        else:
            return fault
        explanation, good = cause_in_training(model, training, fault, first)
        if before or good is None:
            return fault.because(explanation)
        step, state = good
        state.put_into(model)
        path = folder.last_good_file
        with replacing(path) as new:
            save(model, new)
        return fault.because(explanation, f"the last good weights, before step {step + 1}, are in {path}")
    except (Exception, KeyboardInterrupt):  # whatever ends the search: the user needs to know about the loss
        return fault


def _build_metrics(model: Any, batch: tuple[Any, Any, Any]) -> None:
    """Make the variables of loss and metrics, which Keras would otherwise do in the first step.

    Except on TensorFlow, Keras would take a batch from the data for this, and several workers would not repeat it.
    """
    x, y, weight = batch
    model._symbolic_build(data_batch=(x, y) if weight is None else (x, y, weight))


@contextmanager
def _keeping_last_weights(optimizer: Any) -> Iterator[None]:
    """Leave the weights as the last step left them when `fit` ends.

    With `use_ema`, Keras would put the moving average in their place, also in the middle of a run.
    """
    optimizer.finalize_variable_values = lambda _: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values


class _Keeper(keras.callbacks.Callback):  # type: ignore[misc]
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
    ) -> None:
        super().__init__()
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

    def on_test_batch_end(self, _batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._processes.count > 1:  # none may go ahead by more than a step
            before, self._before_in_test = self._before_in_test, (logs or {})["loss"]
            float(before)
        if self._processes.stop_asked(self._signals):
            _ = self.model  # on JAX, its variables have no values before
            for variable, value in self._trained:
                variable.assign(value)
            self._save_and_stop(self._steps)

    def on_epoch_end(self, _index: int, logs: Mapping[str, Any] | None = None) -> None:
        self._check_pending()
        row = {"epoch": float(self._epoch)} | {name: float(value) for name, value in (logs or {}).items()}
        if not math.isfinite(row.get("val_loss", 0.0)):
            message = f"the validation loss became {row['val_loss']} after epoch {self._epoch}"
            raise self._diverged(message, self._steps, validating=True)
        self._check_weights(self._steps)
        _check_monitor(self._spec, self._watch, row)
        self.history.append(row)
        self._before = 0
        best = self._watch.best(self.history) == len(self.history)
        self._save()
        self._display.epoch(row, time.monotonic() - self._started, best and self._watch.keep_best)
        if self._watch.is_over(self.history):
            self.model.stop_training = True
        if self._processes.stop_asked(self._signals, now=True):
            self._background.wait()
            raise KeyboardInterrupt

    def end_epoch(self, model: Any, held_out: Batches | None) -> None:
        """Validate and end an epoch whose steps were all done before."""
        self.set_model(model)
        self._continue_means()
        logs = dict(model.get_metrics_result())
        if held_out is not None:
            values = model.evaluate(held_out, callbacks=[self], return_dict=True, verbose=0)
            logs |= {f"val_{name}": value for name, value in values.items()}
        self.on_epoch_end(len(self.history), logs)

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
            snapshot = checkpoint.Snapshot.take(self.model, tuple(self.history), step, self._steps)
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


def _check_monitor(spec: Spec, watch: Watch, row: Mapping[str, float]) -> None:
    """Refuse to watch a value that the run does not report.

    Raises:
        SpecError: located at the monitor.
    """
    if watch.monitor in row:
        return
    known = [name for name in row if name != "epoch"]
    raise spec.error(
        ("train", "early_stopping", "monitor"),
        f'this run reports no "{watch.monitor}"',
        help=did_you_mean(watch.monitor, known) or f"it reports {', '.join(known)}",
        code="unknown-name",
    )
