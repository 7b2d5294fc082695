"""Training that breaks off: a loss that is not finite, an error in a callback or a worker. Nothing of it lives on."""

from __future__ import annotations

import gc
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from specbuild.data.samples.sampler import Sampler
from specbuild.document import RunError
from specbuild.model.backend import backend_name
from specbuild.training import fit, keeper, train


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_a_loss_that_is_not_finite_stops_the_run(name: str, spec: Path, tmp_path: Path) -> None:
    overrides = ["train.optimizer.learning_rate=1e30", f"layers.enc.activation={name}"]
    with pytest.raises(RunError, match=r"the loss became (nan|inf) in epoch 1, step 2") as error:
        train(spec, overrides=overrides, out=tmp_path, quiet=True)
    (folder,) = tmp_path.glob("tiny-nowcast-*")
    relu = "relu inside the recurrence of enc can grow without bound; use tanh; " if name == "relu" else ""
    assert error.value.help == (
        f"{relu}lower the learning rate (1e+30 is written) or set clipnorm on the optimizer; the last good "
        f"weights, before step 2, are in {folder}/last-good.keras"
    )
    assert list((folder / "checkpoints").iterdir()) == []
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"


def test_a_signal_ends_the_search_for_the_cause_and_not_the_report(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def searching(*_: object) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
        raise AssertionError("the signal was not obeyed")

    monkeypatch.setattr(fit, "cause_in_training", searching)
    with pytest.raises(RunError, match=r"^the loss became (nan|inf) in epoch 1, step \d+\n"):
        train(plain, overrides=["train.optimizer={name: SGD, learning_rate: 1e30}"], out=tmp_path, quiet=True)
    (folder,) = tmp_path.glob("*/run.json")
    assert json.loads(folder.read_text())["status"] == "failed"


@pytest.mark.skipif(backend_name() != "tensorflow", reason="the other backends have no iterator outside of Python")
@pytest.mark.parametrize("raised", [RunError("stop"), KeyboardInterrupt()], ids=["a fault", "Ctrl-C"])
@pytest.mark.parametrize("method", ["on_train_batch_end", "on_test_batch_end"])
def test_a_failed_training_leaves_no_iterator(
    raised: BaseException, method: str, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = []

    def breaks(_keeper: object, _batch: int, logs: Mapping[str, object]) -> None:
        losses.append(logs["loss"])
        raise raised

    monkeypatch.setattr(keeper.Keeper, method, breaks)
    with pytest.raises(type(raised)):
        train(plain, out=tmp_path, quiet=True)
    assert living_iterators() == []
    assert not isinstance(losses[0], float), "reading it waited for the step"


@pytest.mark.skipif(backend_name() != "tensorflow", reason="the other backends have no iterator outside of Python")
def test_data_that_cannot_be_read_leaves_no_iterator(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Sampler.batch

    def breaks(self: Sampler, epoch: int, index: int) -> Any:
        if index > 2:
            raise OSError("the disk is gone")
        return batch(self, epoch, index)

    monkeypatch.setattr(Sampler, "batch", breaks)
    with pytest.raises(OSError, match="the disk is gone"):
        train(plain, out=tmp_path, quiet=True)
    assert living_iterators() == []


def living_iterators() -> list[object]:
    """Iterators of TensorFlow over batches.

    One that lives on when Python ends waits for a thread that can no longer run Python, so the process never ends.
    """
    from tensorflow.python.data.ops.iterator_ops import OwnedIterator

    return [each for each in gc.get_objects() if type(each) is OwnedIterator]
