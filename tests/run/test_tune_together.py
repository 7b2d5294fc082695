"""Studies that are killed and continued, and studies that several processes share, in SQLite and in PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from specbuild import load_spec
from specbuild.document import ArgumentError, RunError
from specbuild.language.sections.tune import TuneSection
from specbuild.training import Interrupted
from specbuild.tuning import Study, TrialResult, loop, pictures, storage, tune
from specbuild.tuning.folder import StudyFolder
from tests.run.test_tune import SPEC, written
from tests.run.tuning_worker import formula, together

ROOT = Path(__file__).parent.parent.parent
TEXT = SPEC.replace("startup: 1", "startup: 3").replace("max_parameters: 60", "max_parameters: 60\n  seed: 5")
ALL_COMPLETE = TEXT.replace("[1, 3, 7]", "[1, 3]").replace("startup: 3", "startup: 9")


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
    try:
        with closing(sqlite3.connect(f"file:{out / 'study/study.db'}?mode=ro", uri=True, timeout=5)) as database:
            (count,) = database.execute("select count(*) from trial_intermediate_values").fetchone()
            return int(count)
    except sqlite3.Error:
        return 0


def until(there: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until something is the case, at the longest until a process has ended."""
    deadline = time.monotonic() + 240
    while not there() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def test_two_processes_share_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, TEXT)
    both = tmp_path / "both"
    both.mkdir()
    process = started(tmp_path, tmp_path / "runs", 8, 0.02)
    until(lambda: list(both.iterdir()), process)
    ours: list[str] = []
    monkeypatch.setattr(loop, "run", together(tmp_path, formula(0.02, began=ours), ours))
    tune(resume=tmp_path / "runs", quiet=True)
    others = ended(process)
    study = tune(resume=tmp_path / "runs", quiet=True)
    assert [trial.number for trial in study.trials] == list(range(8))
    assert all(map(finished, study.trials))
    assert ours
    assert others
    assert not set(ours) & set(others)
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 8
    assert not list((study.path / ".workers").glob("*/run.lock"))


def silence(file: Path) -> None:
    """Make the last heartbeats of the trials in a database of SQLite an hour older."""
    with closing(sqlite3.connect(file, timeout=60)) as database, database:
        database.execute("update trial_heartbeats set heartbeat = datetime(heartbeat, '-1 hour')")


def test_a_study_in_two_folders_is_finished_without_the_one_that_was_killed(tmp_path: Path) -> None:
    written(tmp_path, ALL_COMPLETE)
    (tmp_path / "both").mkdir()
    file = tmp_path / "shared.db"
    options = {"name": "study", "storage": f"sqlite:///{file}", "quiet": True}
    process = started(tmp_path, tmp_path / "one", 3, 0.0, str(options["storage"]))
    until(lambda: list((tmp_path / "both").iterdir()), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    study = tune(tmp_path / "tuned.yaml", out=tmp_path / "two", trials=3, **options)
    assert [trial.state for trial in study.trials] == ["running", "complete", "complete"]
    assert not study.finished
    # A process that ends as soon as it has begun a trial leaves it without a heartbeat, and without its own name.
    optuna.load_study(study_name="study", storage=options["storage"]).ask()
    silence(file)
    study = tune(resume=tmp_path / "two", quiet=True)
    assert [trial.state for trial in study.trials] == ["failed", "complete", "complete", "running", "complete"]
    assert study.trials[0].reason == "its process died; its values are tried again"
    assert study.trials[4].params == study.trials[0].params
    silence(file)
    study = tune(resume=tmp_path / "one", quiet=True)
    assert [trial.state for trial in study.trials][3:] == ["failed", "complete", "complete"]
    assert study.finished


def give_up(out: Path, file: Path) -> None:
    """Let another process give up the trials of the study in `out` for lack of heartbeats."""
    silence(file)
    other = storage.open_study(StudyFolder.open(out), f"sqlite:///{file}", TuneSection(), maximize=False)
    optuna.storages.fail_stale_trials(other.study)


def test_a_trial_that_another_process_gave_up_does_not_end_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, file = written(tmp_path, ALL_COMPLETE), tmp_path / "shared.db"
    url, began = f"sqlite:///{file}", list[str]()

    def run(*given: Any) -> float:
        if not began:  # this process sleeps, as when a laptop is closed, and another one looks at the study
            give_up(tmp_path / "runs", file)
        return formula(began=began)(*given)

    monkeypatch.setattr(loop, "run", run)
    with storage.quietly():
        study = tune(spec, out=tmp_path / "runs", name="study", storage=url, trials=2)
    assert [trial.state for trial in study.trials] == ["failed", "complete", "complete"]
    assert study.trials[1].params == study.trials[0].params
    assert "trial  0  another process gave it up after 150 s without a heartbeat" in capsys.readouterr().out


def test_a_signal_ends_the_study_also_if_its_trial_was_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, file = written(tmp_path, ALL_COMPLETE), tmp_path / "shared.db"

    def run(*_: Any) -> float:
        give_up(tmp_path / "runs", file)
        raise Interrupted("", signal.SIGTERM)

    monkeypatch.setattr(loop, "run", run)
    with storage.quietly(), pytest.raises(Interrupted, match=r"interrupted\. Resume with: specbuild tune --resume"):
        tune(spec, out=tmp_path / "runs", name="study", storage=f"sqlite:///{file}", trials=2, quiet=True)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///runs/study/study.db", "the database of the study in"),
        ("sqlite:///:memory:", "a database in memory, which is lost when the process ends"),
    ],
)
def test_a_storage_that_would_lose_trials_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = written(tmp_path)
    if "study" in url:
        StudyFolder.create(tmp_path / "runs", load_spec(spec), "study", 1, "val_loss", None)
    with pytest.raises(ArgumentError, match=message):
        tune(spec, out=tmp_path / "others", name="other", storage=url, quiet=True)
    assert not (tmp_path / "others").exists() or not list((tmp_path / "others").iterdir())


