"""The benchmark of one GPU, started by gpu.sh: what runs, in which order, and for how long at most.

Each case is a process of its own, which is ended when its time is up, and adds a row to rows.jsonl for each thing that
it has measured. One that hangs, runs out of memory or crashes loses what it has not measured yet, and the others go on.
The most important come first. After each, results.json and table.md are rewritten. This module imports no framework,
so that nothing but a case can hang.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, TextIO

from gpu_report import report

HERE = Path(__file__).parent
NEEDED = ("jax", "keras", "numpy", "pydantic", "yaml")
LEAST = 10.0
"""Seconds without which no case is begun."""
PATIENCE = 4
"""How many times longer a case may take at tiny scale, on a CPU that has other work."""
ENDING = 5.0
"""Seconds kept for ending a case and writing what was measured."""


@dataclass(frozen=True)
class Planned:
    """A case: what gpu_cases.py is told, and the seconds that it may take."""

    name: str
    limit: float
    arguments: tuple[str, ...]
    needs: str = "jax"


@dataclass
class Result:
    """What became of a case: `done`, `stopped` when its time was up, `failed`, or why it was `skipped`."""

    name: str
    status: str
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)


def plan(scale: str) -> list[Planned]:
    """Return the cases of a GPU, most important first, or as `tiny` the same with shapes for a CPU."""
    tiny = scale == "tiny"

    def case(filters: int, kernel: int) -> str:
        return f"2x4x8x8x1,{filters // 16},{kernel},2" if tiny else f"16x10x64x64x1,{filters},{kernel},3"

    def layers(title: str, limit: float, filters: int, kernel: int, *rest: str, needs: str = "jax") -> Planned:
        name = f"{title}, {filters} filters {kernel} x {kernel}"
        return Planned(name, limit, ("layers", case(filters, kernel), *rest), needs)

    every, two = ("bfloat16", "tf32", "float32"), ("bfloat16", "tf32")
    torch = {"needs": "torch"}
    return [
        layers("ours", 75, 128, 3, "specbuild", *every),
        layers("PyTorch", 60, 128, 3, "eager,compiled step", *every, **torch),
        layers("Keras", 75, 128, 3, "Keras", *every),
        Planned("training loop", 75, ("loop", scale)),
        layers("PyTorch compiled", 75, 128, 3, "compiled", "bfloat16", **torch),
        Planned("variants, 128 filters 3 x 3", 100, ("variants", case(128, 3), "bfloat16")),
        Planned("OpenSTL ConvLSTM-S", 50, ("model", "openstl_convlstm_s", scale, *two)),
        Planned("PredRNN", 50, ("model", "predrnn", scale, *two)),
        Planned("radar nowcast 256 x 256", 60, ("model", "radar_nowcast", scale, *two)),
        Planned("profile of the slowest layer", 40, ("profile", "layer")),
        Planned("profile of the slowest model", 40, ("profile", "model")),
        layers("ours", 40, 128, 5, "specbuild", *every),
        layers("PyTorch", 40, 128, 5, "eager,compiled step", *every, **torch),
        layers("Keras", 45, 128, 5, "Keras", *every),
        layers("ours", 30, 64, 3, "specbuild", *every),
        layers("PyTorch", 30, 64, 3, "eager,compiled step", *every, **torch),
        layers("Keras", 45, 64, 3, "Keras", *every),
        layers("ours", 30, 64, 5, "specbuild", *every),
        layers("PyTorch", 30, 64, 5, "eager,compiled step", *every, **torch),
        layers("Keras", 45, 64, 5, "Keras", *every),
    ]


COMPILED_ONCE = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
}
"""What a case has compiled serves the later ones: the profiles, and equal models in the training loop."""

EXACT = {"JAX_DEFAULT_MATMUL_PRECISION": "highest", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""What tests need that compare float32 with other results, and that run side by side on one GPU."""

REHEARSED = [
    Planned("rehearsal: hangs", 4, ("rehearse", "hang")),
    Planned("rehearsal: runs out of memory", 60, ("rehearse", "memory")),
    Planned("rehearsal: is killed", 60, ("rehearse", "killed")),
]
"""What must not stop the others."""

