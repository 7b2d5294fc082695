"""One writer of a run folder at a time, and folders that are there whole or not at all: with real processes."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import specbuild
from specbuild.document import RunError
from specbuild.runs import lock
from specbuild.runs.files import write_text
from specbuild.runs.folder import RunFolder
from specbuild.runs.lock import LOCK, Process, RunLock, writer
from tests.run.manifests import manifest

ROOT = str(Path(specbuild.__file__).parents[1])
NOON = datetime(2026, 1, 31, 12, 0, 5)

HOLDER = """\
import sys, time
from pathlib import Path
from specbuild.runs.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def fill(folder: RunFolder) -> None:
    folder.write_manifest(**manifest(process=Process.this().model_dump()))
    write_text(folder.spec_file, "")


def made(out: Path) -> RunFolder:
    with RunFolder.create(out, "radar", fill, time=NOON) as folder:
        return folder


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": ROOT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def other(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock of a folder until its input ends."""
    process = python(HOLDER, str(folder))
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    folder = made(tmp_path)
    first = other(folder.path)
    with pytest.raises(RunError) as error, folder.writing():
        raise AssertionError
    process = writer(folder.path)
    assert process is not None
    assert (process.pid, folder.status().state) == (first.pid, "running")
    assert error.value.message == (
        f"the run folder {folder.path} is in use by process {first.pid} on {process.host}, since {process.since}"
    )
    assert folder.status().text.startswith(f"it is being trained by process {first.pid} on ")
    first.communicate("\n")
    assert not (folder.path / LOCK).exists()
    with folder.writing():
        assert writer(folder.path) == Process.this()
    assert list(folder.path.glob("*.lock")) == []


def test_a_lock_that_a_crash_left_behind_is_taken_over(tmp_path: Path) -> None:
    folder = made(tmp_path)
    first = other(folder.path)
    first.kill()
    first.communicate()
    assert (folder.path / LOCK).exists()
    assert writer(folder.path) is None
    with folder.writing():
        assert json.loads((folder.path / LOCK).read_text())["pid"] == os.getpid()


def test_a_run_whose_process_is_gone_says_so(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, "radar", fill) as folder:
        assert folder.status().state == "running"
        assert folder.status().text.endswith("; no epoch is finished yet")
    us = Process.this()
    status = folder.status()
    assert status.state == "interrupted"
    assert status.text == (f"its process {us.pid} on {us.host} ended unexpectedly before the first epoch was finished")
    folder.checkpoint(3).touch()
    assert folder.status().text == f"its process {us.pid} on {us.host} ended unexpectedly after epoch 3"
    folder.update_manifest(status="failed", process=None, error="no space")
    assert folder.status().text == "it failed after epoch 3: no space"


def test_two_threads_of_a_process_are_two_writers(tmp_path: Path) -> None:
    folder = made(tmp_path)
    with folder.writing(), pytest.raises(RunError, match="is in use by"), folder.writing():
        raise AssertionError


def test_whoever_asks_does_not_keep_a_writer_out(tmp_path: Path) -> None:
    folder = made(tmp_path)
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            writer(folder.path)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        with folder.writing():
            assert writer(folder.path) is not None
    over.set()
    for thread in threads:
        thread.join()


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    monkeypatch.setattr(lock, "_SETTLING", 0.01)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_the_process_and_its_heartbeat_decide(tmp_path: Path) -> None:
    folder = made(tmp_path)
    with folder.writing():
        assert writer(folder.path) == Process.this()
        with pytest.raises(RunError, match="is in use by process"), folder.writing():
            raise AssertionError
    path = folder.path / LOCK

    def left(process: Process, age: float) -> None:
        path.write_text(process.model_dump_json())
        os.utime(path, (time.time() - age, time.time() - age))

    ended = subprocess.Popen(["true"])
    ended.wait()
    us = Process.this()
    left(Process(pid=ended.pid, host=us.host, since=us.since), 0)
    assert writer(folder.path) is None
    left(Process(pid=os.getppid(), host=us.host, since=us.since), 1e6)
    assert writer(folder.path) is not None
    elsewhere = Process(pid=1, host="elsewhere", since=us.since)
    left(elsewhere, 3)
    assert writer(folder.path) == elsewhere
    left(elsewhere, -1e6)
    assert writer(folder.path) == elsewhere
    with pytest.raises(RunError) as error, folder.writing():
        raise AssertionError
    assert error.value.help.endswith(f"; if it is gone, remove {path}")
    left(elsewhere, 1e6)
    assert writer(folder.path) is None
    left(us, 0)
    with folder.writing():
        assert writer(folder.path) == us