def test_a_study_knows_its_database_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = written(tmp_path, ALL_COMPLETE)
    study = tune(spec, out=tmp_path / "runs", name="study", storage="sqlite:///shared.db", trials=1, quiet=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert told(tune(resume=study.path, trials=2, quiet=True))[:1] == told(study)
    assert not list((tmp_path / "elsewhere").iterdir())


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


def test_two_hosts_share_a_study_in_postgresql(
    tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = written(tmp_path, TEXT)
    (tmp_path / "both").mkdir()
    process = started(tmp_path, tmp_path / "one", 6, 0.02, postgresql)
    ours: list[str] = []
    monkeypatch.setattr(loop, "run", together(tmp_path, formula(0.02, began=ours), ours))
    tune(spec, out=tmp_path / "two", name="study", storage=postgresql, trials=6, quiet=True)
    others = ended(process)
    assert ours
    assert others
    assert not set(ours) & set(others)
    study = tune(resume=tmp_path / "one", storage=postgresql, quiet=True)
    assert len(study.trials) in (6, 7)  # both may have begun the last one
    assert all(map(finished, study.trials))
    assert "secret" not in (tmp_path / "one/study/study.json").read_text("utf-8")

    other = written(tmp_path, TEXT.replace("[1, 3, 7]", "[1, 3, 5]"))
    with pytest.raises(ArgumentError, match="has another spec or search space"):
        tune(other, out=tmp_path / "three", name="study", storage=postgresql, quiet=True)
    assert not (tmp_path / "three/study").exists()
    with pytest.raises(RunError, match=r"the storage postgresql://me@127\.0\.0\.1:1/postgres failed"):
        tune(other, out=tmp_path / "four", name="study", storage="postgresql://me:secret@127.0.0.1:1/postgres")


def test_the_values_of_a_host_that_is_gone_are_tried_again(tmp_path: Path, postgresql: str) -> None:
    import psycopg2

    spec = written(tmp_path, ALL_COMPLETE.replace("name: tuned", "name: tuned elsewhere"))
    (tmp_path / "both").mkdir()
    process = started(tmp_path, tmp_path / "one", 2, 0.0, postgresql, "gone")
    until(lambda: list((tmp_path / "both").iterdir()), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with closing(psycopg2.connect(postgresql)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("update trial_heartbeats set heartbeat = heartbeat - interval '1 hour'")
    study = tune(spec, out=tmp_path / "two", name="gone", storage=postgresql, trials=2, quiet=True)
    assert [trial.state for trial in study.trials] == ["failed", "complete", "complete"]
    assert study.trials[0].reason == "its process died; its values are tried again"
    assert study.trials[1].params == study.trials[0].params
