"""Commands that fail, in a process of their own: the exit code, the words, and never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CHILD = """\
import glob, json, sys
import numpy as np
from specbuild.cli import main

def run(*arguments):
    try:
        main(list(arguments))
        code = 0
    except SystemExit as end:
        code = end.code or 0
    print(json.dumps([arguments, code]), file=sys.stderr, flush=True)

short = ("--set", "train.epochs=1", "--set", "train.steps_per_epoch=2")
run("train", "nowcast.yaml", *short)
(folder,) = glob.glob("runs/*")
run("train", "--resume", folder, "--set", "train.loss=mae")
run("train", "--resume", folder, "--set", "train.epochs=2", "--set", "train.optimizer.amsgrad=true")
run("train", "nowcast.yaml", *short, "--set", "train.init_from=nothing")
run("train", "nowcast.yaml", *short, "--set", "train.optimizer={name: SGD, learning_rate: 1e30}", "--out", "diverged")
frames = np.load("blobs.npy")
np.save("blobs.npy", np.concatenate([frames, frames]))
run("evaluate", folder)
run("train", "--resume", folder, "--set", "train.epochs=2")
run("predict", folder)
"""


def test_commands_that_fail_say_why(plain: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=plain.parent, capture_output=True, text=True, check=False, timeout=600
    )
    assert child.returncode == 0, child.stderr
    assert "Traceback" not in child.stderr
    codes: list[int] = []
    said: list[str] = []
    words: list[str] = []
    for line in child.stderr.splitlines():
        if line.startswith("[["):
            codes.append(json.loads(line)[1])
            said.append("\n".join(words))
            words = []
        else:
            words.append(line)
    assert codes == [0, 2, 2, 2, 1, 2, 2, 0], said
    _, loss, state, start, diverged, scores, data, forecast = said
    assert "a resumed run cannot change train.loss from mse to mae: losses before and after" in loss
    assert "the arguments of Adam in train.optimizer do not fit this run" in state
    assert "error: there is no run nothing" in start
    assert "in epoch 1, step 2: " in diverged
    assert "whose batch has the training samples" in diverged
    assert "the data is not what this run began with" in scores
    assert "put the old data back, or score these as other data" in scores
    assert "start a new run, or put the old data back" in data
    assert "note: blobs.npy has grown since training, from 60 to 120 frames" in forecast
