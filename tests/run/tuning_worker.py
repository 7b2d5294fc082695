"""A process that works on a study, for `test_tune_together.py`: everything but the training, which is a formula.

    python -m tests.run.tuning_worker FOLDER OUT TRIALS SECONDS [STORAGE [NAME]]

FOLDER has the spec `tuned.yaml`. The study is OUT/NAME, continued if it is there; with STORAGE it is joined. SECONDS
is how long an epoch of the formula takes. Where FOLDER has a folder `both`, the first trial of a process waits until
another process has begun one too. The last line says which trials this process trained.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from specbuild.language import Spec
from specbuild.runs.folder import RunFolder
from specbuild.tuning import loop, pictures, tune
from specbuild.tuning.trial import Objective, Pruned, Reports

EPOCHS = 4


def loss(rate: float, epoch: int) -> float:
    """The validation loss after an epoch: best at a learning rate of 0.01."""
    return 1 + abs(math.log10(rate) + 2) + 1 / epoch


def formula(seconds: float = 0.0, epochs: int = EPOCHS, began: list[str] | None = None) -> Callable[..., float]:
    """Return what stands in for the training of a trial, and adds the name of its folder to `began`."""

    def run(
        spec: Spec,
        folder: RunFolder,
        reports: Reports,
        objective: Objective,
        shown: Callable[[int, float], None],
        _plugins: Sequence[str],
    ) -> float:
        if began is not None:
            began.append(folder.path.name)
        rate = spec.train.optimizer.arguments["learning_rate"]
        for epoch in range(1, epochs + 1):
            time.sleep(seconds)
            row = {"epoch": float(epoch), "val_loss": loss(rate, epoch)}
            shown(epoch, objective.of(row, spec))
            if reports.epoch(row):
                raise Pruned
        return loss(rate, epochs)

    return run


def together(folder: Path, run: Callable[..., float], began: list[str]) -> Callable[..., float]:
    """Return `run`, whose first trial waits until another process has begun one too, if `folder` has a folder `both`.

    Args:
        folder: that of the spec.
        run: what stands in for the training.
        began: the trials that this process has begun.
    """
    both = folder / "both"

    def meeting(*given: Any) -> float:
        if both.is_dir() and not began:
            (both / str(os.getpid())).touch()
            deadline = time.monotonic() + 240
            while len(list(both.iterdir())) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
        return run(*given)

    return meeting


def main(folder: Path, out: Path, trials: int, seconds: float, storage: str | None = None, name: str = "study") -> None:
    began: list[str] = []
    loop.run = together(folder, formula(seconds, began=began), began)
    pictures.draw = lambda *_: ()
    options: dict[str, Any] = {"trials": trials, "storage": storage}
    if (out / name).exists() and storage is None:
        tune(resume=out / name, **options)
    else:
        tune(folder / "tuned.yaml", out=out, name=name, **options)
    print("trained:", *began)


if __name__ == "__main__":
    here, out, trials, seconds, *rest = sys.argv[1:]
    main(Path(here), Path(out), int(trials), float(seconds), *rest)
