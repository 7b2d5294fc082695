"""Kill training runs, continue them, and compare every file with that of a run that was left alone.

    python tools/kill.py random [--cases 50] [--seed 1]    SIGKILL at random moments, of resumed runs too
    python tools/kill.py points [--every 1]                the process ends at each operation on a file of the run
    python tools/kill.py full [--every 1]                  the disk is full from each such operation on

`KERAS_BACKEND=jax` chooses the other framework. A case is identical if after all kills, and a last resumption, every
file is that of the whole run, byte for byte, and run.json says the same but for times, paths and processes. Exit code 1
if one is not. Runs are processes forked from this one, which has imported the framework but not started it.

A process that ends leaves the run folder as it is then. So `points` copies the folder of one run at each operation, and
continues every copy that differs from the one before.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from killing import Ended, command_line, forked, import_all, verdict, write_spec

SPEC = """\
specbuild: 1
name: killed
inputs:
  rain: [2, 8, 8, 1]
layers:
  - {id: blurred, layer: Dropout, rate: 0.2}
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}
data:
  source: {path: rain.npy, layout: T H W}
  variable: rain rate
  units: mm/h
  interval: 5 min
  windows: {past: 2, future: 2}
  split: {train: 0.5, validation: 0.25, test: 0.25}
  transform: [standardize]
  augment: {flip: [height, width], noise: 0.1}
train:
  optimizer: {name: Adam, learning_rate: {name: ExponentialDecay, initial_learning_rate: 0.05, decay_steps: 5,
    decay_rate: 0.7}}
  metrics: [mae]
  epochs: 4
  batch_size: 4
  seed: 3
  workers: 2
  early_stopping: {monitor: val_loss, patience: 2}
  checkpoints: {every: 2 steps, keep: 1}
