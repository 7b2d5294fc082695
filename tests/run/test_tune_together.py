"""Studies that are killed and continued, and studies that several processes share, in SQLite and in PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from specbuild.document import ArgumentError, RunError
from specbuild.tuning import Study, TrialResult, loop, pictures, storage, tune
from tests.run.test_tune import SPEC, written
from tests.run.tuning_worker import formula

ROOT = Path(__file__).parent.parent.parent
TEXT = SPEC.replace("startup: 1", "startup: 3").replace("max_parameters: 60", "max_parameters: 60\n  seed: 5")


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No training, and no pictures, for which Optuna loads half of the packages that there are."""
    monkeypatch.setattr(loop, "run", formula())
    monkeypatch.setattr(pictures, "draw", lambda *_: ())


def started(folder: Path, out: Path, trials: int, seconds: float, *options: str) -> subprocess.Popen[str]:
    """A process that works on the study in `out`, made of the spec in `folder`."""
    command = [sys.executable, "-m", "tests.run.tuning_worker", str(folder), str(out), str(trials), str(seconds)]
    return subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process: subprocess.Popen[str]) -> list[str]:
    """The trials that a process trained, once it has ended."""
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said.splitlines()[-1].removeprefix("trained:").split()


def told(study: Study) -> list[tuple[object, ...]]:
    """What does not depend on when and where a study ran."""
    return [(t.number, t.state, t.value, t.params, t.reason, t.epochs) for t in study.trials]


def finished(trial: TrialResult) -> bool:
    return trial.state not in ("running", "waiting")


def test_a_study_that_is_killed_is_the_one_that_is_not(tmp_path: Path) -> None:
    written(tmp_path, TEXT)
    whole = tune(tmp_path / "tuned.yaml", out=tmp_path / "whole", name="study", trials=11, quiet=True)
    assert {"complete", "pruned", "refused"} == {trial.state for trial in whole.trials}

    out = tmp_path / "killed"
    kills = 0
    for epochs in (6, 19):
        process, deadline = started(tmp_path, out, 11, 0.02), time.monotonic() + 240
        while process.poll() is None and epochs_of(out) < epochs and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills
    killed = tune(resume=out, trials=11, quiet=True)
    assert told(killed) == told(whole)
    assert killed.best_spec is not None
    assert killed.best_spec.read_bytes() == (tmp_path / "whole/study/best.yaml").read_bytes()


def epochs_of(out: Path) -> int:
    """How many epochs a study has stored, read without Optuna."""
    import sqlite3

    try:
        with sqlite3.connect(f"file:{out / 'study/study.db'}?mode=ro", uri=True, timeout=5) as database:
            (count,) = database.execute("select count(*) from trial_intermediate_values").fetchone()
            return int(count)
    except sqlite3.Error:
        return 0
    finally:
        if "database" in locals():
            database.close()


def test_two_processes_share_a_study(tmp_path: Path) -> None:
    written(tmp_path, TEXT)
    tune(tmp_path / "tuned.yaml", out=tmp_path / "runs", name="study", trials=3, quiet=True)
    (tmp_path / "both").mkdir()
    both = [started(tmp_path, tmp_path / "runs", 9, 0.2) for _ in range(2)]
    first, second = map(ended, both)
    study = tune(resume=tmp_path / "runs", quiet=True)
    assert [trial.number for trial in study.trials] == list(range(9))
    assert all(map(finished, study.trials))
    assert first
    assert second
    assert not set(first) & set(second)
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 9
    assert not list((study.path / ".workers").glob("*/run.lock"))


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server on this machine, which is gone after the test."""
    programs = [*map(shutil.which, ("initdb", "pg_ctl"))]
    if None in programs:
        pytest.skip("needs PostgreSQL: apt-get install postgresql, with its bin folder in PATH")
    pytest.importorskip("psycopg2", reason="pip install psycopg2-binary")
    place = Path(tempfile.mkdtemp(prefix="postgresql"))  # pytest's own folder is closed to other users
    user = [] if os.getuid() else ["runuser", "-u", other_user(), "--"]
    if user:
        shutil.chown(place, user[2])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(*command: str) -> None:
        said = subprocess.run([*user, *command], cwd=place, capture_output=True, text=True, timeout=120, check=False)
        assert said.returncode == 0, said.stdout + said.stderr

    data, log = str(place / "data"), str(place / "log")
    call("initdb", "-D", data, "-U", "me", "-A", "trust", "--no-sync", "-E", "UTF8")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} -c fsync=off"
    call("pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")
    try:
        yield f"postgresql://me:secret@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(place)


def other_user() -> str:
    """A user other than root, as whom PostgreSQL runs."""
    return next(name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()})


def test_two_hosts_share_a_study_in_postgresql(tmp_path: Path, postgresql: str) -> None:
    written(tmp_path, TEXT)
    (tmp_path / "both").mkdir()
    hosts = [tmp_path / "one", tmp_path / "two"]
    first, second = map(ended, [started(tmp_path, out, 8, 0.2, postgresql) for out in hosts])
    assert first
    assert second
    assert not set(first) & set(second)
    study = tune(resume=hosts[0], storage=postgresql, quiet=True)
    assert len(study.trials) in (8, 9)  # both may have begun the last one
    assert all(map(finished, study.trials))
    assert "secret" not in (hosts[0] / "study/study.json").read_text("utf-8")

    other = written(tmp_path, TEXT.replace("[1, 3, 7]", "[1, 3, 5]"))
    with pytest.raises(ArgumentError, match="has another spec or search space"):
        tune(other, out=tmp_path / "three", name="study", storage=postgresql, quiet=True)
    assert not (tmp_path / "three/study").exists()
    with pytest.raises(RunError, match=r"the storage postgresql://me@127\.0\.0\.1:1/postgres failed"):
        tune(other, out=tmp_path / "four", name="study", storage="postgresql://me:secret@127.0.0.1:1/postgres")


def test_the_values_of_a_host_that_is_gone_are_tried_again(
    tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg2

    written(tmp_path, TEXT.replace("name: tuned", "name: tuned elsewhere").replace("[1, 3, 7]", "[1, 3]"))
    monkeypatch.setattr(storage, "GONE", 1)
    process = started(tmp_path, tmp_path / "one", 3, 0.3, postgresql, "gone")
    connection = psycopg2.connect(postgresql)
    try:
        connection.autocommit = True
        begun = "select count(*) from trial_intermediate_values v join trials t using (trial_id) join studies s using "
        begun += "(study_id) where s.study_name = 'gone'"
        with connection.cursor() as cursor:
            count = 0
            while not count and process.poll() is None:
                time.sleep(0.05)
                cursor.execute(begun)
                ((count,),) = cursor.fetchall()
    finally:
        connection.close()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(2)
    study = tune(tmp_path / "tuned.yaml", out=tmp_path / "two", name="gone", storage=postgresql, trials=3, quiet=True)
    gone = next(trial for trial in study.trials if trial.state == "failed")
    assert gone.reason == "its process died; its values are tried again"
    assert sum(trial.params == gone.params for trial in study.trials) == 2
    assert study.count("complete") == 3
