"""What `kill.py` and `tune_kills.py` share: processes that do what the command line does, and are killed.

They are forked from a process that has imported the framework but not started it.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import specbuild


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal) and its output."""

    code: int
    said: str


def import_all(*packages: str) -> None:
    """Import every module of specbuild, or of those packages, so that the processes need not."""
    for module in pkgutil.walk_packages(specbuild.__path__, "specbuild."):
        if module.name.startswith(packages or ("specbuild",)) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def write_spec(root: Path, text: str) -> None:
    """Write `spec.yaml` into a folder, and the data that it names, `rain.npy`: 36 frames of 8 × 8."""
    np.save(root / "rain.npy", np.random.default_rng(1).gamma(2.0, size=(36, 8, 8)).astype(np.float32))
    (root / "spec.yaml").write_text(text, encoding="utf-8")


def forked(work: Callable[[], int], log: Path, *, delay: float | None, timeout: float) -> Ended:
    """Do some work in a process of its own, and return how that ended.

    Args:
        work: returns the exit code.
        log: the file for its output.
        delay: seconds after which it is killed; None: never.
        timeout: seconds after which a process that is not to be killed counts as stuck, and is.
    """
    child = os.fork()
    if not child:
        code = 1
        try:
            with log.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    deadline = time.monotonic() + (timeout if delay is None else delay)
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


def command_line(*arguments: str) -> int:
    """Do what `specbuild` does with some arguments, and return its exit code."""
    from specbuild.cli import main

    sys.argv = ["specbuild", *arguments]
    try:
        main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def verdict(
    ends: list[Ended],
    contents: Callable[[], Mapping[str, Any]],
    expected: Mapping[str, Any],
    others: Iterable[str] = (),
) -> str:
    """Return `identical`, or what is wrong.

    Args:
        ends: how the processes ended, the last of which was not killed.
        contents: returns what they wrote by its name.
        expected: what a process writes that is left alone.
        others: what they wrote that should not be there.
    """
    for end in ends:
        if "Traceback" in end.said:
            return f"traceback: {end.said}"
    if ends[-1].code:
        return f"refused: {ends[-1].said.strip()}"
    made = contents()
    differences = [name for name in sorted({*made, *expected}) if made.get(name) != expected.get(name)]
    return f"different: {', '.join([*differences, *others])}" if differences or others else "identical"
