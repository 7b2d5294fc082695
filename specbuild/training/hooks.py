"""Keras callbacks of a run, called as Keras's `fit` calls them, with a state that checkpoints keep. Imports Keras."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from specbuild.document import ArgumentError, PathPart, RunError, SpecbuildError, did_you_mean
from specbuild.language import Spec
from specbuild.model.backend import keras
from specbuild.model.objects import ObjectError, to_keras, words
from specbuild.runs.checkpoint import CallbackState, Progress
from specbuild.runs.optimizer import learning_rate, set_learning_rate
from specbuild.runs.records import LEARNING_RATE, results_in

_KEPT: dict[type, tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("best", "best_epoch", "stopped_epoch", "wait"),
    keras.callbacks.ModelCheckpoint: ("best", "epochs_since_last_save"),
    keras.callbacks.ReduceLROnPlateau: ("best", "cooldown_counter", "wait"),
}
"""Attributes of Keras's callbacks that change during training."""
_REFUSED: dict[type, str] = {
    keras.callbacks.BackupAndRestore: "specbuild saves the state of training itself; continue with resume=",
    keras.callbacks.SwapEMAWeights: "with use_ema, validation and the saved model use the averaged weights anyway",
}
"""Callbacks that replace the current weights of training in the model, and what to do instead."""


def check_callbacks(callbacks: Iterable[Any]) -> tuple[Any, ...]:
    """Return the callbacks that were given in Python.

    Raises:
        ArgumentError: one is no callback of Keras, or would put other weights into the model.
    """
    given = tuple(callbacks)
    for callback in given:
        if not isinstance(callback, keras.callbacks.Callback):
            raise ArgumentError(
                f"callbacks holds {callback!r}, which is not a keras.callbacks.Callback",
                help="give a list of objects, such as callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=show)]",
            )
        for kind, instead in _REFUSED.items():
            if isinstance(callback, kind):
                raise ArgumentError(f"{kind.__name__} cannot be used here: {instead}", help="leave it out")
    return given


def named_callbacks(spec: Spec) -> list[Any]:
    """Return the callbacks of `train.callbacks`.

    Raises:
        SpecError: no plugin has registered one, or Keras refuses its arguments.
    """
    made: list[Any] = []
    for number, item in enumerate(spec.train.callbacks):
        try:
            made += check_callbacks([to_keras(item, "callbacks")])
        except (ObjectError, ArgumentError) as error:
            reason = error.reason if isinstance(error, ObjectError) else ""
            raise spec.error(
                ("train", "callbacks", number), error.message, reason=reason, help=error.help, code="argument"
            ) from error
    return made


