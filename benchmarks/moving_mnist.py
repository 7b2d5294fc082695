"""OpenSTL's ConvLSTM on Moving MNIST: train for as long as there is time, go on where it ended, print OpenSTL's scores.

    python benchmarks/moving_mnist.py --hours 8 --images train-images-idx3-ubyte.gz --test mnist_test_seq.npy

The spec is `specs/bench/moving_mnist_convlstm_s.yaml`. The same command continues a run that was stopped, until its 200
epochs are done. `--images` are the training digits of MNIST, in IDX; without them digits are drawn with strokes, and
scores are not comparable. `--test` are the 10,000 published sequences, (20, 10000, 64, 64) bytes; without them, 10,000
generated sequences are scored. `--set` changes the spec of a new run: `--set vars.widths=[16] --set train.epochs=2`.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np

from specbuild.document import RunError
from specbuild.evaluation import evaluate
from specbuild.evaluation.result import MODEL, Evaluation
from specbuild.runs.folder import RunFolder

SPEC = Path(__file__).parent.parent / "specs" / "bench" / "moving_mnist_convlstm_s.yaml"
NAME = "moving-mnist-convlstm-s"
PUBLISHED = {"MSE (sum)": 29.80, "MAE (sum)": 90.64, "SSIM": 0.9288, "PSNR": 22.10}
"""Tan et al. 2023, table of Moving MNIST. Their SSIM has another window and is not comparable."""
AXES = ("sequence", "time", "y", "x")
GRACE = 600
"""Seconds that a stopped run has to save what it reached."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, help="Stop after so long; default: train to the end.")
    parser.add_argument("--images", type=Path, help="Training digits of MNIST, train-images-idx3-ubyte.gz.")
    parser.add_argument("--test", type=Path, help="The published test sequences, mnist_test_seq.npy.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="The folder of runs.")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="A change of the spec, KEY=VALUE.")
    given = parser.parse_args()
    if (run := latest(given.out)) is None:
        images = [] if given.images is None else [f"data.source.images={json.dumps(str(given.images.absolute()))}"]
        changes = [part for override in (*images, *given.overrides) for part in ("--set", override)]
        train(str(SPEC), "--out", str(given.out), *changes, hours=given.hours)
    elif not finished(run):
        train("--resume", str(run), hours=given.hours)
    if (run := latest(given.out)) is None:
        raise SystemExit("training ended before a run was begun")
    try:
        print(scores(run, given.test))
    except RunError as error:  # no epoch is done yet
        raise SystemExit(str(error)) from None


def latest(out: Path) -> Path | None:
    """Return the newest run of the benchmark; None where there is none."""
    return max(out.glob(f"{NAME}-*"), default=None)


def finished(run: Path) -> bool:
    return RunFolder(run).status().state == "finished"


def train(*arguments: str, hours: float | None) -> None:
    """Train for at most so many hours. Stopped, the run keeps what it reached."""
    process = subprocess.Popen([sys.executable, "-m", "specbuild", "train", *arguments])
    try:
        process.wait(None if hours is None else 3600 * hours)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.send_signal(signal.SIGINT)
        process.wait(GRACE)
    else:
        if process.returncode:
            raise SystemExit(process.returncode)


def scores(run: Path, test: Path | None) -> str:
    """Return a table of OpenSTL's scores, beside those published."""
    overrides = []
    if test is not None:
        layout = dict(zip("NTHW", AXES, strict=True))
        source = {"path": str(packed(test, run.parent)), "key": "frames", "layout": layout}
        split = {"train": [0, 1], "validation": None, "test": [1, 1 + np.load(test, mmap_mode="r").shape[1]]}
        overrides = [f"data.source={json.dumps(source)}", f"data.split={json.dumps(split)}"]
    scored = evaluate(run, overrides=overrides)
    assert isinstance(scored, Evaluation)
    epochs = len((run / "history.csv").read_text("utf-8").splitlines()) - 1
    lines = [
        f"{run}: {epochs} epoch{'s' * (epochs != 1)}, {scored.windows} test sequences",
        f"{'':10}{'here':>10}{'published':>12}",
    ]
    lines += [
        f"{title:10}{scored.of(MODEL).column(title).overall:10.4g}{published:12.4g}"
        for title, published in PUBLISHED.items()
    ]
    return "\n".join(lines)


def packed(test: Path, out: Path) -> Path:
    """Return the test sequences as a file that says how bytes become values from 0 to 1; it is written once.

    The first sequence is blank: data need a training split, though no score here depends on it.
    """
    path = out.absolute() / f"{test.stem}.nc"
    if path.exists():
        return path
    sequences = np.load(test, mmap_mode="r")  # (time, sequence, height, width)
    frames, count, height, width = sequences.shape
    unfinished = path.with_suffix(".part")
    with netCDF4.Dataset(unfinished, "w") as file:
        for name, length in zip(AXES, (1 + count, frames, height, width), strict=True):
            file.createDimension(name, length)
        values = file.createVariable(
            "frames", "u1", AXES, compression="zlib", chunksizes=(1, frames, height, width), fill_value=False
        )
        values.scale_factor = np.float32(1 / 255)
        values.set_auto_scale(False)
        values[0] = 0
        for number in range(count):
            values[1 + number] = sequences[:, number]
    unfinished.rename(path)
    return path


if __name__ == "__main__":
    main()
