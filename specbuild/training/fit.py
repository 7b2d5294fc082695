"""The fitting itself: Keras's `fit` over the sampler's batches, with what watches it. Imports Keras."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from specbuild.catalog import KerasObject
from specbuild.catalog.signatures import Family, signature
from specbuild.data import Transform
from specbuild.document import RunError, SpecbuildError, did_you_mean
from specbuild.language import Spec
from specbuild.model.backend import backend_name, jit_compile, keras
from specbuild.model.objects import ObjectError, to_keras, words
from specbuild.runs import checkpoint
from specbuild.runs.files import copy, write_text
from specbuild.runs.folder import RunFolder
from specbuild.training.history import Watch, history_csv
from specbuild.training.losses import output_loss
from specbuild.training.progress import Display
from specbuild.training.scheduled_sampling import Sampler


def compile_model(
    model: Any, spec: Spec, *, weighted: bool, outputs: Sequence[str], transform: Transform | None = None
) -> None:
    """Compiles the model as `train:` says.

    Args:
        model: a `keras.Model`.
        spec: its `train` section has the optimizer, the losses and the metrics.
        weighted: whether batches carry weights, zero where a value is missing. Losses are then means over what is
            present, and metrics leave out what is missing.
        outputs: names of the model's outputs, in their order.
        transform: what the targets went through, for losses with thresholds in physical units; None: nothing.

    Raises:
        SpecError: one that no plugin registered, or whose arguments Keras refuses; a threshold that the transform does
            not keep.
    """
    train = spec.train

    def made(item: KerasObject, family: Family, *place: str | int) -> Any:
        try:
            return to_keras(item, family)
        except ObjectError as error:
            raise spec.error(
                ("train", *place), error.message, reason=error.reason, help=error.help, code="argument"
            ) from error

    def place(key: str, name: str) -> tuple[str, ...]:
        return (key, name) if key in train.by_output else (key,)

    losses = [output_loss(spec, name, made, weighted=weighted, transform=transform) for name in outputs]
    metrics = [
        [
            one.name if _by_shape(one) else made(_under_written_name(one), "metrics", *place("metrics", name), number)
            for number, one in enumerate(train.metrics_of(name))
        ]
        for name in outputs
    ]
    weights = [(train.loss_weights or {}).get(name, 1.0) for name in outputs]

    def arranged(values: list[Any]) -> Any:
        """One value for each output, as the model gives its outputs: alone, in a list or in a dict."""
        if isinstance(model.output, dict):
            return dict(zip(outputs, values, strict=True))
        return values if len(values) > 1 else values[0]

    model.compile(
        optimizer=made(train.optimizer, "optimizers", "optimizer"),
        loss=arranged(losses),
        loss_weights=arranged(weights) if train.loss_weights else None,
        metrics=None if weighted else arranged(metrics),
        weighted_metrics=arranged(metrics) if weighted else None,
        jit_compile=jit_compile(),
    )


def fit(
    model: Any,
    spec: Spec,
    folder: RunFolder,
    training: Sampler,
    validation: Sampler | None,
    watch: Watch,
    display: Display,
    done: checkpoint.Progress,
) -> tuple[dict[str, float], ...]:
    """Trains until the last epoch or until `watch` ends it; saves a checkpoint after each epoch.

    Args:
        model: compiled, with the weights to start from.
        done: the epochs that lie behind.

    Returns:
        The history: one row per epoch.

    Raises:
        RunError: the loss or a weight is not finite, or the data could not be read.
    """
    keeper = _Keeper(spec, folder, watch, display, done)
    if done.epoch >= spec.train.epochs or watch.is_over(done.history):
        return done.history
    if not folder.checkpoints():
        keeper.save(model)
    batches = _Endless(training, spec.train.workers, done.epoch)
    held_out = _Once(validation, spec.train.workers) if validation is not None else None
    try:
        with keeper.interrupt:
            model.fit(
                batches,
                validation_data=held_out,
                epochs=spec.train.epochs,
                initial_epoch=done.epoch,
                steps_per_epoch=len(training),
                callbacks=[keeper.set_steps(len(training))],
                shuffle=False,
                verbose=0,
            )
    except Exception as error:
        # What a worker raised reaches us as a framework's error about its iterator; the reason is what the user needs.
        if failure := batches.failure or (held_out and held_out.failure):
            raise failure from None
        if isinstance(error, SpecbuildError | OSError):
            raise
        raise RunError(
            f"{backend_name()} could not train the model: {words(error)}",
            help="does the loss fit the data and the output? did the memory last? try train.batch_size=1",
        ) from error
    return tuple(keeper.history)


class _Interrupt:
    """Ctrl-C, taken note of and obeyed after the running step; a second one is obeyed at once.

    Raised wherever it arrives, the exception can fall into a framework's callback, which drops it.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches that background threads prepare while the model computes; which ones does not depend on how many."""

    def __init__(self, sampler: Sampler, workers: int) -> None:
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=max(8, 2 * workers))
        self._sampler = sampler
        self.failure: Exception | None = None

    def _batch(self, epoch: int, index: int) -> tuple[Any, ...]:
        try:
            x, y, weight = self._sampler.batch(epoch, index)
        except Exception as error:
            self.failure = error
            raise
        return (x, y) if weight is None else (x, y, weight)


class _Endless(_Batches):
    """Epoch after epoch as one sequence, so that the next epoch's first batches are ready when it begins."""

    def __init__(self, sampler: Sampler, workers: int, first_epoch: int) -> None:
        super().__init__(sampler, workers)
        self._first_epoch = first_epoch

    @property
    def num_batches(self) -> None:
        return None

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        epoch, step = divmod(index, len(self._sampler))
        return self._batch(self._first_epoch + epoch, step)


