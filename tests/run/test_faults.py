"""A run folder that is removed, a disk that is full, a folder that cannot be written: with real processes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from specbuild.cli import main
from specbuild.document import RunError
from specbuild.runs import files, lock
from specbuild.runs.faults import explained
from specbuild.runs.folder import RunFolder
from specbuild.training import Run
from tests.run.test_lock import made
from tests.run.test_verbs import ROOT, run, start, wait_for


def test_a_run_folder_that_is_renamed_while_it_is_trained_is_not_brought_back(plain: Path) -> None:
    process = start("train", plain.name, "--set", "train.epochs=100000", "--quiet", cwd=plain.parent)
    path = wait_for("runs/tiny*/checkpoints/epoch-0002.keras", plain.parent, process).parents[1]
    renamed = path.rename(path.with_name("renamed"))
    out, err = process.communicate(timeout=300)
    name = path.relative_to(plain.parent)
    assert (process.returncode, out) == (1, ""), err
    assert err == (
        f"error: the run folder {name} is gone: it was removed or renamed during training\n"
        "  = help: nothing more could be saved; if it was renamed, resume with: "
        "specbuild train --resume NEW-NAME\n"
    )
    assert not path.exists()
    reached = RunFolder(renamed).reached
    status = RunFolder(renamed).status()
    assert status.state == "interrupted"
    assert status.text.startswith(f"its process {process.pid} on ")
    assert status.text.endswith(f" ended unexpectedly after {reached}")
    assert reached is not None
    code, _, err = run("train", "--resume", "runs", "--set", f"train.epochs={reached.epoch + 1}", cwd=plain.parent)
    assert (code, err) == (0, "")
    assert RunFolder(renamed).status().state == "finished"


def test_a_full_disk_ends_a_run_with_its_status_and_a_way_on(plain: Path) -> None:
    """The largest size of a file is limited, so that the first checkpoint does not fit."""
    command = f"ulimit -f 8; exec {sys.executable} -m specbuild train {plain.name} --set train.epochs=1 --quiet"
    environment = os.environ | {"PYTHONPATH": ROOT, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=plain.parent, env=environment, capture_output=True, text=True, check=False
    )
    (path,) = plain.parent.glob("runs/*")
    name = path.relative_to(plain.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert done.stderr == (
        f"error: cannot write {name}/checkpoints/epoch-0001.keras: the file would exceed the size limit\n"
        "  = help: what was saved before is kept; make room, "
        f"then resume with: specbuild train --resume {name}\n"
    )
    folder = RunFolder(path)
    assert folder.status().state == "failed"
    assert folder.status().text == (
        "it failed before the first epoch was finished: "
        f"cannot write {name}/checkpoints/epoch-0001.keras: the file would exceed the size limit"
    )
    assert [file.name for file in path.rglob("*") if file.name.startswith(".")] == []
    code, _, err = run("train", "--resume", "runs", cwd=plain.parent)
    assert (code, err) == (0, "")
    assert folder.status().state == "finished"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "cannot write {file}: the disk is full"),
        (errno.EDQUOT, "cannot write {file}: your disk quota is used up"),
        (errno.EROFS, "cannot write {file}: Read-only file system"),
        (errno.EACCES, "cannot write {file}: Permission denied"),
    ],
)
def test_a_fault_of_the_system_says_what_to_do(number: int, told: str, tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    with pytest.raises(RunError) as error, explained(tmp_path):
        raise OSError(number, os.strerror(number), str(file))
    assert error.value.message == told.format(file=file)
    assert error.value.help.startswith("what was saved before is kept; ")
    assert error.value.help.endswith(f", then resume with: specbuild train --resume {tmp_path}")


def test_an_error_about_other_files_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(PermissionError), explained(tmp_path / "run"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "data.npy"))


def test_a_run_in_a_folder_that_cannot_be_written_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path)

    def refused(*_: Any) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(lock.os, "open", refused)
    with pytest.raises(RunError) as error, folder.writing():
        raise AssertionError
    assert error.value.message == f"the run folder {folder.path} cannot be written to: Read-only file system"
    assert error.value.help == "copy it to a folder that you may write to, and use the copy"


def test_scores_and_forecasts_that_cannot_be_saved(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    scores, saved = trained.scores, sorted(trained.path.rglob("*"))
    assert scores is not None
    monkeypatch.setattr(files, "_sync", refused)
    result = CliRunner().invoke(main, ["evaluate", str(trained.path), "--format", "json"])
    assert (result.exit_code, json.loads(result.stdout)) == (1, scores.to_dict())
    assert result.stderr == (
        f"error: the scores cannot be saved in {trained.path}: Read-only file system\n"
        "  = help: make the folder writable, or copy it to a place where you may write, and evaluate the copy\n"
    )
    result = CliRunner().invoke(main, ["predict", str(trained.path)])
    assert (result.exit_code, result.output) == (
        1,
        f"error: the forecast cannot be written to {trained.path}/prediction.npz: Read-only file system\n"
        "  = help: name another place with --output\n",
    )
    assert sorted(trained.path.rglob("*")) == saved
