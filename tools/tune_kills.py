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
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from killing import Ended, command_line, forked, import_all, verdict, write_spec

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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=3, help="number of studies that are killed")
    parser.add_argument("--kills", type=int, default=4, help="how often each is killed")
    parser.add_argument("--trials", type=int, default=20, help="trials of each")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    parser.add_argument("--keep", type=Path, help="folder for what differs")
    given = parser.parse_args()
    import_all("specbuild.tuning", "specbuild.training", "specbuild.model")
    importlib.import_module("optuna.storages._rdb.storage")
    numbers = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        write_spec(root, SPEC)
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
            result = verdict(ends, lambda out=out: contents(out / "study"), expected)
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
    study = out / "study"

    def work() -> int:
        new = [str(root / "spec.yaml"), "--out", str(out), "--name", "study"]
        begun = ["--resume", str(study)] if study.exists() else new
        return command_line("tune", *begun, "--trials", str(trials), "--quiet")

    return forked(work, root / "log", delay=delay, timeout=TIMEOUT)


if __name__ == "__main__":
    sys.exit(main())
