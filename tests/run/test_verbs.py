"""The verbs as a user runs them: real processes, real signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import specbuild
from specbuild.runs.checkpoint import read
from specbuild.runs.folder import RunFolder
from specbuild.training import Run, train
from tests.run.weights import assert_identical

ROOT = str(Path(specbuild.__file__).parents[1])


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": ROOT}
    command = [sys.executable, "-m", "specbuild", *arguments]
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    process = start(*arguments, cwd=cwd)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def wait_for(pattern: str, folder: Path, process: subprocess.Popen[str]) -> Path:
    """The first file that fits the pattern; fails if the process ends before there is one."""
    for _ in range(12_000):
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"no {pattern} after ten minutes")


def test_training_prints_epochs_and_scores_and_no_noise(plain: Path) -> None:
    code, out, err = run("train", "nowcast.yaml", "--set", "train.epochs=2", cwd=plain.parent)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("data: blobs.npy, 60 frames of 12 x 12; windows: ")
    assert lines[0].endswith(", 8 test")
    assert lines[1].startswith("model: 10 parameters, float32 on ")
    assert lines[2].startswith("memory: about 31.7 KiB for a training step with 4 windows; ")
    assert lines[3].startswith("epoch 1/2  loss ")
    assert lines[4].startswith("epoch 2/2  loss ")
    assert lines[5] == "tiny nowcast: rain rate on the test split, 8 windows"
    folder = lines[-3].removeprefix("run folder: ")
    assert lines[1].endswith(f", into {folder}")
    assert lines[-2:] == [
        "to look at: forecast.png, forecast.gif, loss.png, scores.png, scores.csv",
        f"next: specbuild predict {folder}",
    ]
    assert (plain.parent / folder / "scores.json").is_file()


def test_quiet_prints_nothing(plain: Path) -> None:
    arguments = ("train", "nowcast.yaml", "--set", "train.epochs=1", "--out", "elsewhere", "--quiet")
    assert run(*arguments, cwd=plain.parent) == (0, "", "")
    assert len(list(plain.parent.glob("elsewhere/tiny-nowcast-*/model.keras"))) == 1


STALLS_IN_THE_SECOND_EPOCH = """\
import time
from specbuild.training.keeping import Keeping

write = Keeping.write

def stalls(self, snapshot):
    write(self, snapshot)
    if snapshot.progress.epoch == 1 and snapshot.progress.step:
        time.sleep(600)

Keeping.write = stalls
"""


def test_a_run_that_was_killed_continues_as_if_it_had_not_been(spec: Path, tmp_path: Path) -> None:
    overrides = ["train.epochs=4", "train.early_stopping={patience: 4}", "train.checkpoints={keep: 4, every: 2 steps}"]
    arguments = [part for override in overrides for part in ("--set", override)]
    (spec.parent / "stalls.py").write_text(STALLS_IN_THE_SECOND_EPOCH, encoding="utf-8")
    process = start("train", "nowcast.yaml", *arguments, "--plugin", "stalls", cwd=spec.parent)
    checkpoint = wait_for("runs/*/checkpoints/epoch-0002-step-*.keras", spec.parent, process)
    process.kill()
    process.communicate()
    folder = RunFolder.open(checkpoint.parents[1])
    reached = max(folder.checkpoints())
    assert folder.manifest()["status"] == "running"
    assert folder.status().state == "interrupted"
    assert (1, 0) < reached < (4, 0)

    resumed = train(resume=folder.path, quiet=True)
    whole = train(spec, overrides=overrides, out=tmp_path / "whole", quiet=True)
    assert resumed.folder.history_file.read_bytes() == whole.folder.history_file.read_bytes()
    assert list(resumed.folder.checkpoints()) == list(whole.folder.checkpoints()) == [(1, 0), (2, 0), (3, 0), (4, 0)]
    for epoch in range(1, 5):
        assert_identical(resumed.folder.checkpoint(epoch), whole.folder.checkpoint(epoch))
        assert read(resumed.folder.checkpoint(epoch)) == read(whole.folder.checkpoint(epoch))
    assert_identical(resumed.folder.model_file, whole.folder.model_file)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_keeps_what_was_reached_and_tells_how_to_resume(number: signal.Signals, plain: Path) -> None:
    process = start("train", "nowcast.yaml", "--set", "train.epochs=100000", cwd=plain.parent)
    wait_for("runs/*/checkpoints/epoch-0002.keras", plain.parent, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=600)
    (folder,) = plain.parent.glob("runs/*")
    reached = read(list(RunFolder.open(folder).checkpoints().values())[-1]).reached
    assert process.returncode == 128 + number, err
    assert err == (
        f"\ninterrupted after {reached}. Resume with: specbuild train --resume {folder.relative_to(plain.parent)}\n"
    )
    assert "Traceback" not in out
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    assert (folder / "model.keras").is_file()


def test_a_failed_run_exits_with_1_and_a_wrong_spec_with_2(plain: Path) -> None:
    code, _, err = run("train", "nowcast.yaml", "--set", "train.optimizer.learning_rate=1e38", cwd=plain.parent)
    assert code == 1
    assert err.startswith("error: ")
    assert "the last good weights" in err
    assert "Traceback" not in err
    code, _, err = run("train", "nowcast.yaml", "--set", "train.epochs=0", cwd=plain.parent)
    assert code == 2
    assert "expected a positive whole number, got 0" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("train",), "no SPEC given, and this folder has no spec.yaml"),
        (("train", "nowcast.yaml", "--resume", "runs/x"), "give a SPEC or --resume, not both"),
        (("train", "--resume", "runs/x"), "there is no run folder runs/x"),
        (("evaluate", "runs/x"), "there is no run folder runs/x"),
        (("evaluate", "runs/x", "--split", "tset"), "Invalid value for '--split'"),
        (("predict", "nowcast.yaml"), "nowcast.yaml is a file"),
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments: tuple[str, ...], told: str, plain: Path) -> None:
    code, out, err = run(*arguments, cwd=plain.parent)
    assert (code, out) == (2, "")
    assert told in err


@pytest.mark.parametrize("verb", ["train", "evaluate", "predict"])
def test_help_has_examples(verb: str, tmp_path: Path) -> None:
    code, out, err = run(verb, "--help", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert "Examples:" in out
    assert f"specbuild {verb} " in out


def test_scores_are_printed_as_text_and_as_json(trained: Run, tmp_path: Path) -> None:
    shutil.copytree(trained.path, tmp_path / "run")
    code, out, err = run("evaluate", "run", "--format", "json", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert out == trained.folder.scores_file.read_text()
    code, out, _ = run("evaluate", "run", "--split", "validation", cwd=tmp_path)
    assert code == 0
    assert out.startswith("tiny nowcast: rain rate on the validation split, ")


def test_a_forecast_is_written_where_it_says(trained: Run, tmp_path: Path) -> None:
    code, out, err = run("predict", str(trained.path), "--output", "f.npz", cwd=tmp_path)
    assert (code, out, err) == (0, "f.npz: 2 x 12 x 12 x 1\n", "")
    assert np.load(tmp_path / "f.npz")["forecast"].shape == (2, 12, 12, 1)
    np.save(tmp_path / "past.npy", np.full((3, 12, 12), np.inf))
    code, out, err = run("predict", str(trained.path), "--input", "past.npy", "--output", "g.npz", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("error: 144 values are infinite in frame 0 of past.npy\n")
    assert not (tmp_path / "g.npz").exists()
