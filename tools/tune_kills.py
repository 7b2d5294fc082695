"""Kill studies of `specbuild tune`, continue them, and compare every trial with those of a study that was left alone.

    python tools/tune_kills.py [--cases 3] [--kills 4] [--trials 20] [--seed 1] [--keep FOLDER]

A case is a study that is killed (SIGKILL) at so many random moments, each time continued, and at last left to its end.
It is identical if each trial has the same values, state, reason and validation loss after each epoch, the files of each
run (checkpoints and model included) are the same byte for byte, and so is best.yaml. Exit code 1 if one is not. Studies
run in processes forked from this one, which has imported the framework but not started it. `KERAS_BACKEND=jax` chooses
the other framework.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import pkgutil
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import specbuild

SPEC = """\
specbuild: 1
name: killed
vars: {kernel: 3, channels: 2}
inputs:
  rain: [2, 8, 8, 1]
layers:
  - {id: mixed, time_distributed: {layer: Conv2D, filters: $channels, kernel_size: $kernel, padding: same}}
  - {layer: Dropout, rate: 0.1}
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}
data:
  source: {path: rain.npy, layout: T H W}
  windows: {past: 2, future: 2}
  split: {train: 0.5, validation: 0.25, test: 0.25}
  transform: [standardize]
train:
  optimizer: {name: Adam, learning_rate: 0.01}
  epochs: 4
  batch_size: 4
  checkpoints: {every: 2 steps, keep: 1}
tune:
  vars.kernel: [1, 3, 5, 7]
  vars.channels: {int: [1, 6]}
  train.optimizer.learning_rate: {log: [1e-5, 1e-1]}
  max_parameters: 250
"""
TIMEOUT = 1800.0


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal) and its output."""

    code: int
    said: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=3, help="number of studies that are killed")
    parser.add_argument("--kills", type=int, default=4, help="how often each is killed")
    parser.add_argument("--trials", type=int, default=20, help="trials of each")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    parser.add_argument("--keep", type=Path, help="folder for what differs")
    given = parser.parse_args()
    for module in pkgutil.walk_packages(specbuild.__path__, "specbuild."):
        if module.name.startswith(("specbuild.tuning", "specbuild.training", "specbuild.model")):
            importlib.import_module(module.name)
    importlib.import_module("optuna.storages._rdb.storage")
    numbers = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        np.save(root / "rain.npy", np.random.default_rng(1).gamma(2.0, size=(36, 8, 8)).astype(np.float32))
        (root / "spec.yaml").write_text(SPEC, encoding="utf-8")
        began = time.monotonic()
        whole = run(root, root / "whole", given.trials)
        lasted = time.monotonic() - began
        if whole.code:
            print(whole.said)
            return 1
        expected = contents(root / "whole/study")
        states = [row["state"] for row in expected["trials.csv"]]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        print(f"a whole study: {lasted:.1f} s, {len(states)} trials: {counts}", flush=True)
        different = 0
        for case in range(1, given.cases + 1):
            out = root / "case"
            # On the average the kills are spread over the study, some at its very beginning or in one trial.
            ends = [
                run(root, out, given.trials, delay=2 * numbers.random() * lasted / (given.kills + 1))
                for _ in range(given.kills)
            ]
            ends.append(run(root, out, given.trials))
            result = verdict(ends, out / "study", expected)
            different += result != "identical"
            print(f"case {case}: {result}; ended {[end.code for end in ends]}", flush=True)
            if result != "identical" and given.keep is not None:
                shutil.copytree(root, given.keep / f"case-{case}", dirs_exist_ok=True)
            shutil.rmtree(out, ignore_errors=True)
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    print(
        f"| {backend} | {given.cases} studies of {given.trials} trials, {given.kills} kills each | {different} differ |"
    )
    return int(different > 0)


def verdict(ends: list[Ended], study: Path, expected: dict[str, Any]) -> str:
    """Return `identical`, or what is wrong."""
    for end in ends:
        if "Traceback" in end.said:
            return f"traceback: {end.said}"
    if ends[-1].code:
        return f"refused: {ends[-1].said.strip()}"
    made = contents(study)
    differences = [name for name in sorted({*made, *expected}) if made.get(name) != expected.get(name)]
    return f"different: {', '.join(differences)}" if differences else "identical"


def contents(study: Path) -> dict[str, Any]:
    """Return what does not depend on times and processes: the files of the runs, the trials, the best spec."""
    import optuna

    files: dict[str, Any] = {
        str(path.relative_to(study)): path.read_bytes()
        for path in study.glob("trial-*/**/*")
        if path.is_file() and path.name not in ("run.json", "history.jsonl")
    }
    for path in study.glob("trial-*"):
        files[f"{path.name} is there"] = True
    files["best.yaml"] = (study / "best.yaml").read_bytes()
    rows = list(csv.DictReader((study / "trials.csv").read_text("utf-8").splitlines()))
    files["trials.csv"] = [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
    storage = optuna.storages.RDBStorage(f"sqlite:///{study / 'study.db'}")
    for trial in optuna.load_study(study_name="study", storage=storage).trials:
        files[f"values of trial {trial.number}"] = trial.intermediate_values
    storage.engine.dispose()
    return files


def run(root: Path, out: Path, trials: int, *, delay: float | None = None) -> Ended:
    """Work on the study in `out` in a process of its own, continuing it where it is there.

    Args:
        root: where spec and data are.
        out: where the folder of the study is, or is to be.
        trials: of the study.
        delay: seconds after which the process is killed; None: never.
    """
    log = root / "log"
    child = os.fork()
    if not child:
        code = 1
        try:
            with log.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            code = tune(root, out, trials)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    deadline = time.monotonic() + (TIMEOUT if delay is None else delay)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.005)
    said = log.read_text(errors="replace")
    if delay is None and time.monotonic() > deadline:
        said += "Traceback: it did not end"
    return Ended(os.waitstatus_to_exitcode(status), said)


def tune(root: Path, out: Path, trials: int) -> int:
    """Do what the command line does, and return its exit code."""
    from specbuild.cli import main

    study = out / "study"
    begun = ["--resume", str(study)] if study.exists() else [str(root / "spec.yaml"), "--out", str(out)]
    sys.argv = ["specbuild", "tune", *begun, "--trials", str(trials), "--quiet"]
    sys.argv += [] if study.exists() else ["--name", "study"]
    try:
        main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
