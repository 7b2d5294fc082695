"""Signals to real processes: while data are opened, a model is built, a step compiles, a run is scored or drawn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from specbuild.runs.folder import RunFolder
from specbuild.training.interrupt import Signals
from tests.run.test_verbs import ROOT, run, start, wait_for

STALL = '''\
"""Makes one function of specbuild say that it is called, and then wait for as long as the process lives."""

import ctypes, importlib, os, sys, time

place, name, how = os.environ["STALL"].split()

def stalls(*_, **__):
    open("stalled", "w").close()
    if how == "uninterruptibly":  # as in a compiler: no signal gets through to Python
        mutex = ctypes.create_string_buffer(64)
        for _ in range(2):
            ctypes.CDLL(None).pthread_mutex_lock(mutex)
    time.sleep(600)

setattr(importlib.import_module(place), name, stalls)
'''


def stalled(
    spec: Path, monkeypatch: pytest.MonkeyPatch, place: str, name: str, how: str = "asleep"
) -> subprocess.Popen[str]:
    """Train until a function is called, which never ends."""
    (spec.parent / "stall.py").write_text(STALL, encoding="utf-8")
    monkeypatch.setenv("STALL", f"{place} {name} {how}")
    few = ("--set", "train.epochs=1", "--set", "train.steps_per_epoch=1")
    process = start("train", spec.name, *few, "--plugin", "stall", "--quiet", cwd=spec.parent)
    wait_for("stalled", spec.parent, process)
    return process


def ended(process: subprocess.Popen[str], *numbers: signal.Signals) -> str:
    """Send signals, and return what the process says on standard error before it ends with the last of them."""
    for number in numbers:
        process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + numbers[-1], err
    assert "Traceback" not in err
    assert out == ""
    return err


@pytest.mark.parametrize(
    ("number", "place", "name"),
    [
        (signal.SIGTERM, "specbuild.training.opened", "open_samples"),
        (signal.SIGHUP, "specbuild.model.build", "build"),
        (signal.SIGINT, "specbuild.training.description", "data_files"),
    ],
    ids=["data", "model", "run folder"],
)
def test_a_signal_before_the_run_folder_exists_leaves_nothing(
    number: signal.Signals, place: str, name: str, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = stalled(plain, monkeypatch, place, name)
    assert ended(process, number) == "\ninterrupted before training began; nothing was written\n"
    assert not (plain.parent / "runs").exists()


def test_a_signal_while_a_run_is_drawn_ends_it_and_keeps_its_model(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = stalled(plain, monkeypatch, "specbuild.evaluation.evaluate", "draw_animation")
    (path,) = plain.parent.glob("runs/tiny*")
    message = f"interrupted after training. Score the model with: specbuild evaluate {path.relative_to(plain.parent)}"
    assert ended(process, signal.SIGINT) == f"\n{message}\n"
    assert json.loads((path / "run.json").read_text("utf-8"))["status"] == "interrupted"
    assert (path / "model.keras").is_file()
    assert not (path / "run.lock").exists()


def test_a_second_signal_ends_a_run_that_does_not_hear_the_first(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = stalled(plain, monkeypatch, "specbuild.evaluation.evaluate", "evaluate", "uninterruptibly")
    (path,) = plain.parent.glob("runs/tiny*")
    folder, name = RunFolder(path), path.relative_to(plain.parent)
    code, out, err = run("train", "--resume", str(name), cwd=plain.parent)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: the run folder {name} is in use by process {process.pid} on ")
    assert folder.status().state == "running"
    err = ended(process, signal.SIGTERM, signal.SIGUSR1)
    assert err == f"\ninterrupted after epoch 1. Resume with: specbuild train --resume {name}\n"
    assert folder.status().text == "it was interrupted after epoch 1"
    monkeypatch.delenv("STALL")
    code, _, err = run("train", "--resume", "runs", cwd=plain.parent)
    assert (code, err) == (0, "")
    assert folder.status().state == "finished"
    assert not (path / "run.lock").exists()


def test_a_signal_while_the_first_step_compiles_is_obeyed_after_it(plain: Path) -> None:
    process = start("train", plain.name, "--set", "train.epochs=100000", "--quiet", cwd=plain.parent)
    path = wait_for("runs/tiny*", plain.parent, process)
    err = ended(process, signal.SIGTERM)
    assert err.startswith("\ninterrupted")
    assert err.endswith(f"Resume with: specbuild train --resume {path.relative_to(plain.parent)}\n")
    assert RunFolder(path).manifest()["status"] == "interrupted"


def test_a_signal_while_the_command_line_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "click.py").write_text('import time\nopen("stalled", "w").close()\ntime.sleep(600)\n', encoding="utf-8")
    monkeypatch.setattr("tests.run.test_verbs.ROOT", f"{tmp_path}{os.pathsep}{ROOT}")
    process = start("check", "nowcast.yaml", cwd=tmp_path)
    wait_for("stalled", tmp_path, process)
    assert ended(process, signal.SIGINT) == "\ninterrupted\n"


def test_an_interrupt_that_python_drops_is_noted_and_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dies:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    dropped: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", dropped.append)
    with Signals() as signals:
        thing = Dies()
        del thing
        assert signals.asked == signal.SIGTERM
    assert dropped == []
    assert sys.unraisablehook == dropped.append


def test_a_signal_that_was_ignored_before_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            signals.stepping = True
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.asked is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert signals.asked == signal.SIGTERM
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