TESTS = tuple(
    f"tests/model/test_{name}.py"
    for name in (
        *("conv_lstm", "conv_gru", "st_lstm", "encoder_decoder", "feedback_decoder", "autoregressive"),
        *("states", "remat", "recurrent"),
    )
)
"""The tests of layers and decoders, which run last, on JAX."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="gpu.sh", description="The benchmark of one GPU, within 9 minutes.")
    parser.add_argument("folder", nargs="?", type=Path, help="where to write results.json, table.md and log.txt")
    parser.add_argument("--minutes", type=float, default=9.0, help="after which it has ended; default: 9")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only the cases whose names contain one of these")
    parser.add_argument("--scale", choices=("full", "tiny"), default="full", help="tiny: shapes for a CPU")
    parser.add_argument("--rehearse", action="store_true", help="first hang, run out of memory and be killed")
    parser.add_argument("--without-tests", action="store_true", help="leave out the project's tests at the end")
    parser.add_argument("--list", action="store_true", help="name the cases and their seconds, and end")
    options = parser.parse_args()
    cases = [*(REHEARSED if options.rehearse else ()), *plan(options.scale)]
    cases = [each for each in cases if options.only is None or any(text in each.name for text in options.only)]
    if options.list:
        print("\n".join(f"{each.limit:5.0f} s  {each.name}" for each in cases))
        return
    if options.folder is None:
        parser.error("a folder for the results is needed")
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        parser.error(f"{sys.executable} has no {', '.join(missing)}; name another Python with PYTHON=…")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    Benchmark(options.folder.absolute(), 60 * options.minutes, options.scale).run(cases, not options.without_tests)


class Benchmark:
    """One run of the benchmark, whose results are in a folder at any time."""

    def __init__(self, folder: Path, seconds: float, scale: str) -> None:
        self.folder, self.scale, self.seconds = folder, scale, seconds
        self.end = time.monotonic() + seconds - ENDING
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.results: list[Result] = []
        self.rows = folder / "rows.jsonl"
        self.environment = dict(os.environ)

    def run(self, cases: list[Planned], tests: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.rows.write_text("", encoding="utf-8")
        with (
            (self.folder / "log.txt").open("w", encoding="utf-8") as log,
            TemporaryDirectory(ignore_cleanup_errors=True) as compiled,
        ):
            self.environment |= {**COMPILED_ONCE, "JAX_COMPILATION_CACHE_DIR": f"{compiled}/jax"}
            # What a case that is ended leaves half written there must not be read by the next run.
            self.environment |= {
                "TORCHINDUCTOR_CACHE_DIR": f"{compiled}/torch",
                "TRITON_CACHE_DIR": f"{compiled}/triton",
            }
            try:
                for case in cases:
                    self._case(case, log)
                if tests:
                    self._tests(log)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            finally:
                self._write()
        print(f"\n{(self.folder / 'table.md').read_text(encoding='utf-8')}")

    def _case(self, case: Planned, log: TextIO) -> None:
        left = self.end - time.monotonic()
        limit = min(case.limit * (PATIENCE if self.scale == "tiny" else 1), left)
        if find_spec(case.needs) is None:
            self._ended(Result(case.name, f"skipped: no {case.needs}"))
            return
        if left < LEAST:
            self._ended(Result(case.name, "skipped: no time left"))
            return
        arguments = [*case.arguments]
        if arguments[0] == "profile":
            kind = arguments.pop()
            slowest = _slowest([row for result in self.results for row in result.rows if row["kind"] == kind])
            if slowest is None:
                self._ended(Result(case.name, "skipped: nothing was measured before it"))
                return
            arguments += [json.dumps(slowest), str(self.folder / f"profile-{kind}.md")]
        command = [sys.executable, str(HERE / "gpu_cases.py"), str(self.rows), *arguments]
        before = len(self._all_rows())
        result = Result(case.name, "")
        result.status, result.seconds = self._finished(command, limit, log)
        result.rows = self._all_rows()[before:]
        self._ended(result)

    def _tests(self, log: TextIO) -> None:
        limit = self.end - time.monotonic()
        if limit < LEAST or find_spec("pytest") is None or find_spec("hypothesis") is None:
            reason = "no time left" if limit < LEAST else "no pytest or hypothesis"
            self._ended(Result("tests on JAX", f"skipped: {reason}"))
            return
        path = self.folder / "tests.txt"
        workers = ("-n", str(min(8, os.cpu_count() or 1))) if find_spec("xdist") is not None else ()
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers, *TESTS]
        self.environment |= EXACT
        with path.open("w", encoding="utf-8") as output:
            status, seconds = self._finished(command, limit, output)
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        log.write(f"tests: {path}\n")
        self._ended(Result("tests on JAX", status, seconds, [{"kind": "tests", "last": lines[-1] if lines else ""}]))

    def _finished(self, command: list[str], limit: float, log: TextIO) -> tuple[str, float]:
        """Run a command, with all that it starts, for at most so many seconds.

        Returns:
            What became of it, and the seconds that it took.
        """
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=self.environment,
            cwd=HERE.parent,
            start_new_session=True,
        )
        try:
            code = process.wait(limit)
            status = "done" if code == 0 else f"failed: {_meaning(code)}"
        except subprocess.TimeoutExpired:
            status = f"stopped after {limit:.0f} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):  # one that waits for a driver can take long to end
                process.wait(2)
        return status, time.monotonic() - start

    def _ended(self, result: Result) -> None:
        self.results.append(result)
        print(f"{result.seconds:6.1f} s  {result.name}: {result.status}, {len(result.rows)} rows", flush=True)
        self._write()

    def _all_rows(self) -> list[dict[str, Any]]:
        rows = []
        for line in self.rows.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # the last line of a case that was ended
                rows.append(json.loads(line))
        return rows

    def _write(self) -> None:
        written = {
            "started": self.started,
            "scale": self.scale,
            "minutes": self.seconds / 60,
            "python": platform.python_version(),
            "cases": [asdict(result) for result in self.results],
        }
        for name, text in (("results.json", json.dumps(written, indent=1) + "\n"), ("table.md", report(written))):
            new = self.folder / f"{name}.part"
            new.write_text(text, encoding="utf-8")
            new.replace(self.folder / name)


def _meaning(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}, see log.txt"


def _slowest(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the row of ours whose training step has the smallest share of the matrix rate; None without one."""
    ours = [row for row in rows if row.get("training") and row["name"].startswith(("specbuild", "model"))]
    return min(ours, key=lambda row: row["flops"] / row["training"] / row["matrix_rate"], default=None)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
