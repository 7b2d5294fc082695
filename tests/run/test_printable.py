"""No name, unit or file steers the terminal: what cannot be seen is shown as an escape, in every verb."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.run.conftest import blobs

ROOT = Path(__file__).parents[2]
VERBS = """
import sys
from specbuild.cli import main

for arguments in (
    ["check", "spec.yaml"],
    ["summary", "spec.yaml"],
    ["summary", "spec.yaml", "--format", "markdown"],
    ["plot", "spec.yaml", "--format", "mermaid"],
    ["plot", "spec.yaml", "-o", "model.svg"],
    ["data", "spec.yaml"],
    ["train", "spec.yaml", "--out", "runs"],
    ["evaluate", "RUN"],
    ["predict", "RUN", "--output", "forecast.gif"],
    ["check", "other.yaml"],
):
    from pathlib import Path
    run = next(iter(map(str, Path("runs").glob("*-*"))), "")
    try:
        main([argument.replace("RUN", run) for argument in arguments])
    except SystemExit as end:
        print("exit code", arguments[0], end.code or 0, flush=True)
"""


def test_every_verb(plain: Path) -> None:
    folder = plain.parent
    unseen = '"\\e]0;title\\a\\u202e$$x^{$$\\e[2J\\nsecond: line"'
    text = plain.read_text("utf-8").replace("blobs.npy", '"\\e[1mblobs.npy"').replace("epochs: 3", "epochs: 1")
    for key in ("name: tiny nowcast", "variable: rain rate", "units: mm/h"):
        assert key in text
        text = text.replace(key, f"{key.partition(':')[0]}: {unseen}")
    (folder / "spec.yaml").write_text(f"{text}\noutputs: {{{unseen}: forecast}}\n", "utf-8")
    (folder / "other.yaml").write_text('specbuild: 1\nextends: "\\e[2Jbase.yaml"\n', "utf-8")
    np.save(folder / "\x1b[1mblobs.npy", blobs())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", VERBS], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    codes = [line.split()[2:] for line in done.stdout.splitlines() if line.startswith("exit code")]
    assert [" ".join(code) for code in codes] == [
        *("check 0", "summary 0", "summary 0", "plot 0", "plot 0", "data 0", "train 0", "evaluate 0", "predict 0"),
        "check 2",
    ], done.stderr
    for said in (done.stdout, done.stderr, (folder / "model.svg").read_text("utf-8")):
        assert not [character for character in said if not character.isprintable() and character != "\n"]
    assert "\nsecond: line" not in done.stdout
    assert "\\x1b[2Jbase.yaml" in done.stderr