class Hooks(keras.callbacks.Callback):  # type: ignore[misc]
    """The callbacks of a run, as one callback.

    `fit` runs Keras's own `fit` more than once where it continues within an epoch; the callbacks see one training, with
    epochs and batches counted as if it had never been interrupted.

    Args:
        spec: its callbacks are called first.
        callbacks: those given in Python.
        done: how far training is.
        steps: the number of steps of an epoch.
    """

    def __init__(self, spec: Spec, callbacks: Iterable[Any], done: Progress, steps: int) -> None:
        super().__init__()
        self._spec, self._named = spec, named_callbacks(spec)
        self._callbacks = (*self._named, *check_callbacks(callbacks))
        self._done, self._params = done, {"epochs": spec.train.epochs, "steps": steps, "verbose": 0}
        self._before = done.step
        """Steps of the running epoch that were done when `fit` began."""
        self._begun = False
        self._rolled_back: tuple[CallbackState, ...] | None = None
        self._each_step = [each for each in self._callbacks if _overrides(each, "on_train_batch_end", "on_batch_end")]
        self._each_test_step = [each for each in self._callbacks if _overrides(each, "on_test_batch_end")]
        self.stopped_by = ""
        """The name of the callback that stopped training; empty: none."""
        self.cause: Exception | None = None
        """The error that a callback has raised."""
        self.keep: Callable[[int], None] = lambda _step: None
        """Saves the state after so many steps of the running epoch, before a failure ends training."""

    @property
    def names(self) -> list[str]:
        return [type(callback).__name__ for callback in self._callbacks]

    @property
    def forgetful(self) -> list[str]:
        """The users' callbacks that start without their state when a run is resumed."""
        own = [each for each in self._callbacks if not type(each).__module__.startswith("keras.")]
        return [type(each).__name__ for each in own if not hasattr(each, "get_state")]

    def states(self) -> tuple[CallbackState, ...]:
        """Return the state of each callback now, as a checkpoint holds it."""
        if self._rolled_back is not None:
            return self._rolled_back
        return tuple(
            CallbackState(name=name, state=_state(callback))
            for name, callback in zip(self.names, self._callbacks, strict=True)
        )

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if not self._begun:
            for callback in self._callbacks:
                callback.set_params(dict(self._params))
                callback.set_model(model)

    def set_params(self, params: Any) -> None:
        """Ignore the parameters of one call of Keras's `fit`."""

    def on_train_begin(self, _logs: Any = None) -> None:
        if self._begun:
            return
        self._begun = True
        self._call("on_train_begin", {})
        unused = list(self._done.callbacks)
        for name, callback in zip(self.names, self._callbacks, strict=True):
            saved = next((each for each in unused if each.name == name), None)
            if saved is not None:
                unused.remove(saved)
                self._guarded(callback, _restore, callback, saved.state)

    def end(self, logs: Mapping[str, Any]) -> None:
        """End the training that all calls of `fit` are parts of."""
        if self._begun:
            self._call("on_train_end", dict(logs))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._before = self._done.step if epoch == self._done.epoch else 0
        self._call("on_epoch_begin", epoch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self._callbacks:
            return
        for number, callback in enumerate(self._named):
            check_monitor(self._spec, ("callbacks", number, "monitor"), getattr(callback, "monitor", None), logs)
        states, rate = self.states(), learning_rate(self.model)

        def undone() -> None:
            # The callbacks before the one that failed have already seen the epoch, and see it again.
            self._rolled_back = states
            set_learning_rate(self.model, rate)
            self.keep(self._params["steps"])

        self._call("on_epoch_end", epoch, logs, keep=undone)
        logs[LEARNING_RATE] = rate
        for name in [name for name, value in logs.items() if not isinstance(value, Real)]:
            del logs[name]  # what a callback has left there for others

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        step = self._before + batch
        self._call("on_train_batch_begin", step, logs or {}, keep=lambda: self.keep(step) if step else None)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._each_step:
            step = self._before + batch
            self._call(
                "on_train_batch_end", step, _numbers(logs), keep=lambda: self.keep(step + 1), among=self._each_step
            )

    def on_test_begin(self, logs: Any = None) -> None:
        self._call("on_test_begin", logs or {}, keep=self._keep_training)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._call("on_test_batch_begin", batch, logs or {}, keep=self._keep_training)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._each_test_step:
            self._call("on_test_batch_end", batch, _numbers(logs), keep=self._keep_training, among=self._each_test_step)

    def on_test_end(self, logs: Any = None) -> None:
        self._call("on_test_end", logs or {}, keep=self._keep_training)

    def _keep_training(self) -> None:
        self.keep(self._params["steps"])

    def _call(
        self,
        method: str,
        *arguments: Any,
        keep: Callable[[], None] | None = None,
        among: Sequence[Any] | None = None,
    ) -> None:
        for callback in self._callbacks if among is None else among:
            self._guarded(callback, getattr(callback, method), *arguments, keep=keep)
            if getattr(self._model, "stop_training", False) and not self.stopped_by:
                self.stopped_by = type(callback).__name__

    def _guarded(
        self, callback: Any, call: Callable[..., Any], *arguments: Any, keep: Callable[[], None] | None = None
    ) -> None:
        """Call a method of a callback.

        Raises:
            RunError: it raised an error; what training has reached is saved.
        """
        try:
            call(*arguments)
        except Exception as error:
            if keep is not None:
                keep()
            if isinstance(error, SpecbuildError):
                raise
            name, self.cause = type(callback).__name__, error
            raise RunError(
                f"the callback {name} failed: {type(error).__name__}: {words(error)}",
                help="fix it or leave it out, then resume the run: its training is saved",
            ) from error


def check_monitor(spec: Spec, place: tuple[PathPart, ...], monitor: str | None, row: Mapping[str, Any]) -> None:
    """Refuse to watch a value that the run does not report.

    Raises:
        SpecError: located at `place` in `train`.
    """
    if monitor is None or monitor in row:
        return
    known = results_in(row)
    raise spec.error(
        ("train", *place),
        f'training reports no "{monitor}"',
        help=did_you_mean(monitor, known) or f"it reports {', '.join(known)}",
        code="unknown-name",
    )


def _overrides(callback: Any, *methods: str) -> bool:
    """Whether a callback has a method of its own in place of Keras's, which does nothing."""
    return any(not getattr(getattr(callback, method), "_is_default", False) for method in methods)


def _numbers(logs: Any) -> dict[str, Any]:
    """Return the loss and metrics of a step as numbers, which waits for the step."""
    return {name: float(value) for name, value in (logs or {}).items()}


def _state(callback: Any) -> dict[str, Any]:
    """Return the state of a callback that changes during training.

    Raises:
        RunError: its `get_state` fails, or returns what JSON cannot hold.
    """
    if hasattr(callback, "get_state"):
        name = type(callback).__name__
        try:
            state = callback.get_state()
            if not isinstance(state, dict):
                raise TypeError(f"it is a {type(state).__name__}, not a mapping")
            json.dumps(state)
        except Exception as error:
            raise RunError(
                f"the state of the callback {name} cannot be saved: {words(error)}",
                help="get_state() must return a dict of numbers, text, lists and dicts, which JSON can represent",
            ) from error
        return state
    return {
        name: getattr(callback, name) for kind, names in _KEPT.items() if isinstance(callback, kind) for name in names
    }


def _restore(callback: Any, state: dict[str, Any]) -> None:
    if hasattr(callback, "set_state"):
        callback.set_state(state)
        return
    for name, value in state.items():
        setattr(callback, name, value)
