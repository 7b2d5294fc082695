"""Keras's `fit` over batches, with checkpoints, checks of every loss, and signals. Imports Keras."""

from __future__ import annotations

import gc
import math
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from specbuild.document import RunError, SpecbuildError, did_you_mean
from specbuild.graph.lints import unbounded_activations
from specbuild.language import Spec
from specbuild.model.backend import backend_name, keras
from specbuild.model.objects import words
from specbuild.runs import checkpoint
from specbuild.runs.files import copy, write_text
from specbuild.runs.folder import RunFolder
from specbuild.training.batches import Batches, BatchSource
from specbuild.training.history import Watch, history_csv
from specbuild.training.interrupt import Signals
from specbuild.training.progress import Display


def fit(
    model: Any,
    spec: Spec,
    folder: RunFolder,
    training: BatchSource,
    validation: BatchSource | None,
    watch: Watch,
    display: Display,
    done: checkpoint.Progress,
    signals: Signals,
) -> tuple[dict[str, float], ...]:
    """Train until the last epoch or until `watch` ends it; save a checkpoint after each epoch.

    Args:
        model: compiled, with the weights to start from.
        done: the finished epochs.
        signals: what may end training after a step.

    Returns:
        The history: one row per epoch.

    Raises:
        RunError: the loss or a weight is not finite, or the data could not be read.
        KeyboardInterrupt: a signal came.
    """
    keeper = _Keeper(spec, folder, watch, display, done, len(training), signals)
    if done.epoch >= spec.train.epochs or watch.is_over(done.history):
        return done.history
    if not folder.checkpoints():
        keeper.save(model)
    batches = Batches(training, spec.train.workers, done.epoch)
    held_out = Batches(validation, spec.train.workers) if validation is not None else None
    try:
        signals.stepping = True
        with _releasing_iterators(model):
            model.fit(
                batches,
                validation_data=held_out,
                epochs=spec.train.epochs,
                initial_epoch=done.epoch,
                steps_per_epoch=len(training),
                callbacks=[keeper],
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
    finally:
        signals.stepping = False
    return tuple(keeper.history)


@contextmanager
def _releasing_iterators(model: Any) -> Iterator[None]:
    """Release the iterators over batches where training breaks off.

    The frames of Keras's `fit` hold them, and the traceback holds the frames until Python ends. TensorFlow would then
    wait for the thread that fills them, which can no longer run Python, and the process would never end.
    """
    try:
        yield
    except BaseException as error:
        _clear_frames(error)
        model._eval_epoch_iterator = None
        gc.collect()
        raise


def _clear_frames(error: BaseException) -> None:
    """Clear the local variables of every frame that has ended and that an error or its context refers to.

    Keras leaves its own frames out of the traceback; its callbacks' frames still refer to them as their callers.
    """
    errors: list[BaseException | None] = [error]
    cleared: set[int] = set()
    while errors:
        each = errors.pop()
        if each is None or id(each) in cleared:
            continue
        cleared.add(id(each))
        errors += [each.__cause__, each.__context__]
        for frame, _ in traceback.walk_tb(each.__traceback__):
            caller: FrameType | None = frame
            while caller is not None:
                try:
                    caller.clear()
                except RuntimeError:  # it is still running, and so are its callers
                    break
                caller = caller.f_back


class _Keeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Checks every loss, saves every epoch and reports both to the display."""

    def __init__(
        self,
        spec: Spec,
        folder: RunFolder,
        watch: Watch,
        display: Display,
        done: checkpoint.Progress,
        steps: int,
        signals: Signals,
    ) -> None:
        super().__init__()
        self._spec, self._folder, self._watch, self._display = spec, folder, watch, display
        self._signals = signals
        self.history = list(done.history)
        self._steps = steps
        self._pending: tuple[int, Any] | None = None
        self._started = 0.0

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
        self._check_pending()
        self._pending = batch + 1, (logs or {})["loss"]
        if self._signals.asked is not None:
            raise KeyboardInterrupt

    def on_test_begin(self, _logs: Mapping[str, Any] | None = None) -> None:
        self._check_pending()

    def on_epoch_end(self, _index: int, logs: Mapping[str, Any] | None = None) -> None:
        self._check_pending()
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
        """Save the state after the last finished epoch, then the files that follow from it."""
        epoch = len(self.history)
        checkpoint.save(model, self._folder.checkpoint(epoch), self.history)
        if epoch and self._watch.keep_best and self._watch.best(self.history) == epoch:
            copy(self._folder.checkpoint(epoch), self._folder.best_file)
        if epoch:
            write_text(self._folder.history_file, history_csv(self.history))
        for old in list(self._folder.checkpoints().values())[: -self._spec.train.checkpoints.keep]:
            old.unlink()

    def _check_pending(self) -> None:
        """Check the loss of the step before, which has been computed meanwhile."""
        pending, self._pending = self._pending, None
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


def _unknown_monitor(spec: Spec, monitor: str, known: list[str]) -> Exception:
    return spec.error(
        ("train", "early_stopping", "monitor"),
        f'this run reports no "{monitor}"',
        help=did_you_mean(monitor, known) or f"it reports {', '.join(known)}",
        code="unknown-name",
    )