"""
OTHERWISE = {"started", "finished", "command", "directory", "data", "process", "resumed", "overrides", "error"}
"""Keys of run.json that have times, paths and processes."""
TIMEOUT = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("random", "points", "full"))
    parser.add_argument("--cases", type=int, default=50, help="number of random cases")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    parser.add_argument("--every", type=int, default=1, help="try each n-th operation only")
    parser.add_argument("--devices", type=int, default=1, help="devices that share each step, made of the processor")
    parser.add_argument("--keep", type=Path, help="folder for what differs")
    given = parser.parse_args()
    if given.devices > 1:  # read as the framework is imported
        os.environ["SPECBUILD_CPU_DEVICES"] = str(given.devices)
    import_all()
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        write_spec(root, f"{SPEC}  devices: {given.devices}\n")
        started = time.monotonic()
        whole = run(root, root / "whole", counting=True, copies=root / "copies" if given.mode == "points" else None)
        lasted = time.monotonic() - started
        if whole.code:
            print(whole.said)
            return 1
        expected = contents(only(root / "whole"))
        operations = int((root / "operations").read_text())
        print(f"a whole run: {lasted:.1f} s, {operations} operations on files", flush=True)
        if given.mode == "random":
            numbers = random.Random(given.seed)
            cases: Iterator[tuple[str, Callable[[Path], list[Ended]]]] = (
                (f"case {case}", killed(root, [numbers.random() * lasted, numbers.random() * lasted]))
                for case in range(1, given.cases + 1)
            )
        else:
            points = range(1, operations + 1, given.every)
            make = full_disk if given.mode == "full" else ended
            cases = ((f"operation {point}", make(root, point)) for point in points)
        table: Counter[str] = Counter()
        for name, case in cases:
            out = root / "case"
            ends = case(out)
            if not ends:
                table["equal to the one before"] += 1
                continue
            others = [path.name for path in out.iterdir() if path != only(out)] if not ends[-1].code else []
            result = verdict(ends, lambda out=out: contents(only(out)), expected, others)
            table[result.partition(":")[0]] += 1
            print(f"{name}: {result}; ended {[end.code for end in ends]}", flush=True)
            if not result.startswith("identical") and given.keep and out.exists():
                shutil.copytree(out, given.keep / name.replace(" ", "-"), dirs_exist_ok=True)
            shutil.rmtree(out, ignore_errors=True)
    print(f"| {backend}, devices: {given.devices} | {given.mode} | {sum(table.values())} cases | {dict(table)} |")
    return int(not set(table) <= {"identical", "equal to the one before"})


def killed(root: Path, delays: list[float]) -> Callable[[Path], list[Ended]]:
    """Return a case: a run that is killed after each delay, and continued. If it has ended, the first comes sooner."""

    def case(out: Path) -> list[Ended]:
        first, *others = delays
        while (end := run(root, out, delay=first)).code == 0:
            shutil.rmtree(out)
            first /= 2
        return [end, *(run(root, out, delay=delay) for delay in others), run(root, out)]

    return case


def full_disk(root: Path, point: int) -> Callable[[Path], list[Ended]]:
    """Return a case: a run whose disk is full from an operation on, and is then continued."""
    return lambda out: [run(root, out, full_from=point), run(root, out)]


def ended(root: Path, point: int) -> Callable[[Path], list[Ended]]:
    """Return a case: a run that ended before an operation, then continued; no run where the one before is equal."""

    def case(out: Path) -> list[Ended]:
        left = root / "copies" / str(point)
        if not left.exists():
            return []
        shutil.copytree(left, out)
        return [run(root, out)]

    return case


def only(out: Path) -> Path:
    """Return the one run in a folder."""
    runs = list(out.glob("killed-*"))
    if len(runs) != 1:
        raise RuntimeError(f"{out} has {len(runs)} runs")
    return runs[0]


def contents(folder: Path) -> dict[str, Any]:
    """Return every file of a run by its name."""
    files: dict[str, Any] = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    files.pop("history.jsonl", None)  # the same history as history.csv, with times
    said = json.loads(files.pop("run.json"))
    return files | {f"run.json {key}": value for key, value in said.items() if key not in OTHERWISE}


def run(
    root: Path,
    out: Path,
    *,
    delay: float | None = None,
    full_from: int = 0,
    counting: bool = False,
    copies: Path | None = None,
) -> Ended:
    """Train in a process of its own, resuming the run in `out` where there is one.

    Args:
        root: where spec and data are.
        out: where the run folder is, or is to be.
        delay: seconds after which it is killed; None: never.
        full_from: the operation on a file of the run from which on the disk is full; 0: none.
        counting: whether to count the operations.
        copies: where to copy `out` before each operation, under its number, where it differs from the copy before.
    """

    def work() -> int:
        faults = Faults(out, full_from, copies) if full_from or counting else None
        code = train(root, out)
        if faults is not None:
            (root / "operations").write_text(str(faults.count))
        return code

    return forked(work, root / "log", delay=delay, timeout=TIMEOUT)


def train(root: Path, out: Path) -> int:
    """Train, or resume the run in `out` where there is one."""
    existing = list(out.glob("killed-*"))
    given = ["--resume", str(existing[0])] if existing else [str(root / "spec.yaml"), "--out", str(out)]
    return command_line("train", *given, "--quiet")


class Faults:
    """Counts this process's operations on files below a folder, copies the folder before them, or makes them fail.

    Operations are: to open a file for writing, to write it to the disk, to rename it, to remove it, to make a folder.
    """

    def __init__(self, folder: Path, full_from: int, copies: Path | None) -> None:
        self.folder, self.full_from, self.copies = folder.absolute(), full_from, copies
        self.count = 0
        self._last: dict[str, bytes] | None = None
        self._one_at_a_time = threading.RLock()
        self._sync: Any = os.fsync
        os.fsync = self._fsync  # type: ignore[assignment]
        sys.addaudithook(self._hear)

    def _fsync(self, descriptor: int) -> None:
        self._meet(Path(f"/proc/self/fd/{descriptor}").readlink())
        self._sync(descriptor)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)) or set(mode or "") & set("wax+")
            if writes:
                self._meet(path)
        elif event in ("os.rename", "os.mkdir", "os.truncate"):
            self._meet(arguments[0])
        elif event in ("os.remove", "os.rmdir"):
            self._meet(arguments[0], takes_space=False)

    def _meet(self, path: Any, *, takes_space: bool = True) -> None:
        if not isinstance(path, str | os.PathLike) or not Path(path).absolute().is_relative_to(self.folder):
            return
        with self._one_at_a_time:
            self.count += 1
            if self.copies is not None and self.folder.exists():
                self._copy(self.copies / str(self.count))
            if self.full_from and takes_space and self.count >= self.full_from:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def _copy(self, target: Path) -> None:
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        state = {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}
        if state != self._last:
            self._last = state
            shutil.copytree(self.folder, target)


if __name__ == "__main__":
    sys.exit(main())
