"""`train.batch_size: auto`, and batch sizes that cannot fit into memory."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_graph
from specbuild.document import SpecError
from specbuild.training import train
from specbuild.training.batch_size import chosen_size, is_left_open
from specbuild.training.capacity import Demand, Room, machine_memory
from specbuild.training.hosts import Processes
from specbuild.training.opened import open_for_training
from specbuild.training.plan import memory_of_step, planned
from tests.run.conftest import blobs

plan = import_module("specbuild.training.plan")
AUTO = ["train.batch_size=auto"]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that sets the memory of the device in bytes, or that it is not known."""

    def has(bytes: int | None) -> None:
        room = None if bytes is None else Room(bytes, "gpu:0", accelerator=True)
        monkeypatch.setattr(plan, "room", lambda: room)

    return has


@pytest.fixture
def long(plain: Path) -> Path:
    """The path of a spec with 64 training windows or more, each of 288 numbers in, out and in between."""
    np.save(plain.parent / "blobs.npy", blobs(120))
    return plain


def test_a_run_keeps_the_batch_size_that_was_chosen(long: Path, tmp_path: Path, there: Any) -> None:
    there(2**30)
    run = train(long, overrides=[*AUTO, "train.epochs=1"], out=tmp_path, quiet=True)
    manifest = json.loads((run.path / "run.json").read_text("utf-8"))
    assert manifest["batch_size"] == 8  # the largest power of two that leaves 8 steps
    assert manifest["overrides"][-1] == "train.batch_size=8"
    assert "train.batch_size: auto is 8 here" in manifest["notes"]
    assert "batch_size: 8" in (run.path / "resolved.yaml").read_text("utf-8")
    assert run.folder.load_spec().batch_size == 8

    there(60_000)  # less memory now: the run goes on as it is, unless it is told to choose again
    again = train(resume=run.path, overrides=["train.epochs=2"], quiet=True)
    assert again.folder.manifest()["batch_size"] == 8
    again = train(resume=run.path, overrides=["train.epochs=3", *AUTO], quiet=True)
    manifest = again.folder.manifest()
    assert manifest["batch_size"] == 4
    assert manifest["resumed"][-1]["changes"] == {"train.epochs": ["2", "3"], "train.batch_size": ["8", "4"]}
    again = train(resume=run.path, overrides=["train.epochs=4", *AUTO], quiet=True)
    assert again.folder.manifest()["resumed"][-1]["changes"] == {"train.epochs": ["3", "4"]}


@pytest.mark.parametrize(("memory", "size"), [(None, 8), (2**30, 8), (60_000, 4), (30_000, 2), (14_000, 1)])
def test_auto_is_the_largest_power_of_two_that_fits(long: Path, there: Any, memory: int | None, size: int) -> None:
    there(memory)
    graph = build_graph(long, overrides=AUTO)
    assert graph.spec.batch_size == 8
    decided = planned(graph, open_for_training(graph), None)
    assert decided.graph.spec.batch_size == size
    assert decided.notes[0] == f"train.batch_size: auto is {size} here"


def test_lengths_that_the_spec_leaves_open_are_read_from_the_data(plain: Path, there: Any) -> None:
    there(30_000)
    text = plain.read_text("utf-8").replace("rain: [$past, 12, 12, 1]", "rain: [$past, null, null, 1]")
    plain.write_text(text, "utf-8")
    graph = build_graph(plain, overrides=AUTO)
    decided = planned(graph, open_for_training(graph), None)
    assert decided.graph.spec.batch_size == 2
    assert decided.graph.inputs[0].shape == (2, None, None, 1)
    assert decided.memory.startswith("memory: about ")
    assert memory_of_step(graph, open_for_training(graph)) == (
        "memory: about 63.2 KiB for a training step with 8 windows; "
        "train.batch_size: auto is chosen when training begins"
    )


