"""Training that runs out of memory ends with the batch size that fits."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from specbuild.data.samples.sampler import Sampler
from specbuild.document import RunError
from specbuild.model.exhaustion import is_out_of_memory
from specbuild.runs.predictor import predictor
from specbuild.training import memory, train

CHILD = """\
import resource, sys
from importlib import import_module
import numpy as np
import specbuild.training.fit as module
from specbuild.cli import main

fit = module.fit

def limited(*arguments):
    with open("/proc/self/status") as status:
        used = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize"))
    resource.setrlimit(resource.RLIMIT_AS, (used + 1500 * 2**20, resource.RLIM_INFINITY))
    return fit(*arguments)

module.fit = limited
np.save("frames.npy", np.zeros((40, 256, 256), np.float32))
main(["train", "spec.yaml"])
"""

SPEC = """\
specbuild: 1
name: large
inputs: {x: [2, 256, 256, 1]}
layers:
  - {time_distributed: {layer: Conv2D, filters: 32, kernel_size: 3, padding: same}}
  - {time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
data:
  source: {path: frames.npy, layout: T H W}
  windows: {past: 2, future: 2}
  split: {train: 1.0}
train: {epochs: 1, batch_size: 32, workers: 0}
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of memory is set as on Linux")
def test_a_process_out_of_memory_ends_with_the_batch_size_that_fits(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC, "utf-8")
    child = subprocess.run([sys.executable, "-c", CHILD], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert child.returncode == 1, child.stderr
    assert re.match(
        r"error: a step did not fit into memory with a batch size of 32; "
        r"a batch size of (2|4|8|16) was tried and fits\n"
        r"  = help: train again with --set train\.batch_size=\d+; data\.crop, ",
        child.stderr,
    )
    (manifest,) = tmp_path.glob("runs/*/run.json")
    assert json.loads(manifest.read_text("utf-8"))["status"] == "failed"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that sets the number of samples beyond which a batch no longer fits."""
    batch = Sampler.batch

    def at_most(most: int, epoch_from: int = 0) -> None:
        def limited(self: Sampler, epoch: int, index: int) -> Any:
            if self.batch_size > most and epoch >= epoch_from:
                raise MemoryError
            return batch(self, epoch, index)

        monkeypatch.setattr(Sampler, "batch", limited)

    return at_most


def test_memory_that_runs_out_while_a_batch_is_read(plain: Path, tmp_path: Path, narrow: Any) -> None:
    narrow(1)
    with pytest.raises(RunError) as error:
        train(plain, overrides=["train.epochs=1"], out=tmp_path, quiet=True)
    assert (
        error.value.message
        == "a step did not fit into memory with a batch size of 4; a batch size of 1 was tried and fits"
    )
    assert error.value.help.startswith("train again with --set train.batch_size=1; data.crop, ")
    narrow(0)
    with pytest.raises(RunError) as error:
        train(plain, overrides=["train.epochs=1"], out=tmp_path, quiet=True)
    assert error.value.message == "a step did not fit into memory with a batch size of 4, nor with any smaller one"


def test_no_size_is_tried_that_leaves_a_device_without_a_window() -> None:
    assert list(memory._halves(16, 3)) == [8, 4]
    assert list(memory._halves(2, 2)) == []


def test_a_run_that_has_finished_an_epoch_goes_on_with_the_size_that_fits(
    plain: Path, tmp_path: Path, narrow: Any
) -> None:
    split = "data.split={train: 0.8, validation: null}"
    run = train(plain, overrides=["train.epochs=1", split, "data.split.test=null"], out=tmp_path, quiet=True)
    narrow(2, epoch_from=1)
    with pytest.raises(RunError) as error:
        train(resume=run.path, overrides=["train.epochs=2"], quiet=True)
    command = f"resume with: specbuild train --resume {run.path} --set train.batch_size=2; "
    assert error.value.help.startswith(command)
    assert len(train(resume=run.path, overrides=["train.batch_size=2"], quiet=True).history) == 2


class XlaRuntimeError(RuntimeError):
    """Named like that of JAX."""


ResourceExhaustedError = type("ResourceExhaustedError", (Exception,), {"__doc__": "Named like that of TensorFlow."})
InternalError = type("InternalError", (Exception,), {"__doc__": "Named like that of TensorFlow."})
OF_FRAMEWORKS = [
    XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes."),
    ResourceExhaustedError("OOM when allocating tensor with shape[8,2,12,12]"),
]


@pytest.mark.parametrize("error", OF_FRAMEWORKS, ids=["jax", "tensorflow"])
def test_an_error_of_a_framework_in_a_step(
    error: Exception, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Sampler.batch

    def limited(self: Sampler, epoch: int, index: int) -> Any:
        if self.batch_size > 2:
            raise error
        return batch(self, epoch, index)

    monkeypatch.setattr(Sampler, "batch", limited)
    with pytest.raises(RunError, match="a batch size of 2 was tried and fits"):
        train(plain, overrides=["train.epochs=1"], out=tmp_path, quiet=True)


@pytest.mark.parametrize("error", OF_FRAMEWORKS, ids=["jax", "tensorflow"])
def test_weights_that_do_not_fit(
    error: Exception, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_model: Any) -> None:
        raise error

    monkeypatch.setattr("specbuild.runs.checkpoint.build_optimizer", full)
    message = "^the weights of the model and the state of Adam do not fit into memory"
    with pytest.raises(RunError, match=message):
        train(plain, out=tmp_path, quiet=True)


class Narrow:
    """A model that computes up to so many samples at a time, and remembers how many it got."""

    def __init__(self, most: int, error: Exception, batch: int | None = None) -> None:
        self.most, self.error, self.given = most, error, list[int]()
        self.inputs = [SimpleNamespace(shape=(batch, 3))]

    def predict_on_batch(self, x: np.ndarray) -> np.ndarray:
        self.given.append(len(x))
        if len(x) > self.most:
            raise self.error
        return 2 * x


@pytest.mark.parametrize("error", [MemoryError(), *OF_FRAMEWORKS])
def test_a_forecast_that_does_not_fit_goes_on_with_half_the_batch(error: Exception) -> None:
    model, x = Narrow(3, error), np.arange(33, dtype=np.float32).reshape(11, 3)
    predict = predictor(model, 8)
    np.testing.assert_array_equal(predict(x), 2 * x)
    assert model.given == [8, 4, 2, 2, 2, 2, 2, 1]
    np.testing.assert_array_equal(predict(x[:2]), 2 * x[:2])
    assert model.given[-1] == 2


@pytest.mark.parametrize(("batch", "words"), [(None, "^one sample does not fit"), (4, "^the 4 samples that an input")])
def test_a_forecast_that_never_fits(batch: int | None, words: str) -> None:
    predict = predictor(Narrow(0, MemoryError(), batch), 4)
    with pytest.raises(RunError, match=words) as error:
        predict(np.zeros((4, 3), np.float32))
    assert error.value.help.startswith("forecast fewer frames or a smaller region")


def test_other_errors_of_a_forecast_stay() -> None:
    with pytest.raises(ValueError, match="no such thing"):
        predictor(Narrow(0, ValueError("no such thing")), 4)(np.zeros((4, 3), np.float32))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), True),
        (XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes."), True),
        (ResourceExhaustedError("OOM when allocating tensor"), True),
        (InternalError("Failed call to cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY: out of memory"), True),
        (InternalError("the shapes do not agree"), False),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 123 bytes"), True),
        (RuntimeError("the shapes do not agree"), False),
        (ValueError("Out of memory is a film"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, told: bool) -> None:
    assert is_out_of_memory(error) is told
    outer = KeyError()
    outer.__cause__ = error
    assert is_out_of_memory(outer) is told
