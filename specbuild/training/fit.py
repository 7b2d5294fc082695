"""Keras's `fit` over batches, with checkpoints, checks of every loss, and signals. Imports Keras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from specbuild.document import RunError, SpecbuildError
from specbuild.language import Spec
from specbuild.model.backend import backend_name
from specbuild.model.exhaustion import is_out_of_memory
from specbuild.model.keras_internals import build_metrics
from specbuild.model.objects import words
from specbuild.model.saving import save
from specbuild.runs import checkpoint
from specbuild.runs.checkpoint import Position, Progress
from specbuild.runs.files import replacing
from specbuild.runs.folder import RunFolder
from specbuild.runs.optimizer import averaged_weights
from specbuild.training.batches import Batches, BatchSource
from specbuild.training.callbacks import Callbacks
from specbuild.training.devices import Devices
from specbuild.training.diagnosis import Diverged, State, cause_in_training, cause_in_validation
from specbuild.training.history import Watch, read_times
from specbuild.training.hooks import Hooks
from specbuild.training.hosts import ALONE, Processes
from specbuild.training.interrupt import Signals
from specbuild.training.keeper import Keeper
from specbuild.training.keeping import Background, Keeping
from specbuild.training.memory import out_of_memory, out_of_memory_together, room_for_weights
from specbuild.training.progress import Display
from specbuild.training.release import releasing_iterators
from specbuild.training.resuming import is_over


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
    hooks: Hooks,
    processes: Processes = ALONE,
) -> tuple[dict[str, float], ...]:
    """Train until the last epoch or until `watch` ends it; save a checkpoint after each epoch and within long ones.

    Args:
        model: compiled, with the weights to start from.
        done: how far training is.
        signals: what may end training after a step.
        devices: those that share each step; the model's variables were made in their scope.
        hooks: the callbacks of the run.
        processes: those that train together, of which number 0 alone writes.

    Returns:
        The history: one row per epoch.

    Raises:
        RunError: the loss or a weight is not finite, the data could not be read, a checkpoint not be written, or a
            callback failed.
        KeyboardInterrupt: a signal came. The steps before it are saved.
    """
    times = read_times(folder.lines_file) if processes.writes else {}
    keeping = Keeping(folder, watch, spec.train.checkpoints.keep, processes.writes, times)
    keeping.follow(done.position, done.history)
    if is_over(done, spec.train.epochs, watch):
        return done.history
    held_out = Batches(validation, spec.train.workers, devices=devices) if validation is not None else None
    return _Fit(
        model, spec, keeping, training, validation, watch, display, done, signals, devices, hooks, processes, held_out
    ).run()


@dataclass
class _Fit:
    """Training from the current step, and the errors of what interrupts it; the fields are those of `fit`."""

    model: Any
    spec: Spec
    keeping: Keeping
    training: BatchSource
    validation: BatchSource | None
    watch: Watch
    display: Display
    done: Progress
    signals: Signals
    devices: Devices
    hooks: Hooks
    processes: Processes
    held_out: Batches | None
    """The batches of the validation data."""
    read: list[Batches] = field(default_factory=list)
    """The batches of the training data that were read so far, one object for each call of Keras's `fit`."""

    def run(self) -> tuple[dict[str, float], ...]:
        """Return the history; the errors are those of `fit`."""
        signals = self.signals
        signals.stepping = True  # a framework that is interrupted while it makes variables prints a message of its own
        try:
            with room_for_weights(self.spec):
                checkpoint.build_optimizer(self.model)
                beginning = self._beginning()
            try:
                return self._trained()
            except Diverged as fault:
                signals.stepping = False  # a signal ends the search for the cause, which may take long
                raise self._diverged(fault, beginning) from fault
            except Exception as error:
                self._fail(error)
        finally:
            signals.stepping = False

    def _beginning(self) -> tuple[Position, State] | None:
        """Return the weights from which a fault is traced; until the first checkpoint, nothing else holds them."""
        return None if self.keeping.folder.checkpoints() else (self.done.position, State.of(self.model))

    def _trained(self) -> tuple[dict[str, float], ...]:
        """Train to the end of the last epoch, or until something ends it, and return the history."""
        model, done, hooks, epochs = self.model, self.done, self.hooks, self.spec.train.epochs
        steps = len(self.training)
        with Background() as background:
            keeper = Keeper(
                self.spec,
                self.keeping,
                self.display,
                done,
                steps,
                self.held_out is not None,
                self.signals,
                background,
                self.processes,
                hooks,
            )
            self.display.begin(epochs, steps, done.epoch)
            with releasing_iterators(model), _keeping_last_weights(model.optimizer):
                if done.step or backend_name() != "tensorflow":
                    with self.devices.scope():
                        _build_metrics(model, self.training.batch(done.epoch, 0))
                self.devices.prepare(model)
                # Keras begins at the first step of an epoch: the rest of this one is a shorter epoch of its own.
                if 0 < done.step < steps:
                    self._fit(keeper, done, done.epoch + 1, steps - done.step)
                elif done.step:
                    callbacks = Callbacks([hooks, keeper], model=model, epochs=epochs)
                    _end_epoch(model, self.held_out, callbacks, done.epoch)
                if len(keeper.history) < epochs and not self.watch.is_over(keeper.history) and not hooks.stopped_by:
                    self._fit(keeper, Progress(history=tuple(keeper.history)), epochs, steps)
                hooks.end(keeper.history[-1])
        return tuple(keeper.history)

    def _fit(self, keeper: Keeper, first: Progress, last_epoch: int, steps: int) -> None:
        """Train from the position `first` to the end of an epoch, in epochs of `steps` steps."""
        model = self.model
        batches = Batches(self.training, self.spec.train.workers, first.epoch, first.step, self.devices)
        self.read.append(batches)
        model.fit(
            batches,
            validation_data=self.held_out,
            epochs=last_epoch,
            initial_epoch=first.epoch,
            steps_per_epoch=steps,
            callbacks=Callbacks([self.hooks, keeper], add_history=True, model=model, epochs=last_epoch, steps=steps),
            shuffle=False,
            verbose=0,
        )

    def _diverged(self, fault: Diverged, beginning: tuple[Position, State] | None) -> RunError:
        """Return the error of a loss that is not finite, with its cause where that can be found."""
        if self.processes.count > 1:
            help = f"{fault.help}; a run that is resumed in one process also looks for where it began"
            return RunError(fault.message, help)
        return _explained(self.model, fault, self.keeping.folder, self.training, self.validation, beginning)

    def _fail(self, error: Exception) -> NoReturn:
        """Raise what a user can act on, in place of an error inside `fit`.

        What a worker raised reaches us as a framework's error about its iterator; the reason is what the user needs.
        """
        read = self.read if self.held_out is None else [self.held_out, *self.read]
        failure = next((batches.failure for batches in read if batches.failure), None)
        if is_out_of_memory(failure or error):
            if self.processes.count > 1:
                raise out_of_memory_together(self.spec, self.processes.count) from error
            folder, parts = self.keeping.folder, self.devices.parts
            raise out_of_memory(self.model, self.spec, folder, self.training, parts) from error
        if failure:
            raise failure from None
        if self.hooks.cause is not None:
            raise error from self.hooks.cause  # Keras has taken it away
        if isinstance(error, SpecbuildError | OSError):
            raise error
        if (reason := self.processes.because(error)) is not error:
            raise reason from error
        raise RunError(
            f"{backend_name()} could not train the model: {words(error)}",
            help="does the loss fit the data and the output? specbuild check looks at both",
        ) from error


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
            with averaged_weights(model):
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
    build_metrics(model, (x, y) if weight is None else (x, y, weight))


def _end_epoch(model: Any, held_out: Batches | None, callbacks: Callbacks, epoch: int) -> None:
    """Validate and end an epoch whose steps were all done before; `epoch` counts from 0."""
    model.stop_training = False
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(epoch)
    logs = dict(model.get_metrics_result())
    if held_out is not None:
        values = model.evaluate(held_out, callbacks=callbacks, return_dict=True, verbose=0)
        logs |= {f"val_{name}": value for name, value in values.items()}
    callbacks.on_epoch_end(epoch, logs)


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
