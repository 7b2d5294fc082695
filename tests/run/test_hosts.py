"""Two processes that train one model together, over the loopback of this machine."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from specbuild.document import RunError
from specbuild.runs.folder import RunFolder
from specbuild.training import train
from specbuild.training.batches import part
from tests.run.conftest import blobs

ROOT = Path(__file__).parents[2]
SPEC = """\
specbuild: 1
name: together
inputs: {rain: [2, 12, 12, 1]}
layers:
  - {layer: Dropout, rate: 0.1}
  - {layer: BatchNormalization}
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}
data:
  source: {path: blobs.npy, layout: T H W}
  windows: {past: 2, future: 2}
  split: {train: 0.7, validation: 0.3}
  transform: [standardize]
train: {loss: mse, metrics: [mae], epochs: 2, batch_size: 4, seed: 3, workers: 0}
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], int]:
    """The folder where two processes trained, what process 0 said of it, and how process 1 ended."""
    folder = tmp_path_factory.mktemp("together")
    for index in (0, 1):
        for place, change in ((folder / str(index), 0), (folder / str(index) / "other", index)):
            place.mkdir()
            frames = blobs()
            frames[3, 4, 5] += change
            np.save(place / "blobs.npy", frames)
            (place / "spec.yaml").write_text(SPEC, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    environ = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.run.two_processes", str(folder), coordinator]
    processes = [
        subprocess.Popen(
            [*command, str(index)], cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for index in (0, 1)
    ]
    try:
        (said, noise), _ = (process.communicate(timeout=600) for process in processes)
    finally:
        for process in processes:
            process.kill()
    assert processes[0].returncode == 0, noise
    return folder, json.loads(said.splitlines()[-1]), processes[1].returncode


def run_in(folder: Path, name: str) -> RunFolder:
    return RunFolder(next((folder / name).glob("*/run.json")).parent)


def weights(run: RunFolder, epoch: int = 2) -> dict[str, np.ndarray]:
    """Weights and optimizer after an epoch."""
    arrays: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(run.checkpoint(epoch)) as archive:
        stored = h5py.File(io.BytesIO(archive.read("model.weights.h5")))

    def keep(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset):
            arrays[name] = np.asarray(entry, np.float64)

    stored.visititems(keep)
    return arrays


def test_they_compute_what_one_does(together: tuple[Path, dict[str, Any], int]) -> None:
    folder, said, _ = together
    two, one = weights(run_in(folder, "two")), weights(run_in(folder, "by one"))
    assert two.keys() == one.keys()
    for name, array in two.items():
        np.testing.assert_allclose(array, one[name], rtol=1e-5, atol=1e-6, err_msg=name)
    assert len(said["two"]["history"]) == 2
    for mine, its in zip(said["two"]["history"], said["resumed by one"]["history"], strict=True):
        assert mine == pytest.approx(its, rel=1e-5)
    again = weights(run_in(folder, "one"))  # one epoch by one process, the second by two
    for name, array in two.items():
        np.testing.assert_allclose(array, again[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_signal_to_one_ends_both_which_go_on_bit_by_bit(together: tuple[Path, dict[str, Any], int]) -> None:
    folder, said, _ = together
    assert said["interrupted"]["number"] == signal.SIGTERM
    assert said["interrupted"]["says"].startswith("interrupted after step 7 of 10 in epoch 1. Resume with: ")
    assert said["status"] == "it was interrupted after step 7 in epoch 1"
    two, resumed = weights(run_in(folder, "two")), weights(run_in(folder, "interrupted"))
    assert all(np.array_equal(two[name], resumed[name]) for name in two)
    assert (run_in(folder, "two").history_file).read_text() == run_in(folder, "interrupted").history_file.read_text()


def test_one_that_is_killed_ends_the_other(together: tuple[Path, dict[str, Any], int]) -> None:
    folder, said, code = together
    assert code == -signal.SIGKILL
    end = said["killed"]
    assert end["type"] == "RunError"
    assert re.match(
        r"process 1 on \S+ ended without an error message, or can no longer be reached\n  = help: ", end["says"]
    )
    assert said["status after it"].startswith("it failed before the first epoch was finished: process 1 on ")
    assert run_in(folder, "killed").manifest()["status"] == "failed"


def test_what_differs_is_refused_by_name(together: tuple[Path, dict[str, Any], int]) -> None:
    folder, said, _ = together
    assert re.match(r"process 1 on \S+ differs from process 0 on \S+ in the data\n", said["other data"]["says"])
    aim = said["another aim"]["says"]
    assert re.match(r"process 1 on \S+ differs from process 0 on \S+ in the command: --resume ", aim)
    assert aim.splitlines()[0].endswith("not a new run")
    assert not (folder / "other").exists()


class Numbers:
    """Batches of the whole numbers from 0: 4, 4 and 3 of them. Remembers which were read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return 3

    def batch(self, _epoch: int, index: int, rows: slice = slice(None)) -> tuple[Any, Any, Any]:
        numbers = self.numbers(0, index)[rows]
        self.read += numbers
        return np.array(numbers), np.array(numbers), None

    def numbers(self, _epoch: int, index: int) -> list[int]:
        return list(range(11))[4 * index : 4 * index + 4]

    def sized(self, _batch_size: int) -> Numbers:
        return self


def test_each_reads_its_own_rows() -> None:
    for index, own in ((0, [0, 1, 4, 5]), (1, [2, 3, 6, 7])):
        source = Numbers()
        mine = part(source, index, 2, parts=2)
        for batch in range(3):
            mine.batch(0, batch)
        assert source.read == [*own, 8, 9, 10]  # the last batch does not divide
    source = Numbers()
    assert part(source, 0, 1, parts=2) is source


def test_other_backends_are_refused(tmp_path: Path) -> None:
    from specbuild.model.backend import backend_name

    if backend_name() == "jax":
        pytest.skip("this backend is the one that can")
    with pytest.raises(RunError, match="this is process 1 of 2, and several train together only on JAX") as error:
        train(SPEC, out=tmp_path, coordinator="127.0.0.1:1", processes=2, process_id=1)
    assert "KERAS_BACKEND=jax" in error.value.help


def test_examples_for_clusters_are_well_formed() -> None:
    cluster = ROOT / "examples" / "cluster"
    subprocess.run(["bash", "-n", str(cluster / "train.sbatch")], check=True)
    jobset = yaml.safe_load((cluster / "jobset.yaml").read_text("utf-8"))
    (train_job,) = jobset["spec"]["replicatedJobs"]
    job = train_job["template"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    (script,) = container["args"]
    subprocess.run(["sh", "-n", "-c", script], check=True)
    assert jobset["spec"]["coordinator"]["replicatedJob"] == train_job["name"]
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == job["parallelism"]
    (port,) = container["ports"]
    assert f"--coordinator $COORDINATOR:{port['containerPort']} --processes {job['completions']}" in script
    given = {entry["name"] for entry in container["env"]}
    assert {"COORDINATOR", "ATTEMPT", "KERAS_BACKEND"} <= given
