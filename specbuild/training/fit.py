"""Keras's `fit` over batches, with checkpoints, checks of every loss, and signals. Imports Keras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from specbuild.document import RunError, SpecbuildError
from specbuild.language import Spec
from specbuild.model.backend import backend_name
from specbuild.model.exhaustion import is_out_of_memory
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
    epochs = spec.train.epochs
    if is_over(done, epochs, watch):
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
            callbacks=Callbacks([hooks, keeper], add_history=True, model=model, epochs=last_epoch, steps=steps),
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
            keeper = Keeper(
                spec, keeping, display, done, len(training), held_out is not None, signals, background, processes, hooks
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
                    _end_epoch(model, held_out, Callbacks([hooks, keeper], model=model, epochs=epochs), done.epoch)
                if len(keeper.history) < epochs and not watch.is_over(keeper.history) and not hooks.stopped_by:
                    train(Progress(history=tuple(keeper.history)), epochs, len(training))
                hooks.end(keeper.history[-1])
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
        if hooks.cause is not None:
            raise error from hooks.cause  # Keras has taken it away
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
    model._symbolic_build(data_batch=(x, y) if weight is None else (x, y, weight))


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
