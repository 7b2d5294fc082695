"""Training that runs out of memory ends with the batch size that fits."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from specbuild.data.samples.sampler import Sampler
from specbuild.document import RunError
from specbuild.model.exhaustion import is_out_of_memory
from specbuild.training import train

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


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), True),
        (XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes."), True),
        (type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"), True),
        (RuntimeError("the shapes do not agree"), False),
        (ValueError("Out of memory is a film"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, told: bool) -> None:
    assert is_out_of_memory(error) is told
    outer = KeyError()
    outer.__cause__ = error
    assert is_out_of_memory(outer) is told
