"""What each of two processes does for `test_hosts.py`: train together, be interrupted, go on, and lose one of them.

    python -m tests.run.two_processes FOLDER COORDINATOR INDEX

Its last line on the standard output says, as JSON, how each training ended.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from specbuild.document import SpecbuildError
from specbuild.runs.folder import RunFolder
from specbuild.training import Interrupted, hosts, train

hosts.BEAT, hosts.SUSPECT = 0.5, 2.0  # the test does not wait as long as a cluster should


def main(folder: Path, coordinator: str, index: int) -> None:
    alone: dict[str, Any] = {"processes": 1, "quiet": True}
    both: dict[str, Any] = {"coordinator": coordinator, "processes": 2, "process_id": index, "quiet": True}
    spec = folder / str(index) / "spec.yaml"
    said: dict[str, Any] = {}

    def ends(name: str, **options: Any) -> None:
        began = time.monotonic()
        try:
            run = train(**options)
        except (SpecbuildError, Interrupted) as error:
            end = {"type": type(error).__name__, "says": str(error), "number": getattr(error, "number", 0)}
        else:
            end = {"type": "Run", "process": run.process, "history": run.history}
        said[name] = end | {"seconds": round(time.monotonic() - began, 1)}

    def run_in(name: str) -> Path:
        return next((folder / name).glob("*/run.json")).parent

    ends("other data", spec=folder / str(index) / "other" / "spec.yaml", out=folder / "other", **both)
    ends("another aim", spec=spec if index == 0 else None, resume=None if index == 0 else folder, **both)
    ends("two", spec=spec, out=folder / "two", **both)
    in_process_1(index, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
    ends("interrupted", spec=spec, out=folder / "interrupted", **both)
    if index == 0:
        said["status"] = RunFolder(run_in("interrupted")).status().text
        shutil.copytree(folder / "interrupted", folder / "by one")
        ends("resumed by one", resume=run_in("by one"), **alone)
        ends("one", spec=spec, out=folder / "one", overrides=["train.epochs=1"], **alone)
    ends("resumed", resume=folder / "interrupted", **both)
    ends("resumed by two", resume=folder / "one", overrides=["train.epochs=2"], **both)
    in_process_1(index, 5, lambda: os.kill(os.getpid(), signal.SIGKILL))
    ends("killed", spec=spec, out=folder / "killed", **both)
    said["status after it"] = RunFolder(run_in("killed")).status().text
    print(json.dumps(said))


def in_process_1(index: int, number: int, act: Callable[[], Any]) -> None:
    """Do something in process 1 after so many steps of the next training."""
    from specbuild.training.keeper import Keeper

    if index == 0:
        return
    steps, before = iter(range(1, number + 1)), Keeper.on_train_batch_end

    def after(self: Any, batch: int, logs: Any = None) -> None:
        if next(steps, None) == number:
            act()
        before(self, batch, logs)

    Keeper.on_train_batch_end = after  # type: ignore[method-assign]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
