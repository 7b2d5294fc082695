"""Keras callbacks in a run: what they see, what they may do, and how they go on when the run is resumed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild.document import ArgumentError, RunError, SpecError
from specbuild.model.backend import keras
from specbuild.training import Interrupted, train
from tests.run.test_resume import files

OVERRIDES = ["train.epochs=3", "train.steps_per_epoch=4", "train.optimizer={name: SGD, learning_rate: 0.1}"]


NAMED = "{name: ReduceLROnPlateau, factor: 0.5, patience: 1, min_delta: 1e6}"
"""Halves the learning rate after every epoch, as none improves the loss by so much."""


class Record(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes down what it is called with; its state is how often it was called."""

    def __init__(self, kill: tuple[str, int] | None = None) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []
        self.count = 0
        self._kill = kill

    def get_state(self) -> dict[str, Any]:
        return {"count": self.count}

    def set_state(self, state: dict[str, Any]) -> None:
        self.count = state["count"]

    def _note(self, method: str, place: int, logs: Any) -> None:
        self.count += 1
        self.calls.append((method, place, dict(logs)))
        if (method, place) == self._kill:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._note("epoch begins", epoch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._note("step", batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._note("epoch", epoch, logs)


def plateau() -> Any:
    """The same as an object."""
    return keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=1e6)


def test_callbacks_see_one_training_however_often_it_is_resumed(plain: Path, tmp_path: Path) -> None:
    whole = Record()
    run = train(plain, overrides=OVERRIDES, out=tmp_path / "whole", quiet=True, callbacks=[whole, plateau()])
    assert [row["learning_rate"] for row in run.history] == [0.1, 0.1, 0.05]
    assert [call[:2] for call in whole.calls[:6]] == [
        ("epoch begins", 0),
        *(("step", step) for step in range(4)),
        ("epoch", 0),
    ]
    assert set(whole.calls[1][2]) == {"loss", "mae"}
    assert {"epoch": 1.0, **whole.calls[5][2]} == run.history[0]
    assert whole.params == {"epochs": 3, "steps": 4, "verbose": 0}
    assert run.folder.manifest()["callbacks"] == ["Record", "ReduceLROnPlateau"]

    part: dict[str, Any] = {"spec": plain, "overrides": OVERRIDES, "out": tmp_path / "part"}
    calls: list[Any] = []
    for kill in (("step", 1), ("step", 3), ("epoch", 1), None):
        record = Record(kill)
        keywords = {**part, "quiet": True, "callbacks": [record, plateau()]}
        if kill is None:
            again = train(**keywords)
        else:
            with pytest.raises(Interrupted):
                train(**keywords)
        calls += record.calls
        part = {"resume": next((tmp_path / "part").glob("*"))}
    begun_again = [("epoch begins", 0, {}), ("epoch begins", 0, {})]  # within an epoch
    assert sorted(map(str, calls)) == sorted(map(str, whole.calls + begun_again))
    ours, theirs = files(again), files(run)
    # The count of calls has the epochs that were begun again.
    assert _without_counts(ours) == _without_counts(theirs)


def _without_counts(contents: dict[str, bytes]) -> dict[str, Any]:
    def record(text: bytes) -> Any:
        progress = json.loads(text)
        for callback in progress["callbacks"]:
            callback["state"].pop("count", None)
        return progress

    return {name: record(content) if name.endswith("specbuild.json") else content for name, content in contents.items()}


class Stop(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends training after an epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        assert logs["val_loss"] > 0
        logs["own"] = np.float32(0.5)
        if epoch == 0:
            self.model.stop_training = True


def test_a_callback_ends_training(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(plain, overrides=OVERRIDES, out=tmp_path, quiet=True, callbacks=[Stop()])
    assert len(run.history) == 1
    assert run.history[0]["own"] == 0.5  # what a callback adds to the logs
    manifest = run.folder.manifest()
    assert (manifest["status"], manifest["notes"]) == (
        "finished",
        ["the callback Stop ended training after epoch 1"],
    )
    assert len(train(resume=run.path, callbacks=[Stop()]).history) == 1
    assert "was ended by the callback Stop after epoch 1; for more: --set train.epochs=6" in capsys.readouterr().out
    with pytest.raises(ArgumentError, match=r"would change nothing: .* was ended by the callback Stop after epoch 1"):
        train(resume=run.path, overrides=["train.workers=0"], quiet=True)
    assert len(train(resume=run.path, overrides=["train.epochs=2"]).history) == 2
    assert "note: the run was trained with callbacks that are not given now: Stop" in capsys.readouterr().out


class Fail(keras.callbacks.Callback):  # type: ignore[misc]
    """Raises an error in the second epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if epoch == 1:
            raise ConnectionError("no route to host")


def test_a_callback_that_fails_ends_a_run_that_can_be_resumed(plain: Path, tmp_path: Path) -> None:
    overrides = [*OVERRIDES, f"train.callbacks=[{NAMED}]"]
    whole = train(plain, overrides=overrides, out=tmp_path / "whole", quiet=True)
    assert [row["learning_rate"] for row in whole.history] == [0.1, 0.1, 0.05]
    with pytest.raises(RunError, match="the callback Fail failed: ConnectionError: no route to host") as error:
        train(plain, overrides=overrides, out=tmp_path / "part", quiet=True, callbacks=[Fail()])
    assert isinstance(error.value.__cause__, ConnectionError)
    (folder,) = (tmp_path / "part").glob("*")
    assert json.loads((folder / "run.json").read_text("utf-8"))["status"] == "failed"
    # All steps of the epoch are saved; the callbacks see its end again.
    assert (folder / "checkpoints/epoch-0002-step-000004.keras").exists()
    assert files(train(resume=folder, quiet=True)) == files(whole)
    # The learning rate that the callback has set is kept, unless the spec's changes.
    again = train(resume=folder, overrides=["train.epochs=4"], quiet=True)
    assert again.history[3]["learning_rate"] == 0.025
    changed = ["train.epochs=5", "train.optimizer.learning_rate=0.4", "train.callbacks=[]"]
    assert train(resume=folder, overrides=changed, quiet=True).history[4]["learning_rate"] == 0.4


@pytest.mark.parametrize(
    ("monitor", "split", "message", "help"),
    [
        ("val_mea", "", 'training reports no "val_mea"', 'did you mean "val_mae"?'),
        (
            "val_loss",
            "data.split={train: 0.8, test: 0.2, validation: null}",
            "val_loss needs validation data, and data.split gives none",
            "add a validation share to data.split, or monitor loss",
        ),
    ],
)
def test_a_monitor_that_a_run_does_not_report(
    monitor: str, split: str, message: str, help: str, plain: Path, tmp_path: Path
) -> None:
    callback = f"train.callbacks=[{{name: ReduceLROnPlateau, monitor: {monitor}}}]"
    with pytest.raises(SpecError) as error:
        train(plain, overrides=[*OVERRIDES, callback, *([split] if split else [])], out=tmp_path, quiet=True)
    (diagnostic,) = error.value.diagnostics
    assert (diagnostic.message, diagnostic.help) == (message, help)
    assert diagnostic.path == "train.callbacks.0.monitor"


def test_a_schedule_counts_epochs(plain: Path, tmp_path: Path) -> None:
    rise, fall = "initial_learning_rate: 0, warmup_target: 0.1, warmup_steps: 1 epoch", "decay_steps: 2 epochs"
    rate = f"{{name: CosineDecay, {rise}, {fall}}}"
    overrides = [*OVERRIDES[:2], f"train.optimizer={{name: SGD, learning_rate: {rate}}}"]
    run = train(plain, overrides=overrides, out=tmp_path, quiet=True)
    assert [row["learning_rate"] for row in run.history] == pytest.approx([0.1, 0.05, 0.0], abs=1e-6)
    with pytest.raises(ArgumentError) as error:
        train(resume=run.path, overrides=["train.epochs=4", "train.steps_per_epoch=2"], quiet=True)
    assert error.value.message == (
        "an epoch of this run has 4 steps and would have 2, and its learning-rate schedule counts epochs"
    )
    assert error.value.help == "write its lengths in steps, as they are so far: warmup_steps: 4, decay_steps: 8"


@pytest.mark.parametrize(
    ("callback", "told"),
    [
        ("early stopping", "callbacks holds 'early stopping', which is not a keras.callbacks.Callback"),
        (keras.callbacks.SwapEMAWeights(), "SwapEMAWeights cannot be used here: with use_ema, validation"),
    ],
)
def test_what_is_no_callback_or_swaps_weights_is_refused(callback: Any, told: str, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=told):
        train(plain, overrides=OVERRIDES, out=tmp_path, quiet=True, callbacks=[callback])
    assert not list(tmp_path.glob("*/run.json"))