def test_the_heartbeat_is_the_time_of_the_last_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    folder = made(tmp_path)
    with folder.writing():
        os.utime(folder.path / LOCK, (0, 0))
        for _ in range(500):
            if (folder.path / LOCK).stat().st_mtime > 0:
                break
            time.sleep(0.01)
        assert (folder.path / LOCK).stat().st_mtime > 0


def test_eight_that_begin_in_the_same_second_get_eight_folders(tmp_path: Path) -> None:
    code = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from tests.run.test_lock import made\n"
        "threads = [threading.Thread(target=made, args=(Path(sys.argv[1]),)) for _ in range(4)]\n"
        "sys.stdin.readline()\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
    )
    processes = [python(code, str(tmp_path)) for _ in range(2)]
    for process in processes:
        process.communicate("\n", timeout=60)
        assert process.returncode == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    base = "radar-20260131-120005"
    assert names == sorted([base, *(f"{base}-{number}" for number in range(2, 9))])
    for path in tmp_path.iterdir():
        assert sorted(file.name for file in path.iterdir()) == ["checkpoints", "run.json", "spec.yaml"]


def test_a_folder_that_cannot_be_filled_leaves_nothing(tmp_path: Path) -> None:
    def breaks(folder: RunFolder) -> None:
        fill(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunError) as error, RunFolder.create(tmp_path, "radar", breaks):
        raise AssertionError
    assert error.value.message == f"cannot make a run folder in {tmp_path}: No space left on device"
    with pytest.raises(KeyboardInterrupt), RunFolder.create(tmp_path, "radar", lambda _: signalled()):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_has_just_begun_is_seen(tmp_path: Path) -> None:
    file = os.open(tmp_path / LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(file, fcntl.LOCK_EX)
    process = Process.this()
    naming = threading.Timer(0.01, lambda: os.write(file, process.model_dump_json().encode()))
    naming.start()
    assert writer(tmp_path) == process
    naming.join()
    os.close(file)
    assert writer(tmp_path) is None


def test_a_folder_that_cannot_be_locked_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lock.os, "write", full)
    with pytest.raises(RunError) as error, RunFolder.create(tmp_path, "radar", fill):
        raise AssertionError
    assert error.value.message == f"cannot make a run folder in {tmp_path}: No space left on device"
    assert list(tmp_path.iterdir()) == []


def signalled() -> None:
    raise KeyboardInterrupt


def test_what_a_dead_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from specbuild.runs.folder import RunFolder\n"
        "with RunFolder.create(Path(sys.argv[1]), 'radar', lambda _: os._exit(9)): pass\n"
    )
    process = python(code, str(tmp_path))
    process.communicate()
    assert process.returncode == 9
    (tmp_path / ".empty.new").mkdir()
    hidden = {path.name for path in tmp_path.iterdir()}
    assert len(hidden) == 2
    living = tmp_path / ".living.new"
    living.mkdir()
    with RunLock(living):
        folder = made(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {folder.path.name, living.name}


def test_of_a_folder_of_runs_the_latest_unfinished_is_continued(tmp_path: Path) -> None:
    runs = [made(tmp_path) for _ in range(4)]
    for number, (run, status) in enumerate(zip(runs, ("failed", "running", "interrupted", "finished"), strict=True)):
        run.update_manifest(status=status, started=f"2026-01-31T12:00:0{number}+00:00")
    assert RunFolder.to_resume(tmp_path) == runs[2]
    with runs[2].writing():
        assert RunFolder.to_resume(tmp_path) == runs[1]
    for run in runs:
        run.update_manifest(status="finished")
    assert RunFolder.to_resume(tmp_path) == runs[3]
    runs[3].manifest_file.write_text("{")
    assert RunFolder.to_resume(tmp_path) == runs[2]
    assert RunFolder.to_resume(runs[0].path) == runs[0]


def test_where_every_run_is_being_written_none_is_continued(tmp_path: Path) -> None:
    with made(tmp_path).writing(), pytest.raises(RunError, match=r"every run in .* is being trained: radar-.*trained"):
        RunFolder.to_resume(tmp_path)


def test_what_is_offered_to_a_run_that_another_process_writes_is_left_out(tmp_path: Path) -> None:
    folder = made(tmp_path)
    colours = {"low": 0.0, "high": 1.0, "skewed": False}
    first = other(folder.path)
    folder.offer(colours=colours)
    assert "colours" not in folder.manifest()
    first.communicate("\n")
    folder.offer(notes=["alone"])
    with folder.writing():
        folder.offer(colours=colours)
    assert (folder.manifest()["colours"], folder.manifest()["notes"]) == (colours, ["alone"])
    assert not (folder.path / LOCK).exists()
