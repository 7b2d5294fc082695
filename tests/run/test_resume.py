"""A run that was ended at any moment goes on to the same files, byte for byte, as one that was not."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specbuild.document import RunError
from specbuild.model import saving
from specbuild.runs.checkpoint import Position, Progress, read, verify
from specbuild.runs.files import remove_leftovers, replacing
from specbuild.training import Interrupted, Run, keeper, train
from specbuild.training.history import Watch
from specbuild.training.keeping import Background, kept_positions
from tests.run.weights import stored

OVERRIDES = [
    "train.epochs=3",
    "train.checkpoints={every: 3 steps, keep: 2}",
    "train.early_stopping={patience: 9, monitor: val_mae}",
    "train.optimizer={name: AdamW, learning_rate: {name: CosineDecay, initial_learning_rate: 0.05, decay_steps: 20}, "
    "use_ema: true}",
    "train.workers=2",
    "data.augment={flip: [height, width], noise: 0.1}",
]
DROPOUT = "\n  - {id: drop, layer: Dropout, rate: 0.2}\ndata:"


@pytest.fixture
def spec_with_dropout(plain: Path) -> Path:
    plain.write_text(plain.read_text("utf-8").replace("\ndata:", DROPOUT, 1), "utf-8")
    return plain


def files(run: Run) -> dict[str, bytes]:
    """Every file of a run by its name, without run.json and history.jsonl, which have times.

    Of a `.keras` file it is the arrays, and what we write ourselves.
    Within one process Keras numbers optimizers in their names, which it stores as well.
    """
    contents = {}
    for path in sorted(run.path.rglob("*")):
        name = str(path.relative_to(run.path))
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                contents[f"{name}/specbuild.json"] = archive.read("specbuild.json")
            contents |= {f"{name}/{array}": value.tobytes() for array, value in stored(path).items()}
        elif path.is_file() and name not in ("run.json", "history.jsonl"):
            contents[name] = path.read_bytes()
    return contents


def send_at(monkeypatch: pytest.MonkeyPatch, method: str, call: int) -> None:
    """Send SIGTERM to this process before the given call of a method of the callback."""
    original: Callable[..., None] = getattr(keeper.Keeper, method)
    calls = iter(range(1, 10_000))

    def sends(*arguments: Any, **keywords: Any) -> None:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        original(*arguments, **keywords)

    monkeypatch.setattr(keeper.Keeper, method, sends)


def test_a_run_that_is_ended_again_and_again_ends_as_if_it_had_not_been(
    spec_with_dropout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(spec_with_dropout, overrides=OVERRIDES, out=tmp_path / "whole", quiet=True)
    part: dict[str, Any] = {"spec": spec_with_dropout, "overrides": OVERRIDES, "out": tmp_path / "part"}
    reached = []
    # Within an epoch, after all its steps, while it is validated, and where it ends.
    for method, call in (
        ("on_train_batch_end", 4),
        ("on_train_batch_end", 4),
        ("on_test_batch_end", 2),
        ("on_epoch_end", 1),
        ("on_train_batch_end", 16),
    ):
        with monkeypatch.context() as patch:
            send_at(patch, method, call)
            with pytest.raises(Interrupted) as stop:
                train(**part, quiet=True)
        reached.append(str(stop.value).partition(".")[0])
        (folder,) = (tmp_path / "part").glob("*")
        part = {"resume": folder}
    assert reached == [
        "interrupted after step 4 of 8 in epoch 1",
        "interrupted after step 8 of 8 in epoch 1",
        "interrupted after step 8 of 8 in epoch 1",
        "interrupted after epoch 1",
        "interrupted after step 8 of 8 in epoch 3",
    ]
    assert files(train(**part, quiet=True)) == files(whole)


def test_a_finished_run_stays_as_it_is(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    assert files(train(resume=copy, quiet=True)) == files(trained)


def test_a_run_without_a_checkpoint_starts_over(plain: Path, tmp_path: Path) -> None:
    run = train(plain, overrides=["train.epochs=1"], out=tmp_path, quiet=True)
    before = files(run)
    for path in run.folder.checkpoints().values():
        path.unlink()
    with replacing(run.path / "checkpoints/epoch-0001.keras") as unfinished:
        unfinished.write_bytes(b"")
    unfinished.with_name(unfinished.name.replace(str(os.getpid()), "999999999")).write_bytes(b"half")
    (run.path / "checkpoints/epoch-0001.keras").unlink()
    assert files(train(resume=run.path, quiet=True)) == before


def test_another_best_epoch_is_one_that_is_still_there(plain: Path, tmp_path: Path) -> None:
    overrides = ["train.epochs=4", "train.checkpoints.keep=1", "train.early_stopping={monitor: val_loss}"]
    run = train(plain, overrides=overrides, out=tmp_path, quiet=True)
    rows = run.history
    assert run.best == 4, "the loss falls in every epoch"
    again = train(resume=run.path, overrides=["train.early_stopping.mode=max"], quiet=True)
    note = (
        "the best epoch by val_loss is 1, whose checkpoint was not kept; the model is that of epoch 4, the best of "
        "those that were kept"
    )
    manifest = again.folder.manifest()
    assert (again.best, manifest["model_epoch"], manifest["notes"]) == (4, 4, [note])
    assert read(again.folder.model_file).history == rows


def test_batches_and_metrics_change_only_between_epochs(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        send_at(patch, "on_train_batch_end", 11)
        with pytest.raises(Interrupted):
            train(plain, overrides=["train.epochs=2"], out=tmp_path, quiet=True)
    (folder,) = tmp_path.glob("tiny*")
    before = (folder / "run.json").read_bytes()
    for override in ("train.batch_size=8", "train.steps_per_epoch=4", "train.metrics=[mse]"):
        with pytest.raises(RunError) as error:
            train(resume=folder, overrides=[override], quiet=True)
        assert error.value.message == (
            f"{override.partition('=')[0]} can change only between two epochs, and this run stopped after "
            "step 3 of 8 in epoch 2"
        )
    assert (folder / "run.json").read_bytes() == before
    (folder / "checkpoints/epoch-0002-step-000003.keras").unlink()
    run = train(resume=folder, overrides=["train.batch_size=8", "train.metrics=[mse]"], quiet=True)
    (resumed,) = run.folder.manifest()["resumed"]
    assert resumed["after_epoch"] == 1
    assert [sorted(row) for row in run.history] == [
        ["epoch", "learning_rate", "loss", "mae", "val_loss", "val_mae"],
        ["epoch", "learning_rate", "loss", "mse", "val_loss", "val_mse"],
    ]


@pytest.mark.parametrize("number", [1, 4])
def test_a_full_disk_ends_training_and_loses_nothing(
    number: int, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ["train.epochs=2", "train.checkpoints.every=3 steps"]
    whole = train(plain, overrides=overrides, out=tmp_path / "whole", quiet=True)
    writes = iter(range(1, 100))
    write = saving.write_members

    def full(*arguments: Any) -> None:
        if next(writes) >= number:
            raise OSError(errno.ENOSPC, "No space left on device", str(arguments[1]))
        write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("specbuild.model.saving.write_members", full)
        with pytest.raises(RunError) as error:
            train(plain, overrides=overrides, out=tmp_path / "part", quiet=True)
    (folder,) = (tmp_path / "part").glob("*")
    name = {1: "epoch-0001-step-000003", 4: "epoch-0002-step-000003"}[number]
    assert error.value.message.startswith(f"cannot write {folder}/checkpoints/.{name}.")
    assert error.value.message.endswith(".keras: the disk is full")
    assert error.value.help.endswith(f"specbuild train --resume {folder}")
    assert json.loads((folder / "run.json").read_text("utf-8"))["status"] == "failed"
    assert files(train(resume=folder, quiet=True)) == files(whole)


def test_what_a_thread_raises_is_raised_where_it_is_waited_for() -> None:
    def fails() -> None:
        raise RunError("no")

    order: list[int] = []
    background = Background()
    background.start(lambda: order.append(1))
    background.start(fails)
    with pytest.raises(RunError, match="no"):
        background.wait()
    background.check()
    background.start(lambda: order.append(2))
    background.wait()
    assert order == [1, 2]


@pytest.mark.parametrize(
    ("positions", "best", "kept"),
    [
        ([(1, 0), (2, 0), (3, 0), (4, 0)], 1, [(1, 0), (3, 0), (4, 0)]),
        ([(1, 0), (2, 0), (3, 0)], None, [(2, 0), (3, 0)]),
        ([(0, 3), (0, 6), (1, 0)], 1, [(1, 0)]),
        ([(0, 3), (1, 0), (1, 3), (1, 6), (1, 9)], 1, [(1, 0), (1, 6), (1, 9)]),
        ([(0, 3)], None, [(0, 3)]),
        ([], None, []),
    ],
)
def test_the_last_epochs_the_best_and_the_last_steps_are_kept(
    positions: list[tuple[int, int]], best: int | None, kept: list[tuple[int, int]]
) -> None:
    assert sorted(kept_positions([Position(*each) for each in positions], 2, best)) == kept


def test_the_best_is_chosen_among_those_that_are_there() -> None:
    history = [{"epoch": float(epoch), "val_loss": value} for epoch, value in enumerate((3.0, 1.0, 2.0), 1)]
    watch = Watch("val_loss")
    assert (watch.best(history), watch.best(history, among={1, 3}), watch.best(history, among={9})) == (2, 3, None)


@pytest.mark.parametrize("position", [Position(3), Position(3, 500), Position(0, 1), Position(12345, 1234567)])
def test_the_name_of_a_checkpoint_says_how_far_training_was(position: Position) -> None:
    assert Position.named(position.file_name) == position
    assert Position.named(f".{position.file_name}") is None


RECORDS = {
    "null": "its record is empty",
    "[]": "",
    "{}": "it was written after the start",
    '{"history": {}}': "history: ",
    '{"history": [[]]}': "history[0]: expected a mapping",
    '{"history": [{"epoch": "1", "loss": 1.0}]}': 'history[0].epoch: expected a number, got "1"',
    '{"history": [{"epoch": 2, "loss": 1.0}]}': "the history does not have one row per epoch",
    '{"history": [{"epoch": 1}]}': "the history does not have one row per epoch",
    '{"history": [], "step": true}': "step: ",
    '{"history": [], "step": 2, "steps": 1}': "step 2 is beyond the 1 of an epoch",
    '{"history": [], "seeds": [[0.5]]}': "seeds[0][0]: expected a whole number, got 0.5",
    '{"history": [], "seeds": 3}': "seeds: ",
    '{"history": [], "metrics": ["a"]}': 'metrics[0]: expected a list, got "a"',
    '{"histori": []}': 'unknown key "histori"',
    '{"history": ': "",
    "\ud800": "",
}


@pytest.mark.parametrize("record", RECORDS)
def test_a_wrong_record_is_a_damaged_checkpoint(record: str, trained: Run, tmp_path: Path) -> None:
    path = tmp_path / "epoch-0003.keras"
    with zipfile.ZipFile(trained.folder.checkpoint(3)) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            content = record.encode("utf-8", "surrogatepass") if member == "specbuild.json" else old.read(member)
            new.writestr(member, content)
    with pytest.raises(RunError) as error:
        read(path)
    assert error.value.message.startswith(f"the checkpoint {path} cannot be read: ")
    assert RECORDS[record].replace("its record is empty", "") in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize("member", ["specbuild.json", "config.json", "metadata.json", "model.weights.h5"])
def test_a_missing_or_changed_member_is_damage(member: str, trained: Run, tmp_path: Path) -> None:
    whole = trained.folder.checkpoint(3)
    assert verify(whole) == read(whole)
    path = tmp_path / "epoch-0003.keras"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in set(old.namelist()) - {member}:
            new.writestr(name, old.read(name))
        start = old.getinfo(member).header_offset
    with pytest.raises(RunError, match=f"it has no {member}"):
        verify(path)
    content = bytearray(whole.read_bytes())
    content[start + 200] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"cannot be read: "):
        verify(path)


def test_any_changed_byte_is_damage_or_without_effect(tmp_path: Path) -> None:
    path = tmp_path / "epoch-0001.keras"
    progress = Progress(history=({"epoch": 1.0, "loss": 0.5},))
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("config.json", "metadata.json", "model.weights.h5"):
            archive.writestr(name, b"{}")
        archive.writestr("specbuild.json", progress.model_dump_json())
    whole = path.read_bytes()
    refused = []
    for place in range(len(whole)):
        for value in (0, 255):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                assert verify(path) == progress
            except RunError as error:
                refused.append(error.message)
    assert len(refused) > len(whole)
    assert all(message.startswith(f"the checkpoint {path} cannot be read: ") for message in refused)


def test_the_progress_of_a_run_survives_as_json() -> None:
    history = ({"epoch": 1.0, "loss": 0.1 + 0.2, "iou": float("inf")},)
    progress = Progress(history=history, step=3, steps=8, seeds=((1, 2**32 - 1),), metrics=((1 / 3, 5.0),))
    assert Progress.model_validate_json(progress.model_dump_json()) == progress


def test_what_dead_processes_of_this_machine_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with replacing(tmp_path / "run.json") as unfinished:
        unfinished.write_text("")
    living, pid = unfinished.name, str(os.getpid())
    ours, theirs = living.replace(pid, "999999999"), f".run.{'0' * 8}-999999999.json"
    dead = [ours, f"checkpoints/{ours.replace('run', 'epoch-0006', 1)}"]
    kept = [living, theirs, ".notes", "checkpoints/.hidden.keras"]
    for name in (*dead, *kept):
        (tmp_path / name).write_text("")
    kept.append("run.json")
    remove_leftovers(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