class _Once(_Batches):
    """One pass, the same every time: the validation data."""

    @property
    def num_batches(self) -> int:
        return len(self._sampler)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self._batch(0, index)


class _Keeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Checks every loss, saves every epoch and reports both."""

    def __init__(
        self, spec: Spec, folder: RunFolder, watch: Watch, display: Display, done: checkpoint.Progress
    ) -> None:
        super().__init__()
        self._spec, self._folder, self._watch, self._display = spec, folder, watch, display
        self.history = list(done.history)
        self.interrupt = _Interrupt()
        self._steps = 0
        self._pending: tuple[int, Any] | None = None
        self._started = 0.0

    def set_steps(self, steps: int) -> _Keeper:
        self._steps = steps
        return self

    @property
    def _epoch(self) -> int:
        """The running epoch, counted from 1."""
        return len(self.history) + 1

    def on_train_begin(self, _logs: Mapping[str, Any] | None = None) -> None:
        self._display.begin(self._spec.train.epochs, self._steps, len(self.history))

    def on_epoch_begin(self, _index: int, _logs: Mapping[str, Any] | None = None) -> None:
        self._started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        # Reading a loss waits for the step that computes it. One step late, the accelerator has its next one already.
        pending, self._pending = self._pending, (batch + 1, (logs or {})["loss"])
        self._look(pending)
        if self.interrupt.asked:
            raise KeyboardInterrupt

    def on_test_begin(self, _logs: Mapping[str, Any] | None = None) -> None:
        self._flush()

    def on_epoch_end(self, _index: int, logs: Mapping[str, Any] | None = None) -> None:
        self._flush()
        row = {"epoch": float(self._epoch)} | {name: float(value) for name, value in (logs or {}).items()}
        if not math.isfinite(row.get("val_loss", 0.0)):
            raise self._diverged(f"the validation loss became {row['val_loss']} after epoch {self._epoch}")
        if not all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in self.model.weights):
            raise self._diverged(f"the weights were no longer finite after epoch {self._epoch}, step {self._steps}")
        if self._watch.monitor not in row:
            raise _unknown_monitor(self._spec, self._watch.monitor, [name for name in row if name != "epoch"])
        self.history.append(row)
        best = self._watch.best(self.history) == len(self.history)
        self.save(self.model)
        self._display.epoch(row, time.monotonic() - self._started, best and self._watch.keep_best)
        if self._watch.is_over(self.history):
            self.model.stop_training = True

    def save(self, model: Any) -> None:
        """Saves the state after the last finished epoch, then the files that follow from it."""
        epoch = len(self.history)
        checkpoint.save(model, self._folder.checkpoint(epoch), self.history)
        if epoch and self._watch.keep_best and self._watch.best(self.history) == epoch:
            copy(self._folder.checkpoint(epoch), self._folder.best_file)
        if epoch:
            write_text(self._folder.history_file, history_csv(self.history))
        for old in list(self._folder.checkpoints().values())[: -self._spec.train.checkpoints.keep]:
            old.unlink()

    def _flush(self) -> None:
        pending, self._pending = self._pending, None
        self._look(pending)

    def _look(self, pending: tuple[int, Any] | None) -> None:
        if pending is None:
            return
        step, loss = pending[0], float(pending[1])
        if not math.isfinite(loss):
            raise self._diverged(f"the loss became {loss} in epoch {self._epoch}, step {step}")
        self._display.step(self._epoch, step, loss)

    def _diverged(self, message: str) -> RunError:
        epoch, path = list(self._folder.checkpoints().items())[-1]
        when = f"after epoch {epoch}" if epoch else "before training"
        return RunError(
            message, help="; ".join([*likely_causes(self._spec), f"the last good weights, {when}, are in {path}"])
        )


def likely_causes(spec: Spec) -> list[str]:
    """What usually makes a loss not finite, as far as the spec shows it."""
    rate = spec.train.optimizer.arguments.get("learning_rate")
    written = f" ({rate:g} is written)" if isinstance(rate, int | float) else ""
    causes = [f"lower the learning rate{written} or set clipnorm on the optimizer"]
    unbounded = [node.id for node in spec.layers if _unbounded(node.layer)]
    if unbounded:
        causes.insert(0, f"relu inside the recurrence of {', '.join(unbounded)} can grow without bound; use tanh")
    return causes


def _unbounded(layer: Any) -> bool:
    inner = getattr(layer, "layer", layer)
    activation = getattr(inner, "activation", None)
    return hasattr(inner, "recurrent_activation") and isinstance(activation, KerasObject) and activation.name == "relu"


def _unknown_monitor(spec: Spec, monitor: str, known: list[str]) -> Exception:
    return spec.error(
        ("train", "early_stopping", "monitor"),
        f'this run reports no "{monitor}"',
        help=did_you_mean(monitor, known) or f"it reports {', '.join(known)}",
        code="unknown-name",
    )


def _by_shape(metric: KerasObject) -> bool:
    """Whether Keras is to choose the metric by output and target. Its class `Accuracy` compares them for equality."""
    return metric.name in ("accuracy", "acc") and not metric.arguments


def _under_written_name(metric: KerasObject) -> KerasObject:
    """A metric that reports under the name that the spec wrote: `mae` as `mae`, not as `mean_absolute_error`."""
    if signature("metrics", metric.name) is None or not metric.name.islower():
        return metric
    return KerasObject(metric.name, metric.arguments | {"name": metric.name})