def test_an_input_that_fixes_its_batch_leaves_nothing_to_choose(plain: Path, there: Any) -> None:
    there(2**30)
    text = plain.read_text("utf-8").replace("rain: [$past, 12, 12, 1]", "rain: {shape: [$past, 12, 12, 1], batch: 4}")
    plain.write_text(text, "utf-8")
    graph = build_graph(plain, overrides=AUTO)
    assert not is_left_open(graph)
    assert planned(graph, open_for_training(graph), None).graph.spec.batch_size == 4


def test_a_batch_that_cannot_fit_is_refused_before_training(plain: Path, tmp_path: Path, there: Any) -> None:
    there(30_000)
    with pytest.raises(SpecError) as error:
        train(plain, overrides=["train.batch_size=64"], out=tmp_path / "runs", quiet=True)
    (fault,) = error.value.diagnostics
    assert fault.path == "train.batch_size"
    assert fault.message == "a training step with a batch size of 64 does not fit into the memory of gpu:0"
    assert fault.reason.endswith(" and gpu:0 has 29.3 KiB")
    assert fault.help.startswith("--set train.batch_size=2 is predicted to fit; data.crop, ")
    assert not (tmp_path / "runs").exists()


def test_a_batch_that_may_not_fit_is_only_noted(plain: Path, there: Any) -> None:
    graph = build_graph(plain)
    needed = Demand(graph, 4).of(4)
    there((needed.bytes + needed.least) // 2)
    (note,) = planned(graph, open_for_training(graph), None).notes
    assert note.startswith("a training step probably takes ")
    there(needed.bytes)
    assert planned(graph, open_for_training(graph), None).notes == ()


def test_a_batch_has_no_more_windows_than_there_are(plain: Path, there: Any) -> None:
    there(2**20)
    graph = build_graph(plain, overrides=["train.batch_size=1000000"])
    dataset = open_for_training(graph)
    windows = len(dataset.split("train"))
    decided = planned(graph, dataset, None)
    assert f"for a training step with {windows} windows; " in decided.memory
    full = build_graph(plain, overrides=["train.batch_size=1000000", "train.steps_per_epoch=2"])
    with pytest.raises(SpecError):  # whose batches are full, with windows that occur several times
        planned(full, dataset, None)


def test_not_even_one_window_fits(plain: Path, there: Any) -> None:
    there(1000)
    graph = build_graph(plain, overrides=AUTO)
    with pytest.raises(SpecError) as error:
        planned(graph, open_for_training(graph), None)
    assert error.value.diagnostics[0].help.startswith("data.crop, ")


def test_several_devices_share_a_batch(long: Path) -> None:
    graph = build_graph(long, overrides=AUTO)
    dataset = open_for_training(graph)
    room = Room(Demand(graph, 4).of(2).most * 10 // 9 + 2, "gpu:0", accelerator=True)
    sizes = [chosen_size(graph, dataset, Demand(graph, 4, devices), room, devices) for devices in (1, 2, 3)]
    assert sizes == [2, 4, 6]  # two on each


def test_of_several_processes_the_first_chooses(long: Path, there: Any) -> None:
    class Second(Processes):
        def of_first(self, name: str, value: Any) -> Any:
            return {("batch size", 4): 2}[name, value()]

    there(60_000)
    graph = build_graph(long, overrides=AUTO)
    assert planned(graph, open_for_training(graph), None, processes=Second()).graph.spec.batch_size == 2


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/job\n", {"job/memory.max": "1000000\n", "memory.max": "max\n"}, 1_000_000),
        ("0::/of/the/host\n", {"memory.max": "2000000\n"}, 2_000_000),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "3000000\n"}, 3_000_000),
        ("4:cpu:/x\n5:memory:/x\n", {"memory/x/memory.limit_in_bytes": "4000000\n"}, 4_000_000),
        ("5:memory:/x\n", {"memory/x/memory.limit_in_bytes": "9223372036854771712\n"}, None),
    ],
)
def test_the_limit_of_a_control_group_counts(
    own: str, files: dict[str, str], expected: int | None, tmp_path: Path
) -> None:
    whole = machine_memory(tmp_path / "none", tmp_path / "none")
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text, "ascii")
    (tmp_path / "own").write_text(own, "ascii")
    assert machine_memory(tmp_path / "groups", tmp_path / "own") == (expected or whole)
